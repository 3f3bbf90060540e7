"""A segment of a near-duplicate index: the shingle hashes and band keys of some texts, as memory-mapped arrays.

    ids        uint64[n, 2]  the 128-bit ids, in any order
    texts      uint64[n]     half the hash of each text
    origins    uint32[n]     which addition each came with
    ends       int64[n + 1]  where the row's shingles stand
    shingles   uint64[…]     sorted in each row, each once: what Jaccard is verified by
    bands      sorted keys of all bands and the row of each: uint64[m], uint32[m]
    names      sorted first halves of the ids and the row of each

Written once and never changed. Segments are joined, and rows taken out, key range by key range: memory holds a few
hundred MB however large they are. Nothing here knows which segments count: that is the header's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from dataforge.commit import file_sha256, fsync_folder
from dataforge.errors import VerifyError

ARRAYS = ("ids", "texts", "origins", "ends", "shingles", "band_keys", "band_rows", "name_keys", "name_rows")
CHUNK = 1 << 22  # values handled at a time
MOST_ROWS = (1 << 32) - 1
Mask = npt.NDArray[np.bool_]
_CHECKED: dict[Path, tuple[int, int, int, str]] = {}  # what this process found as the header says


@dataclass(frozen=True)
class Segment:
    """An opened segment. Arrays are mapped when they are first asked for."""

    path: Path

    def _array(self, name: str) -> Any:
        return np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def ids(self) -> Any:
        return self._array("ids")

    @cached_property
    def texts(self) -> Any:
        return self._array("texts")

    @cached_property
    def origins(self) -> Any:
        return self._array("origins")

    @cached_property
    def ends(self) -> Any:
        return self._array("ends")

    @cached_property
    def shingles(self) -> Any:
        return self._array("shingles")

    @cached_property
    def bands(self) -> tuple[Any, Any]:
        return self._array("band_keys"), self._array("band_rows")

    @cached_property
    def names(self) -> tuple[Any, Any]:
        return self._array("name_keys"), self._array("name_rows")

    def __len__(self) -> int:
        return len(self.texts)

    def rows_of(self, ids: np.ndarray) -> np.ndarray:
        """int64[k]: the row of each id (uint64[k, 2]), -1 where the segment does not hold it."""
        found = np.full(len(ids), -1, np.int64)
        owners, rows = lookup(self.names, ids[:, 0])
        same = self.ids[rows, 1] == ids[owners, 1] if len(rows) else np.zeros(0, bool)
        found[owners[same]] = rows[same]
        return found

    def shingles_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(offsets, hashes) of some rows, as the Jaccard kernel takes them."""
        starts, sizes = self.ends[rows], self.ends[rows + 1] - self.ends[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        places = np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])
        return offsets, np.asarray(self.shingles[places])


def sizes_of(path: Path) -> dict[str, int]:
    return {name: (path / f"{name}.npy").stat().st_size for name in ARRAYS}


def sums_of(path: Path) -> dict[str, str]:
    return {name: file_sha256(path / f"{name}.npy") for name in ARRAYS}


def checked(path: Path, sizes: dict[str, int], sums: dict[str, str]) -> Segment:
    """The segment, if its files are those. Files that this process has read once are only looked at for a later change."""
    for name in ARRAYS:
        file = path / f"{name}.npy"
        status = file.stat()
        state = (status.st_ino, status.st_size, status.st_mtime_ns, sums[name])
        if status.st_size != sizes[name]:
            raise VerifyError("a segment is not as the header says: another size", file=str(file))
        if _CHECKED.get(file) != state and file_sha256(file) != sums[name]:
            raise VerifyError("a segment is not as the header says: another sha256", file=str(file))
        _CHECKED[file] = state
    return Segment(path)


