"""`GoldRows`: rows with known answers, from a JSONL file of `id, text, label`, for the sample that people label.

Personal data is masked here: nobody promised that this file passed through the flow. Ids are hashed under the source
"gold", so that they never meet those of the corpus.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from dataforge.errors import InputError, SchemaError
from dataforge.identity import row_id
from dataforge.operator import Rows, Source, SourceFile, Split
from dataforge.operators.labelled import read_labelled
from dataforge.operators.pii import FindPii
from dataforge.operators.sample import GOLD
from dataforge.operators.treatment import Treatment


@dataclass(frozen=True)
class GoldRows(Source):
    """One file, one part. `labels`: the words that may be answered, as stored or as shown."""

    path: str = field(metadata={"identity": False})
    labels: tuple[str, ...] = ()

    def digest(self) -> str:
        try:
            return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()
        except OSError:
            raise InputError("the gold rows cannot be read", file=self.path, key="review.gold") from None

    def splits(self) -> Sequence[Split]:
        return (Split((Path(self.path).name,), Path(self.path).stat().st_size),)

    def gives(self) -> pa.Schema:
        return GOLD

    def read(self, split: Split) -> Iterator[SourceFile]:
        rows = list(read_labelled(Path(self.path), {"id": str, "text": str, "label": str}))
        for number, row in enumerate(rows, 1):  # gold rows are written by hand: a loop is cheap
            if self.labels and row["label"] not in self.labels:
                hint = f"one of {', '.join(self.labels)}"
                raise SchemaError("the label of a gold row is not in the label set", file=self.path, row=number, hint=hint)
        texts = pa.array([row["text"] for row in rows], pa.string())
        spans = FindPii().scanner().spans(texts)
        masked, _, _ = Treatment().start()(texts, spans, pa.array(np.ones(len(rows), bool)))
        ids = pa.array([row_id("gold", row["id"]) for row in rows], pa.string())
        table = pa.table([ids, masked, pa.array([row["label"] for row in rows], pa.string())], schema=GOLD).sort_by("id")
        yield SourceFile(split.files[0], [Rows(table)], lambda: len(rows))
