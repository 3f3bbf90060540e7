"""Fills missing Tables: orders the graph, groups Maps into scans, hands tasks to an engine, writes manifests.

Nothing but a manifest says that a Table is done and nothing but a record that a part is: so the same call goes on after a
crash, and is a no-op when everything is there.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from dataforge.engine import work_fold, work_keyed, work_map, work_source
from dataforge.engine.work import Spec, Task, typed
from dataforge.errors import ConfigError, InputError, NotReady
from dataforge.identity import canonical
from dataforge.operator import Contract, Fold, Keyed, Map, Source
from dataforge.part import read_record
from dataforge.step import Digest, Step, in_order, step_id
from dataforge.store import Store
from dataforge.table import Table, list_files, write_manifest


class Engine(Protocol):
    """Where tasks run. All three calls return when everything is committed, or raise the first error."""

    name: str

    def each(self, tasks: Sequence[Task]) -> None: ...

    def keyed(self, spec: Spec, routes: Sequence[Task], parts: Sequence[int]) -> None: ...

    def fold(self, spec: Spec, observes: Sequence[Task]) -> None: ...


@dataclass(frozen=True)
class Scan:
    """Steps that are filled together: Maps over the same tables share one read; any other Step stands alone."""

    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        return " + ".join(step.name for step in self.steps)


@dataclass
class State:
    """What is known of each Step of a graph: its id and Table, or why it waits."""

    ids: dict[Step, str] = field(default_factory=dict)
    tables: dict[Step, Table] = field(default_factory=dict)
    waiting: dict[Step, NotReady] = field(default_factory=dict)
    stamps: dict[Step, str] = field(default_factory=dict)  # of sources, taken before their digest
    seconds: dict[str, float] = field(default_factory=dict)  # wall clock per Step that was filled


def survey(
    store: Store,
    targets: Iterable[Step],
    *,
    state: State | None = None,
    prepare: bool = False,
    digest: Digest = lambda source: source.digest(),
) -> State:
    """Ids and finished Tables of a graph, without running anything. Steps behind a pending Source wait.

    With `prepare`, sources whose inputs are there may seed what they wait for: only a run does that. `digest` may
    remember what it saw, for those who only look.
    """
    state = state or State()
    for step in in_order(targets):
        if step in state.ids:
            if step not in state.tables and (table := store.open(step.name, state.ids[step])) is not None:
                state.tables[step] = table
            continue
        reason = next((state.waiting[s] for s in step.inputs if s in state.waiting), None)
        if reason is None:
            reason = _identify(store, step, state, prepare, digest)
        if reason is not None:
            state.waiting[step] = reason
    return state


def _identify(store: Store, step: Step, state: State, prepare: bool, digest: Digest) -> NotReady | None:
    if isinstance(step.operator, Source) and step.inputs:
        missing = [s.name for s in step.inputs if s not in state.tables]
        if missing:
            return NotReady(f"needs {missing[0]} first", step=step.name)
        if prepare:
            step.operator.prepare([state.tables[s] for s in step.inputs])
    if isinstance(step.operator, Source) and prepare:
        state.stamps[step] = step.operator.stamp()
    try:
        state.ids[step] = step_id(step, [state.ids[s] for s in step.inputs], digest)
    except NotReady as pending:
        pending.at(step=step.name)
        return pending
    table = store.open(step.name, state.ids[step])
    if table is not None:
        state.tables[step] = table
    return None


def scans(state: State, targets: Iterable[Step]) -> Iterator[Scan]:
    """The next things to fill, in order, as long as something can be filled. Ask again after each."""
    steps = [s for s in in_order(targets) if s not in state.tables and s in state.ids]
    ready = [s for s in steps if all(i in state.tables for i in s.inputs)]
    taken: set[Step] = set()
    for step in ready:
        if step in taken:
            continue
        group = [s for s in ready if s not in taken and _same_scan(s, step)]
        taken.update(group)
        yield Scan(tuple(group))


def _same_scan(one: Step, other: Step) -> bool:
    if one is other:
        return True
    tables = [tuple(i for i in s.inputs if not _gives_files(i)) for s in (one, other)]
    return isinstance(one.operator, Map) and isinstance(other.operator, Map) and tables[0] == tables[1]


def _gives_files(step: Step) -> bool:
    return isinstance(step.operator, Fold) and type(step.operator).gives is Fold.gives


def run(
    store: Store,
    targets: Sequence[Step],
    engine: Engine,
    *,
    state: State | None = None,
    around: Callable[[Scan, Callable[[], None]], None] = lambda scan, fill_scan: fill_scan(),
    batch_rows: int | None = None,
) -> State:
    """Fills everything that the targets need and that can be filled now. Call under the store's lock.

    `around` is called with each scan and the function that fills it: progress, a Prefect task, timing hang there.
    """
    state = survey(store, targets, state=state, prepare=True)
    while (scan := next(scans(state, targets), None)) is not None:

        def fill_scan(scan: Scan = scan) -> None:
            began = time.monotonic()
            for step, table in fill(store, scan, state, engine, batch_rows=batch_rows).items():
                state.tables[step] = table
            for step in scan.steps:
                state.seconds[step.name] = (time.monotonic() - began) / len(scan.steps)

        around(scan, fill_scan)
        if state.waiting:
            pending = list(state.waiting)
            state.waiting.clear()
            for step in pending:
                state.ids.pop(step, None)
            survey(store, targets, state=state, prepare=True)
    return state


def fill(store: Store, scan: Scan, state: State, engine: Engine, *, batch_rows: int | None = None) -> dict[Step, Table]:
    """Fills the Tables of one scan, going on from parts that are already committed."""
    specs = [_spec(store, step, state) for step in scan.steps]
    with typed(specs[0]):
        for spec in specs:
            (spec.path / "data").mkdir(parents=True, exist_ok=True)
            shutil.rmtree(spec.path / ".tmp", ignore_errors=True)
        parts = _fill_parts(scan, specs, state, engine, batch_rows)
        return {step: _finish(step, spec, parts, state) for step, spec in zip(scan.steps, specs, strict=True)}


def _fill_parts(scan: Scan, specs: list[Spec], state: State, engine: Engine, batch_rows: int | None) -> int:
    """How many parts the Tables have, all of them filled."""
    kind = scan.steps[0].operator
    if isinstance(kind, Source):
        parts = _fill_source(specs[0], kind, engine)
        _check_unchanged(scan.steps[0], specs[0], state)
        return parts
    if isinstance(kind, Map):
        return _fill_maps(specs, engine, batch_rows)
    if isinstance(kind, Keyed):
        return _fill_keyed(specs[0], kind, engine, batch_rows)
    if isinstance(kind, Fold):
        return _fill_fold(specs[0], engine, batch_rows)
    raise TypeError(f"{type(kind).__name__} is none of the four kinds of operator")


def _spec(store: Store, step: Step, state: State) -> Spec:
    inputs = tuple(state.tables[s].path for s in step.inputs)
    return Spec(step.name, state.ids[step], step.operator, store.table_path(step.name, state.ids[step]), inputs)


def missing_parts(spec: Spec, count: int) -> list[int]:
    """Parts that have no valid record yet: of this step id, with files of the recorded sha256."""
    return [part for part in range(count) if read_record(spec.path, part, step_id=spec.id) is None]


def _fill_source(spec: Spec, source: Source, engine: Engine) -> int:
    splits = source.splits()
    engine.each(
        [Task(work_source.fill_source, (spec,), part, split=splits[part]) for part in missing_parts(spec, len(splits))]
    )
    return len(splits)


def _check_unchanged(step: Step, spec: Spec, state: State) -> None:
    """The id names what was there before reading: rows of a file that changed since must not stand under it."""
    source, stamp = step.operator, state.stamps.get(step)
    if (source.stamp() != stamp) if isinstance(source, Source) and stamp else (step_id(step, ()) != spec.id):
        shutil.rmtree(spec.path)
        hint = "run the same command again when the files are at rest"
        raise InputError("an input file changed while it was read", step=step.name, hint=hint)


def _fill_maps(specs: list[Spec], engine: Engine, batch_rows: int | None) -> int:
    count = specs[0].tables()[0].n_parts
    for spec in specs:
        _check_columns(spec)
    missing = [set(missing_parts(spec, count)) for spec in specs]
    todo = {part: [s for s, gaps in zip(specs, missing, strict=True) if part in gaps] for part in range(count)}
    engine.each([Task(work_map.fill_maps, tuple(need), part, batch_rows=batch_rows) for part, need in todo.items() if need])
    return count


def _fill_keyed(spec: Spec, operator: Keyed, engine: Engine, batch_rows: int | None) -> int:
    _check_columns(spec)
    tables = spec.tables()
    for index in [i for i in operator.local() if i < len(tables)]:
        if tables[index].n_parts != operator.parts:
            raise InputError(
                f"{tables[index].step} has {tables[index].n_parts} parts, {spec.name} needs {operator.parts}",
                step=spec.name,
            )
    todo = missing_parts(spec, operator.parts)
    if todo:
        shuffled = [i for i in range(len(tables)) if i not in operator.local()]
        routes = [
            Task(work_keyed.spill, (spec,), part, index=i, batch_rows=batch_rows)
            for i in shuffled
            for part in range(tables[i].n_parts)
        ]
        engine.keyed(spec, routes, todo)
    return operator.parts


def _fill_fold(spec: Spec, engine: Engine, batch_rows: int | None) -> int:
    _check_columns(spec)
    if missing_parts(spec, 1) or (_writes_files(spec) and not (spec.path / "files").exists()):
        tables = spec.tables()
        observes = [
            Task(work_fold.observe, (spec,), part, index=i, batch_rows=batch_rows)
            for i, t in enumerate(tables)
            for part in range(t.n_parts)
        ]
        engine.fold(spec, observes)
    return 1


def _writes_files(spec: Spec) -> bool:
    return isinstance(spec.operator, Fold) and spec.operator.gives([t.schema for t in spec.tables()]) is None


def _check_columns(spec: Spec) -> None:
    """Raises a clear error before any work if an input lacks a column that the operator needs."""
    for table, columns in zip(spec.tables(), spec.operator.needs(), strict=False):
        lacking = [c for c in columns or () if c not in table.schema.names]
        if lacking and not getattr(spec.operator, "OPTIONAL", frozenset()).issuperset(lacking):
            found = ", ".join(table.schema.names)
            raise ConfigError(
                f"{spec.name} needs column '{lacking[0]}' of {table.step}; found {found}", step=spec.name, code="SCHEMA"
            )


def _finish(step: Step, spec: Spec, parts: int, state: State) -> Table:
    operator: Any = step.operator
    records = [read_record(spec.path, part, step_id=spec.id, check=False) for part in range(parts)]
    tables = [state.tables[s] for s in step.inputs if not state.tables[s].is_files]
    schema = operator.gives() if isinstance(operator, Source) else operator.gives([t.schema for t in tables])
    _remove_strangers(spec.path, parts)
    manifest: dict[str, Any] = {
        "step": step.name,
        "id": spec.id,
        "operator": canonical(operator),
        "version": type(operator).VERSION,
        "contract": _contract(operator),
        "inputs": [{"step": s.name, "id": state.ids.get(s)} for s in step.inputs],
        "parts": records,
        "files": list_files(spec.path / "files") if (spec.path / "files").exists() else [],
    }
    shutil.rmtree(spec.path / ".tmp", ignore_errors=True)
    for folder in ("data", "dropped", "quarantine", "records", ""):
        shutil.rmtree(spec.path / folder / ".tmp", ignore_errors=True)
    table = write_manifest(spec.path, manifest, schema if schema is not None else pa.schema([]))
    shutil.rmtree(spec.path / ".tmp", ignore_errors=True)
    return table


def _contract(operator: Any) -> str:
    if isinstance(operator, Source):
        return "source"
    return Contract.ASIDE.value if isinstance(operator, Fold) else str(operator.contract.value)


def _remove_strangers(path: Path, parts: int) -> None:
    """Files of an earlier attempt that are not in the records: a Source that had more splits, a `dropped` that is gone."""
    for kind in ("data", "dropped", "quarantine", "records"):
        for file in (path / kind).glob("part-*"):
            if int(file.stem.split("-")[1]) >= parts:
                file.unlink()
