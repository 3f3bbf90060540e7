"""Invented documents with known duplicates: twins, and families whose Jaccard similarity follows from how they are made.

A family has one base of 100 to 300 words. A member keeps the first words of it and goes on with words of its own, so the
5-word shingles that two members share are those of the shorter of their beginnings. The same seed gives the same rows.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.benchmarks.corpora import SYLLABLES

N, SHORTEST, LONGEST = 5, 100, 300
CHUNK = 20_000  # documents made at once
SIMILAR = (0.97, 0.92, 0.88, 0.55, 0.4)  # nominal similarities of a member to its base


@dataclass(frozen=True)
class Chunk:
    """`rows` are id, text in a mixed order; the others are per row: family (-1 = alone), words, words kept of the base."""

    rows: pa.Table
    family: np.ndarray
    words: np.ndarray
    shared: np.ndarray

    def known(self) -> list[tuple[str, str, float]]:
        """(id, id, Jaccard) of all pairs of a family, sorted; right but for shingles that repeat by chance."""
        ids, order = self.rows["id"].to_pylist(), np.argsort(self.family, kind="stable")
        pairs = []
        for members in np.split(order, np.flatnonzero(np.diff(self.family[order])) + 1):
            if self.family[members[0]] >= 0:
                pairs += [(a, b) for i, b in enumerate(members) for a in members[:i]]
        return sorted((*sorted((ids[a], ids[b])), self._jaccard(a, b)) for a, b in pairs)

    def _jaccard(self, a: int, b: int) -> float:
        common = max(int(min(self.shared[a], self.shared[b])) - N + 1, 0)
        return common / (int(self.words[a] + self.words[b]) - 2 * (N - 1) - common)


def chunk(seed: int, count: int, *, first: int = 0, similar: tuple[float, ...] = SIMILAR) -> Chunk:
    """`count` documents with ids from `first`: of 20, 10 are alone, 4 are two pairs of twins, 6 are one family."""
    draw = np.random.default_rng([seed, first])
    shapes = np.array([-1] * 10 + [0, 0, 1, 1] + [2] * (1 + len(similar)))
    ratios = np.array([1.0] * 15 + list(similar))
    blocks = -(-count // len(shapes))
    family = np.where(shapes >= 0, shapes + 3 * np.arange(blocks)[:, None], -1).reshape(-1)[:count]
    ratio = np.tile(ratios, blocks)[:count]
    words = draw.integers(SHORTEST, LONGEST + 1, 3 * blocks)[family]
    words = np.where(family < 0, draw.integers(SHORTEST, LONGEST + 1, count), words)
    shared = np.where(family < 0, 0, np.rint((ratio * (2 * words - 4) + 4) / (1 + ratio))).astype(np.int64)
    base, own = _words(draw, 3 * blocks), _words(draw, count)
    chosen = np.where(np.arange(LONGEST) < shared[:, None], base[family], own)
    order = draw.permutation(count)
    ids = pa.array([f"doc-{first + i:09d}" for i in range(count)])
    rows = pa.table({"id": ids, "text": _texts(chosen[order], words[order])})
    return Chunk(rows, family[order], words[order], shared[order])


def _words(draw: np.random.Generator, count: int) -> np.ndarray:
    """int32[count, LONGEST]: numbers of words, frequent ones first, as in a language."""
    return (len(vocabulary()) * draw.random((count, LONGEST), np.float32) ** 3).astype(np.int32)


@functools.cache
def vocabulary() -> pa.Array:
    return pa.array([a + b + c for a in SYLLABLES[:48] for b in SYLLABLES[48:96] for c in ("", *SYLLABLES[96:112])])


def _texts(chosen: np.ndarray, words: np.ndarray) -> pa.Array:
    flat = chosen[np.arange(LONGEST) < words[:, None]]
    ends = pa.array(np.concatenate([[0], np.cumsum(words)]), pa.int32())
    return pc.binary_join(pa.ListArray.from_arrays(ends, vocabulary().take(pa.array(flat))), " ")


def chunks(seed: int, count: int) -> Iterator[Chunk]:
    for first in range(0, count, CHUNK):
        yield chunk(seed, min(CHUNK, count - first), first=first)


def write_parquet(path: Path, tables: Iterator[pa.Table]) -> int:
    """Writes id, text; returns the bytes of the texts."""
    size, writer = 0, None
    for table in tables:
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        size += pc.sum(pc.binary_length(table["text"])).as_py()
    if writer is not None:
        writer.close()
    return int(size)
