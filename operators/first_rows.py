"""`FirstRows`: the first rows of any other Source, for a trial. What comes after them is not read, nor hashed if files are.

Rows are counted as they are read well; what cannot be read on the way to the last of them comes along. One part, read by
one worker: a trial is small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.operator import Operator, Rows, Source, SourceFile, Split
from dataforge.operators.files import FileSource

ROW_BYTES = 4096  # of text, about: what `parts: auto` counts for a row that nobody has looked at
UNPACKED = 16  # bytes of text that a byte of a packed file gives, at most about


@dataclass(frozen=True)
class FirstRows(Source):
    """`source` with its parameters enters the identity, and so does `rows`."""

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
        left = self.rows
        for file in self.source.read(split):
            if left <= 0:
                return
            cut = _Cut(file, left)
            yield SourceFile(file.name, cut.batches(), cut.counted)
            left -= cut.given if cut.whole or cut.stopped else 0

    def decompressed_bytes(self) -> int:
        """A guess: only reading would tell."""
        return min(self.rows * ROW_BYTES, UNPACKED * sum(split.size_bytes for split in self.source.splits()))

    def skipped(self) -> dict[str, int]:
        return dict(getattr(self.source, "skipped", dict)())


class _Cut:
    """The first rows of one file."""

    def __init__(self, file: SourceFile, most: int) -> None:
        self.file, self.most = file, most
        self.given = self.seen = 0  # rows that were kept; all rows
        self.whole = self.stopped = False  # read to its end; or left before it

    def batches(self) -> Iterator[Rows]:
        for rows in self.file.rows:
            left = self.most - self.given
            read = sum(r.num_rows for r in (rows.kept, rows.dropped, rows.quarantined) if r is not None)
            if rows.kept.num_rows >= left:
                rows = replace(rows, kept=rows.kept.slice(0, left), quarantined=_before(rows.quarantined, self.seen, left))
                self.stopped = True
            self.given += rows.kept.num_rows
            self.seen += read
            yield rows
            if self.stopped:
                return
        self.whole = True

    def counted(self) -> int | None:
        """A count of the whole file says nothing about its beginning."""
        return self.file.counted() if self.whole else None


def _before(bad: pa.RecordBatch | pa.Table | None, seen: int, left: int) -> pa.RecordBatch | pa.Table | None:
    """Of rows that could not be read those before the `left`-th good one, by their numbers in the file; the batch begins
    after `seen` rows."""
    if bad is None or bad["line"].null_count:
        return bad
    good_before = bad["line"].to_numpy() - 1 - seen - np.arange(bad.num_rows)
    return bad.filter(pa.array(good_before < left))


def underlying(operator: Operator) -> Operator:
    """The source that a trial reads the first rows of; any other operator as it is."""
    return operator.source if isinstance(operator, FirstRows) else operator
