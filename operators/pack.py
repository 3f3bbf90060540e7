"""`Pack`: token rows → sequences of at most N tokens, several rows in each, never across splits. A Keyed operator.

Takes tables of `schemas.tokens.TOKENS` with a `split`, each with its own policy: `bfd` and `bfd_split` are best-fit
decreasing (all such tables share sequences), `wrapped` lets one text follow another and cuts through them. A row that
is too long is cut, dropped (`overlong`) or split; one with nothing to learn is dropped (`all_masked`). Packing happens
inside each of `parts` parts of ids: parallel, bounded in memory, and the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, SchemaError
from dataforge.identity import part_of, row_ids
from dataforge.kernels import pack
from dataforge.operator import Contract, Keyed, Rows
from dataforge.schemas.tokens import PACKED
from dataforge.schemas.verdict import DROPPED

GROUP_TOKENS = 4 << 20  # tokens of a row group: 48 MB of ids, labels and positions in memory at a time
POLICIES = {"bfd": ("cut", "drop", "split"), "bfd_split": ("split",), "wrapped": ("split",)}


@dataclass(frozen=True)
class Packing:
    """How the rows of one table are packed. `overflow` is cut, drop or split: what becomes of a row longer than N."""

    policy: str = "bfd_split"
    overflow: str = "split"

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigError(f"pack.policy is {self.policy!r}", hint=f"use one of: {', '.join(POLICIES)}")
        if self.overflow not in POLICIES[self.policy]:
            hint = f"with {self.policy} use one of: {', '.join(POLICIES[self.policy])}"
            raise ConfigError(f"pack.overflow is {self.overflow!r}", hint=hint)


CORPUS = Packing("bfd_split", "split")  # text goes on: nothing is lost
INSTRUCT = Packing("bfd", "drop")  # half an answer is worse than none


@dataclass(frozen=True)
class Pack(Keyed):
    """`tables` holds one Packing per input table. `split` names the column; empty: there is none, all is train."""

    contract = Contract.DERIVED

    parts: int = 8
    sequence_length: int = 2048
    tables: tuple[Packing, ...] = (CORPUS,)
    split: str = "split"

    def __post_init__(self) -> None:
        if self.sequence_length < 2:
            raise ConfigError(f"pack.sequence_length is {self.sequence_length}", hint="use at least 2")

    def needs(self) -> Sequence[Sequence[str]]:
        return [["id", "input_ids", "labels", *([self.split] if self.split else [])]] * len(self.tables)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return PACKED

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        split = batch[self.split].cast(pa.string()) if self.split else pa.array(["train"] * len(batch), pa.string())
        if split.null_count:
            raise SchemaError("a row has no split", hint="pack reads the table that Split has marked")
        columns = {"id": batch["id"], "_key": split, "input_ids": batch["input_ids"], "labels": batch["labels"]}
        return pa.RecordBatch.from_pydict(columns), part_of(batch["id"], self.parts)

    def gather(self, tables: Sequence[pa.Table | None]) -> Iterator[Rows]:
        given = [_Input.of(table, packing) for table, packing in zip(tables, self.tables, strict=True) if table is not None]
        for split in sorted({name for rows in given for name in rows.splits()}):
            yield from self._packed([rows.of_split(split) for rows in given], split)

    def _packed(self, given: list[_Input], split: str) -> Iterator[Rows]:
        """Sequences of one split: first a plan on lengths alone, then tokens, a row group at a time."""
        size = self.sequence_length
        chosen = [rows.chosen(size) for rows in given]
        for rows, kept in zip(given, chosen, strict=True):
            yield Rows(PACKED.empty_table(), dropped=rows.dropped(kept, size), notes=rows.notes(kept, size))
        shared = [i for i, rows in enumerate(given) if rows.packing.policy != "wrapped"]
        alone = [[i] for i, rows in enumerate(given) if rows.packing.policy == "wrapped"]
        for members in [shared, *alone]:
            pieces = _Pieces.of(given, chosen, members, size)
            yield from _row_groups(given, pieces, split, size)


@dataclass(frozen=True)
class _Input:
    """The rows of one table (or of one split of it): arrays over the buffers that came in."""

    packing: Packing
    ids: pa.Array
    splits_column: pa.Array
    offsets: pack.Longs
    tokens: pack.Ints
    labels: pack.Ints

    @classmethod
    def of(cls, table: pa.Table, packing: Packing) -> _Input:
        columns = {name: _one_chunk(table[name]) for name in ("id", "_key", "input_ids", "labels")}
        offsets, label_offsets = (_offsets(columns[name]) for name in ("input_ids", "labels"))
        if not np.array_equal(offsets - offsets[:1], label_offsets - label_offsets[:1]):
            raise SchemaError("labels and input_ids differ in length")
        tokens, labels = (columns[name].values.to_numpy() for name in ("input_ids", "labels"))
        labels = labels[label_offsets[0] :] if len(label_offsets) else labels
        return cls(packing, columns["id"], columns["_key"], offsets - offsets[0], tokens[offsets[0] :], labels)

    def splits(self) -> list[str]:
        return list(pc.unique(self.splits_column).to_pylist())

    def of_split(self, split: str) -> _Input:
        """Rows come sorted by (split, id): those of one split are a slice."""
        found = np.flatnonzero(pc.equal(self.splits_column, split).to_numpy(zero_copy_only=False))
        first, count = (int(found[0]), len(found)) if len(found) else (0, 0)
        part = self.offsets[first : first + count + 1]
        ids, keys = self.ids.slice(first, count), self.splits_column.slice(first, count)
        return _Input(self.packing, ids, keys, part, self.tokens, self.labels)

    def lengths(self) -> pack.Longs:
        return np.diff(self.offsets)

    def chosen(self, size: int) -> pack.Flags:
        """Rows that are packed."""
        limit = size if self.packing.overflow == "cut" else 0
        kept: pack.Flags = pack.learned(self.offsets, self.labels, limit) > 0
        return kept & (self.lengths() <= size) if self.packing.overflow == "drop" else kept

    def dropped(self, kept: pack.Flags, size: int) -> pa.Table:
        left_out = np.flatnonzero(~kept)
        lengths = self.lengths()[left_out]
        overlong = (lengths > size) & (self.packing.overflow == "drop")
        columns = {
            "id": self.ids.take(pa.array(left_out)),
            "reason": pa.array(np.where(overlong, "overlong", "all_masked"), pa.string()),
            "score": pa.array(lengths, pa.float64(), mask=~overlong),
            "threshold": pa.array(np.full(len(lengths), size), pa.float64(), mask=~overlong),
            "detail": pa.nulls(len(lengths), pa.string()),
            "into": pa.nulls(len(lengths), pa.string()),
        }
        return pa.table(columns, schema=DROPPED)

    def notes(self, kept: pack.Flags, size: int) -> dict[str, int]:
        over = np.maximum(self.lengths()[kept] - size, 0)
        cut = int(over.sum()) if self.packing.overflow == "cut" else 0
        return {"tokens_cut": cut, "rows_over_length": int((over > 0).sum())}


@dataclass(frozen=True)
class _Pieces:
    """A plan over the rows of several inputs: piece j is of row `plan.rows[j]` of input `inputs[j]`."""

    plan: pack.Plan
    inputs: pack.Longs

    @classmethod
    def of(cls, given: list[_Input], chosen: list[pack.Flags], members: list[int], size: int) -> _Pieces:
        rows = [np.flatnonzero(chosen[i]) for i in members]
        number = np.concatenate([np.zeros(0, np.int64), *rows])
        source = np.repeat(np.array(members, np.int64), [len(found) for found in rows])
        lengths = np.concatenate([np.zeros(0, np.int64), *(given[i].lengths()[chosen[i]] for i in members)])
        if members and given[members[0]].packing.policy == "wrapped":
            plan = pack.wrapped(lengths, size)
        else:
            cuts = np.array([given[i].packing.overflow == "cut" for i in members], bool)
            whole = np.repeat(cuts, [len(found) for found in rows])
            order = _by_id(given, source, number)
            source, number, lengths, whole = source[order], number[order], lengths[order], whole[order]
            plan = pack.best_fit_split(np.where(whole, np.minimum(lengths, size), lengths), size)
        inputs, rows_of = source[plan.rows], number[plan.rows]
        return cls(pack.Plan(rows_of, plan.starts, plan.lengths, plan.sequences, plan.count), inputs)


def _by_id(given: list[_Input], source: pack.Longs, number: pack.Longs) -> pack.Longs:
    """Order of rows of several tables by id, so that ties of length go to the lower id."""
    if len(np.unique(source)) < 2:
        return np.arange(len(source))
    ids = pa.concat_arrays([given[i].ids.take(pa.array(number[source == i])) for i in np.unique(source)])
    return np.asarray(pc.sort_indices(ids)).astype(np.int64)


def _row_groups(given: list[_Input], pieces: _Pieces, split: str, size: int) -> Iterator[Rows]:
    step = max(1, GROUP_TOKENS // size)
    for first in range(0, pieces.plan.count, step):
        last = min(first + step, pieces.plan.count)
        a, b = np.searchsorted(pieces.plan.sequences, [first, last])
        plan, inputs = pieces.plan.within(first, last), pieces.inputs[a:b]
        table = _sequences(given, plan, inputs, split, size)
        notes = {"tokens": int(plan.lengths.sum()), "room": (last - first) * size, "sequences": last - first}
        yield Rows(table, notes={**notes, "pieces": len(plan.lengths)})


def _sequences(given: list[_Input], plan: pack.Plan, inputs: pack.Longs, split: str, size: int) -> pa.Table:
    targets = np.cumsum(plan.lengths) - plan.lengths
    tokens, labels = (np.empty(int(plan.lengths.sum()), np.int32) for _ in range(2))
    parents = np.empty(len(inputs), object)
    for i, rows in enumerate(given):
        mine = inputs == i
        begins = rows.offsets[plan.rows[mine]] + plan.starts[mine]
        pack.gathered(begins, plan.lengths[mine], targets[mine], rows.tokens, tokens)
        pack.gathered(begins, plan.lengths[mine], targets[mine], rows.labels, labels)
        parents[mine] = rows.ids.take(pa.array(plan.rows[mine])).to_numpy(zero_copy_only=False)
    labels[targets] = pack.IGNORED
    token_edges = _edges(plan.tokens())
    piece_edges = np.searchsorted(plan.sequences, np.arange(plan.count + 1)).astype(np.int32)
    leads = piece_edges[:-1]
    keys = [f"{i}:{p}:{s}" for i, p, s in zip(inputs[leads], parents[leads], plan.starts[leads], strict=True)]
    columns = {
        "id": row_ids(f"packed-{size}", keys),  # a loop over sequences: 1 in thousands of tokens
        "parents": pa.ListArray.from_arrays(pa.array(piece_edges), pa.array(parents, pa.string())),
        "input_ids": pa.ListArray.from_arrays(token_edges, pa.array(tokens)),
        "labels": pa.ListArray.from_arrays(token_edges, pa.array(labels)),
        "position_ids": pa.ListArray.from_arrays(token_edges, pa.array(pack.positions(plan.lengths))),
        "seq_lengths": pa.ListArray.from_arrays(pa.array(piece_edges), pa.array(plan.lengths.astype(np.int32))),
        "split": pa.array([split] * plan.count, pa.string()),
    }
    return pa.table(columns, schema=PACKED)


def _edges(lengths: pack.Longs) -> pa.Array:
    return pa.array(np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]).astype(np.int32))


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _offsets(lists: pa.Array) -> pack.Longs:
    offsets: pack.Longs = lists.offsets.to_numpy().astype(np.int64)
    return offsets
