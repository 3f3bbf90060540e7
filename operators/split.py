"""Which split a row belongs to: a hash of its group, so that near-duplicates and rows of one thread never straddle.

The group is the `cluster` column (for a row without twins its own id). Shares are cut out of the hash's range in the order
of the config, so a row moves only if the shares or the salt change, never because other rows came or went.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from dataforge.operator import Map, Rows

SPLIT = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("split", pa.string(), nullable=False)])


@dataclass(frozen=True)
class SplitByCluster(Map):
    """`shares`: (name, share) pairs that sum to 1, for example (("train", 0.98), ("validation", 0.02))."""

    shares: tuple[tuple[str, float], ...]
    salt: str

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "cluster"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return SPLIT

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        names = np.array([name for name, _ in self.shares])
        # the last bound is open, so that shares that sum to 0.9999… lose no row
        bounds = np.round(np.cumsum([share for _, share in self.shares])[:-1] * float(1 << 53)).astype(np.uint64)

        def split(rows: pa.RecordBatch) -> Rows:
            draws = [hash53(self.salt, group) for group in rows.column("cluster").to_pylist()]  # 0.5 µs a row
            chosen = names[np.searchsorted(bounds, np.array(draws, np.uint64), side="right")]
            return Rows(pa.record_batch([rows.column("id"), pa.array(chosen.tolist(), pa.string())], schema=SPLIT))

        return split


def hash53(salt: str, group: str) -> int:
    """Uniform in [0, 2^53): the top bits of xxh3-64 of salt, NUL and group."""
    return xxhash.xxh3_64_intdigest(f"{salt}\0{group}".encode()) >> 11
