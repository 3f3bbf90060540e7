"""Tables from literal rows, and a run of a small graph: what tests of operators build on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge import Rows, Source, SourceFile, Split, Step, Store, Table
from dataforge.engine.local import Local
from dataforge.engine.run import run
from dataforge.identity import digest_of, row_id, text_hashes
from dataforge.operators.ingest import ByKey
from dataforge.schemas.document import CLEAN


@dataclass(frozen=True)
class Literal(Source):
    """Rows written out as JSON, of a schema."""

    rows: str
    schema: str  # hex of the IPC schema

    def digest(self) -> str:
        return digest_of(self.rows)

    def splits(self) -> Sequence[Split]:
        return [Split(("literal",), len(self.rows))]

    def gives(self) -> pa.Schema:
        return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(self.schema)))

    def read(self, split: Split) -> Iterator[SourceFile]:
        table = pa.Table.from_pylist(json.loads(self.rows), schema=self.gives())
        yield SourceFile("literal", [Rows(table)])


def literal(rows: list[dict[str, Any]], schema: pa.Schema, *, parts: int = 4, name: str = "rows") -> Step:
    """A Step whose Table holds these rows, partitioned and sorted as a corpus is."""
    encoded = schema.serialize().to_pybytes().hex()
    return Step(name, ByKey(parts), (Step(f"{name}-source", Literal(json.dumps(rows), encoded)),))


def documents(texts: dict[str, str] | list[str], *, source: str = "s", parts: int = 4, **more: dict[str, Any]) -> Step:
    """Cleaned documents with these texts; keys "0", "1", … when a list is given. `more` maps a column to {key: value}."""
    texts = texts if isinstance(texts, dict) else {str(i): text for i, text in enumerate(texts)}
    rows = []
    for key, text in texts.items():
        row = {"id": row_id(source, key), "source": source, "key": key, "text": text, "rewrites": []}
        row["text_hash"] = text_hashes(pa.array([text]))[0].as_py()
        rows.append(row | {column: values[key] for column, values in more.items() if key in values})
    return literal(rows, CLEAN, parts=parts, name="documents")


def doc(key: str, source: str = "s") -> str:
    """The id of a document of `documents`."""
    return row_id(source, key)


def fill(target: Step, store: Path, engine: Any = None) -> Table:
    """The Table of a Step, everything before it filled too."""
    opened = Store(store)
    with opened.lock():
        if engine is not None:
            return run(opened, [target], engine).tables[target]
        with Local(1) as local:
            return run(opened, [target], local).tables[target]


def by_key(table: Table, column: str, keys: Sequence[str], source: str = "s") -> dict[str, Any]:
    """{key: value of column} for the rows of these document keys."""
    rows = {row["id"]: row[column] for row in table.to_table().to_pylist()}
    return {key: rows[doc(key, source)] for key in keys}
