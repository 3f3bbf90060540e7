"""Each message's neighbours: what was said just before and after it in its thread, or in the open talk of its channel.

Rows in: masked messages. Rows out: `id` and the context columns of the tagger; they are then brought back to the parts of
the messages by id. A neighbour more than `gap_s` away in open talk is none: another conversation began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import part_of, row_ids
from dataforge.operator import Contract, Keyed, Rows

CONTEXT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("prev_text", pa.string()),
        pa.field("prev_same_speaker", pa.bool_()),
        pa.field("next_text", pa.string()),
        pa.field("next_same_speaker", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Neighbours(Keyed):
    """One row per message; nulls where there is no neighbour."""

    parts: int
    gap_s: int = 900
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "source", "channel", "thread_ts", "ts_us", "user", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return CONTEXT

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        """`_key` is source, channel and thread; open talk of a channel is one group."""
        parts = [batch.column("source"), batch.column("channel"), pc.fill_null(batch.column("thread_ts"), "")]
        keys = pc.binary_join_element_wise(*parts, "/")
        encoded = keys.dictionary_encode()
        targets = part_of(row_ids("talk", encoded.dictionary.to_pylist()), self.parts)
        return batch.append_column("_key", keys), targets[encoded.indices.to_numpy()]

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        rows = tables[0].sort_by([("_key", "ascending"), ("ts_us", "ascending"), ("id", "ascending")]).combine_chunks()
        joined = self._follows(rows)
        texts, users = rows["text"].combine_chunks(), rows["user"].combine_chunks()
        same = pc.equal(users.slice(1), users.slice(0, len(users) - 1)).to_numpy(zero_copy_only=False)
        before = [_shifted(texts, joined, 1), pa.array(np.append([False], same), mask=~joined)]
        after_ = np.append(joined[1:], [False])
        after = [_shifted(texts, after_, -1), pa.array(np.append(same, [False]), mask=~after_)]
        yield Rows(pa.table([rows["id"], *before, *after], schema=CONTEXT))

    def _follows(self, rows: pa.Table) -> np.ndarray:
        """bool[n]: whether the row before belongs to the same talk."""
        keys, times = rows["_key"].combine_chunks(), rows["ts_us"].to_numpy()
        follows = np.zeros(rows.num_rows, bool)
        if rows.num_rows > 1:
            same = pc.equal(keys.slice(1), keys.slice(0, len(keys) - 1)).to_numpy(zero_copy_only=False)
            threaded = pc.is_valid(rows["thread_ts"]).to_numpy()[1:]
            follows[1:] = same & (threaded | (np.diff(times) <= self.gap_s * 1_000_000))
        return follows


def _shifted(texts: pa.Array, there: np.ndarray, step: int) -> pa.Array:
    """texts[i - step] where `there`, else null."""
    places = np.where(there, np.arange(len(texts)) - step, 0)
    return texts.take(pa.array(places, mask=~there))
