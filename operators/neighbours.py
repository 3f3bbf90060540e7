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

BATCH = 65_536
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
        rows = tables[0].combine_chunks()
        keys = [("_key", "ascending"), ("ts_us", "ascending"), ("id", "ascending")]
        order = pc.sort_indices(rows.select([name for name, _ in keys]), sort_keys=keys)
        joined = self._follows(rows.select(["_key", "thread_ts", "ts_us"]).take(order).combine_chunks())
        for at in range(0, len(order), BATCH):  # all open talk of a channel is one group: its texts are not copied whole
            yield Rows(_beside(rows, order, joined, at, min(at + BATCH, len(order))))

    def _follows(self, rows: pa.Table) -> np.ndarray:
        """bool[n]: whether the row before belongs to the same talk."""
        keys, times = rows["_key"].combine_chunks(), rows["ts_us"].to_numpy()
        follows = np.zeros(rows.num_rows, bool)
        if rows.num_rows > 1:
            same = pc.equal(keys.slice(1), keys.slice(0, len(keys) - 1)).to_numpy(zero_copy_only=False)
            threaded = pc.is_valid(rows["thread_ts"]).to_numpy()[1:]
            follows[1:] = same & (threaded | (np.diff(times) <= self.gap_s * 1_000_000))
        return follows


def _beside(rows: pa.Table, order: pa.Array, joined: np.ndarray, at: int, end: int) -> pa.Table:
    """CONTEXT of the places `at` to `end` in `order`; one row more on each side is read for its text and user."""
    begin, stop = max(at - 1, 0), min(end + 1, len(order))
    some = rows.select(["id", "text", "user"]).take(order.slice(begin, stop - begin)).combine_chunks()
    texts, users = some["text"].combine_chunks(), some["user"].combine_chunks()
    same = pc.equal(users.slice(1), users.slice(0, len(users) - 1)).to_numpy(zero_copy_only=False)
    before_, after_ = np.append([False], joined[begin + 1 : stop]), np.append(joined[begin + 1 : stop], [False])
    before = [_shifted(texts, before_, 1), pa.array(np.append([False], same), mask=~before_)]
    after = [_shifted(texts, after_, -1), pa.array(np.append(same, [False]), mask=~after_)]
    return pa.table([some["id"], *before, *after], schema=CONTEXT).slice(at - begin, end - at)


def _shifted(texts: pa.Array, there: np.ndarray, step: int) -> pa.Array:
    """texts[i - step] where `there`, else null."""
    places = np.where(there, np.arange(len(texts)) - step, 0)
    return texts.take(pa.array(places, mask=~there))
