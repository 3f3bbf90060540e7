"""`FirstRows`: the first rows of any other Source, for a trial. What comes after them is not read, nor hashed if files are.

Rows are counted as they are read well; what cannot be read on the way to the last of them comes along, up to as many
rows again: where hardly any row can be read, more of them would say nothing new. One part, read by one worker: a trial is
small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.operator import Operator, Rows, Source, SourceFile, Split
from dataforge.operators.files import FileSource

MOST_BAD_ROWS, MOST_BAD_FILES = 100, 20  # after which reading stops; of rows as many as asked for, if that is more
STOPPED = "stopped_at_bad_rows"  # the note of a source that was read no further for them
ROW_BYTES = 4096  # of text, about: what `parts: auto` counts for a row that nobody has looked at
UNPACKED = 16  # bytes of text that a byte of a packed file gives, at most about


@dataclass(frozen=True)
class FirstRows(Source):
    """`source` with its parameters enters the identity, and so does `rows`."""

    VERSION = 2

    source: Source
    rows: int

    @property
    def path(self) -> str:
        return str(getattr(self.source, "path", ""))

    def prepare(self, inputs: Sequence[Any]) -> None:
        self.source.prepare(inputs)

    def digest(self) -> str:
        """By names, sizes and times of files where they have any: no terabyte is hashed to look at a thousand rows."""
        kind = type(self.source)
        inner = (self.source.stamp() if isinstance(self.source, FileSource) else "") or self.source.digest()
        return hashlib.sha256(f"{kind.__name__}\0{kind.VERSION}\0{inner}".encode()).hexdigest()

    def stamp(self) -> str:
        return self.source.stamp()

    def splits(self) -> Sequence[Split]:
        every = self.source.splits()
        return (Split(tuple(name for s in every for name in s.files), sum(s.size_bytes for s in every)),) if every else ()

    def gives(self) -> pa.Schema:
        return self.source.gives()

    def read(self, split: Split) -> Iterator[SourceFile]:
        """A file that breaks gives no rows, so the rows of the next ones take their place."""
        left, bad_left, bad_files = self.rows, max(self.rows, MOST_BAD_ROWS), 0
        for file in self.source.read(split):
            cut = _Cut(file, left, bad_left)
            yield SourceFile(file.name, cut.batches(), cut.counted)
            if cut.whole or cut.stopped:
                left, bad_left = left - cut.given, bad_left - cut.bad
            else:
                bad_files += 1
            if left <= 0 or bad_left <= 0 or bad_files >= MOST_BAD_FILES:
                return

    def decompressed_bytes(self) -> int:
        """A guess: only reading would tell."""
        return min(self.rows * ROW_BYTES, UNPACKED * sum(split.size_bytes for split in self.source.splits()))

    def skipped(self) -> dict[str, int]:
        return dict(getattr(self.source, "skipped", dict)())


class _Cut:
    """The first rows of one file."""

    def __init__(self, file: SourceFile, most: int, most_bad: int) -> None:
        self.file, self.most, self.most_bad = file, most, most_bad
        self.given = self.bad = self.seen = 0  # rows that were kept; that could not be read; all rows
        self.whole = self.stopped = False  # read to its end; or left before it

    def batches(self) -> Iterator[Rows]:
        for read in self.file.rows:
            rows = self._cut(read)
            self.given += rows.kept.num_rows
            self.bad += _count(rows.quarantined)
            self.seen += read.kept.num_rows + _count(read.dropped) + _count(read.quarantined)
            yield rows
            if self.stopped:
                return
        self.whole = True

    def _cut(self, rows: Rows) -> Rows:
        """What is still wanted of a batch: up to the last good row, or up to the last bad one where they are too many."""
        left, bad_left = self.most - self.given, self.most_bad - self.bad
        if rows.kept.num_rows >= left:
            rows = replace(rows, kept=rows.kept.slice(0, left), quarantined=_before(rows.quarantined, self.seen, left))
            self.stopped = True
        bad = rows.quarantined
        if bad is None or bad.num_rows < bad_left:
            return rows
        self.stopped = True
        good = _good_before(bad, self.seen)
        kept = rows.kept if good is None else rows.kept.slice(0, max(0, int(good[bad_left - 1])))
        notes = {**(rows.notes or {}), **({STOPPED: 1} if kept.num_rows < left else {})}
        return replace(rows, kept=kept, quarantined=bad.slice(0, bad_left), notes=notes)

    def counted(self) -> int | None:
        """A count of the whole file says nothing about its beginning."""
        return self.file.counted() if self.whole else None


def _count(rows: pa.RecordBatch | pa.Table | None) -> int:
    return 0 if rows is None else rows.num_rows


def _before(bad: pa.RecordBatch | pa.Table | None, seen: int, left: int) -> pa.RecordBatch | pa.Table | None:
    """Of rows that could not be read those before the `left`-th good one."""
    good = None if bad is None else _good_before(bad, seen)
    return bad if bad is None or good is None else bad.filter(pa.array(good < left))


def _good_before(bad: pa.RecordBatch | pa.Table, seen: int) -> np.ndarray | None:
    """How many good rows of the batch stand before each bad one, by their numbers in the file; the batch begins after
    `seen` rows. None where rows have no numbers."""
    return None if bad["line"].null_count else bad["line"].to_numpy() - 1 - seen - np.arange(bad.num_rows)


def underlying(operator: Operator) -> Operator:
    """The source that a trial reads the first rows of; any other operator as it is."""
    return operator.source if isinstance(operator, FirstRows) else operator


def stopped(step: str, notes: Mapping[str, int], bad_rows: int) -> list[str]:
    """What to say of a step whose source was read no further because of its bad rows; nothing of any other."""
    what = f"source {step.removeprefix('sources/')} was read no further: {bad_rows:,} rows could not be read"
    return [f"{what}, fewer well than the trial asked for"] if notes.get(STOPPED) else []
