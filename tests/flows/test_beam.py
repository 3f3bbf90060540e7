"""Beam beyond its in-process runner: Beam's own job service over the portable protocol gives the same bytes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataforge.engine.beam import Beam
from dataforge.engine.local import Local
from dataforge.errors import InputError, WorkerError
from tests.dataforge.test_engine import build
from tests.dataforge.words import write_words


@pytest.fixture(scope="module")
def job_service() -> Iterator[str]:
    """host:port of Beam's local job service, a process of its own."""
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", "--port=0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    port = next(found[1] for line in process.stderr if (found := re.search(r"port[: ]+(\d+)", line, re.IGNORECASE)))
    yield f"localhost:{port}"
    process.kill()
    process.wait()


def test_the_portable_protocol_gives_the_same_bytes(job_service: str, tmp_path: Path) -> None:
    words = write_words(tmp_path / "words")
    with Local(1) as local:
        expected = build(tmp_path / "local", words, local)
    options = ["--runner=PortableRunner", f"--job_endpoint={job_service}", "--environment_type=LOOPBACK"]
    with Beam(options) as beam:
        assert build(tmp_path / "beam", words, beam) == expected


@pytest.mark.slow
def test_several_processes_give_the_same_bytes(tmp_path: Path) -> None:
    words = write_words(tmp_path / "words")
    with Local(1) as local:
        expected = build(tmp_path / "local", words, local)
    with Beam(workers=2) as beam:
        assert build(tmp_path / "beam", words, beam) == expected


def test_a_typed_error_survives_the_runner(tmp_path: Path) -> None:
    from dataforge import Step, Store
    from dataforge.engine.run import run
    from tests.dataforge.words import Long, graph

    store, steps = Store(tmp_path / "store"), graph(write_words(tmp_path / "words"))
    other = Step("words/other", Long(1), (steps["rows"], graph(tmp_path / "words", parts=2)["length"]))
    with Beam() as beam, store.lock(), pytest.raises(InputError, match="cannot be joined"):
        run(store, [other], beam)


def test_any_other_failure_is_named_with_its_step(tmp_path: Path) -> None:
    from dataforge import Store
    from dataforge.engine.run import run
    from tests.dataforge.words import graph

    store, steps = Store(tmp_path / "store"), graph(write_words(tmp_path / "words"), least="x")  # type: ignore[arg-type]
    with Beam() as beam, store.lock(), pytest.raises(WorkerError) as failed:
        run(store, [steps["long"]], beam)
    assert failed.value.step == "words/long"
