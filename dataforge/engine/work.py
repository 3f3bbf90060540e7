"""What a worker does: fill one part of a Source, a scan of Maps, one side of a shuffle, one state of a Fold.

Each function is pure but for the files it commits, takes one picklable task and returns nothing: what happened is in the
part's record. Engines only decide where the tasks run. The same tasks give the same bytes on every engine.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import AccountError, DataforgeError, InputError
from dataforge.operator import Contract, Fold, Keyed, Map, Rows, Source, SourceFile, Split
from dataforge.part import PartWriter, as_table, one_batch
from dataforge.table import Table

SHUFFLE_BYTES = 64 << 20  # routed rows held in memory before they are spilled
SPILL_BYTES = 32 << 20  # rows of one source file held in memory before they go to disk


@dataclass(frozen=True)
class Spec:
    """A Step as a worker needs it: where its Table lies and where those of its inputs lie."""

    name: str
    id: str
    operator: Any  # one of the four kinds; the function that fills it knows which
    path: Path
    inputs: tuple[Path, ...]

    def tables(self) -> list[Table]:
        """The inputs that hold rows."""
        return [table for table in self.opened() if not table.is_files]

    def files(self) -> list[Path]:
        """The inputs that are files, as folders."""
        return [table.checked_files() for table in self.opened() if table.is_files]

    def opened(self) -> list[Table]:
        tables = [Table.open(path) for path in self.inputs]
        missing = [str(path) for path, table in zip(self.inputs, tables, strict=True) if table is None]
        if missing:
            raise InputError("an input table is missing", step=self.name, file=missing[0], hint="run the whole graph")
        return [table for table in tables if table is not None]

    def writer(self, part: int, schema: pa.Schema, contract: Contract) -> PartWriter:
        return PartWriter(self.path, part, schema, contract, step_id=self.id)


@dataclass(frozen=True)
class Task:
    """One unit for an engine: a function of this module, the specs it serves, which part (and which input)."""

    function: Callable[[Task], None]
    specs: tuple[Spec, ...]
    part: int
    index: int = 0
    split: Split | None = None
    batch_rows: int | None = None  # cut batches smaller than a row group; never changes a byte (tests prove it)

    def __call__(self) -> None:
        try:
            self.function(self)
        except DataforgeError as error:
            raise error.at(step=self.specs[0].name) from error

    def __str__(self) -> str:
        return f"{'+'.join(spec.name for spec in self.specs)} part {self.part}"


# --- Source -----------------------------------------------------------------------------------------------------------


def fill_source(task: Task) -> None:
    """Reads the files of one split into one part. A file that breaks gives no rows and is noted as bad."""
    (spec,) = task.specs
    source = spec.operator
    if not isinstance(source, Source) or task.split is None:
        raise TypeError("fill_source needs a Source and a split")
    with spec.writer(task.part, source.gives(), Contract.SUBSET) as writer:
        for file in source.read(task.split):
            try:
                _read_file(file, source.gives(), writer)
            except InputError as error:
                error.file = error.file or file.name
                writer.bad_files.append({"file": file.name, "error": error.as_dict(), "line": error.line()})


def _read_file(file: SourceFile, schema: pa.Schema, writer: PartWriter) -> None:
    """All rows of one file, or none: they wait aside until the file has proven whole."""
    with _Aside(schema, writer.table) as aside:
        seen = sum(aside.add(rows) for rows in file.rows)
        counted = file.counted()
        if counted is not None and counted != seen:
            raise AccountError(f"{counted} rows counted in the file, {seen} read", file=file.name)
        writer.saw(None, seen)
        for rows in aside.replay():
            writer.write(rows)


class _Aside:
    """Rows of one file kept in memory up to SPILL_BYTES, then in an unnamed temporary file beside the table."""

    def __init__(self, schema: pa.Schema, folder: Path) -> None:
        self.schema, self.folder = schema, folder
        self.held: list[Rows] = []
        self.held_bytes = 0
        self.spilled: list[tuple[Any, pa.RecordBatchStreamWriter]] = []

    def __enter__(self) -> _Aside:
        return self

    def __exit__(self, *_: Any) -> None:
        for file, _writer in self.spilled:
            file.close()

    def add(self, rows: Rows) -> int:
        """Keeps rows; returns how many rows of the input they account for."""
        kept = as_table(rows.kept, self.schema)
        rest = Rows(self.schema.empty_table(), rows.dropped, rows.quarantined, rows.notes)
        self.held_bytes += kept.nbytes
        if self.held_bytes > SPILL_BYTES:
            self._spill(kept)
            self.held.append(rest)
        else:
            self.held.append(Rows(kept, rows.dropped, rows.quarantined, rows.notes))
        return int(kept.num_rows + sum(t.num_rows for t in (rows.dropped, rows.quarantined) if t is not None))

    def _spill(self, kept: pa.Table) -> None:
        import tempfile

        if not self.spilled:
            folder = self.folder / ".tmp"
            folder.mkdir(parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
            self.spilled.append((file, pa.ipc.new_stream(file, self.schema)))
        self.spilled[0][1].write_table(kept)

    def replay(self) -> Iterator[Rows]:
        yield from self.held
        for file, writer in self.spilled:
            writer.close()
            file.seek(0)
            for batch in pa.ipc.open_stream(file):
                yield Rows(batch)


# --- Map --------------------------------------------------------------------------------------------------------------

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
    needs = [_columns(spec.operator.needs(), i) for spec in specs for i in range(len(tables))]
    union = [_union(needs[i :: len(tables)]) for i in range(len(tables))]
    with ExitStack() as stack:
        writers = []
        for spec in specs:
            schema = spec.operator.gives([t.schema for t in tables])
            writers.append(stack.enter_context(spec.writer(task.part, schema, spec.operator.contract)))
        for batches in aligned(tables, task.part, union):
            for spec, writer in zip(specs, writers, strict=True):
                _map_group(spec, writer, batches, task.batch_rows)


def _columns(needs: Sequence[Sequence[str] | None], index: int) -> Sequence[str] | None:
    return needs[index] if index < len(needs) else None


def _union(needs: Sequence[Sequence[str] | None]) -> list[str] | None:
    if any(n is None for n in needs):
        return None
    return list(dict.fromkeys(["id", *(name for n in needs if n is not None for name in n)]))


def _map_group(spec: Spec, writer: PartWriter, batches: list[pa.RecordBatch], batch_rows: int | None) -> None:
    """Runs a Map on one row group and writes the outcome as one row group, whatever size the batches were."""
    needs = spec.operator.needs()
    chosen = [
        b if (n := _columns(needs, i)) is None else b.select([c for c in n if c in b.schema.names])
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


# --- Keyed ------------------------------------------------------------------------------------------------------------


def routed(
    spec: Spec, index: int, part: int, *, batch_rows: int | None = None
) -> Iterator[tuple[int, int, pa.RecordBatch]]:
    """(target part, sequence number, rows) of one part of input `index`; sequence numbers order the rows of a target."""
    operator = spec.operator
    if not isinstance(operator, Keyed):
        raise TypeError("only a Keyed operator routes")
    table = spec.tables()[index]
    columns = _columns(operator.needs(), index)
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
    order = np.argsort(targets, kind="stable")
    edges = np.searchsorted(targets[order], np.arange(int(targets.max()) + 2))
    for target in np.unique(targets).tolist():
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
    order = pc.sort_indices(table.select(names), sort_keys=[(name, "ascending") for name in names])
    return table.take(order)


# --- Fold -------------------------------------------------------------------------------------------------------------


def state_path(spec: Spec, index: int, part: int) -> Path:
    return spec.path / ".tmp" / "states" / f"{index}-{part:05d}.arrow"


def observe(task: Task) -> None:
    """Folds one part of one input into a state file."""
    (spec,) = task.specs
    state = observed(spec, task.index, task.part, batch_rows=task.batch_rows)
    path = state_path(spec, task.index, task.part)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"" if state is None else state_bytes(state))


def observed(spec: Spec, index: int, part: int, *, batch_rows: int | None = None) -> pa.Table | None:
    fold = spec.operator
    if not isinstance(fold, Fold):
        raise TypeError("only a Fold observes")
    batches = spec.tables()[index].read(part, _columns(fold.needs(), index))
    sizes = ((batch, batch_rows or max(1, batch.num_rows)) for batch in batches)
    cut = (batch.slice(at, size) for batch, size in sizes for at in range(0, batch.num_rows, size))
    return merged(fold, (fold.observe(index, batch) for batch in cut))


def merged(fold: Fold, states: Iterable[pa.Table | None]) -> pa.Table | None:
    """All states as one. Those of as many leaves are merged first, so a row is merged log2(n) times and not n times."""
    waiting: list[tuple[int, pa.Table]] = []
    for state in states:
        height = 0
        while state is not None and waiting and waiting[-1][0] == height:
            state, height = fold.merge(waiting.pop()[1], state), height + 1
        if state is not None:
            waiting.append((height, state))
    whole: pa.Table | None = None
    while waiting:
        _, state = waiting.pop()
        whole = state if whole is None else fold.merge(state, whole)
    return whole


def state_bytes(state: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, state.schema) as writer:
        writer.write_table(state.combine_chunks())
    return sink.getvalue()


def read_state(data: bytes) -> pa.Table | None:
    return pa.ipc.open_stream(data).read_all() if data else None


def finish(spec: Spec, state: pa.Table | None) -> None:
    """Ends a Fold: its small table becomes part 0, or its files appear in `files/`."""
    import os
    import shutil

    from dataforge.commit import fsync_folder

    fold = spec.operator
    schema = fold.gives([t.schema for t in spec.tables()])
    rows_in = sum(t.rows for t in spec.tables())
    temporary, final = spec.path / ".tmp" / "files", spec.path / "files"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(final, ignore_errors=True)
    temporary.mkdir(parents=True)
    result = fold.finish(state, temporary)
    with spec.writer(0, schema or NO_ROWS, Contract.ASIDE) as writer:
        writer.saw(None, rows_in)
        if schema is not None and result is not None:
            writer.write(Rows(result))
    if schema is None:
        for path in sorted(temporary.rglob("*")):
            if path.is_file():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
        os.replace(temporary, final)
        fsync_folder(spec.path)


NO_ROWS = pa.schema([pa.field("id", pa.string())])
