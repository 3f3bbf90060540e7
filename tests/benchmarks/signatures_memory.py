"""Peak memory from stored band keys to clusters: `python -m tests.benchmarks.signatures_memory ROWS [--parts 64]`.

Synthetic signatures, 18 band keys each; one row in five shares all its bands with about one other. Runs the steps of a
real run that see all signatures at once: the shuffle of 18 ROWS band keys through the disk, the pairs, the union-find
over all of them (every pair counted as verified, so the clusters are the largest that they can be). One process.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge import Rows, Source, SourceFile, Split, Step, Store
from dataforge.engine.local import Local
from dataforge.engine.run import run
from dataforge.identity import unpack_ids
from dataforge.operators.clusters import Clusters
from dataforge.operators.dedupe_near import BANDS, Pairs

WIDTH, CHUNK = 18, 50_000


def mixed(values: np.ndarray) -> np.ndarray:
    """A fixed bijection of uint64 that spreads small numbers (splitmix64)."""
    values = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return values ^ values >> np.uint64(31)


@dataclass(frozen=True)
class Signed(Source):
    """`rows` BANDS rows in `parts` parts, partitioned and sorted by id as a corpus is."""

    rows: int
    parts: int

    def digest(self) -> str:
        return f"{self.rows:064x}"

    def splits(self) -> Sequence[Split]:
        return [Split((str(part),), self.rows // self.parts) for part in range(self.parts)]

    def gives(self) -> pa.Schema:
        return BANDS

    def read(self, split: Split) -> Iterator[SourceFile]:
        yield SourceFile(split.files[0], self._chunks(int(split.files[0])))

    def _chunks(self, part: int) -> Iterator[Rows]:
        count = self.rows // self.parts
        bits = np.uint64(self.parts.bit_length() - 1)
        number = np.arange(part * count, (part + 1) * count, dtype=np.uint64)
        prefix = np.uint64(part << (64 - int(bits)) if self.parts > 1 else 0)
        high = np.sort(mixed(number) >> bits) | prefix
        for at in range(0, count, CHUNK):
            here = slice(at, min(at + CHUNK, count))
            yield Rows(self._rows(number[here], high[here]))

    def _rows(self, number: np.ndarray, high: np.ndarray) -> pa.RecordBatch:
        draw = mixed(number + np.uint64(1 << 40))
        family = (draw >> np.uint64(20)) % np.uint64(self.rows // 10)
        families = np.where(draw % np.uint64(5) == 0, family, number + np.uint64(self.rows))
        keys = mixed(families[:, None] * np.uint64(WIDTH) + np.arange(WIDTH, dtype=np.uint64))
        ends = pa.array(np.arange(0, len(number) * WIDTH + 1, WIDTH, dtype=np.int32))
        lists = pa.ListArray.from_arrays(ends, pa.array(keys.reshape(-1)))
        return pa.record_batch([hexed(high, number), hexed(draw, number), lists, pa.array(draw)], schema=BANDS)


def hexed(high: np.ndarray, low: np.ndarray) -> pa.Array:
    raw = pa.py_buffer(np.stack([high, low], axis=1).astype(">u8").tobytes())
    return unpack_ids(pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(high), [None, raw]))


@dataclass(frozen=True)
class Linked(Clusters):
    """The clusters of pairs, every one taken as verified."""

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("a", "b"),)

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        verified = {"kind": pa.scalar("near"), "common": pa.scalar(9), "union": pa.scalar(10)}
        for name, value in verified.items():
            batch = batch.append_column(name, pa.repeat(value, batch.num_rows))
        return super().observe(index, batch)


def measure(rows: int, parts: int, folder: Path) -> dict[str, Any]:
    signed = Step("signed", Signed(rows, parts))
    pairs = Step("pairs", Pairs(parts), (signed,))
    clusters = Step("clusters", Linked(), (pairs,))
    store = Store(folder)
    found: dict[str, Any] = {"rows": rows, "parts": parts}
    with store.lock(), Local(1) as engine:
        for step in (signed, pairs, clusters):
            began = time.monotonic()
            table = run(store, [step], engine).tables[step]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            seconds = round(time.monotonic() - began, 1)
            found[step.name] = {"rows": table.rows, "seconds": seconds, "peak_rss_bytes": peak}
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int)
    parser.add_argument("--parts", type=int, default=64)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        print(json.dumps(measure(given.rows, given.parts, place / "store"), indent=1))
    finally:
        shutil.rmtree(place)
