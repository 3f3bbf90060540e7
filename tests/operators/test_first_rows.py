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
