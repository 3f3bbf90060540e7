"""Runs of words that occur twice, wherever they begin: all windows of n words whose bytes repeat, as units of a text.

    Anchors    Keyed  text → the anchors of its windows (kernels/units); those that occur more than once
    Places     Keyed  back to the parts of the corpus
    Windows    Map    text and places → the windows around those anchors, with hashes

`Repeats`, `Removals` and `WithoutRepeats` do the rest as for lines, so a run of any length from n words on is removed
where it repeats an earlier one, byte for byte, and never for less. This is exact deduplication of substrings (Lee et al.
2022, with words for tokens) by sorting hashes instead of a suffix array: one anchor for some n / 4 words goes through
the first shuffle, and of the windows only those around repeated anchors (40 bytes a word of what repeats) through the
second. Both lie on disk and are sorted part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import pack_ids, part_of, rank_ids, unpack_ids
from dataforge.kernels.bands import runs
from dataforge.kernels.units import word_anchors, word_windows
from dataforge.operator import Contract, Keyed, Map, Rows
from dataforge.operators.dedupe_units import unit_rows
from dataforge.schemas.repeat import PLACES, UNIT

PLACE = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("start", pa.int32(), nullable=False)])


@dataclass(frozen=True)
class Anchors(Keyed):
    """(id, start) of the anchors of windows of `words` words that occur more than once in the corpus."""

    parts: int
    words: int
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return PLACE

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        rows, starts, keys = word_anchors(batch.column("text"), self.words)
        owners = pack_ids(batch.column("id")).take(pa.array(rows))
        sent = pa.record_batch([pa.array(keys), owners, pa.array(starts.astype(np.int32))], ["_key", "row", "start"])
        return sent, (keys >> np.uint64(40)).astype(np.int64) % self.parts

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        sizes = np.diff(runs(tables[0]["_key"].to_numpy()))
        rows = tables[0].filter(pa.array(np.repeat(sizes > 1, sizes)))
        if rows.num_rows:
            yield Rows(pa.table([unpack_ids(rows["row"]), rows["start"]], schema=PLACE))


@dataclass(frozen=True)
class Places(Keyed):
    """(id, start) → one row per text."""

    parts: int
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return PLACES

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        sent = pa.record_batch([pack_ids(batch.column("id")), batch.column("start")], ["_key", "start"])
        return sent, part_of(batch.column("id"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        ids, rows = rank_ids(tables[0]["_key"])
        starts = tables[0]["start"].to_numpy()
        order = np.lexsort((starts, rows))
        ends = pa.array(np.searchsorted(rows[order], np.arange(len(ids) + 1)).astype(np.int32))
        yield Rows(pa.table([unpack_ids(ids), pa.ListArray.from_arrays(ends, pa.array(starts[order]))], schema=PLACES))


@dataclass(frozen=True)
class Windows(Map):
    """Inputs: texts, their PLACES. UNIT rows: the windows of `words` words around the places."""

    words: int
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"), None)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return UNIT

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def windows(batch: pa.RecordBatch, places: pa.RecordBatch) -> Rows:
            lists = places.column("places")
            counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
            starts = pc.list_flatten(lists).to_numpy().astype(np.int64)
            units = word_windows(batch.column("text"), self.words, np.cumsum(counts), starts)
            return Rows(unit_rows(batch.column("id"), units))

        return windows
