"""A small graph with all four kinds of operator: lines of text → rows → lengths → long rows → by first letter → a count.

Used wherever a test needs tables without the domain. The source reads `*.txt` files, one row a line, `id` from the file's
name and the line number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge import Contract, Fold, Keyed, Map, Rows, Source, SourceFile, Split, Step
from dataforge.identity import part_of, row_ids
from dataforge.schemas.verdict import DROPPED, QUARANTINED

LINE = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("text", pa.string(), nullable=False)])


@dataclass(frozen=True)
class Lines(Source):
    """Lines of the text files of a folder. A line `!` is malformed and is quarantined."""

    root: str = field(metadata={"identity": False})

    def files(self) -> list[Path]:
        return sorted(Path(self.root).glob("*.txt"))

    def digest(self) -> str:
        sums = [f"{p.name} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in self.files()]
        return hashlib.sha256("\n".join(sums).encode()).hexdigest()

    def splits(self) -> Sequence[Split]:
        return [Split((p.name,), p.stat().st_size) for p in self.files()]

    def gives(self) -> pa.Schema:
        return LINE

    def read(self, split: Split) -> Iterator[SourceFile]:
        for name in split.files:
            data = (Path(self.root) / name).read_bytes()
            yield SourceFile(name, self.rows(name, data.decode().splitlines()), lambda data=data: data.count(b"\n"))

    def rows(self, name: str, lines: list[str]) -> Iterator[Rows]:
        good = [(i, line) for i, line in enumerate(lines, 1) if line != "!"]
        bad = [
            {"file": name, "line": i, "code": "SCHEMA", "reason": "malformed"}
            for i, line in enumerate(lines, 1)
            if line == "!"
        ]
        ids = row_ids("words", [f"{name}:{i}" for i, _ in good])
        kept = pa.record_batch([ids, pa.array([line for _, line in good], pa.string())], schema=LINE)
        yield Rows(kept, quarantined=pa.Table.from_pylist(bad, schema=QUARANTINED))


@dataclass(frozen=True)
class Partition(Keyed):
    """To the parts of the corpus, sorted by id."""

    parts: int
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0]

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        return batch, part_of(batch.column("id"), self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is not None:
            yield Rows(tables[0])


@dataclass(frozen=True)
class Length(Map):
    """Number of characters, an attribute table."""

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return pa.schema([LINE.field("id"), pa.field("length", pa.int64(), nullable=False)])

    def start(self, files: Sequence[Path]) -> Any:
        return lambda batch: Rows(
            pa.record_batch(
                [batch.column("id"), pc.utf8_length(batch.column("text")).cast(pa.int64())], ["id", "length"]
            )
        )


@dataclass(frozen=True)
class Upper(Map):
    """Rewritten text under the same ids."""

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return LINE

    def start(self, files: Sequence[Path]) -> Any:
        return lambda batch: Rows(
            pa.record_batch([batch.column("id"), pc.utf8_upper(batch.column("text"))], schema=LINE)
        )


@dataclass(frozen=True)
class Long(Map):
    """Joins rows with their lengths and drops the short ones, with a reason."""

    least: int
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("length",))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0]

    def start(self, files: Sequence[Path]) -> Any:
        def select(rows: pa.RecordBatch, lengths: pa.RecordBatch) -> Rows:
            keep = pc.greater_equal(lengths.column("length"), self.least)
            short = rows.filter(pc.invert(keep))
            dropped = [
                {"id": i, "reason": "short", "threshold": float(self.least)} for i in short.column("id").to_pylist()
            ]
            return Rows(rows.filter(keep), pa.Table.from_pylist(dropped, schema=DROPPED))

        return select


@dataclass(frozen=True)
class Letters(Keyed):
    """Rows about rows: how many texts begin with each letter."""

    parts: int
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return pa.schema([pa.field("letter", pa.string()), pa.field("n", pa.int64())])

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        letters = pc.utf8_slice_codeunits(batch.column("text"), 0, 1)
        rows = pa.record_batch([letters, batch.column("id")], ["_key", "id"])
        return rows, np.array([ord(c or " ") % self.parts for c in letters.to_pylist()])

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if tables[0] is None:
            return
        counts = tables[0].group_by("_key").aggregate([("id", "count")]).sort_by("_key")
        yield Rows(pa.table([counts["_key"], counts["id_count"]], schema=self.gives([])))


@dataclass(frozen=True)
class Total(Fold):
    """One file with the number of texts per letter."""

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("letter", "n"),)

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        return pa.Table.from_batches([batch])

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        both = pa.concat_tables([left, right]).group_by("letter").aggregate([("n", "sum")])
        return both.rename_columns(["letter", "n"]).sort_by("letter")

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table | None:
        rows = state.to_pylist() if state is not None else []
        (out / "letters.txt").write_text("".join(f"{row['letter']} {row['n']}\n" for row in rows))
        return None


def write_words(folder: Path, *, lines: int = 60, files: int = 3) -> Path:
    """Deterministic words in a few files; every seventh line is short."""
    folder.mkdir(parents=True, exist_ok=True)
    for f in range(files):
        words = [("x" if i % 7 == 0 else "word ") + "abcdefg"[i % 7] * (i % 11 + 1) + str(f) for i in range(lines)]
        (folder / f"{f}.txt").write_text("".join(f"{'abcdefg'[i % 5]}{word}\n" for i, word in enumerate(words)))
    return folder


def graph(folder: Path, *, parts: int = 4, least: int = 8) -> dict[str, Step]:
    lines = Step("words/lines", Lines(str(folder)))
    rows = Step("words/rows", Partition(parts), (lines,))
    length = Step("words/length", Length(), (rows,))
    upper = Step("words/upper", Upper(), (rows,))
    long = Step("words/long", Long(least), (upper, length))
    letters = Step("words/letters", Letters(2), (long,))
    total = Step("words/total", Total(), (letters,))
    return {s.name.split("/")[1]: s for s in (lines, rows, length, upper, long, letters, total)}
