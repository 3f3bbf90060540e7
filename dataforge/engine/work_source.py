"""Filling a part from a Source: each file gives all of its rows or none.

Where a part has several files, the rows of each wait aside until it has proven whole. A large file is alone in its part:
its rows are written straight away, and should it break, what was written is thrown away and the part filled anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.engine.work import Spec, Task
from dataforge.errors import AccountError, InputError
from dataforge.operator import Contract, Rows, Source, SourceFile, Split
from dataforge.part import PartWriter, as_table
from dataforge.schemas.verdict import DROPPED, QUARANTINED

SPILL_BYTES = 32 << 20  # rows of one source file held in memory before they go to disk


def fill_source(task: Task) -> None:
    """Reads the files of one split into one part. A file that breaks gives no rows and is noted as bad."""
    (spec,) = task.specs
    if not isinstance(spec.operator, Source) or task.split is None:
        raise TypeError("fill_source needs a Source and a split")
    if len(task.split.files) == 1:
        try:
            return _fill_straight(spec, spec.operator, task.part, task.split)
        except InputError as error:
            if _of_the_place(error):
                raise
    return _fill_carefully(spec, spec.operator, task.part, task.split)


def _of_the_place(error: InputError) -> bool:
    """Not of the bytes: the next run may find it mended."""
    return error.code == InputError.code


def _fill_straight(spec: Spec, source: Source, part: int, split: Split) -> None:
    """As if no file ever broke: the first that does raises its error, and nothing is left of the part."""
    with spec.writer(part, source.gives(), Contract.SUBSET) as writer:
        for file in source.read(split):
            seen = 0
            for rows in file.rows:
                writer.write(rows)
                seen += sum(t.num_rows for t in (rows.kept, rows.dropped, rows.quarantined) if t is not None)
            _check_count(file, seen)
            writer.saw(None, seen)


def _fill_carefully(spec: Spec, source: Source, part: int, split: Split) -> None:
    with spec.writer(part, source.gives(), Contract.SUBSET) as writer:
        for file in source.read(split):
            try:
                _read_file(file, source.gives(), writer)
            except InputError as error:
                if _of_the_place(error):
                    raise
                error.file = error.file or file.name
                writer.bad_files.append({"file": file.name, "error": error.as_dict(), "line": error.line()})


def _read_file(file: SourceFile, schema: pa.Schema, writer: PartWriter) -> None:
    """All rows of one file, or none: they wait aside until the file has proven whole."""
    with _Aside(schema, writer.table) as aside:
        seen = sum(aside.add(rows) for rows in file.rows)
        _check_count(file, seen)
        writer.saw(None, seen)
        for rows in aside.replay():
            writer.write(rows)


def _check_count(file: SourceFile, seen: int) -> None:
    counted = file.counted()
    if counted is not None and counted != seen:
        raise AccountError(f"{counted} rows counted in the file, {seen} read", file=file.name)


class _Aside:
    """Rows of one file, kept in memory up to SPILL_BYTES, then in unnamed temporary files beside the table."""

    def __init__(self, schema: pa.Schema, folder: Path) -> None:
        self.schemas = {"kept": schema, "dropped": DROPPED, "quarantined": QUARANTINED}
        self.folder = folder
        self.held: list[Rows] = []
        self.held_bytes = 0
        self.notes: Counter[str] = Counter()
        self.spilled: dict[str, tuple[Any, pa.RecordBatchStreamWriter]] = {}

    def __enter__(self) -> _Aside:
        return self

    def __exit__(self, *_: Any) -> None:
        for file, _writer in self.spilled.values():
            file.close()

    def add(self, rows: Rows) -> int:
        """Keeps rows; returns how many rows of the input they account for."""
        given = {kind: getattr(rows, kind) for kind in self.schemas}
        tables = {kind: as_table(t, self.schemas[kind]) for kind, t in given.items() if t is not None}
        self.notes.update(rows.notes or {})
        self.held_bytes += sum(table.nbytes for table in tables.values())
        if self.held_bytes <= SPILL_BYTES:
            self.held.append(Rows(**tables))
        else:
            for kind, table in tables.items():
                self._spill(kind, table)
        return sum(table.num_rows for table in tables.values())

    def _spill(self, kind: str, table: pa.Table) -> None:
        import tempfile

        if kind not in self.spilled:
            folder = self.folder / ".tmp"
            folder.mkdir(parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
            self.spilled[kind] = file, pa.ipc.new_stream(file, self.schemas[kind])
        self.spilled[kind][1].write_table(table)

    def replay(self) -> Iterator[Rows]:
        """The rows that were added, in order within each of the three kinds."""
        yield from self.held
        nothing = self.schemas["kept"].empty_table()
        for kind, (file, writer) in self.spilled.items():
            writer.close()
            file.seek(0)
            for batch in pa.ipc.open_stream(file):
                yield Rows(batch) if kind == "kept" else Rows(nothing, **{kind: batch})
        yield Rows(nothing, notes=dict(self.notes))
