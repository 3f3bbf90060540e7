"""The two sides of a shuffle: rows are routed and spilled by target part, then gathered, sorted and reduced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.engine.work import Spec, Task, columns_of
from dataforge.operator import Contract, Keyed
from dataforge.part import PartWriter, one_batch
from dataforge.table import Table

SHUFFLE_BYTES = 64 << 20  # routed rows held in memory before they are spilled


def routed(
    spec: Spec, index: int, part: int, *, batch_rows: int | None = None
) -> Iterator[tuple[int, int, pa.RecordBatch]]:
    """(target part, sequence number, rows) of one part of input `index`; sequence numbers order the rows of a target."""
    operator = spec.operator
    if not isinstance(operator, Keyed):
        raise TypeError("only a Keyed operator routes")
    table = spec.tables()[index]
    columns = columns_of(operator.needs(), index)
    held: list[tuple[pa.RecordBatch, np.ndarray]] = []
    held_bytes = sequence = 0
    for batch in table.read(part, columns):
        size = batch_rows or max(1, batch.num_rows)
        for at in range(0, batch.num_rows, size):
            rows, targets = operator.route(index, batch.slice(at, size))
            held.append((rows, np.asarray(targets, np.int64)))
            held_bytes += rows.nbytes
        if held_bytes > SHUFFLE_BYTES:
            yield from ((target, sequence, rows) for target, rows in _by_target(held))
            held, held_bytes, sequence = [], 0, sequence + 1
    yield from ((target, sequence, rows) for target, rows in _by_target(held))


def _by_target(held: list[tuple[pa.RecordBatch, np.ndarray]]) -> Iterator[tuple[int, pa.RecordBatch]]:
    held = [(rows, targets) for rows, targets in held if rows.num_rows]
    if not held:
        return
    rows = one_batch(pa.Table.from_batches([rows for rows, _ in held]))
    targets = np.concatenate([targets for _, targets in held])
    kind = np.uint16 if int(targets.max()) < 1 << 16 else np.int64  # of 16 bits numpy sorts by radix
    order = np.argsort(targets.astype(kind), kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(targets))])
    for target in np.flatnonzero(np.diff(edges)).tolist():
        yield target, rows.take(pa.array(order[edges[target] : edges[target + 1]]))


def shuffle_path(spec: Spec, index: int, part: int) -> Path:
    return spec.path / ".tmp" / "shuffle" / f"{index}-{part:05d}.arrow"


def spill(task: Task) -> None:
    """Writes the routed rows of one input part to one Arrow file; `places.npy` beside it says whose batch is whose."""
    (spec,) = task.specs
    path = shuffle_path(spec, task.index, task.part)
    path.parent.mkdir(parents=True, exist_ok=True)
    targets: list[int] = []
    writer: pa.RecordBatchFileWriter | None = None
    with open(path, "wb") as file:
        for target, _sequence, rows in routed(spec, task.index, task.part, batch_rows=task.batch_rows):
            writer = writer or pa.ipc.new_file(file, rows.schema)
            writer.write_batch(rows)
            targets.append(target)
        if writer is not None:
            writer.close()
    np.save(path.with_suffix(".npy"), np.array(targets, np.int64))


def spilled_rows(spec: Spec, index: int, part: int) -> list[pa.RecordBatch]:
    """What `spill` wrote for a target part, all input parts in order."""
    found: list[pa.RecordBatch] = []
    for source in range(spec.tables()[index].n_parts):
        path = shuffle_path(spec, index, source)
        places = np.flatnonzero(np.load(path.with_suffix(".npy"), allow_pickle=False) == part)
        if len(places):
            with pa.memory_map(str(path)) as file:
                reader = pa.ipc.open_file(file)
                found.extend(reader.get_batch(int(place)) for place in places)
    return found


def gather_spilled(task: Task) -> None:
    """Fills one part of a Keyed Step from the spilled rows."""
    (spec,) = task.specs
    shuffled = [i for i in range(len(spec.tables())) if i not in spec.operator.local()]
    gather(spec, task.part, {index: spilled_rows(spec, index, task.part) for index in shuffled})


def gather(spec: Spec, part: int, rows: dict[int, list[pa.RecordBatch]]) -> None:
    """Fills one part of a Keyed Step. `rows` holds the routed batches per shuffled input, in order of input part."""
    operator, tables = spec.operator, spec.tables()
    schema = operator.gives([t.schema for t in tables])
    inputs: list[Any] = []
    for index, table in enumerate(tables):
        arrived = None if index in operator.local() else by_key(rows[index])
        reader = PartReader(table, part) if index in operator.local() else None
        inputs.append(reader or (arrived if arrived is None else operator.arrive(index, arrived)))
    rows.clear()
    with spec.writer(part, schema, operator.contract) as writer:
        _count_in(operator, inputs, writer)
        for out in operator.gather(inputs):
            writer.write(out)


def _count_in(operator: Keyed, inputs: list[Any], writer: PartWriter) -> None:
    """SAME over a local input counts that one; everything else counts what was shuffled."""
    if operator.contract is Contract.SAME and operator.local():
        for batch in inputs[operator.local()[0]].read(["id"]):
            writer.saw(batch.column("id"), batch.num_rows)
        return
    for table in inputs:
        if isinstance(table, pa.Table):
            writer.saw(table["id"] if "id" in table.column_names else None, table.num_rows)


@dataclass(frozen=True)
class PartReader:
    """A local input of a Keyed operator: part k of a Table that already has the right parts."""

    table: Table
    part: int

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Row groups, sorted by id."""
        return self.table.read(self.part, columns)

    def dropped(self) -> Iterator[pa.RecordBatch]:
        """What the step that made the Table left out of this part: schemas.verdict.DROPPED."""
        return self.table.read(self.part, kind="dropped")


def by_key(batches: list[pa.RecordBatch]) -> pa.Table | None:
    """The batches as one Table sorted by (`_key`, `id`), of those it has; equal rows keep the order of the input parts.

    None when no row was sent to this part.
    """
    if not batches:
        return None
    table = pa.Table.from_batches(batches)
    names = [name for name in ("_key", "id") if name in table.column_names]
    if not names:
        return table
    if names == ["_key"] and table.schema.field("_key").type == pa.uint64():
        return table.take(pa.array(stable_order(table["_key"].to_numpy())))
    order = pc.sort_indices(table.select(names), sort_keys=[(name, "ascending") for name in names])
    return table.take(order)


def stable_order(keys: np.ndarray) -> np.ndarray:
    """int64[n]: `np.argsort(keys, kind="stable")` of up to 2^31 keys, by two sorts that are vectorised: that one is not."""
    order = np.argsort(keys)
    ordered = keys[order]
    groups = np.zeros(len(keys), np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], out=groups[1:])
    found: np.ndarray = np.sort(groups << 32 | order) & 0xFFFFFFFF
    return found
