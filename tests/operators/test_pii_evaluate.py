"""Scores on a labelled file, by hand."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from dataforge.errors import CorruptError, InputError, SchemaError
from dataforge.operators.pii_evaluate import evaluate


def row(text: str, *spans: tuple[str, str]) -> dict[str, object]:
    """Spans given by their text."""
    return {
        "text": text,
        "spans": [{"start": text.index(v), "end": text.index(v) + len(v), "label": label} for v, label in spans],
    }


ROWS = [
    row("mail a@b.org", ("a@b.org", "EMAIL_ADDRESS")),  # exact
    row("mail c@d.org now", ("mail c@d.org", "EMAIL_ADDRESS")),  # gold is longer: not covered, but right
    row("see e@f.org"),  # found, not labelled: false
    row("at Anna's", ("Anna", "PERSON")),  # nothing looks for names
    row("phone nine nine nine", ("nine nine", "PHONE_NUMBER")),  # missed
    row("8.8.4.40"),  # a kind that is no label of the file is not scored
]
NAMES = ("recall_covering", "precision_covering", "recall_exact", "precision_exact")
SCORES = {
    "schema": 1,
    "total": dict(zip(NAMES, (0.333333, 0.666667, 0.333333, 0.333333), strict=True)),
    "kinds": {
        "EMAIL_ADDRESS": dict(zip(NAMES, (0.5, 0.666667, 0.5, 0.333333), strict=True)),
        "PHONE_NUMBER": dict(zip(NAMES, (0.0, None, 0.0, None), strict=True)),
    },
    "unscored": ["PERSON"],
}


def lines(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(r) + "\n" for r in rows).encode()


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_shares_per_kind_and_in_all(tmp_path: Path, suffix: str) -> None:
    packed = {
        "jsonl": lines(ROWS),
        "jsonl.gz": gzip.compress(lines(ROWS)),
        "jsonl.zst": zstandard.compress(lines(ROWS)),
    }
    file = tmp_path / f"gold.{suffix}"
    file.write_bytes(packed[suffix])
    assert evaluate(file) == SCORES


def test_one_found_span_may_cover_two_labels(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_bytes(lines([row("+1-604-696-5272x565", ("+1-604-696", "PHONE_NUMBER"), ("5272x565", "PHONE_NUMBER"))]))
    assert evaluate(file)["total"] == {
        "recall_covering": 1.0,
        "precision_covering": 1.0,
        "recall_exact": 0.0,
        "precision_exact": 0.0,
    }


def test_texts_without_spans_have_no_shares(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_text(json.dumps(row("Nothing of anybody.")) + "\n")
    scores = evaluate(file)
    assert set(scores["total"].values()) == {None} and scores["kinds"] == {} and scores["unscored"] == []


def test_a_file_without_rows_is_named(tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match=r"gold\.jsonl: no rows"):
        evaluate(tmp_path / "gold.jsonl")


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"nope",
        b'{"text": "a", "spans": [{"start": 0, "end": 2, "label": "URL"}]}',
        b'{"text": 1, "spans": []}',
    ],
)
def test_a_line_of_another_shape_is_named(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_bytes(lines(ROWS[:1]) + line + b"\n")
    with pytest.raises(SchemaError, match="line=2"):
        evaluate(file)


def test_damaged_and_missing_files_are_errors(tmp_path: Path) -> None:
    cut = tmp_path / "gold.jsonl.gz"
    cut.write_bytes(gzip.compress(lines(ROWS))[:-9])
    with pytest.raises(CorruptError):
        evaluate(cut)
    with pytest.raises(InputError):
        evaluate(tmp_path / "none.jsonl")


def test_national_numbers_of_presidio_are_one_kind(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    rows = [row("PESEL 44051401359", ("44051401359", "PL_PESEL")), row("NHS 9434765919", ("9434765919", "UK_NHS"))]
    file.write_bytes(lines([*rows, row("SSN 853-37-1694", ("853-37-1694", "US_SSN"))]))
    scored = evaluate(file)
    assert scored["kinds"]["NATIONAL_ID"]["recall_exact"] == scored["kinds"]["US_SSN"]["recall_exact"] == 1.0
    assert scored["unscored"] == []
