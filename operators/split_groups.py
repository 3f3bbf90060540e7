"""What pairs must share for the sake of an honest split: their channel, or a person who speaks in them.

Gives `id` and `group`: hashes of what a pair has in common with others. Rows with one such value in common are tied to one
split, and so are those that share another value with any of them: where everybody talks with everybody, all are one group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from dataforge.identity import text_hashes
from dataforge.operator import Map, Rows

GROUPED = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("group", pa.list_(pa.string()), nullable=False)])


@dataclass(frozen=True)
class Grouped(Map):
    """Input: instruct rows. `by` is channel, or person: whoever asks, answers or speaks in between."""

    by: str

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "source", "meta"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return GROUPED

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def group(rows: pa.RecordBatch) -> Rows:
            names: list[str] = []
            ends = [0]
            for source, meta in zip(rows.column("source").to_pylist(), rows.column("meta").to_pylist(), strict=True):
                names += [f"{source}\0{name}" for name in self._names(orjson.loads(meta))]  # 1 µs a row
                ends.append(len(names))
            groups = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), text_hashes(pa.array(names, pa.string())))
            return Rows(pa.RecordBatch.from_arrays([rows.column("id"), groups], schema=GROUPED))

        return group

    def _names(self, meta: dict[str, Any]) -> list[str]:
        return sorted(set(meta["users"])) if self.by == "person" else [meta["channel"]]
