"""The four kinds of work: Source, Map, Keyed, Fold. An operator says how, on Arrow batches; an engine says where.

An operator is a frozen dataclass of parameters. Its fields (and `VERSION`) enter the id of the Step that holds it, except
those marked `field(metadata={"identity": False})`: paths, devices and whatever else cannot change the output.
Operators never open a Table, never write a file and know nothing of workers, parts of other rows, or Prefect.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa


class Contract(enum.Enum):
    """What an operator may do to rows. The engine checks it for every part, by counts and by sums of hashed ids."""

    SAME = "same"  # exactly the ids of the input, in the same order: attribute tables, rewritten text
    SUBSET = "subset"  # in = out + dropped, ids unchanged
    DERIVED = "derived"  # new rows with `parents: list<string>`; every input row is a parent or is dropped
    ASIDE = "aside"  # rows about rows (edges, statistics): the corpus goes on elsewhere, nothing is kept or dropped


@dataclass(frozen=True)
class Rows:
    """What an operator gives back for a batch: rows kept, and beside them rows left out.

    `kept` has the schema of `gives`; `dropped` is `schemas.verdict.DROPPED`, `quarantined` is
    `schemas.verdict.QUARANTINED`. `notes` are counters that add up over batches (e.g. {"reference_lane": 3}).
    """

    kept: pa.RecordBatch | pa.Table
    dropped: pa.RecordBatch | pa.Table | None = None
    quarantined: pa.RecordBatch | pa.Table | None = None
    notes: dict[str, int] | None = None


class Operator:
    """Base of the four kinds. Bump `VERSION` in the commit that changes what an operator gives for the same input."""

    VERSION: ClassVar[int] = 1


@dataclass(frozen=True)
class Split:
    """One unit of reading of a Source: files (paths relative to its root) that one worker reads one after another."""

    files: tuple[str, ...]
    size_bytes: int  # on disk, for the plan


class Source(Operator):
    """Nothing → rows: files, a Slack export, a closed label queue."""

    def prepare(self, inputs: Sequence[Any]) -> None:
        """Called by a run (never by a plan) before `digest`, with the finished Tables of the Step's inputs.

        Most sources have no inputs; a label queue seeds itself from the sample's Table here.
        """

    def digest(self) -> str:
        """Hex sha256 over the relative path, size and sha256 of every input file, sorted. Enters the step id.

        Raises NotReady while people or files are pending, InputError when something is missing or unreadable.
        """
        raise NotImplementedError

    def stamp(self) -> str:
        """A cheap sign that differs once an input file was changed: sizes and times. "" where there is none: then a run
        asks for `digest` again after reading.
        """
        return ""

    def splits(self) -> Sequence[Split]:
        """How the input is cut, a function of the files alone (never of the machine). Each split becomes one part."""
        raise NotImplementedError

    def gives(self) -> pa.Schema:
        raise NotImplementedError

    def read(self, split: Split) -> Iterator[SourceFile]:
        """Opens the files of a split one after another. A file that breaks in the middle gives none of its rows."""
        raise NotImplementedError


@dataclass(frozen=True)
class SourceFile:
    """One file being read. `rows` is lazy and may raise CorruptError: then the file counts as bad and gives nothing.

    `counted` is called after `rows` is exhausted and returns the number of rows by a way that does not use the decoder
    (raw newlines, a Parquet footer, entries of an index); None where there is no such way.
    """

    name: str
    rows: Iterable[Rows]
    counted: Callable[[], int | None] = lambda: None


class Map(Operator):
    """Rows → rows, part by part, no shuffle.

    The first table input is the base; any further table inputs are handed over aligned with it, row for row (a row
    that they lack is null there). Inputs that are files (tokenizer, thresholds) come through `start`.
    """

    contract: ClassVar[Contract] = Contract.SAME

    def needs(self) -> Sequence[Sequence[str] | None]:
        """Columns read from each table input, `id` included; None for all. One entry per table input."""
        raise NotImplementedError

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        raise NotImplementedError

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        """Opens what is needed (once per worker) and returns the function `(base, *others) -> Rows` on RecordBatches."""
        raise NotImplementedError


class Keyed(Operator):
    """Rows → rows through a shuffle by key.

    `parts` belongs to the parameters, never to the machine. `local()` names inputs (of those there are) that are not
    shuffled: they already have `parts` parts, and part k of them is handed to `gather` for part k.
    """

    contract: ClassVar[Contract] = Contract.SAME
    parts: int

    def needs(self) -> Sequence[Sequence[str] | None]:
        raise NotImplementedError

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        raise NotImplementedError

    def local(self) -> Sequence[int]:
        return ()

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        """For a batch of input `index`: the rows to send and int[n], the target part of each.

        May give more rows than it got (a document goes to each of its bands) or fewer. A column `_key` makes the engine
        sort what `gather` sees by it, then by `id`; without one it sorts by `id` alone.
        """
        raise NotImplementedError

    def arrive(self, index: int, table: pa.Table) -> pa.Table:
        """Last word on the sorted rows of a shuffled input, before they are counted: where ids become final."""
        return table

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        """Sees one whole part: per input a Table sorted by (`_key`, `id`), or None without rows; a PartReader if local.

        Output rows of SAME and SUBSET operators are sorted by id; the others in an order that is a function of the rows.
        """
        raise NotImplementedError


class Fold(Operator):
    """Rows → one file or one small table: tokenizer, thresholds, clusters, statistics.

    States are Arrow tables, so that they travel between processes and engines. `merge` is associative and commutative.
    """

    def needs(self) -> Sequence[Sequence[str] | None]:
        raise NotImplementedError

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema | None:
        """Schema of the small table, or None when `finish` writes files."""
        return None

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        raise NotImplementedError

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        raise NotImplementedError

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table | None:
        """Writes files into the folder `out`, or returns the table. `state` is None when there were no rows."""
        raise NotImplementedError
