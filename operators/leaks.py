"""Held-out rows that training rows contain: near-duplicates never straddle splits, but a short text inside a long one may.

    HeldOut    Fold   validation and test rows → up to 64 n-grams of each, by smallest hash
    Contained  Map    training rows → held-out rows of whose n-grams they hold the share
    Leaks      Keyed  back to the parts of the corpus: one row per held-out row that leaks
    DropLeaks  Map    the rows without those

The held-out row goes, not the training row: it is the one that measures nothing any more, and one held-out copy of a licence
would otherwise take every text along that quotes it. n-grams that many held-out rows share are boilerplate and say
nothing of any of them, so the work stays linear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import pack_ids, packed_bytes, part_of, rank_ids, unpack_ids
from dataforge.kernels.bands import runs
from dataforge.kernels.minhash import MinHashSpec, shingle_hashes, signatures
from dataforge.operator import Contract, Fold, Keyed, Map, Rows
from dataforge.schemas.edge import LEAK
from dataforge.schemas.verdict import DROPPED

SAMPLE = 64  # n-grams of a held-out row: its share is then known to 0.05
MOST_SHARED = 32  # held-out rows that may share an n-gram
HASHES, ROWS = "hashes.npy", "rows.npy"  # of the sampled n-grams, ascending; the packed id of the row of each
STATE = pa.schema([pa.field("hash", pa.uint64(), nullable=False), pa.field("row", pa.binary(16), nullable=False)])


@dataclass(frozen=True)
class HeldOut(Fold):
    """The sampled n-grams of rows whose `split` is not train; texts with fewer than `words` words have none."""

    words: int = 13

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text", "split"),)

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        batch = batch.filter(pc.not_equal(batch.column("split"), "train"))
        spec = MinHashSpec(k=1, n=self.words)
        long = signatures(batch.column("text"), spec).words >= self.words
        batch = batch.filter(pa.array(long))
        offsets, hashes = shingle_hashes(batch.column("text"), spec)  # sorted in each row
        sizes = np.minimum(np.diff(offsets), SAMPLE)
        owners = np.repeat(np.arange(batch.num_rows), sizes)
        ends = np.cumsum(sizes)
        places = np.arange(len(owners)) - np.repeat(ends - sizes, sizes) + offsets[owners]
        rows = pack_ids(batch.column("id")).take(pa.array(owners))
        return pa.table([pa.array(hashes[places]), rows], schema=STATE)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        return pa.concat_tables([left, right])

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table | None:
        """Sorted by (hash, row): the order in which states were merged is gone."""
        rows = (state if state is not None else STATE.empty_table()).combine_chunks()
        rows = rows.sort_by([("hash", "ascending"), ("row", "ascending")])
        sizes = np.diff(runs(rows["hash"].to_numpy()))
        rows = rows.filter(pa.array(np.repeat(sizes <= MOST_SHARED, sizes), pa.bool_()))
        np.save(out / HASHES, rows["hash"].to_numpy(), allow_pickle=False)
        np.save(out / ROWS, packed_bytes(rows["row"]).reshape(-1, 16), allow_pickle=False)
        return None


@dataclass(frozen=True)
class Contained(Map):
    """Inputs: rows with `id, text, split`, what HeldOut wrote. LEAK rows: at least `share` of the sampled n-grams."""

    words: int = 13
    share: float = 0.8
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text", "split"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return LEAK

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        hashes, raw = (np.load(files[0] / name, allow_pickle=False) for name in (HASHES, ROWS))
        packed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(raw), [None, pa.py_buffer(raw.tobytes())])
        names, owners = rank_ids(packed)
        index = (hashes, owners, np.bincount(owners, minlength=len(names)), names)
        return lambda batch: Rows(self._find(batch.filter(pc.equal(batch.column("split"), "train")), *index))

    def _find(
        self, batch: pa.RecordBatch, hashes: np.ndarray, owners: np.ndarray, sampled: np.ndarray, names: pa.Array
    ) -> pa.Table:
        offsets, grams = shingle_hashes(batch.column("text"), MinHashSpec(n=self.words))
        first = np.searchsorted(hashes, grams)
        counts = np.searchsorted(hashes, grams, side="right") - first
        readers = np.repeat(np.repeat(np.arange(batch.num_rows), np.diff(offsets)), counts)
        ends = np.cumsum(counts)
        places = np.arange(len(readers)) - np.repeat(ends - counts, counts) + np.repeat(first, counts)
        pairs, found = np.unique(readers * max(len(names), 1) + owners[places], return_counts=True)
        train, held = np.divmod(pairs, max(len(names), 1))
        ratio = Fraction(str(self.share))
        good = found * ratio.denominator >= sampled[held] * ratio.numerator
        ids = unpack_ids(names.take(pa.array(held[good])))
        numbers = (pa.array(column[good].astype(np.int32)) for column in (found, sampled[held]))
        return pa.table([ids, batch.column("id").take(pa.array(train[good])), *numbers], schema=LEAK)


@dataclass(frozen=True)
class Leaks(Keyed):
    """Of the training rows that contain a held-out row the one that holds most of it, then the one of smallest id."""

    parts: int
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return LEAK

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch, part_of(batch.column("id"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        rows = tables[0].sort_by([("id", "ascending"), ("found", "descending"), ("train", "ascending")])
        ids = rows["id"].combine_chunks()
        first = np.ones(len(ids), bool)
        first[1:] = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy(zero_copy_only=False)
        yield Rows(rows.filter(pa.array(first)))


@dataclass(frozen=True)
class DropLeaks(Map):
    """Inputs: rows, their LEAK rows. Drops as held_out_in_train; `into` names the training row."""

    share: float = 0.8
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, None)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0]

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def drop(rows: pa.RecordBatch, leaks: pa.RecordBatch) -> Rows:
            hit = pc.is_valid(leaks.column("train"))
            columns = (leaks.column(name).filter(hit).to_pylist() for name in ("id", "train", "found", "sampled"))
            dropped = [
                {"id": i, "reason": "held_out_in_train", "score": found / of, "threshold": self.share, "into": train}
                for i, train, found, of in zip(*columns, strict=True)
            ]
            return Rows(rows.filter(pc.invert(hit)), pa.Table.from_pylist(dropped, schema=DROPPED))

        return drop
