"""Where rows stand in a published version: config, split, shard, row, and the token range in packed rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataforge.version_bytes import read_manifest


def places(out: Path, wanted: pa.Array) -> Iterator[dict[str, Any]]:
    """Where rows stand: config, split, file, row in the file; the token range in packed rows."""
    for entry in read_manifest(out)["configs"]:
        column = "id" if any(c["name"] == "id" for c in entry["columns"]) else "parents"
        for file in entry["files"]:
            place = {"config": entry["config"], "split": entry["split"], "file": file["path"]}
            with pq.ParquetFile(out / file["path"], page_checksum_verification=True) as reader:
                for found in _in_ids(reader, wanted) if column == "id" else _in_parents(reader, wanted):
                    yield {**place, **found}


def _in_ids(reader: pq.ParquetFile, wanted: pa.Array) -> Iterator[dict[str, Any]]:
    """Row groups whose smallest and largest id exclude all wanted ones are not read."""
    first = 0
    names = reader.schema_arrow.names
    for group in range(reader.num_row_groups):
        metadata = reader.metadata.row_group(group)
        bounds = metadata.column(names.index("id")).statistics
        if bounds is None or any(bounds.min <= w <= bounds.max for w in wanted.to_pylist()):
            ids = reader.read_row_group(group, columns=["id"], use_threads=False)["id"]
            hits = pc.is_in(ids, value_set=wanted).to_numpy()
            for place in np.flatnonzero(hits).tolist():
                yield {"id": ids[place].as_py(), "row": first + place}
        first += metadata.num_rows


def _in_parents(reader: pq.ParquetFile, wanted: pa.Array) -> Iterator[dict[str, Any]]:
    """A sequence of a packed row runs from the sum of the lengths before it to that plus its own."""
    first = 0
    for group in range(reader.num_row_groups):
        rows = reader.read_row_group(group, columns=["parents", "seq_lengths"], use_threads=False).combine_chunks()
        if rows.num_rows:
            parents, lengths = rows["parents"].chunk(0), rows["seq_lengths"].chunk(0)
            for place in np.unique(parent_rows(parents, wanted)).tolist():
                yield from _ranges(
                    first + place, parents[place].as_py(), lengths[place].as_py(), set(wanted.to_pylist())
                )
        first += rows.num_rows


def _ranges(row: int, parents: list[str], lengths: list[int], wanted: set[str]) -> Iterator[dict[str, Any]]:
    ends = np.cumsum(lengths).tolist()
    for parent, end, length in zip(parents, ends, lengths, strict=True):
        if parent in wanted:
            yield {"id": parent, "row": row, "tokens": {"start": end - length, "end": end}}


def parent_rows(parents: pa.Array, wanted: pa.Array) -> np.ndarray:
    """int64[k]: the rows whose list holds one of `wanted`, once per hit."""
    hits = pc.is_in(pc.list_flatten(parents), value_set=wanted)
    return np.asarray(pc.list_parent_indices(parents).filter(hits).to_numpy())
