"""What a worker is told: a Step with the places of its tables, and one unit of work on it.

The work itself stands in work_source, work_map, work_keyed and work_fold. Each function there is pure but for the files
it commits, takes one picklable task and returns nothing: what happened is in the part's record. Engines only decide where
the tasks run. The same tasks give the same bytes on every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.commit import disk_error
from dataforge.errors import DataforgeError, InputError
from dataforge.operator import Contract, Split
from dataforge.part import PartWriter
from dataforge.table import Table


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
    """One unit for an engine: a function of a work module, the specs it serves, which part (and which input)."""

    function: Callable[[Task], None]
    specs: tuple[Spec, ...]
    part: int
    index: int = 0
    split: Split | None = None
    batch_rows: int | None = None  # cut batches smaller than a row group; never changes a byte (tests prove it)

    def __call__(self) -> None:
        with typed(self.specs[0]):
            self.function(self)

    def __str__(self) -> str:
        return f"{'+'.join(spec.name for spec in self.specs)} part {self.part}"


@contextmanager
def typed(spec: Spec) -> Iterator[None]:
    """Errors that leave the block are ours and name the step; what the store's disk refuses is a PartialError."""
    try:
        yield
    except DataforgeError as error:
        raise error.at(step=spec.name) from error
    except OSError as error:
        raise disk_error(error, Path(error.filename or spec.path)).at(step=spec.name) from error


def columns_of(needs: Sequence[Sequence[str] | None], index: int) -> Sequence[str] | None:
    """Columns that an operator reads of its input at `index`; None for all."""
    return needs[index] if index < len(needs) else None
