"""TagActs: text → speech act, form and a calibrated score per act, row for row (contract SAME, schema ACT).

Each sentence of a message is read by the rule layer (configs/acts/rules.yaml over the lexicons) and, if a model is
given, by the linear model; the sentences' evidence is combined into one act for the message. The function (`act`)
stands apart from the `form`: "could you send it?" is a directive in the form of a question.

Parts are sorted by id, so neighbours in a conversation are not neighbours in a part: context comes as columns.
`context="none"` reads `text` alone; `"columns"` also reads the base table's columns CONTEXT; `"table"` reads them from
a second input, aligned by id. Output is a function of the row: no state is kept from row to row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, VersionError
from dataforge.operator import Contract, Map, Rows
from dataforge.operators import acts_lexicon, acts_model
from dataforge.schemas.act import ACT, ACTS

# Null where there is no such neighbour. `same_speaker` of a neighbour: true, false, or null where unknown.
CONTEXT = ("prev_text", "prev_same_speaker", "next_text", "next_same_speaker")


@dataclass(frozen=True)
class TagActs(Map):
    """`model`: "shipped", "none" (rules alone) or a folder written by `acts_train.train`."""

    context: str = "none"
    model: str = field(default="shipped", metadata={"identity": False})
    lexicon: str = field(default="", metadata={"identity": False})  # folder; empty: the shipped one
    digest: str = ""  # of lexicon and model: what the output depends on

    contract: ClassVar[Contract] = Contract.SAME
    VERSION: ClassVar[int] = 6

    def __post_init__(self) -> None:
        if self.context not in ("none", "columns", "table"):
            raise ConfigError(f"context is {self.context}", key="acts.context", hint="none, columns or table")
        if not self.digest:
            object.__setattr__(self, "digest", self.current_digest())

    def current_digest(self) -> str:
        return f"{acts_lexicon.digest(self.folder())}:{acts_model.digest(self.model)}"

    def folder(self) -> Path:
        return Path(self.lexicon) if self.lexicon else acts_lexicon.FOLDER

    def needs(self) -> Sequence[Sequence[str] | None]:
        if self.context == "columns":
            return (("id", "text", *CONTEXT),)
        return (("id", "text"), ("id", *CONTEXT)) if self.context == "table" else (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return ACT

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        if self.current_digest() != self.digest:
            raise VersionError("the lexicon or model changed since this step was planned", hint="plan the run again")
        tagger = acts_model.open_tagger(self.folder(), self.model)

        def tag(base: pa.RecordBatch, context: pa.RecordBatch | None = None) -> Rows:
            return Rows(tag_batch(tagger, base, None if self.context == "none" else context or base))

        return tag


def tag_batch(tagger: acts_model.Tagger, base: pa.RecordBatch, context: pa.RecordBatch | None) -> pa.RecordBatch:
    """ACT rows of a batch with `id, text`; `context` has the columns CONTEXT, row for row."""
    around, texts = None if context is None else neighbours(context), base.column("text")
    judged = acts_model.judge(tagger, texts, around)
    moved = pa.nulls(len(texts), pa.float32()) if around is None else outside_context(tagger, texts, judged, around)
    ids = base.column("id").cast(pa.string())
    return pa.RecordBatch.from_arrays([ids, *act_columns(judged), moved], schema=ACT)


def neighbours(context: pa.RecordBatch) -> acts_model.Neighbours:
    return acts_model.Neighbours(
        context.column("prev_text"),
        sameness(context.column("prev_same_speaker")),
        context.column("next_text"),
        sameness(context.column("next_same_speaker")),
    )


def sameness(column: pa.Array) -> np.ndarray:
    """int8[n]: 1 same speaker, 0 another, -1 unknown."""
    return pc.fill_null(column.cast(pa.int8()), -1).to_numpy(zero_copy_only=False)


def act_columns(judged: acts_model.Judged) -> list[pa.Array]:
    """act, form, act_score, act_scores, act_by. Scores are multiples of 2^-20: exact in float32, their sum is 1."""
    scores = (judged.scores / np.float32(acts_model.ONE)).astype(np.float32)
    rows = np.arange(len(judged.acts))
    by = pa.array(["rules", "model"]).take(pa.array(judged.by_model.astype(np.int8)))
    return [
        pa.array(ACTS).take(pa.array(judged.acts)),
        pa.array(acts_lexicon.FORMS).take(pa.array(judged.forms)),
        pa.array(scores[rows, judged.acts]),
        pa.FixedSizeListArray.from_arrays(pa.array(scores.ravel()), len(ACTS)),
        by,
    ]


def outside_context(
    tagger: acts_model.Tagger, texts: pa.Array, seen: acts_model.Judged, context: acts_model.Neighbours
) -> pa.Array:
    """float32[n], `act_ambiguity`: half the distance between a row's scores with and without its neighbours (total
    variation). Only rows that have a neighbour are read a second time; for the others it is 0."""
    beside = np.flatnonzero(pc.or_(pc.is_valid(context.before), pc.is_valid(context.after)).to_numpy(zero_copy_only=False))
    moved = np.zeros(len(texts), np.int64)
    if len(beside):
        alone = acts_model.judge(tagger, texts.take(pa.array(beside)))
        moved[beside] = np.abs(seen.scores[beside] - alone.scores).sum(axis=1) // 2  # even: both sum to ONE
    return pa.array((moved / np.float32(acts_model.ONE)).astype(np.float32))
