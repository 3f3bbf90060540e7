"""Filling a part from a Source: each file gives all of its rows or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.engine.work import Task
from dataforge.errors import AccountError, InputError
from dataforge.operator import Contract, Rows, Source, SourceFile
from dataforge.part import PartWriter, as_table

SPILL_BYTES = 32 << 20  # rows of one source file held in memory before they go to disk


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
                if error.code == InputError.code:  # of the place, not of the bytes: the next run may find it mended
                    raise
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
