"""Shards of a split: how many, which rows go into which, and the Parquet files themselves.

Everything follows from the rows: their number, their own sizes and their order. Rows go in one after another, shard j
takes a contiguous range of equal length, row groups are cut by the rows' weights. Memory holds one row group.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataforge.commit import HashingFile, reach

MIN_SHARDS = 8  # of a split that is worth dividing: whole shards for 2, 4 and 8 ranks


def shard_count(rows: int, size_bytes: int, shard_bytes: int) -> int:
    """A power of two: the smallest with `size_bytes` / n ≤ `shard_bytes`, at least 8 from an eighth of that on.

    Sizes are those of the plain rows, so files stay below `shard_bytes` even where nothing compresses.
    """
    least = MIN_SHARDS if size_bytes * MIN_SHARDS >= shard_bytes else 1
    count = 1 << (max(least, -(-size_bytes // shard_bytes)) - 1).bit_length()
    while count > max(1, rows):
        count //= 2
    return count


def weigh(array: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """int64[n]: bytes that each value takes in memory, offsets included."""
    if isinstance(array, pa.ChunkedArray):
        return np.concatenate([weigh(chunk) for chunk in array.chunks]) if array.num_chunks else np.zeros(0, np.int64)
    kind = array.type
    if pa.types.is_struct(kind):
        return np.sum([weigh(child) for child in array.flatten()], axis=0, dtype=np.int64)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        ends = np.concatenate([[0], np.cumsum(weigh(array.values))])
        offsets = array.offsets.to_numpy().astype(np.int64)
        return 4 + ends[offsets[1:]] - ends[offsets[:-1]]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return 4 + pc.fill_null(pc.binary_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.full(len(array), max(1, kind.bit_width // 8), np.int64)


def row_weights(rows: pa.Table) -> np.ndarray:
    """int64[n]: bytes of each row over all columns."""
    total = np.zeros(rows.num_rows, np.int64)
    for column in rows.columns:
        total += weigh(column)
    return total


def shard_name(split: str, shard: int, count: int) -> str:
    return f"{split}-{shard:05d}-of-{count:05d}.parquet"


@dataclass(frozen=True)
class Written:
    """One finished file."""

    path: str
    sha256: str
    size_bytes: int
    rows: int


@contextmanager
def durable(path: Path) -> Iterator[HashingFile]:
    """A file under a folder that is not visible yet: written, flushed, fsynced; the folder's rename commits it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    reach("open_tmp")
    with open(path, "wb") as raw, HashingFile(raw) as file:
        yield file
        raw.flush()
        reach("fsync_file")
        os.fsync(raw.fileno())


class ShardWriter:
    """Writes the rows of one split, given in order and in pieces of any size, into `count` files of equal row
    counts.
    """

    def __init__(
        self,
        root: Path,
        config: str,
        split: str,
        rows: int,
        count: int,
        schema: pa.Schema,
        *,
        group_bytes: int,
        cdc: bool,
    ) -> None:
        self.root, self.config, self.split, self.schema = root, config, split, schema
        self.ends = [(shard + 1) * rows // count for shard in range(count)]
        self.group_bytes = group_bytes
        self.options = {**PARQUET, "write_statistics": _small_columns(schema), "use_content_defined_chunking": cdc}
        self.written: list[Written] = []
        self._seen = 0
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._writer: Any = None
        self._stack = ExitStack()

    def write(self, rows: pa.Table) -> None:
        """Adds rows; files are opened and closed as their ranges begin and end."""
        while rows.num_rows:
            room = self.ends[len(self.written)] - self._seen
            piece, rows = rows.slice(0, room), rows.slice(room)
            self._hold(piece)
            self._seen += piece.num_rows
            if self._seen == self.ends[len(self.written)]:
                self._close_file()

    def _hold(self, piece: pa.Table) -> None:
        """Collects a row group: as many rows as weigh at most `group_bytes`, but at least one."""
        weights = row_weights(piece)
        while piece.num_rows:
            fit = int(np.searchsorted(np.cumsum(weights) + self._held_bytes, self.group_bytes, side="right"))
            take = max(fit, 0 if self._held else 1)
            if take:
                self._held.append(piece.slice(0, take))
                self._held_bytes += int(weights[:take].sum())
            if take < piece.num_rows:
                self._flush_group()
            piece, weights = piece.slice(take), weights[take:]

    def _flush_group(self) -> None:
        if self._writer is None:
            self._open_file()
        group = pa.concat_tables(self._held).combine_chunks()
        self._writer.write_table(group, row_group_size=group.num_rows)
        self._held, self._held_bytes = [], 0

    def _open_file(self) -> None:
        self._name = f"{self.config}/{shard_name(self.split, len(self.written), len(self.ends))}"
        self._file = self._stack.enter_context(durable(self.root / self._name))
        self._writer = pq.ParquetWriter(pa.PythonFile(self._file, "w"), self.schema, **self.options)

    def _close_file(self) -> None:
        self._flush_group()
        self._writer.close()
        self._writer = None
        self._stack.close()
        rows = self.ends[len(self.written)] - (self.ends[len(self.written) - 1] if self.written else 0)
        self.written.append(Written(self._name, self._file.sha256, self._file.size_bytes, rows))

    def abort(self) -> None:
        """Closes an open file after an error; the caller removes its folder."""
        self._stack.close()


PARQUET: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 3,
    "write_page_checksum": True,
    "write_page_index": True,
    "use_dictionary": ["source", "language", "licence", "act"],
    "store_schema": True,
}


def _small_columns(schema: pa.Schema) -> list[str]:
    """Columns whose smallest and largest value help a reader to skip: `id`, numbers, names; never texts."""
    texts = {"text", "instruction", "input", "output", "prompt", "completion", "meta", "context", "provenance"}
    return [f.name for f in schema if f.name not in texts and not pa.types.is_nested(f.type)]
