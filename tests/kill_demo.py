"""Kills runs of the demo at random moments, runs them again to the end, and compares every byte with an unkilled run.

`python -m tests.kill_demo KILLS [SEED]` (`make kills`). Each run is a process group of its own with two workers; SIGKILL
takes all of it. Compared are the published files and all tables of the store. Left aside is what holds clocks or
machines: run reports, the review database (its answers are in the tables), remembered sizes of input files, the lock.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.flows.demo import copy_demo

ROOT = Path(__file__).parent.parent
WORKERS = 2
ASIDE = ("store/runs/", "store/review.sqlite", "store/inputs.json", "store/.lock")


@dataclass
class Tally:
    """What happened. `missed` are runs that had ended before their kill."""

    kills: int = 0
    missed: int = 0
    builds: int = 0
    compared: int = 0
    differing: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)


def start(config: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dataforge.flows.cli", "run", str(config), "--direct", "--workers", str(WORKERS), "-q"]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True, env=os.environ
    )


def run_to_the_end(config: Path) -> None:
    process = start(config)
    _, err = process.communicate()
    if process.returncode != 0:
        sys.exit(f"a run ended with {process.returncode}: {err.decode()}")


def kill_after(config: Path, seconds: float) -> bool:
    """Starts a run and kills its process group; False if it had ended by then."""
    process = start(config)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def tree(folder: Path) -> dict[str, str]:
    """sha256 of every file of store and out, by relative path."""
    found = {}
    for path in sorted(p for top in ("store", "out") for p in (folder / top).rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if not name.startswith(ASIDE):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def kill_and_compare(kills: int, seed: int, folder: Path) -> Tally:
    """Builds the demo again and again, each build killed one to four times, until `kills` were done."""
    draw = random.Random(seed)
    began = time.monotonic()
    run_to_the_end(copy_demo(folder / "clean"))
    whole_s = time.monotonic() - began
    expected = tree(folder / "clean")
    tally = Tally(compared=len(expected))
    while tally.kills < kills:
        build = folder / f"build{tally.builds}"
        config = copy_demo(build)
        for _ in range(min(draw.randint(1, 4), kills - tally.kills)):
            if kill_after(config, draw.uniform(0.2, whole_s)):
                tally.kills += 1
            else:
                tally.missed += 1
        run_to_the_end(config)
        found = tree(build)
        tally.builds += 1
        tally.differing += [
            f"{build.name}/{n}" for n in sorted(expected.keys() | found.keys()) if expected.get(n) != found.get(n)
        ]
        tally.left_behind += [str(p.relative_to(folder)) for p in build.rglob("*") if ".tmp" in p.parts and p.is_file()]
        print(f"{tally.kills} of {kills} kills, {tally.builds} builds, {len(tally.differing)} differing", flush=True)
    return tally


def main(kills: int, seed: int) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = kill_and_compare(kills, seed, Path(folder))
    print(
        f"{tally.kills} kills in {tally.builds} builds (seed {seed}, {tally.missed} runs ended before their kill): "
        f"{len(tally.differing)} differing files of {tally.compared}, {len(tally.left_behind)} temporary files left, "
        f"{time.monotonic() - began:.0f} s"
    )
    print(*(tally.differing + tally.left_behind)[:20], sep="\n")
    return 1 if tally.differing or tally.left_behind else 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: python -m tests.kill_demo KILLS [SEED]")
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
