"""One config: its rows are counted, which decides the shards, then written. Memory holds a row group per split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import AccountError, InputError
from dataforge.operators.published import CLASSES, SPLITS, columns_read, kind_of, published_rows, published_schema
from dataforge.operators.shards import ShardWriter, Written, row_weights, shard_count
from dataforge.schemas.act import ACTS
from dataforge.table import Table

if TYPE_CHECKING:
    from dataforge.operators.publish import Publish


@dataclass
class Tally:
    """What one split of one config holds."""

    rows: int = 0
    size_bytes: int = 0  # of the plain rows in memory
    tokens: int = 0
    trained: int = 0  # tokens that bear loss
    sequences: int = 0  # of packed rows

    def add(self, rows: pa.Table) -> None:
        self.rows += rows.num_rows
        self.size_bytes += int(row_weights(rows).sum())
        names = rows.column_names
        if "input_ids" in names:
            self.tokens += _elements(rows["input_ids"])
            self.trained += pc.sum(pc.not_equal(pc.list_flatten(rows["labels"]), -100)).as_py() or 0
        if "seq_lengths" in names:
            self.sequences += _elements(rows["seq_lengths"])


def _elements(column: pa.ChunkedArray) -> int:
    return pc.sum(pc.list_value_length(column)).as_py() or 0


def write_config(
    root: Path,
    spec: Publish,
    config: str,
    tables: Sequence[Table],
    token: str | None,
    each: Callable[[str, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Writes one config and returns an entry per split that has rows, in the order train, validation, test."""
    tables = [table for table in tables if table.rows]
    if not tables:
        return []
    schema = _schema(config, tables, token)
    tallies = _count(config, tables, schema)
    writers = {split: _writer(root, spec, config, split, tally, schema) for split, tally in tallies.items() if tally.rows}
    try:
        for split, rows in _split_rows(tables, schema):
            writers[split].write(rows)
            if each is not None:
                each(config, rows.num_rows)
    finally:
        for writer in writers.values():
            writer.abort()
    columns = [{"name": f.name, "type": str(f.type)} for f in schema]
    return [_entry(config, split, tallies[split], columns, writer.written) for split, writer in writers.items()]


def _schema(config: str, tables: Sequence[Table], token: str | None) -> pa.Schema:
    """The columns of the files; those of tokens carry `token`, the sha256 of their tokenizer."""
    metadata = {}
    if kind_of(config) in ("tokenized", "packed"):
        if token is None:
            raise InputError(f"config '{config}' needs the tokenizer that made it")
        metadata = {"dataforge.tokenizer_sha256": token}
    classes = _classes(tables) if config == "annotations" else ()
    return published_schema(config, tables[0].schema, metadata=metadata, classes=classes)


def _writer(root: Path, spec: Publish, config: str, split: str, tally: Tally, schema: pa.Schema) -> ShardWriter:
    count = shard_count(tally.rows, tally.size_bytes, spec.shard_bytes)
    sizes: dict[str, Any] = {"group_bytes": spec.row_group_bytes, "cdc": spec.content_defined_chunking}
    return ShardWriter(root, config, split, tally.rows, count, schema, **sizes)


def _classes(tables: Sequence[Table]) -> list[str]:
    """Columns whose values are all speech acts: where people judged dropped rows, `label` holds other words."""
    found = []
    for name in CLASSES:
        if name in tables[0].schema.names:
            values = (batch.column(0) for t in tables for part in range(t.n_parts) for batch in t.read(part, [name]))
            if all(set(v.unique().drop_null().to_pylist()) <= set(ACTS) for v in values):
                found.append(name)
    return found


def _count(config: str, tables: Sequence[Table], schema: pa.Schema) -> dict[str, Tally]:
    """Rows, bytes and tokens per split. Every row of the Tables must belong to one of the three splits."""
    tallies = {split: Tally() for split in SPLITS}
    for split, rows in _split_rows(tables, schema):
        tallies[split].add(rows)
    counted, expected = sum(t.rows for t in tallies.values()), sum(t.rows for t in tables)
    if counted != expected:
        raise AccountError(f"config '{config}': {expected} rows, {counted} of them in {', '.join(SPLITS)}")
    return tallies


def _split_rows(tables: Sequence[Table], schema: pa.Schema) -> Iterator[tuple[str, pa.Table]]:
    """(split, published rows) over all row groups of all parts, in order."""
    for table in tables:
        columns = columns_read(schema, table.schema)
        for part in range(table.n_parts):
            for batch in table.read(part, columns):
                rows, place = published_rows(batch, schema), batch.column("split")
                for split in SPLITS:
                    chosen = rows.filter(pc.equal(place, split))
                    if chosen.num_rows:
                        yield split, chosen


def _entry(config: str, split: str, tally: Tally, columns: list[dict[str, str]], files: list[Written]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "config": config,
        "split": split,
        "rows": tally.rows,
        "bytes_in_memory": tally.size_bytes,
        "bytes": sum(f.size_bytes for f in files),
        "files": [{"path": f.path, "sha256": f.sha256, "size_bytes": f.size_bytes, "rows": f.rows} for f in files],
        "columns": columns,
    }
    if kind_of(config) in ("tokenized", "packed"):
        entry |= {"tokens": tally.tokens, "tokens_trained": tally.trained}
    if kind_of(config) == "packed":
        length = int(config.removeprefix("packed-"))
        entry |= {"sequences": tally.sequences, "fill_rate": round(tally.tokens / (tally.rows * length), 6)}
    return entry
