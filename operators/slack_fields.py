"""Members of a message read with care, and the rows of one file gathered into batches. Wrong types are RowFaults."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from dataforge.identity import row_ids
from dataforge.operator import Rows
from dataforge.operators.files_rows import RowFault, quarantined, type_name
from dataforge.schemas.message import MESSAGE
from dataforge.schemas.verdict import DROPPED

TS = re.compile(r"\d{1,11}\.\d{1,6}", re.ASCII)


@dataclass(frozen=True)
class Left:
    """A message that is dropped. `detail` is its subtype or a rule's name, never text."""

    ts: str
    reason: str
    detail: str


@dataclass
class Batch:
    source: str
    channel_key: str
    kept: list[tuple[Any, ...]] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    faults: list[tuple[Any, ...]] = field(default_factory=list)

    def size(self) -> int:
        return len(self.kept) + len(self.left) + len(self.faults)

    def take(self, notes: dict[str, int]) -> Rows:
        rows = Rows(
            self._kept(),
            self._left() if self.left else None,
            quarantined(self.faults) if self.faults else None,
            notes or None,
        )
        self.kept, self.left, self.faults = [], [], []
        return rows

    def _kept(self) -> pa.RecordBatch:
        columns = list(zip(*self.kept, strict=True)) if self.kept else [()] * (len(MESSAGE) - 2)
        arrays = [row_ids(self.source, columns[0]), pa.repeat(pa.scalar(self.source, pa.string()), len(self.kept))]
        arrays += [pa.array(values, f.type) for values, f in zip(columns, list(MESSAGE)[2:], strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=MESSAGE)

    def _left(self) -> pa.RecordBatch:
        nothing = pa.nulls(len(self.left), pa.float64())
        arrays = [
            row_ids(self.source, [f"{self.channel_key}/{left.ts}" for left in self.left]),
            pa.array([left.reason for left in self.left], pa.string()),
            nothing,
            nothing,
            pa.array([left.detail for left in self.left], pa.string()),
            pa.nulls(len(self.left), pa.string()),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=DROPPED)


def string_of(message: dict[str, Any], name: str) -> str:
    """A member that must be a string where it is there at all; "" where it is missing or null."""
    value = message.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowFault("SCHEMA", f"{name}: expected string, found {type_name(value)}")
    return value


def ts_of(message: dict[str, Any], name: str) -> str | None:
    value = message.get(name)
    if type(value) is str and TS.fullmatch(value):
        return value
    if not string_of(message, name):
        return None
    raise RowFault("SCHEMA", f"{name}: expected seconds, a point and microseconds, found other text")


def micros(ts: str | None) -> int:
    """`"1510321670.000102"` -> 1510321670000102, without going through a float."""
    if ts is None:
        return 0
    if ts[-7:-6] == ".":  # as Slack writes it
        return int(ts[:-7] + ts[-6:])
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0"))


def edited_ts(message: dict[str, Any]) -> str | None:
    edited = message.get("edited")
    return ts_of(edited, "ts") if isinstance(edited, dict) else None


def reply_count(message: dict[str, Any]) -> int:
    count, replies = message.get("reply_count"), message.get("replies")
    if isinstance(count, int) and not isinstance(count, bool):
        return min(max(count, 0), 2**31 - 1)
    return len(replies) if isinstance(replies, list) else 0
