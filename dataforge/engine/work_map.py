"""Filling parts by Maps: one scan of the first input for all Maps that wait for it, the others joined by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.engine.work import Spec, Task, columns_of
from dataforge.errors import AccountError, InputError
from dataforge.operator import Contract, Map, Rows
from dataforge.part import PartWriter, as_table, one_batch
from dataforge.table import Table

_started: dict[str, Callable[..., Rows]] = {}  # one entry per Step id: what `start` opened in this worker


def started(spec: Spec) -> Callable[..., Rows]:
    """The batch function of a Map, opened once per worker."""
    if spec.id not in _started:
        if not isinstance(spec.operator, Map):
            raise TypeError("only a Map is started")
        _started[spec.id] = spec.operator.start(spec.files())
    return _started[spec.id]


def fill_maps(task: Task) -> None:
    """One scan of part `task.part` for all Maps that wait for the same input tables."""
    from contextlib import ExitStack

    specs = task.specs
    tables = specs[0].tables()
    needs = [columns_of(spec.operator.needs(), i) for spec in specs for i in range(len(tables))]
    union = [_union(needs[i :: len(tables)]) for i in range(len(tables))]
    with ExitStack() as stack:
        writers = []
        for spec in specs:
            schema = spec.operator.gives([t.schema for t in tables])
            writers.append(stack.enter_context(spec.writer(task.part, schema, spec.operator.contract)))
        turn = task.part % len(specs)  # each worker begins with another Map, to compile or open another thing
        order = list(zip(specs, writers, strict=True))
        for batches in aligned(tables, task.part, union):
            for spec, writer in (*order[turn:], *order[:turn]):
                _map_group(spec, writer, batches, task.batch_rows)


def _union(needs: Sequence[Sequence[str] | None]) -> list[str] | None:
    if any(n is None for n in needs):
        return None
    return list(dict.fromkeys(["id", *(name for n in needs if n is not None for name in n)]))


def _map_group(spec: Spec, writer: PartWriter, batches: list[pa.RecordBatch], batch_rows: int | None) -> None:
    """Runs a Map on one row group and writes the outcome as one row group, whatever size the batches were."""
    needs = spec.operator.needs()
    chosen = [
        b if (n := columns_of(needs, i)) is None else b.select([c for c in n if c in b.schema.names])
        for i, b in enumerate(batches)
    ]
    function, base = started(spec), batches[0]
    size = batch_rows or max(1, base.num_rows)
    outcome = [function(*(b.slice(at, size) for b in chosen)) for at in range(0, base.num_rows, size)]
    rows = _joined(outcome, writer.schema)
    if writer.contract is Contract.SAME and not rows.kept["id"].combine_chunks().equals(base.column("id")):
        raise AccountError(f"{spec.name} must keep the ids of its input in order, and did not", step=spec.name)
    writer.saw(base.column("id"), base.num_rows)
    writer.write(rows, groups=True)


def _joined(outcome: list[Rows], schema: pa.Schema) -> Rows:
    kept = pa.concat_tables([as_table(rows.kept, schema) for rows in outcome])
    dropped = [as_table(r.dropped, r.dropped.schema) for r in outcome if r.dropped is not None]
    quarantined = [as_table(r.quarantined, r.quarantined.schema) for r in outcome if r.quarantined is not None]
    notes: dict[str, int] = {}
    for rows in outcome:
        for name, count in (rows.notes or {}).items():
            notes[name] = notes.get(name, 0) + count
    return Rows(
        kept.combine_chunks(),
        pa.concat_tables(dropped) if dropped else None,
        pa.concat_tables(quarantined) if quarantined else None,
        notes,
    )


def aligned(
    tables: Sequence[Table], part: int, columns: Sequence[Sequence[str] | None]
) -> Iterator[list[pa.RecordBatch]]:
    """Row groups of the first table; the others' rows beside them, by id, null where a table lacks the row."""
    base, others = tables[0], tables[1:]
    for other in others:
        if other.n_parts != base.n_parts:
            raise InputError(
                f"{other.step} has {other.n_parts} parts, {base.step} has {base.n_parts}: they cannot be joined"
            )
    joins = [_join(other, part, cols) for other, cols in zip(others, columns[1:], strict=True)]
    for join in joins:
        next(join)
    for batch in base.read(part, columns[0]):
        yield [batch, *(join.send(batch.column("id")) for join in joins)]


def _join(table: Table, part: int, columns: Sequence[str] | None) -> Any:
    """Coroutine: send ids of the base (sorted), get this table's rows for them. Equal row groups are handed through."""
    names = None if columns is None else list(dict.fromkeys(["id", *columns]))
    reader = table.read(part, names)
    held: pa.Table | None = None  # rows read and not yet passed
    done = False
    answer = None
    while True:
        ids = yield answer
        while not done and not (held is not None and held.num_rows and held["id"][-1].as_py() >= ids[-1].as_py()):
            batch = next(reader, None)
            if batch is None:
                done = True
            else:
                held = pa.concat_tables([t for t in (held, pa.Table.from_batches([batch])) if t is not None])
        if held is None:
            held = (table.schema if names is None else pa.schema([table.schema.field(n) for n in names])).empty_table()
        answer, rest = _take_rows(held, ids)
        held = rest if rest.num_rows else None


def _take_rows(held: pa.Table, ids: pa.Array) -> tuple[pa.RecordBatch, pa.Table]:
    """The rows of `held` for `ids` (null rows where missing), and what of `held` may still be asked for."""
    column = held["id"].combine_chunks() if held.num_rows else pa.array([], pa.string())
    if column.equals(ids):
        return one_batch(held), held.slice(held.num_rows)
    places = pc.index_in(ids, value_set=column)
    rows = (
        one_batch(held.take(places))
        if held.num_rows
        else pa.RecordBatch.from_arrays([pa.nulls(len(ids), f.type) for f in held.schema], names=held.schema.names)
    )
    rows = rows.set_column(rows.schema.get_field_index("id"), "id", ids)
    passed = (
        int(np.searchsorted(column.to_numpy(zero_copy_only=False), ids[-1].as_py(), side="right")) if len(column) else 0
    )
    return rows, held.slice(passed)
