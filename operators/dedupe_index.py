"""Documents against a living index of earlier data: which of them are near-duplicates of a text that it holds.

    InIndex      Map  text → the earlier text that it is most like, by verified Jaccard
    WithEarlier  Map  verdicts and that → verdicts: near_duplicate_of_earlier, for rows that pass the quality rules

What this very input added before is left out, and what it replaced put back: a run after its own addition sees what the
first one saw. A row whose own id the index holds was kept before and is never compared: what is in stays in. In a cluster
of today's rows the one that is unlike all earlier ones goes first, like one that passed quality before one that did not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import InputError
from dataforge.operator import Map, Rows
from dataforge.operators.near_index import Match, NearIndex, Shape, packed_words
from dataforge.schemas.edge import EARLIER
from dataforge.schemas.verdict import VERDICT

JUDGED = VERDICT.append(pa.field("into", pa.string()))  # the earlier text


@dataclass(frozen=True)
class InIndex(Map):
    """`digest` says what the index holds besides the rows of `origin`: those that this very input brought before."""

    path: str = field(metadata={"identity": False})
    origin: str = field(metadata={"identity": False})
    digest: str
    shape: Shape
    threshold: float

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return EARLIER

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        index = NearIndex.open(Path(self.path), self.shape)
        if index.digest(without=self.origin) != self.digest:
            raise InputError("the index changed since the run began", file=self.path, hint="run the same command again")
        return lambda batch: Rows(self._find(index, batch))

    def _find(self, index: NearIndex, batch: pa.RecordBatch) -> pa.Table:
        fresh = pc.invert(pa.array(index.holds(packed_words(batch.column("id")))))
        texts = pc.if_else(fresh, batch.column("text"), "")
        best: dict[int, Match] = {}
        for match in index.find(texts, self.shape, self.threshold, without=self.origin):
            best.setdefault(match.row, match)
        found = [best.get(row) for row in range(batch.num_rows)]
        columns = [[getattr(match, name, None) for match in found] for name in ("id", "common", "union")]
        return pa.table([batch.column("id"), *columns], schema=EARLIER)


@dataclass(frozen=True)
class WithEarlier(Map):
    """Inputs: verdicts, EARLIER rows. A row that already failed keeps its reason."""

    threshold: float

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, None)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return JUDGED

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def judge(verdicts: pa.RecordBatch, earlier: pa.RecordBatch) -> Rows:
            hit = pc.and_(pc.is_null(verdicts.column("reason")), pc.is_valid(earlier.column("earlier")))
            score = pc.divide(earlier.column("common").cast(pa.float64()), earlier.column("union").cast(pa.float64()))
            columns: list[Any] = [
                verdicts.column("id"),
                pc.if_else(hit, "near_duplicate_of_earlier", verdicts.column("reason")),
                pc.if_else(hit, score, verdicts.column("score")),
                pc.if_else(hit, self.threshold, verdicts.column("threshold")),
                pc.if_else(hit, earlier.column("earlier"), None),
            ]
            return Rows(pa.table(columns, schema=JUDGED))

        return judge
