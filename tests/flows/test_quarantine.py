"""`dataforge quarantine`: the rows that could not be read are found again, and their content is shown on request alone."""

from __future__ import annotations

import gzip
import json
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.flows.calling import CHEAP, Call, call, line
from tests.flows.demo import small_config

QUICK = ("--direct", "--workers", "1", "-q")
CUT = b'{"id": "r-cut", "text": "write to ann@example.org'
WRONG = b'{"id": "bob@example.org", "text": 7}'


@pytest.fixture
def dataforge(capsys: pytest.CaptureFixture[str]) -> Call:
    return partial(call, capsys=capsys)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Rows 2 and 4 of five cannot be read."""
    rows = [line(1), CUT, line(3), WRONG, line(5)]
    return small_config(tmp_path, rows, ingest="{max_bad_rows: 2}", **CHEAP)


def test_a_run_that_set_rows_aside_names_the_command(bad: Path, tmp_path: Path, dataforge: Call) -> None:
    said = dataforge("run", bad, *QUICK)
    assert said.code == 0 and f"2 rows quarantined; to see them: dataforge quarantine {bad}\n" in said.out
    trial = dataforge("run", bad, "--limit", 2, *QUICK)
    assert f"1 row quarantined; to see them: dataforge quarantine {bad} --trial 2\n" in trial.out
    assert "1 row quarantined" in dataforge("quarantine", bad, "--trial", 2).out
    clean = small_config(tmp_path / "clean", [line(1)], **CHEAP)
    assert "quarantine " not in dataforge("run", clean, *QUICK).out
    assert dataforge("quarantine", clean).out == "nothing was quarantined\n"


def test_each_row_is_named_with_its_place_its_key_and_why(bad: Path, tmp_path: Path, dataforge: Call) -> None:
    dataforge("run", bad, *QUICK)
    document = dataforge("quarantine", bad, "--json").document
    assert (document["rows"], document["codes"], document["bad_files"]) == (2, {"SCHEMA": 2}, [])
    cut, wrong = document["quarantined"]
    assert (cut["step"], cut["file"], cut["row"], cut["offset"]) == ("sources/s", "in.jsonl", 2, len(line(1)) + 1)
    assert (cut["line"], wrong["line"]) == (2, 4)
    assert (cut["key"], wrong["key"], wrong["row"]) == ("r-cut", "<email>", 4)
    assert cut["input"] == str(tmp_path / "in.jsonl") and wrong["reason"] == "$.text: expected string, found integer"
    with open(cut["input"], "rb") as file:
        file.seek(cut["offset"])
        assert file.readline() == CUT + b"\n"
    kept = pq.read_table(wrong["table"]).to_pylist()[wrong["table_row"]]
    assert kept["line"] == 4 and kept["raw"]


def test_a_row_is_numbered_by_lines_where_its_file_has_lines(tmp_path: Path, dataforge: Call) -> None:
    """A field of CSV may hold newlines: the number is that of the line in which the row begins."""
    (tmp_path / "a.csv").write_text('text\n"one\ntwo"\nthree,four\n')
    pq.write_table(pa.table({"text": ["one", None]}), tmp_path / "b.parquet")
    sources = "[{name: c, kind: csv, path: a.csv}, {name: p, kind: parquet, path: b.parquet}]"
    config = small_config(tmp_path, [], sources=sources, **CHEAP)
    over = dataforge("run", config, *QUICK, "--json").error["details"]
    assert "file=a.csv line=4: expected 1 fields, found 2" in over[0] and "file=b.parquet row=2: text" in over[1]
    places = [(e["row"], e["line"]) for e in dataforge("quarantine", config, "--json").document["quarantined"]]
    assert places == [(4, 4), (2, None)]
    text = dataforge("quarantine", config).out
    assert "  a.csv  line 4  byte 15  SCHEMA" in text and "  b.parquet  row 2  SCHEMA" in text


def test_content_is_shown_on_request_alone(bad: Path, dataforge: Call) -> None:
    dataforge("run", bad, *QUICK)
    for words in ([], ["--json"]):
        quiet, loud = dataforge("quarantine", bad, *words).out, dataforge("quarantine", bad, *words, "--raw").out
        assert "write to" not in quiet and "write to" in loud
    assert dataforge("quarantine", bad, "--json", "--raw").document["quarantined"][0]["raw"].encode() == CUT
    text = dataforge("quarantine", bad).out
    assert "in.jsonl  line 2  byte " in text and "key r-cut  SCHEMA: not JSON" in text and "ann@" not in text


def test_few_are_shown_and_all_are_counted(bad: Path, dataforge: Call) -> None:
    dataforge("run", bad, *QUICK)
    document = dataforge("quarantine", bad, "--limit", 1, "--json").document
    assert document["rows"] == 2 and len(document["quarantined"]) == 1
    assert "and 1 more: --limit 2 lists all" in dataforge("quarantine", bad, "--limit", 1).out


def test_rows_over_the_budget_files_left_out_and_repeated_keys_are_listed(tmp_path: Path, dataforge: Call) -> None:
    sources = "[{name: s, kind: jsonl, path: '*.jsonl*', key: id}]"
    rows = [line(1), line(1, "Other words."), CUT]
    config = small_config(tmp_path, rows, sources=sources, ingest="{max_bad_files: 1, max_bad_rows: 1}", **CHEAP)
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(line(7) * 50, mtime=0)[:-9])
    over = dataforge("run", config, *QUICK)
    assert over.code == 4 and "2 rows quarantined; to see them" in over.out
    document = dataforge("quarantine", config, "--json").document
    assert [entry["step"] for entry in document["quarantined"]] == ["sources/s", "corpus/ingested"]
    assert "repeats with other content" in document["quarantined"][1]["reason"]
    assert [entry["file"] for entry in document["bad_files"]] == ["cut.jsonl.gz"]
    text = dataforge("quarantine", config).out
    assert "files left out whole:\n  cut.jsonl.gz: CORRUPT: " in text
    assert json.dumps(document).count("Other words") == 0


def test_before_a_run_there_is_nothing_to_list(tmp_path: Path, dataforge: Call) -> None:
    said = dataforge("quarantine", small_config(tmp_path, [line(1)]), "--json")
    assert said.code == 3 and said.error["what"] == "nothing has run yet"
