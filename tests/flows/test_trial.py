"""`run --limit N`: a trial that says what it is, lies beside the real dataset and changes nothing of it."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from dataforge.errors import ConfigError
from dataforge.flows.config import load_config
from dataforge.flows.trial import trial
from tests.flows.calling import CHEAP, Call, call, files, line
from tests.flows.demo import copy_demo, small_config

QUICK = ("--direct", "--workers", "1", "-q")


@pytest.fixture
def dataforge(capsys: pytest.CaptureFixture[str]) -> Call:
    return partial(call, capsys=capsys)


def test_a_trial_reads_the_first_rows_and_publishes_beside_the_real_dataset(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, [line(i) for i in range(30)], **CHEAP)
    planned = dataforge("plan", config, "--limit", 20, "--json").document
    assert planned["first_rows"] == 20 and planned["name"] == "small-first-20" and not (tmp_path / "store").exists()
    said = dataforge("run", config, "--limit", 20, *QUICK)
    assert "trial on the first 20 rows of each source" in said.out and "no part of the real dataset" in said.out
    document = dataforge("run", config, "--limit", 20, *QUICK, "--json").document
    assert document["first_rows"] == 20 and document["funnel"][0]["in"] == 20
    out = Path(document["out"])
    assert out.parent == tmp_path / "out-first-20" / "small-first-20"
    assert "trial on the first 20 rows" in (out / "README.md").read_text()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["out-first-20", "store-first-20"]
    assert "first 20 rows" in dataforge("plan", config, "--limit", 20).out


def test_the_report_of_a_trial_names_sources_as_that_of_a_run_does(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, [line(i) for i in range(12)], **CHEAP)
    trial_out = dataforge("run", config, "--limit", 5, *QUICK, "--json").document["out"]
    real_out = dataforge("run", config, *QUICK, "--json").document["out"]
    reports = [json.loads((Path(out) / "report.json").read_bytes()) for out in (trial_out, real_out)]
    named = [[(s["name"], s["kind"], s["licence"], s["rows"]) for s in report["sources"]] for report in reports]
    assert [source[:3] for source in named[0]] == [source[:3] for source in named[1]]
    assert [[s[3] for s in sources] for sources in named] == [[5], [12]]
    assert not any("is left" in alert["text"] for report in reports for alert in report["alerts"])


def test_a_trial_reads_no_further_where_hardly_any_row_can_be_read(tmp_path: Path, dataforge: Call) -> None:
    sources = "[{name: s, kind: jsonl, path: in.jsonl, key: docno}]"
    config = small_config(tmp_path, [line(i) for i in range(300)], **{**CHEAP, "sources": sources})
    failed = dataforge("run", config, "--limit", 5, *QUICK, "--json")
    assert failed.code == 4 and "100 bad rows" in failed.error["what"]
    said = "source s was read no further: 100 rows could not be read, fewer well than the trial asked for"
    assert failed.error["details"][-1] == said


def test_a_real_run_is_the_same_with_and_without_a_trial_before_it(tmp_path: Path, dataforge: Call) -> None:
    one = small_config(tmp_path / "one", [line(i) for i in range(12)], **CHEAP)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert dataforge("run", one, "--limit", 5, *QUICK).code == 0
    assert "never run" in dataforge("plan", one).out and "nothing published" in dataforge("status", one).out
    for name in ("one", "two"):
        assert dataforge("run", tmp_path / name, *QUICK).code == 0
    assert files(tmp_path / "one" / "out") == files(tmp_path / "two" / "out")


def test_what_looks_at_a_run_looks_at_a_trial_too(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, [line(i) for i in range(12)], **CHEAP)
    none = dataforge("funnel", config, "--trial", 5, "--json")
    assert none.code == 3 and none.error["hint"] == f"dataforge run {config} --limit 5"
    dataforge("run", config, "--limit", 5, *QUICK)
    assert dataforge("funnel", config, "--trial", 5, "--json").document["funnel"][0]["in"] == 5
    assert dataforge("status", config, "--trial", 5, "--json").document["to_run"] == []
    assert "corpus/train" in json.dumps(dataforge("trace", config, "r1", "--trial", 5, "--json").document)
    assert dataforge("trace", config, "r1", "--json").code == 3


def test_a_trial_asks_no_people_and_no_index(tmp_path: Path, dataforge: Call) -> None:
    config = copy_demo(tmp_path / "demo", review="{enabled: true, database: queue.sqlite}")
    said = dataforge("run", config, "--limit", 40, *QUICK, "--json")
    assert said.code == 0 and said.document["status"] == "done"
    assert not list(tmp_path.rglob("*.sqlite"))
    rows = [line(i) for i in range(3)]
    indexed = load_config(small_config(tmp_path / "small", rows, dedupe="{index: earlier}"))
    assert indexed.dedupe.index == "earlier" and trial(indexed, 2).dedupe.index is None


def test_a_trial_reads_slack_pulls_where_they_are(tmp_path: Path) -> None:
    config = load_config(small_config(tmp_path, []))
    made = trial(config, 7)
    assert made.pull_folder("chat") == config.pull_folder("chat") == tmp_path / "store" / "pull" / "chat"
    assert config.first_rows == 0 and made.first_rows == 7 and made.model_dump().keys() == config.model_dump().keys()


def test_no_rows_is_no_trial(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, [line(1)])
    assert dataforge("run", config, "--limit", 0, "--json").error["code"] == ConfigError.code
