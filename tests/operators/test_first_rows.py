"""The first rows of a source: as many as asked, read from no more files than that takes, under an identity of their own."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataforge import Step, Store
from dataforge.engine.local import Local
from dataforge.engine.run import run
from dataforge.operators.files_jsonl import JsonlFiles
from dataforge.operators.first_rows import FirstRows, underlying
from dataforge.step import step_id


def write(path: Path, keys: Iterator[int] | range, *, packed: bool = False) -> None:
    data = b"".join(json.dumps({"id": f"k{k}", "text": f"text {k}"}).encode() + b"\n" for k in keys)
    path.write_bytes(gzip.compress(data, mtime=0) if packed else data)


def first(folder: Path, rows: int) -> Any:
    source = FirstRows(JsonlFiles(name="s", path=f"{folder}/in/*", key="id"), rows)
    step = Step("sources/s", source)
    with Local(1) as engine:
        return run(Store(folder / f"store-{rows}"), (step,), engine).tables[step]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.jsonl", range(10))
    write(tmp_path / "in" / "b.jsonl", range(10, 20))
    return tmp_path


@pytest.mark.parametrize(("rows", "found"), [(1, 1), (9, 9), (10, 10), (11, 11), (20, 20), (21, 20)])
def test_as_many_rows_as_asked_in_the_order_of_the_files(rows: int, found: int, folder: Path) -> None:
    table = first(folder, rows)
    assert table.to_table(["key"])["key"].to_pylist() == [f"k{k}" for k in range(found)]
    assert table.account.rows_in == table.account.kept == found and table.n_parts == 1


def test_files_after_the_last_row_are_not_opened(folder: Path) -> None:
    (folder / "in" / "c.jsonl.gz").write_bytes(b"no gzip at all")
    assert first(folder, 20).bad_files == []
    assert [bad["file"] for bad in first(folder, 21).bad_files] == ["c.jsonl.gz"]


def test_rows_of_a_broken_file_are_made_up_for_by_the_next_one(folder: Path) -> None:
    write(folder / "in" / "a0.jsonl.gz", range(100, 900), packed=True)
    whole = (folder / "in" / "a0.jsonl.gz").read_bytes()
    (folder / "in" / "a0.jsonl.gz").write_bytes(whole[:-20])
    table = first(folder, 2000)
    assert [bad["file"] for bad in table.bad_files] == ["a0.jsonl.gz"] and table.rows == 20


def test_bad_rows_on_the_way_come_along(folder: Path) -> None:
    with open(folder / "in" / "a.jsonl", "r+b") as file:
        file.write(b"!")
    assert [first(folder, rows).account.quarantined for rows in (8, 9, 20)] == [1, 1, 1]


def test_bad_rows_after_the_last_row_do_not(folder: Path) -> None:
    write(folder / "in" / "a.jsonl", range(3))
    with open(folder / "in" / "a.jsonl", "ab") as file:
        file.write(b'bad\n{"id": "k3", "text": "text 3"}\nbad\n')
    assert [first(folder, rows).account.quarantined for rows in (2, 3, 4, 5)] == [0, 0, 1, 2]


def mixed(folder: Path, good: str) -> None:
    """One file: `good` says of each row whether it is one ("+") or none ("-")."""
    write(folder / "in" / "b.jsonl", range(0))
    rows = [json.dumps({"id": f"k{k}", "text": "t"}) if mark == "+" else "bad" for k, mark in enumerate(good)]
    (folder / "in" / "a.jsonl").write_text("\n".join(rows))


@pytest.mark.parametrize(
    ("good", "rows", "kept", "bad", "told"),
    [
        ("-" * 300, 5, 0, 100, True),  # a hundred bad rows are enough to see what is wrong
        ("-" * 300, 150, 0, 150, True),  # or as many as good ones were asked for
        ("-" * 99 + "+" * 9, 5, 5, 99, False),
        ("+" * 3 + "-" * 100 + "+" * 9, 5, 3, 100, True),
        ("+" * 5 + "-" * 300, 5, 5, 0, False),
        ("-" * 60 + "+" * 2 + "-" * 60 + "+" * 9, 5, 2, 100, True),
    ],
)
def test_bad_rows_are_bounded_too(good: str, rows: int, kept: int, bad: int, told: bool, folder: Path) -> None:
    mixed(folder, good)
    account = first(folder, rows).account
    assert (account.kept, account.quarantined, account.notes.get("stopped_at_bad_rows")) == (kept, bad, 1 if told else None)


def test_bad_rows_and_bad_files_are_counted_over_all_files(folder: Path) -> None:
    for name in "abc":
        (folder / "in" / f"{name}.jsonl").write_text("bad\n" * 60)
    assert first(folder, 5).account.quarantined == 100
    for number in range(30):
        (folder / "in" / f"{number:02}.jsonl.gz").write_bytes(b"no gzip at all")
    assert len(first(folder, 6).bad_files) == 20


def test_another_number_of_rows_or_changed_files_are_another_table(folder: Path) -> None:
    source = JsonlFiles(name="s", path=f"{folder}/in/*", key="id")

    def identity(rows: int) -> str:
        return step_id(Step("sources/s", FirstRows(source, rows)), ())

    one = identity(5)
    assert one == identity(5) != identity(6) and one != step_id(Step("sources/s", source), ())
    os.utime(folder / "in" / "b.jsonl", ns=(1, 1))
    assert identity(5) != one


def test_underlying_is_the_source_itself() -> None:
    source = JsonlFiles(name="s", path="in", key="id")
    assert underlying(FirstRows(source, 3)) is source and underlying(source) is source


def test_more_rows_than_a_source_can_hold_ask_for_no_more_parts(folder: Path) -> None:
    source = JsonlFiles(name="docs", path=f"{folder}/in/*")
    assert FirstRows(source, 10**20).decompressed_bytes() <= 16 * source.decompressed_bytes()
