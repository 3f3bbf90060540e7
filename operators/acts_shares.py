"""Shares of speech acts by source, split or any other column, and whether they lie where the config expects them.

`expect: {questions: [0.2, 0.5], declarations: [0, 0.01]}` is checked per group; a deviation alerts or stops the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError
from dataforge.operator import Fold
from dataforge.schemas.act import ACTS


@dataclass(frozen=True)
class Deviation:
    """A share outside its range. `group`: values of the grouping columns, e.g. ("chat", "train"); () for all rows."""

    group: tuple[str, ...]
    act: str
    share: float
    low: float
    high: float
    rows: int  # of the group

    def line(self) -> str:
        where = "/".join(self.group) or "all rows"
        return f"{self.act} are {self.share:.4f} of {where} ({self.rows} rows), expected {self.low:g} to {self.high:g}"


def shares_schema(by: Sequence[str]) -> pa.Schema:
    named = [pa.field(name, pa.string()) for name in by]
    return pa.schema([*named, pa.field("act", pa.string()), pa.field("n", pa.int64()), pa.field("share", pa.float64())])


@dataclass(frozen=True)
class ActShares(Fold):
    """Table of `by..., act, n, share` over a table with `id, act` and columns `by`; acts without rows have 0."""

    by: tuple[str, ...] = ()
    VERSION: ClassVar[int] = 1

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "act", *self.by),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return shares_schema(self.by)

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        table = pa.Table.from_batches([batch]).group_by([*self.by, "act"]).aggregate([([], "count_all")])
        return counted(table.rename_columns({"count_all": "n"}), self.by)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        table = pa.concat_tables([left, right]).group_by([*self.by, "act"]).aggregate([("n", "sum")])
        return counted(table.rename_columns({"n_sum": "n"}), self.by)

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table:
        return with_shares(state, self.by) if state is not None else shares_schema(self.by).empty_table()


def counted(table: pa.Table, by: Sequence[str]) -> pa.Table:
    names = [*by, "act", "n"]
    schema = pa.schema([*(pa.field(name, pa.string()) for name in names[:-1]), pa.field("n", pa.int64())])
    table = table.select(names).cast(schema)
    return table.sort_by([(name, "ascending") for name in names[:-1]])


def with_shares(counts: pa.Table, by: Sequence[str]) -> pa.Table:
    """Every group gets a row for every act, in the order of ACTS."""
    found: dict[tuple[str, ...], np.ndarray] = {}
    for row in counts.to_pylist():  # one row per group and act: few
        group = found.setdefault(tuple(row[name] for name in by), np.zeros(len(ACTS), np.int64))
        group[ACTS.index(row["act"])] += row["n"]
    lines = [
        {**dict(zip(by, group, strict=True)), "act": act, "n": int(n[c]), "share": float(n[c] / n.sum())}
        for group, n in sorted(found.items(), key=lambda item: tuple(str(value) for value in item[0]))
        for c, act in enumerate(ACTS)
    ]
    return pa.Table.from_pylist(lines, schema=shares_schema(by))


def shares(acts: pa.Table, by: Sequence[str] = ()) -> pa.Table:
    """Shares of an acts table that has the columns `by` beside `act`."""
    fold = ActShares(tuple(by))
    states = [fold.observe(0, batch) for batch in acts.select([*by, "act"]).to_batches()]
    state = states[0] if states else None
    for other in states[1:]:
        state = fold.merge(state, other)
    return fold.finish(state, Path())


def deviations(table: pa.Table, expect: Mapping[str, Sequence[float]]) -> list[Deviation]:
    """Shares of `shares(...)` outside the ranges of `expect`, in the table's order."""
    check_expected(expect)
    by = [name for name in table.schema.names if name not in ("act", "n", "share")]
    totals: dict[tuple[str, ...], int] = {}
    for row in table.to_pylist():
        group = tuple(str(row[name]) for name in by)
        totals[group] = totals.get(group, 0) + row["n"]
    found = []
    for row in table.filter(pc.is_in(table["act"], pa.array(list(expect), pa.string()))).to_pylist():
        group, (low, high) = tuple(str(row[name]) for name in by), expect[row["act"]]
        if not low <= row["share"] <= high:
            found.append(Deviation(group, row["act"], row["share"], low, high, totals[group]))
    return found


def check_expected(expect: Mapping[str, Sequence[float]]) -> None:
    for act, bounds in expect.items():
        if act not in ACTS:
            raise ConfigError(f"{act} is not a speech act", key="acts.expect", hint=f"one of {', '.join(ACTS)}")
        if len(bounds) != 2 or not 0 <= bounds[0] <= bounds[1] <= 1:
            raise ConfigError(f"the range of {act} is not [low, high] within 0 to 1", key="acts.expect")
