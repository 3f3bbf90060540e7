"""Whatever stops a run, the next one gives the same bytes and leaves nothing behind."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataforge import Store
from dataforge.commit import STEPS, HashingFile
from dataforge.errors import EXIT_PARTIAL, ConfigError, LockedError
from tests.dataforge.kills import build_in_child, kill_and_compare
from tests.dataforge.test_engine import tree
from tests.dataforge.words import write_words


@pytest.mark.slow
def test_a_hundred_random_kills_change_no_byte() -> None:
    kills, _builds, differences = kill_and_compare(100, seed=7)
    assert kills >= 100 and differences == []


BUILD_STEPS = [s for s in STEPS if s not in ("build_version", "rename_version", "fsync_root", "gc")]


@pytest.mark.parametrize("step", BUILD_STEPS)
def test_a_kill_at_each_named_step_changes_no_byte(step: str, tmp_path: Path) -> None:
    words = write_words(tmp_path / "words", lines=20, files=2)
    assert build_in_child(tmp_path / "clean", words) == 0
    for count in (1, 3):
        assert build_in_child(tmp_path / "store", words, f"kill:{step}:{count}") == -9
    assert build_in_child(tmp_path / "store", words) == 0
    assert tree(tmp_path / "store") == tree(tmp_path / "clean")


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO"])
def test_every_refused_disk_call_ends_partial_and_the_rerun_is_whole(fault: str, tmp_path: Path) -> None:
    words = write_words(tmp_path / "words", lines=5, files=1)
    assert build_in_child(tmp_path / "clean", words) == 0
    for count in range(1, 200, 9):
        code = build_in_child(tmp_path / "store", words, f"{fault}:any:{count}")
        assert code in (0, EXIT_PARTIAL)
        left = [p for p in (tmp_path / "store").glob("**/.tmp/*") if p.is_file()]
        assert not left, "no temporary file outlives an error"
    assert build_in_child(tmp_path / "store", words) == 0
    assert tree(tmp_path / "store") == tree(tmp_path / "clean")


@pytest.mark.parametrize("most_bytes", [0, 100, 400, 1500])
def test_a_disk_that_takes_no_more_ends_the_run_partial_wherever_it_writes(most_bytes: int, tmp_path: Path) -> None:
    """Also shuffles and states, which are no committed files."""
    words = write_words(tmp_path / "words", lines=20, files=1)
    store = tmp_path / "store"
    assert build_in_child(store, words, largest_file=most_bytes) == EXIT_PARTIAL
    assert build_in_child(store, words) == 0
    assert build_in_child(tmp_path / "clean", words) == 0
    assert tree(store) == tree(tmp_path / "clean")


def test_what_is_written_after_the_end_goes_nowhere() -> None:
    """A Parquet writer that an error left open still writes its footer when it is collected."""
    raw = io.BytesIO()
    with HashingFile(raw) as file:
        file.write(b"rows")
    raw.close()
    assert file.write(b"footer") == 6 and file.size_bytes == 4
    assert file.sha256 == hashlib.sha256(b"rows").hexdigest()


def test_a_second_run_is_refused_naming_the_holder_and_a_kill_frees_the_lock(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from dataforge import Store\n"
        "with Store(Path(sys.argv[1])).lock():\n    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    with pytest.raises(LockedError, match=f"pid {process.pid}") as refused, Store(tmp_path).lock():
        pass
    assert refused.value.exit_code == 75
    process.kill()
    process.wait()
    with Store(tmp_path).lock():
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()


def test_a_file_system_without_locks_is_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigError, match="cannot lock: No locks available"), Store(tmp_path).lock():
        pass
