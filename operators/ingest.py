"""Rows of all sources → the parts of the corpus: hash-partitioned by id, sorted by id, each id once.

Every later join is then a merge of part k with part k. A key that repeats with equal content is dropped
(`repeated_key`); with other content the copies after the first, in an order of all columns, are quarantined, unless
`newest` names columns that say which version wins (`superseded`), as an edited Slack message wins over its first form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import part_of
from dataforge.operator import Contract, Keyed, Rows
from dataforge.operators.files_rows import number_copies
from dataforge.schemas.verdict import DROPPED, QUARANTINED


@dataclass(frozen=True)
class ByKey(Keyed):
    """`parts` is a power of two; all inputs have one schema. `newest`: columns compared in turn, the largest wins."""

    parts: int
    newest: tuple[str, ...] = ()
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return ()

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0]

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch, part_of(batch.column("id"), self.parts)

    def arrive(self, index: int, table: pa.Table) -> pa.Table:
        """Documents without a native key are known by their text and which copy of it they are: numbered here."""
        if "uri" not in table.column_names:
            return table
        return number_copies(table)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        found = [table for table in tables if table is not None]
        if not found:
            return
        rows = found[0] if len(found) == 1 else pa.concat_tables(found).sort_by("id")
        repeated = repeats(rows["id"])
        if not repeated.any():
            yield Rows(rows)
            return
        yield from self._without_repeats(rows, repeated)

    def _without_repeats(self, rows: pa.Table, repeated: np.ndarray) -> Iterator[Rows]:
        """Repeated ids are rare, so their rows are compared in Python."""
        alone = rows.filter(pa.array(~repeated))
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in rows.filter(pa.array(repeated)).to_pylist():
            groups.setdefault(row["id"], []).append(row)
        kept, dropped, quarantined = [], [], []
        for group in groups.values():
            first, *rest = sorted(group, key=self._order)
            kept.append(first)
            for row in rest:
                if row == first or self.newest:
                    reason = "repeated_key" if row == first else "superseded"
                    dropped.append({"id": row["id"], "reason": reason, "into": first["id"]})
                else:
                    quarantined.append(conflict(row))
        merged = pa.concat_tables([alone, pa.Table.from_pylist(kept, schema=rows.schema)]).sort_by("id")
        yield Rows(
            merged,
            pa.Table.from_pylist(dropped, schema=DROPPED),
            pa.Table.from_pylist(quarantined, schema=QUARANTINED),
        )

    def _order(self, row: dict[str, Any]) -> tuple[Any, ...]:
        """Newest first, then a total order of all columns, so that the order of files does not matter."""
        ages = tuple(-(row[name] or 0) if not isinstance(row[name], str) else _descending(row[name]) for name in self.newest)
        return (*ages, repr(sorted(row.items())))


def _descending(text: str) -> tuple[int, ...]:
    return tuple(-ord(char) for char in text)


def conflict(row: dict[str, Any]) -> dict[str, Any]:
    """The quarantine row of a repeated key. It names the id and the source; the text itself is still in the input."""
    reason = f"the key of id {row['id']} repeats with other content"
    return {"file": row.get("source") or "?", "code": "SCHEMA", "reason": reason}


def repeats(ids: pa.ChunkedArray) -> np.ndarray:
    """bool[n]: which of the sorted ids occur more than once."""
    column = ids.combine_chunks()
    if len(column) < 2:
        return np.zeros(len(column), bool)
    same = pc.equal(column.slice(1), column.slice(0, len(column) - 1)).to_numpy(zero_copy_only=False)
    return np.concatenate([same, [False]]) | np.concatenate([[False], same])
