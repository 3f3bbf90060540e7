"""Segments: a message → its sentences, as rows of their own (contract DERIVED), ready for TagActs(context="columns").

Sentences end at sentence punctuation followed by a blank, and at line ends: cut where the tagger cuts. Each row keeps
its place in the message and names it as parent; its neighbours are the sentences beside it, by the same speaker.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from dataforge.identity import row_ids
from dataforge.operator import Contract, Map, Rows
from dataforge.operators import acts_lexicon, acts_model
from dataforge.schemas.verdict import DROPPED

SEGMENT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # of the parent's id and the sentence's number
        pa.field("parents", pa.list_(pa.string()), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),  # 0, 1, 2 ... in the message
        pa.field("start", pa.int32(), nullable=False),  # first character in the message
        pa.field("end", pa.int32(), nullable=False),  # exclusive
        pa.field("prev_text", pa.string()),
        pa.field("prev_same_speaker", pa.bool_()),
        pa.field("next_text", pa.string()),
        pa.field("next_same_speaker", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Segments(Map):
    """Messages with `id, text` → SEGMENT; a message without any word or sign is dropped as `empty`."""

    contract: ClassVar[Contract] = Contract.DERIVED
    VERSION: ClassVar[int] = 1

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return SEGMENT

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        tagger = acts_model.open_tagger(acts_lexicon.FOLDER, "none")

        def split(batch: pa.RecordBatch) -> Rows:
            rows: list[dict[str, Any]] = []
            empty: list[str] = []
            texts, ids = batch.column("text"), batch.column("id").to_pylist()
            for parent, text, cuts in zip(ids, texts.to_pylist(), sentence_ends(tagger, texts), strict=True):
                pieces = sentences(text or "", cuts)  # strings must be made anyway
                rows += segment_rows(parent, pieces)
                empty += [] if pieces else [parent]
            dropped = pa.RecordBatch.from_pylist([{"id": row, "reason": "empty"} for row in empty], schema=DROPPED)
            return Rows(pa.RecordBatch.from_pylist(rows, schema=SEGMENT), dropped if empty else None)

        return split


def sentence_ends(tagger: acts_model.Tagger, texts: pa.Array) -> list[list[int]]:
    """Byte offsets in the lower-cased text where each segment of each message ends."""
    from dataforge.operators import acts_scan

    data, offsets = acts_model.lowered(texts)
    bench, out = acts_scan.new_bench(), []
    for start, stop in itertools.pairwise(offsets):
        count = acts_scan.read_message(tagger.table, bench, data, start, stop, 0)
        ends = bench.segments[:count, 4] - start
        lengths = character_counts(data[start:stop])
        out.append([int(lengths[end]) for end in ends])
    return out


def character_counts(data: np.ndarray) -> np.ndarray:
    """int64[n + 1]: characters before each byte. Lower-casing keeps their number but for a handful of letters."""
    return np.r_[0, np.cumsum((data & 0xC0) != 0x80)]


def sentences(text: str, ends: list[int]) -> list[tuple[int, int, str]]:
    """Start, end and text of each sentence without the blanks around it."""
    pieces, start = [], 0
    for end in [*ends[:-1], len(text)] if ends else []:
        piece = text[start:end]
        left = start + len(piece) - len(piece.lstrip())
        if piece.strip():
            pieces.append((left, left + len(piece.strip()), piece.strip()))
        start = end
    return pieces


def segment_rows(parent: str, pieces: list[tuple[int, int, str]]) -> list[dict[str, Any]]:
    ids = row_ids(parent, map(str, range(len(pieces)))).to_pylist()
    texts = [None, *(piece[2] for piece in pieces), None]
    return [
        {
            "id": ids[n],
            "parents": [parent],
            "text": text,
            "number": n,
            "start": start,
            "end": end,
            "prev_text": texts[n],
            "prev_same_speaker": True if texts[n] is not None else None,
            "next_text": texts[n + 2],
            "next_same_speaker": True if texts[n + 2] is not None else None,
        }
        for n, (start, end, text) in enumerate(pieces)
    ]
