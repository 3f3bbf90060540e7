"""Reports of runs: a killed run is told of, few are kept, and times of steps are those that were measured."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dataforge import Store
from dataforge.errors import PartialError
from dataforge.flows.estimate import estimate, estimate_text
from dataforge.flows.runs import ENDED, KEPT, Running, begin, prune, runs, unfinished
from tests.flows.calling import CHEAP, Call, call, line
from tests.flows.demo import small_config

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def dataforge(capsys: pytest.CaptureFixture[str]) -> Call:
    return partial(call, capsys=capsys)


def scan(name: str, seconds: float) -> dict[str, Any]:
    return {"scan": name, "seconds": seconds, "rows_in": 1, "bytes_out": 1, "peak_rss_bytes": 5}


def report(*scans: dict[str, Any], size: int = 100, publish: float | None = None) -> dict[str, Any]:
    return {"scans": list(scans), "input_bytes": size, "publish_seconds": publish}


def test_a_run_that_was_killed_is_told_with_what_it_did_and_how_to_go_on(tmp_path: Path, dataforge: Call) -> None:
    config, store = small_config(tmp_path, [line(1), line(2)], **CHEAP), Store(tmp_path / "store")
    with store.lock():
        running = begin(store, "small", 100)
        running.write([scan("sources/s", 1.0), scan("corpus/a + corpus/b", 2.0)], running.began + timedelta(seconds=3))
        assert dataforge("status", config, "--json").document["unfinished"]["running"] is True
        assert "and goes on; it did sources/s … corpus/b (3 steps)" in dataforge("status", config).out
    killed = dataforge("status", config, "--json").document
    assert killed["unfinished"]["running"] is False and killed["last_run"] is None
    assert killed["unfinished"]["steps"] == ["sources/s", "corpus/a", "corpus/b"]
    told = f"did not end; it did sources/s … corpus/b (3 steps); go on: dataforge run {config}"
    assert told in dataforge("status", config).out

    assert dataforge("run", config, "-q", "--direct", "--workers", "1").code == 0
    ended = dataforge("status", config, "--json").document
    assert ended["unfinished"] is None and ended["last_run"]["status"] == "done"
    assert [r["status"] for r in runs(store)] == ["done", "stopped"], "what the killed run did stays on record"


def test_the_newest_reports_are_kept_and_one_of_each_dataset(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "runs").mkdir()
    for at in range(KEPT + 3):
        name = "early" if at < 2 else "often"
        (tmp_path / "runs" / f"2026{at:05d}.json").write_text(json.dumps({"name": name, "at": at}))
    prune(store)
    assert [r["at"] for r in runs(store, "often")] == list(range(KEPT + 2, 2, -1))
    assert [r["at"] for r in runs(store, "early")] == [1], "gc must still know that the store serves it"


ODD = ["{}", "[]", "null", '{"name": 1}', '{"name": "small", "began": "x", "scans": []}', '{"name": "small", "scans": [1]}']
ODD += ['{"name": "small", "error": {}}', '{"name": "small", "began": "2026-01-02T03:04:05+00:00"}', "[" * 100_000]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_what_is_no_report_of_a_run_is_passed_over(odd: str, tmp_path: Path, dataforge: Call) -> None:
    config, store = small_config(tmp_path, [line(1), line(2)], **CHEAP), Store(tmp_path / "store")
    (store.root / "runs").mkdir(parents=True, exist_ok=True)
    for name in ("running-small", "20260101T000000.000000Z"):
        (store.root / "runs" / f"{name}.json").write_text(odd)
    document = dataforge("status", config, "--json").document
    assert document["unfinished"] is None and document["last_run"] is None
    begin(store, "small", 1)
    assert [set(report) & {"seconds"} for report in runs(store, needs=ENDED)] == []
    prune(store)


def test_a_broken_record_of_a_running_run_is_none(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "running-a.json").write_text("{")
    assert unfinished(Store(tmp_path), "a") is None


def test_an_estimate_sums_the_newest_measured_time_of_each_step() -> None:
    reports = [report(scan("a + b", 4.0)), report(scan("a", 100.0), scan("c", 3.0), publish=2.0)]
    found = estimate(["a", "c"], reports, 100)
    assert found == {"steps": 2, "measured": 2, "seconds": 2.0 + 3.0 + 2.0, "peak_rss_bytes": 5}
    assert estimate_text(found, 0) == "2 step(s) to run; about 7 s by what they took before"


def test_an_estimate_grows_with_the_input_and_never_shrinks() -> None:
    assert estimate(["a"], [report(scan("a", 4.0), publish=1.0)], 300)["seconds"] == 15.0
    assert estimate(["a"], [report(scan("a", 4.0), publish=1.0)], 10)["seconds"] == 5.0


def test_what_was_never_measured_is_not_guessed() -> None:
    part = estimate(["a", "new"], [report(scan("a", 4.0))], 100)
    assert estimate_text(part, 3) == (
        "2 step(s) to run, 3 wait behind them; about 4 s by what they took before, and 1 that never ran in this store"
    )
    none = estimate(["new"], [report(scan("a", 4.0), publish=9.0)], 100)
    assert none["seconds"] is None and "how long is not known" in estimate_text(none, 0)
    assert estimate([], [report(scan("a", 4.0))], 100)["seconds"] == 0.0


def test_a_full_disk_is_told_of_the_table_and_not_of_the_report(
    tmp_path: Path, dataforge: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def no_report(running: Running, *_: Any) -> None:
        raise PartialError("no space left", code="NOSPC", file="runs/report.json")

    config = small_config(tmp_path, [line(1)], **CHEAP)
    monkeypatch.setattr("dataforge.engine.run.write_manifest", full)
    monkeypatch.setattr(Running, "end", no_report)
    said = dataforge("run", config, "-q", "--direct", "--workers", "1", "--json")
    assert said.code == 6 and said.error["code"] == "NOSPC" and "sources/s" in said.error["file"]