def lookup(table: tuple[Any, Any], keys: np.ndarray, *, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(places in `keys`, rows): every row that the sorted table has under each key, at most `most` of a key."""
    first = np.searchsorted(table[0], keys, side="left")
    counts = np.searchsorted(table[0], keys, side="right") - first
    counts = counts if most is None else np.minimum(counts, most)
    owners = np.repeat(np.arange(len(keys)), counts)
    ends = np.cumsum(counts)
    places = np.arange(len(owners)) - np.repeat(ends - counts, counts) + first[owners]
    return owners, np.asarray(table[1][places]).astype(np.int64)


@dataclass(frozen=True)
class Batch:
    """Texts to write: the arrays of a segment, and band keys uint64[n, bands]."""

    ids: np.ndarray
    texts: np.ndarray
    origins: np.ndarray
    offsets: np.ndarray
    shingles: np.ndarray
    bands: np.ndarray

    @property
    def size_bytes(self) -> int:
        return int(self.shingles.nbytes + 2 * self.bands.nbytes + 48 * len(self.ids))


def write_batches(path: Path, batches: Sequence[Batch]) -> Segment:
    """A segment of these texts."""
    rows = sum(len(batch.ids) for batch in batches)
    path.mkdir(parents=True)
    for name in ("ids", "texts", "origins", "shingles"):
        _save(path, name, np.concatenate([getattr(batch, name) for batch in batches]))
    sizes = np.concatenate([np.diff(batch.offsets) for batch in batches])
    _save(path, "ends", np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
    keys = np.concatenate([batch.bands for batch in batches])
    _save_sorted(path, "band", keys.reshape(-1), np.repeat(np.arange(rows, dtype=np.uint32), keys.shape[1]))
    names = np.concatenate([batch.ids[:, 0] for batch in batches])
    _save_sorted(path, "name", names, np.arange(rows, dtype=np.uint32))
    fsync_folder(path)
    return Segment(path)


def _save(path: Path, name: str, values: np.ndarray) -> None:
    with open(path / f"{name}.npy", "wb") as file:
        np.save(file, values, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _save_sorted(path: Path, name: str, keys: np.ndarray, rows: np.ndarray) -> None:
    order = np.argsort(keys, kind="stable")
    _save(path, f"{name}_keys", keys[order])
    _save(path, f"{name}_rows", rows[order])


def join(path: Path, segments: Sequence[Segment], keep: Sequence[Mask]) -> Segment:
    """One segment of the kept rows of several; of none, an empty one."""
    rows = sum(int(mask.sum()) for mask in keep)
    if rows > MOST_ROWS:
        raise ValueError(f"a segment holds at most {MOST_ROWS} texts, not {rows}")
    path.mkdir(parents=True)
    both = list(zip(segments, keep, strict=True))
    for name, kind, shape in (("ids", "<u8", (rows, 2)), ("texts", "<u8", (rows,)), ("origins", "<u4", (rows,))):
        columns = ((getattr(segment, name), mask) for segment, mask in both)
        _stream(path, name, kind, shape, (column[at][mask[at]] for column, mask in columns for at in _slices(len(mask))))
    _join_shingles(path, both, rows)
    shifts = np.concatenate([[0], np.cumsum([int(mask.sum()) for mask in keep])]).tolist()
    for name in ("band", "name"):
        _join_sorted(path, name, both, shifts)
    fsync_folder(path)
    return Segment(path)


def _slices(count: int) -> Iterator[slice]:
    return (slice(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK))


def _join_shingles(path: Path, both: list[tuple[Segment, Mask]], rows: int) -> None:
    total = 0
    ends = np.zeros(rows + 1, np.int64)
    at = 1
    for segment, mask in both:
        sizes = np.diff(segment.ends)[mask]
        ends[at : at + len(sizes)] = total + np.cumsum(sizes)
        total, at = total + int(sizes.sum()), at + len(sizes)
    _save(path, "ends", ends)
    _stream(path, "shingles", "<u8", (total,), (piece for segment, mask in both for piece in _kept_shingles(segment, mask)))


def _kept_shingles(segment: Segment, mask: Mask) -> Iterator[np.ndarray]:
    """Shingles of the kept rows, some rows at a time: runs of kept rows are read as they lie."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        start, stop = int(segment.ends[first]), int(segment.ends[last])
        for at in range(start, stop, CHUNK):
            yield segment.shingles[at : min(at + CHUNK, stop)]


def _join_sorted(path: Path, name: str, both: list[tuple[Segment, Mask]], shifts: list[int]) -> None:
    """Keys are hashes, so equal ranges of them hold about as many rows each."""
    tables = [segment.bands if name == "band" else segment.names for segment, _ in both]
    total = sum(len(keys) for keys, _ in tables)
    places = [np.cumsum(mask) - 1 + shift for (_, mask), shift in zip(both, shifts, strict=False)]
    ranges = max(1, -(-total // CHUNK))
    cuts = np.array([2**64 * i // ranges for i in range(1, ranges)], np.uint64)
    bounds = [[0, *np.searchsorted(keys, cuts).tolist(), len(keys)] for keys, _ in tables]
    masks = [(mask, rows) for (_, mask), (_, rows) in zip(both, tables, strict=True)]
    left = sum(int(mask[rows[at]].sum()) for mask, rows in masks for at in _slices(len(rows)))
    with _opened(path, f"{name}_keys", "<u8", (left,)) as one, _opened(path, f"{name}_rows", "<u4", (left,)) as other:
        for i in range(len(cuts) + 1):
            pieces = []
            for (_, mask), (keys, rows), place, bound in zip(both, tables, places, bounds, strict=True):
                at = slice(bound[i], bound[i + 1])
                kept = mask[rows[at]]
                pieces.append((keys[at][kept], place[rows[at][kept]]))
            keys = np.concatenate([np.zeros(0, np.uint64), *(piece[0] for piece in pieces)])
            order = np.argsort(keys, kind="stable")
            one.write(keys[order].astype("<u8").tobytes())
            rows = np.concatenate([np.zeros(0, np.int64), *(piece[1] for piece in pieces)])
            other.write(rows[order].astype("<u4").tobytes())


def _stream(path: Path, name: str, kind: str, shape: tuple[int, ...], pieces: Iterator[np.ndarray]) -> None:
    with _opened(path, name, kind, shape) as file:
        for piece in pieces:
            file.write(np.ascontiguousarray(piece, kind).tobytes())


class _opened:
    """A .npy file of known shape, written piece by piece and flushed to disk."""

    def __init__(self, path: Path, name: str, kind: str, shape: tuple[int, ...]) -> None:
        self.file: BinaryIO = open(path / f"{name}.npy", "wb")  # noqa: SIM115 (closed by __exit__)
        header = {"descr": kind, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)  # type: ignore[arg-type]

    def __enter__(self) -> BinaryIO:
        return self.file

    def __exit__(self, *_: Any) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
