"""The first rows of a file of rows, as they stand, and which of the columns that a source names they lack.

For `dataforge init` and `dataforge config check`: what is broken is passed over here, the run names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from dataforge.errors import DataforgeError, escape
from dataforge.operators.decode import decode_object, holds
from dataforge.operators.files import InputFile, open_raw
from dataforge.operators.files_columns import column_names
from dataforge.operators.files_csv import records
from dataforge.operators.files_rows import RowFault, named_columns
from dataforge.operators.files_stream import ByteStream, LineCounter, split_lines

SAMPLE_ROWS = 200
MAX_SAMPLE_ROW = 16 << 20

Row = dict[str, Any]


def stream_of(file: InputFile) -> ByteStream:
    return ByteStream(lambda: open_raw(file.location), file.name)


def jsonl_rows(file: InputFile) -> list[Row]:
    with stream_of(file) as stream:
        groups = split_lines(stream, LineCounter(), MAX_SAMPLE_ROW)
        return list(_objects(islice((line for group in groups for line in group.lines), SAMPLE_ROWS)))


def _objects(lines: Iterator[bytes]) -> Iterator[Row]:
    for line in lines:
        try:
            yield decode_object(line.removeprefix(b"\xef\xbb\xbf"))
        except RowFault:
            continue


def csv_rows(file: InputFile, delimiter: str, encoding: str) -> tuple[list[str], list[Row]]:
    """(names of the columns, rows)"""
    with stream_of(file) as stream:
        read = records(stream, LineCounter(), delimiter, MAX_SAMPLE_ROW, encoding=encoding)
        rows = [fields for *_, fields in islice(read, SAMPLE_ROWS)]
    whole = [row for row in rows if isinstance(row, list)]
    return (whole[0], [dict(zip(whole[0], row, strict=False)) for row in whole[1:]]) if whole else ([], [])


def parquet_rows(file: InputFile) -> tuple[list[str], list[Row]]:
    """(names of the columns, rows); nothing of a file that is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_raw(file.location) as stream:
            opened = pq.ParquetFile(stream)
            batch = next(opened.iter_batches(SAMPLE_ROWS), None)
            return list(opened.schema_arrow.names), batch.to_pylist() if batch is not None else []
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return [], []


def absent(kind: str, file: InputFile, wanted: Mapping[str, str], delimiter: str, encoding: str) -> dict[str, str]:
    """{setting: what to say} of columns that the first rows of a file lack; {} where the file cannot be read at all."""
    try:
        if kind == "jsonl":
            rows = jsonl_rows(file)
            names = column_names(rows)
            lacking = {s: c for s, c in wanted.items() if not any(holds(row, c) for row in rows)}
        else:
            names, rows = parquet_rows(file) if kind == "parquet" else csv_rows(file, delimiter, encoding)
            lacking = {s: c for s, c in wanted.items() if c not in names}
    except DataforgeError:
        return {}
    if not names:
        return {}
    place = f"the first {len(rows)} rows of {escape(file.name)}" if kind == "jsonl" else escape(file.name)
    return {s: f"no such column in {place}: {named_columns(names, c)}" for s, c in lacking.items()}
