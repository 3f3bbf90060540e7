"""Repeated lines, paragraphs, spans of sentences → texts without them: the first copy in the corpus stays.

    TextUnits      Map    text → hashes and places of its units
    Repeats        Keyed  equal units → all copies but the first, by id, then by place in the text
    Removals       Keyed  back to the parts of the corpus: the spans that each text loses
    WithoutRepeats Map    the rewritten texts; those that lose too much are dropped

Whatever a removed unit holds stands, equal byte for byte, in a place before it. A text that is dropped for losing more
than `max_removed` takes along the units that it holds first, also those cut from later texts as copies of its own: up to
1 − `max_removed` of its bytes are then nowhere in the corpus. With `max_removed` 1 only what is blank is dropped, and
nothing is lost. A unit is compared by 128 bits of hash, and the shuffle holds some 40 bytes for each, on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import pack_ids, part_of, rank_ids, text_hashes, unpack_ids
from dataforge.kernels.bands import runs
from dataforge.kernels.units import Units, text_units, without
from dataforge.operator import Contract, Keyed, Map, Rows
from dataforge.schemas.repeat import REMOVAL, REPEAT, UNIT
from dataforge.schemas.verdict import DROPPED


@dataclass(frozen=True)
class TextUnits(Map):
    """Units of at least `shortest` characters, for each text that has any. `unit`: line, paragraph or sentences."""

    unit: str
    shortest: int = 1
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return UNIT

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def units(batch: pa.RecordBatch) -> Rows:
            found = text_units(batch.column("text"), self.unit, shortest=self.shortest)
            return Rows(unit_rows(batch.column("id"), found))

        return units


def unit_rows(ids: pa.Array, units: Units) -> pa.Table:
    """UNIT rows of the texts that have units."""
    rows, counts = np.unique(units.rows, return_counts=True)
    ends = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    columns = (units.keys, units.checks, units.starts.astype(np.int32), units.ends.astype(np.int32))
    lists = [pa.ListArray.from_arrays(ends, pa.array(column)) for column in columns]
    return pa.table([ids.take(pa.array(rows)), *lists], schema=UNIT)


@dataclass(frozen=True)
class Repeats(Keyed):
    """All copies of a unit but the first. Units with fewer than `copies` copies in the corpus are left alone."""

    parts: int
    copies: int = 2
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return REPEAT

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        keys = pc.list_flatten(batch.column("keys"))
        lists = [pc.list_flatten(batch.column(name)) for name in ("checks", "starts", "ends")]
        owners = pack_ids(batch.column("id")).take(pc.list_parent_indices(batch.column("keys")))
        # not `id`: the rows come in the order of (id, start), and keep it
        rows = pa.record_batch([keys, *lists, owners], ["_key", "check", "start", "end", "row"])
        return rows, (keys.to_numpy(zero_copy_only=False) >> np.uint64(40)).astype(np.int64) % self.parts

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        keys = tables[0]["_key"].to_numpy()
        sizes = np.diff(runs(keys))
        rows = tables[0].filter(pa.array(np.repeat(sizes > 1, sizes)))  # most units stand alone: forget those first
        if not rows.num_rows:
            return
        keys, checks = rows["_key"].to_numpy(), rows["check"].to_numpy()
        order = np.lexsort((checks, keys))  # stable: copies stay in the order of (id, start)
        groups = np.concatenate([[0], np.cumsum((np.diff(keys[order]) != 0) | (np.diff(checks[order]) != 0))])
        bounds = runs(groups)
        sizes = np.diff(bounds)
        later = np.repeat(sizes >= self.copies, sizes)
        later[bounds[:-1]] = False
        heads = np.repeat(order[bounds[:-1]], sizes)[later]
        there, names = pa.array(order[later]), rows["row"].combine_chunks()
        into = unpack_ids(names.take(pa.array(heads)))
        columns = [unpack_ids(names.take(there)), rows["start"].take(there), rows["end"].take(there), into]
        yield Rows(pa.table(columns, schema=REPEAT))


@dataclass(frozen=True)
class Removals(Keyed):
    """REPEAT rows → one REMOVAL row per text; spans that touch or overlap become one."""

    parts: int
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return REMOVAL

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        columns = [pack_ids(batch.column("id")), pack_ids(batch.column("into")), batch.column("start"), batch.column("end")]
        rows = pa.record_batch(columns, ["_key", "into", "start", "end"])
        return rows, part_of(batch.column("id"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        ids, rows = rank_ids(tables[0]["_key"])
        starts, ends = (tables[0][name].to_numpy().astype(np.int64) for name in ("start", "end"))
        order = np.lexsort((ends, starts, rows))
        rows, starts, ends = rows[order], starts[order], ends[order]
        apart = rows << np.int64(31)  # places of different texts never meet
        reached = np.maximum.accumulate(apart + ends)
        fresh = np.flatnonzero(np.concatenate([[True], (apart + starts)[1:] > reached[:-1]]))
        last = np.concatenate([fresh[1:], [len(rows)]]) - 1
        spans = (rows[fresh], starts[fresh], (reached - apart)[last])
        into = tables[0]["into"].combine_chunks().take(pa.array(order[np.searchsorted(rows, np.arange(len(ids)))]))
        yield Rows(removal_rows(ids, into, spans))


def removal_rows(ids: pa.Array, into: pa.Array, spans: tuple[np.ndarray, ...]) -> pa.Table:
    """REMOVAL rows; `spans` is (row, start, end) of each span, in order."""
    rows, starts, ends = spans
    bounds = pa.array(np.searchsorted(rows, np.arange(len(ids) + 1)).astype(np.int32))
    lists = [pa.ListArray.from_arrays(bounds, pa.array(places.astype(np.int32))) for places in (starts, ends)]
    size = np.bincount(rows, weights=(ends - starts).astype(np.float64), minlength=len(ids)).astype(np.int64)
    units = np.bincount(rows, minlength=len(ids)).astype(np.int32)
    return pa.table([unpack_ids(ids), units, size, unpack_ids(into), *lists], schema=REMOVAL)


@dataclass(frozen=True)
class WithoutRepeats(Map):
    """Inputs: rows with text, text_hash, rewrites; their REMOVAL rows. `what` names the units: paragraphs, lines, …

    A text that loses more than `max_removed` of its bytes, or all that is not blank, is dropped as repeated_{what}.
    Texts of the sources `protected` lose nothing.
    """

    what: str
    max_removed: float = 1.0
    protected: tuple[str, ...] = ()
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, None)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0]

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        return self._remove

    def _remove(self, batch: pa.RecordBatch, removals: pa.RecordBatch) -> Rows:
        touched = pc.is_valid(removals.column("bytes"))
        if self.protected:
            spared = pc.is_in(batch.column("source"), value_set=pa.array(self.protected, pa.string()))
            touched = pc.and_(touched, pc.invert(spared))
        if not pc.any(touched).as_py():
            return Rows(batch)
        rows, going = batch.filter(touched), removals.filter(touched)
        columns = (rows.column("text"), going.column("starts"), going.column("ends"))
        texts = [
            without(text.encode(), list(zip(starts, ends, strict=True)))
            for text, starts, ends in zip(*(column.to_pylist() for column in columns), strict=True)
        ]  # a loop over the texts that change; a span costs 1 µs
        lengths = pc.binary_length(rows.column("text")).to_numpy(zero_copy_only=False)
        shares = going.column("bytes").to_numpy(zero_copy_only=False) / np.maximum(lengths, 1)
        lost = (shares > self.max_removed) | np.array([not text.strip() for text in texts])
        kept = self._rewritten(batch, touched, texts, lost)
        return Rows(kept, self._dropped(going, shares, lost), notes=self._notes(going, lost))

    def _rewritten(self, batch: pa.RecordBatch, touched: pa.Array, texts: list[bytes], lost: np.ndarray) -> pa.RecordBatch:
        names = batch.schema.names
        made = pa.array([text.decode() for text in texts], batch.column("text").type)
        fresh = {"text": made, "text_hash": text_hashes(made)}
        told = [[*before, f"repeated_{self.what}"] for before in batch.column("rewrites").filter(touched).to_pylist()]
        fresh["rewrites"] = pa.array(told, batch.column("rewrites").type)
        places = pc.if_else(touched, pc.add(pc.cumulative_sum(touched.cast(pa.int64())), batch.num_rows - 1), None)
        places = pc.coalesce(places, pa.array(np.arange(batch.num_rows)))
        columns = []
        for name in names:
            column = batch.column(name)
            columns.append(pa.concat_arrays([column, fresh[name]]).take(places) if name in fresh else column)
        keep = np.ones(batch.num_rows, bool)
        keep[np.flatnonzero(touched.to_numpy(zero_copy_only=False))[lost]] = False
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema).filter(pa.array(keep))

    def _dropped(self, going: pa.RecordBatch, shares: np.ndarray, lost: np.ndarray) -> pa.Table:
        gone = going.filter(pa.array(lost))
        count = gone.num_rows
        columns = {
            "id": gone.column("id"),
            "reason": pa.array([f"repeated_{self.what}"] * count, pa.string()),
            "score": pa.array(shares[lost]),
            "threshold": pa.array([self.max_removed] * count, pa.float64()),
            "detail": pa.nulls(count, pa.string()),
            "into": gone.column("into"),
        }
        return pa.table(columns, schema=DROPPED)

    def _notes(self, going: pa.RecordBatch, lost: np.ndarray) -> dict[str, int]:
        """Of the texts that stay."""
        stay = going.filter(pa.array(~lost))
        sums = {name: pc.sum(stay.column(name)).as_py() or 0 for name in ("units", "bytes")}
        return {f"removed:{self.what}:{name}": int(n) for name, n in {"texts": stay.num_rows, **sums}.items()}
