"""Kills a run at seeded random points of the commit protocol, runs it again until it ends, and compares every byte.

Each run is a fork of this process, which has imported everything but never used Arrow: cheap, and no threads to lose.
Run: python -m tests.dataforge.kills KILLS SEED
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from dataforge import Store, commit
from dataforge.engine.local import Local
from dataforge.engine.run import run
from dataforge.errors import DataforgeError
from tests.dataforge.test_engine import tree
from tests.dataforge.words import graph, write_words


def build_in_child(
    store: Path, words: Path, fault: str = "", *, counted: Path | None = None, largest_file: int | None = None
) -> int:
    """Exit code of a forked build: 0, the exit code of a typed error, or -9 when the fault killed it.

    With `largest_file` the system refuses to write more bytes than that into any file of the store but the lock.
    """
    pid = os.fork()
    if pid == 0:
        os.environ["DATAFORGE_FAULT"] = fault
        opened = Store(store)
        code = 0
        try:
            with opened.lock(), Local(1) as local:
                if largest_file is not None:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
                run(opened, [graph(words, parts=2)["total"]], local)
        except DataforgeError as error:
            code = error.exit_code
        if counted is not None:
            counted.write_text(str(commit._reached["any"]))
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def steps_of(store: Path, words: Path) -> int:
    """How many protocol steps an undisturbed build takes."""
    counted = store.with_suffix(".steps")
    assert build_in_child(store, words, "kill:any:0", counted=counted) == 0
    return int(counted.read_text())


def kill_and_compare(kills: int, seed: int) -> tuple[int, int, list[str]]:
    """(kills done, builds done, differences): each build is killed one to three times at random steps before it may end."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        words = write_words(Path(folder) / "words", lines=20, files=2)
        assert build_in_child(Path(folder) / "clean", words) == 0
        expected = tree(Path(folder) / "clean")
        steps = steps_of(Path(folder) / "probe", words)
        done = builds = 0
        differences: list[str] = []
        while done < kills:
            store = Path(folder) / f"store{builds}"
            for _ in range(draw.randint(1, 3)):
                done += build_in_child(store, words, f"kill:any:{draw.randint(1, steps)}") == -9
            assert build_in_child(store, words) == 0
            found = tree(store)
            differences += [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
            shutil.rmtree(store)
            builds += 1
    return done, builds, differences


if __name__ == "__main__":
    kills, builds, differences = kill_and_compare(int(sys.argv[1]), int(sys.argv[2]))
    print(f"{kills} kills, {builds} builds, {len(differences)} differing files, {len(commit.STEPS)} named steps")
    print(*differences[:20], sep="\n")
    sys.exit(1 if differences else 0)
