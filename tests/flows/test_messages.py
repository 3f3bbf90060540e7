"""Errors that a newcomer meets first: each names the thing once and the way on."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.flows.calling import CHEAP, Call, call, line, published
from tests.flows.demo import small_config

QUICK = ("--direct", "--workers", "1", "-q")


@pytest.fixture
def dataforge(capsys: pytest.CaptureFixture[str]) -> Call:
    return partial(call, capsys=capsys)


def test_verify_of_a_config_names_the_folder_to_give(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, [line(i) for i in range(4)], **CHEAP)
    early = dataforge("verify", tmp_path, "--json")
    assert early.code == 3 and "a config, not the folder" in early.error["what"]
    assert early.error["hint"] == f"first: dataforge run {tmp_path}"
    assert dataforge("run", config, *QUICK).code == 0
    for given in (tmp_path, config):
        assert dataforge("verify", given, "--json").error["hint"] == f"dataforge verify {published(tmp_path)}"
    version = published(tmp_path)
    above = dataforge("verify", tmp_path / "out", "--json").error
    assert above["hint"] == f"name a version in it: {version.relative_to(tmp_path / 'out')}"
    assert dataforge("verify", version).code == 0


def test_whatif_names_a_key_once_and_what_was_meant(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, [line(i) for i in range(4)], quality="{preset: gopher, min_words: 5}")
    dataforge("run", config, *QUICK)
    for setting in ("quality.min_word=1", "dedupe.threshold=0.1", "dedupe.threshold=1.1"):
        said = dataforge("whatif", config, "--set", setting)
        key = setting.partition("=")[0]
        assert said.code == 2 and said.err.startswith(f"error[CONFIG] key={key}: ")
        assert said.err.partition(";")[0].count(key) == 1
    assert "did you mean quality.min_words? known: " in dataforge("whatif", config, "--set", "quality.min_word=1").err


def test_html_in_a_column_is_said_by_source_in_the_run_and_in_the_report(tmp_path: Path, dataforge: Call) -> None:
    sources = "[{name: web, kind: jsonl, path: web.jsonl}, {name: s, kind: jsonl, path: in.jsonl}]"
    config = small_config(tmp_path, [line(i) for i in range(12)], sources=sources, **CHEAP)
    pages = [line(i, f"<div><p>Page {i} of kites.</p><br>Number {i * i}</div>") for i in range(12)]
    (tmp_path / "web.jsonl").write_bytes(b"\n".join(pages))
    said = dataforge("run", config, *QUICK)
    assert "warning: 100% of the rows of source web look like HTML (12 looked at)" in said.err
    assert "source s look like HTML" not in said.err and "`at: after_clean`" in said.err
    report = json.loads((published(tmp_path) / "report.json").read_bytes())
    assert [e for e in report["markup"] if e["html"]] == [{"source": "web", "rows": 12, "html": 12}]
    assert [a["level"] for a in report["alerts"] if "look like HTML" in a["text"]] == ["warning"]


def test_a_run_counts_its_steps_and_ends_with_the_ways_on(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, [line(i) for i in range(4)], **CHEAP)
    said = dataforge("run", config, "--direct", "--workers", "1")
    first, *_, last, published_line = [text for text in said.err.splitlines() if not text.startswith("warning: ")]
    total = len(dataforge("plan", config, "--json").document["steps"])
    assert first.startswith(f"[1/{total}] sources/s: 4 rows in, 4 out (") and last.startswith(f"[{total}/{total}] packed: ")
    assert published_line.startswith("publish: small ") and "rows read, files written" in said.err
    assert f"why      dataforge funnel {config} --all" in said.out and "\nto load it:\nfrom datasets import " in said.out
    trial = dataforge("run", config, "--limit", 2, *QUICK).out
    assert f"dataforge trace {config} --trial 2 ID" in trial and trial.count("--all") == 1


def test_init_proposes_a_trial_first(tmp_path: Path, dataforge: Call) -> None:
    (tmp_path / "in.jsonl").write_bytes(line(1))
    said = dataforge("init", tmp_path / "new", "--input", tmp_path / "in.jsonl")
    config = tmp_path / "new" / "dataforge.yaml"
    assert said.out.splitlines()[-1].startswith(f"next: dataforge run {config} --limit 1000 ")
