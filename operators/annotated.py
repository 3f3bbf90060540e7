"""What people decided, beside what they saw: the rows of the published config `annotations`.

Inputs: labels, messages (masked), their neighbours. Same rows as the labels; `split` is train, because labels are
published whole: they are evidence, and whoever trains on them cuts them himself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from dataforge.operator import Map, Rows

SEEN = (
    pa.field("source", pa.string()),
    pa.field("text", pa.string()),
    pa.field("prev_text", pa.string()),
    pa.field("next_text", pa.string()),
)


@dataclass(frozen=True)
class Annotated(Map):
    """LABEL rows with text, its neighbours and a constant split."""

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("id", "source", "text"), ("id", "prev_text", "next_text"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return pa.schema([*inputs[0], *SEEN, pa.field("split", pa.string(), nullable=False)])

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def join(labels: pa.RecordBatch, messages: pa.RecordBatch, context: pa.RecordBatch) -> Rows:
            seen = [
                messages.column("source"),
                messages.column("text"),
                context.column("prev_text"),
                context.column("next_text"),
            ]
            columns = [*labels.columns, *seen, pa.repeat(pa.scalar("train"), labels.num_rows)]
            return Rows(pa.RecordBatch.from_arrays(columns, schema=self.gives([labels.schema])))

        return join
