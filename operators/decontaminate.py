"""Decontamination: which documents hold n-grams of evaluation texts, with the overlapping span as evidence.

`Ngrams` is a Fold over evaluation rows (read by any Source, or the project's own validation and test rows) and writes
one file; `Decontaminate` is a Map over the corpus that opens one or more such files. Words are those of the dedupe
kernel: letters, numbers and marks in lower case, so punctuation, case and spacing do not hide a copy. Select decides
what to do with a hit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from dataforge.errors import ConfigError, InputError, SchemaError
from dataforge.operator import Contract, Fold, Map, Rows

NGRAMS_FILE = "ngrams.parquet"
_STATE = pa.schema(
    [
        pa.field("hash", pa.uint64(), nullable=False),  # xxh64 of the n words joined by blanks
        pa.field("source", pa.string(), nullable=False),  # the evaluation set
        pa.field("row", pa.string(), nullable=False),  # id of the evaluation row; of several the smallest
    ]
)
CONTAMINATION = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("contaminated_by", pa.string()),  # the evaluation set, null for a clean row
        pa.field("contaminated_row", pa.string()),  # id of the evaluation row
        pa.field("contaminated_ngrams", pa.int32(), nullable=False),  # how many distinct n-grams overlap
        pa.field("contaminated_start", pa.int32()),  # characters of the longest overlapping run, end exclusive
        pa.field("contaminated_end", pa.int32()),
    ]
)
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Ngrams(Fold):
    """All n-grams of evaluation rows. `splits`: only rows whose column `split` is one of these; () takes all rows.

    Texts with fewer than `words` words give none: what short must not be matched, or every "yes" would be a hit.
    """

    words: int = 13
    splits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 5 <= self.words <= 100:
            raise ConfigError("expected from 5 to 100 words", key="decontaminate.words")

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "source", "text", *(("split",) if self.splits else ())),)

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        if self.splits:
            batch = batch.filter(pc.is_in(batch.column("split"), value_set=pa.array(self.splits, pa.string())))
        offsets, hashes = _hashes(batch.column("text"), self.words)
        long = np.array([len(word_spans(text)) >= self.words for text in batch.column("text").to_pylist()], bool)
        rows = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        kept = long[rows] if len(rows) else np.zeros(0, bool)
        owners = pa.array(rows[kept])
        columns = [pa.array(hashes[kept]), batch.column("source").take(owners), batch.column("id").take(owners)]
        return _once(pa.Table.from_arrays(columns, schema=_STATE))

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        return _once(pa.concat_tables([left, right]))

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table | None:
        """Refuses an empty index of evaluation files: a check against nothing would pass everything. Own held-out rows may
        well be none, or all be short.
        """
        state = _STATE.empty_table() if state is None else state
        if not state.num_rows and not self.splits:
            hint = "check the evaluation files and the name of their text column"
            raise InputError(f"the evaluation texts hold no n-gram of {self.words} words", hint=hint)
        table = state.replace_schema_metadata({"words": str(self.words)})
        pq.write_table(table, out / NGRAMS_FILE, compression="zstd", write_page_checksum=True)
        return None


@dataclass(frozen=True)
class Decontaminate(Map):
    """Inputs: a table with `id, text`, and folders (or files) of Ngrams. `fewest`: distinct n-grams that make a hit.

    `by_split`: a second table with `split` follows the first; rows of other splits than train are then never hits,
    so that the project's own evaluation rows do not match themselves.
    """

    fewest: int = 1
    by_split: bool = False
    contract: ClassVar[Contract] = Contract.SAME

    def __post_init__(self) -> None:
        if self.fewest < 1:
            raise ConfigError("expected at least 1", key="decontaminate.fewest")

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"), ("id", "split")) if self.by_split else (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return CONTAMINATION

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        return functools.partial(self._find, read_ngrams(files))

    def _find(self, index: NgramIndex, base: pa.RecordBatch, splits: pa.RecordBatch | None = None) -> Rows:
        offsets, hashes = _hashes(base.column("text"), index.words)
        rows = np.repeat(np.arange(base.num_rows), np.diff(offsets))
        hits = np.bincount(rows[index.holds(hashes)], minlength=base.num_rows).astype(np.int32)
        hits[hits < self.fewest] = 0
        if splits is not None:
            hits[pc.not_equal(splits.column("split"), "train").fill_null(False).to_numpy(zero_copy_only=False)] = 0
        found: list[list[Any]] = [[None] * base.num_rows for _ in range(4)]
        for row in np.flatnonzero(hits).tolist():  # few rows
            for column, value in zip(found, index.evidence(base.column("text")[row].as_py()), strict=True):
                column[row] = value
        by, ids, starts, ends = found
        columns = [base.column("id"), by, ids, pa.array(hits), starts, ends]
        arrays = [pa.array(column, kind.type) for column, kind in zip(columns, CONTAMINATION, strict=True)]
        return Rows(pa.RecordBatch.from_arrays(arrays, schema=CONTAMINATION), notes=_notes(by))


@dataclass(frozen=True)
class NgramIndex:
    """n-grams of evaluation texts, by ascending hash."""

    words: int
    hashes: U64
    table: pa.Table

    def holds(self, hashes: U64) -> npt.NDArray[np.bool_]:
        if not len(self.hashes):
            return np.zeros(len(hashes), bool)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        found: npt.NDArray[np.bool_] = self.hashes[at] == hashes
        return found

    def evidence(self, text: str) -> tuple[str, str, int, int]:
        """(evaluation set, its row, start, end) of the longest run of overlapping n-grams; the first of equal runs."""
        spans = word_spans(text)
        lower = _lower(text)
        words = [lower[start:end] for start, end in spans]
        grams = [" ".join(words[i : i + self.words]).encode() for i in range(len(words) - self.words + 1)]
        hashes = np.array([xxhash.xxh64_intdigest(gram) for gram in grams], np.uint64)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], self.holds(hashes).astype(np.int8), [0]])))
        first, last = max(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True), key=lambda run: run[1] - run[0])
        match = self.table.slice(int(np.searchsorted(self.hashes, hashes[first])), 1)
        start, end = spans[first][0], spans[last - 1 + self.words - 1][1]
        return match["source"][0].as_py(), match["row"][0].as_py(), start, end


def read_ngrams(files: Sequence[Path]) -> NgramIndex:
    """One index of all files; they must agree on the number of words."""
    paths = [path / NGRAMS_FILE if path.is_dir() else path for path in files]
    tables = [pq.read_table(path, page_checksum_verification=True) for path in paths]
    sizes = {(table.schema.metadata or {}).get(b"words", b"") for table in tables}
    if len(sizes) != 1 or b"" in sizes:
        raise SchemaError(f"expected n-gram files of one size, found {len(sizes)} sizes", hint="build them again")
    whole = _once(pa.concat_tables([table.replace_schema_metadata(None) for table in tables]))
    return NgramIndex(int(sizes.pop()), whole["hash"].to_numpy(), whole)


def _hashes(texts: pa.Array, words: int) -> tuple[npt.NDArray[np.int64], U64]:
    from dataforge.kernels.minhash import MinHashSpec, shingle_hashes

    return shingle_hashes(texts, MinHashSpec(n=words))


def _once(table: pa.Table) -> pa.Table:
    """Each hash once, with the smallest (source, row): the same whatever the order in which states were merged."""
    ordered = table.sort_by([(name, "ascending") for name in _STATE.names]).combine_chunks()
    hashes = ordered["hash"].to_numpy()
    if not len(hashes):
        return ordered
    return ordered.filter(pa.array(np.concatenate([[True], hashes[1:] != hashes[:-1]])))


def word_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) in characters of each word, by the classes of the dedupe kernel: a run, or one character alone."""
    from dataforge.kernels import unicode

    kinds = unicode.classes()[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
    word, single = (kinds & unicode.WORD) != 0, (kinds & unicode.SINGLE) != 0
    joins = word & ~single
    starts = word & (single | ~np.concatenate([[False], joins[:-1]]))
    ends = word & (single | ~np.concatenate([joins[1:], [False]]))
    return list(zip(np.flatnonzero(starts).tolist(), (np.flatnonzero(ends) + 1).tolist(), strict=True))


def _lower(text: str) -> str:
    """Simple lower case: as many characters as before, so that spans stay true."""
    from dataforge.kernels import unicode

    points = unicode.lower()[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
    return points.astype(np.uint32).tobytes().decode("utf-32-le")


def _notes(by: list[Any]) -> dict[str, int] | None:
    found = sum(name is not None for name in by)
    return {"contaminated": found} if found else None
