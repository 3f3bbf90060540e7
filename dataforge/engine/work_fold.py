"""Folding a table: a state per part, merged in any order, finished into files or a small table."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from dataforge.engine.work import Spec, Task, columns_of
from dataforge.operator import Contract, Fold, Rows


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
    batches = spec.tables()[index].read(part, columns_of(fold.needs(), index))
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


def finish_observed(task: Task) -> None:
    """Merges the states that `observe` left for every part of every input, and ends the Fold."""
    (spec,) = task.specs
    places = [state_path(spec, index, part) for index, t in enumerate(spec.tables()) for part in range(t.n_parts)]
    finish(spec, merged(spec.operator, (read_state(place.read_bytes()) for place in places)))


def finish(spec: Spec, state: pa.Table | None) -> None:
    """Ends a Fold: its small table becomes part 0, or its files appear in `files/`."""
    import os
    import shutil

    from dataforge.commit import fsync_folder, fsync_path

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
        for path in sorted([temporary, *temporary.rglob("*")]):
            fsync_path(path)
        os.replace(temporary, final)
        fsync_folder(spec.path)


NO_ROWS = pa.schema([pa.field("id", pa.string())])
