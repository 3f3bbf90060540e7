"""Columns that a config names and that are not there: said by `config check` before a run, and by a run."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.flows.calling import CHEAP, Call, call
from tests.flows.demo import small_config

QUICK = ("--direct", "--workers", "1", "-q")
NESTED = {"id": "r1", "text": "Words of a row.", "meta": {"src": {"url": "https://example.org/1"}}}


@pytest.fixture
def dataforge(capsys: pytest.CaptureFixture[str]) -> Call:
    return partial(call, capsys=capsys)


def config_of(folder: Path, source: str, rows: int = 3) -> Path:
    lines = [json.dumps({**NESTED, "id": f"r{i}", "text": f"Words of row {i}."}).encode() for i in range(rows)]
    return small_config(folder, lines, **{**CHEAP, "sources": f"[{{name: s, {source}}}]"})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("kind: jsonl, path: in.jsonl, key: docno", "sources.s.key = 'docno'   no such column in the first 3 rows of"),
        ("kind: jsonl, path: in.jsonl, text: Text", "there are text, id, meta, meta.src, meta.src.url; did you mean"),
        ("kind: csv, path: a.csv, text: body, uri: lnk", "sources.s.uri = 'lnk'   no such column in a.csv: there are link,"),
        ("kind: csv, path: b.csv, text: body", "sources.s.delimiter = ','   b.csv looks as if its delimiter were ';': set"),
        ("kind: parquet, path: c.parquet, text: txt", "in c.parquet: there are text, id; did you mean 'text'?"),
    ],
    ids=["key", "text", "csv", "delimiter", "parquet"],
)
def test_a_column_without_which_no_run_ends_well_is_a_problem(
    source: str, said: str, tmp_path: Path, dataforge: Call
) -> None:
    (tmp_path / "a.csv").write_text("body,link\none,x\n")
    (tmp_path / "b.csv").write_text("body;link\none;x\n")
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), tmp_path / "c.parquet")
    found = dataforge("config", "check", config_of(tmp_path, source), "--json")
    assert found.code == 2 and said in "\n".join(found.error["details"])


def test_columns_that_some_rows_have_are_there(tmp_path: Path, dataforge: Call) -> None:
    config = config_of(tmp_path, "kind: jsonl, path: in.jsonl, key: id, uri: meta.src.url, created: made")
    with open(tmp_path / "in.jsonl", "a") as file:
        file.write('bad\n{"id": "z", "text": "a", "made": null}\n')
    assert dataforge("config", "check", config, "--json").document["warnings"] == []


def test_a_mistyped_address_is_told_by_a_check_a_run_and_its_report(tmp_path: Path, dataforge: Call) -> None:
    config = config_of(tmp_path, "kind: jsonl, path: in.jsonl, key: id, uri: meta.src.ulr")
    said = "no such column in the first 3 rows of in.jsonl: there are meta.src.url, meta.src, id, text, meta"
    (warning,) = dataforge("config", "check", config, "--json").document["warnings"]
    assert warning == f"sources.s.uri = 'meta.src.ulr': {said}; did you mean 'meta.src.url'?"
    done = dataforge("run", config, *QUICK, "--json")
    told = "no row has a value in the column meta.src.ulr (`uri:`)"
    assert done.code == 0 and told in done.err
    report = json.loads((Path(done.document["out"]) / "report.json").read_bytes())
    assert any("has a value in the column meta.src.ulr (`uri:`)" in alert["text"] for alert in report["alerts"])


def test_a_mistyped_key_is_named_as_the_way_out(tmp_path: Path, dataforge: Call) -> None:
    config = config_of(tmp_path, "kind: jsonl, path: in.jsonl, key: docno")
    failed = dataforge("run", config, *QUICK, "--json")
    assert failed.code == 4 and failed.error["hint"].startswith("name the column in the config: dataforge config check ")
    assert "$.docno: no such key, the row has id, text, meta; `key:`" in failed.error["details"][0]
