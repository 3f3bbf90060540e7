"""Additions to a near-duplicate index and removals from it: one commit each, under the lock of the index.

A change writes new segments beside the old ones and then replaces the header: a killed one leaves the index as it was, and
the next one clears away what it left. Adding what is there changes nothing; a text with a known id and new content replaces
the old one; removing rewrites the segments that held the text, so nothing of it stays on disk.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.commit import fsync_folder, write_json
from dataforge.operators.near_index import NearIndex, Shape, packed_words
from dataforge.operators.near_segment import Batch, Segment, join, write_batches
from dataforge.store import Store

MOST_SEGMENTS = 8
HELD_BYTES = 256 << 20  # arrays of new texts held in memory before they become a segment



def lock(path: Path) -> AbstractContextManager[None]:
    """Holds the index; another run that changes it meanwhile gets a LockedError."""
    return Store(path).lock()


@dataclass(frozen=True)
class Change:
    """What an addition or a removal did."""

    added: int = 0  # rows written
    replaced: int = 0  # rows of other content that they replaced
    known: int = 0  # rows that were there already
    without_words: int = 0  # rows that nothing can be like
    removed: int = 0
    version: int = 0


def add(path: Path, shape: Shape, batches: Iterable[pa.RecordBatch], *, origin: str, name: str) -> Change:
    """Adds rows of `id, text, text_hash` under an origin; known ids with equal text stay as they are. One commit."""
    index = NearIndex.open(path, shape)
    _tidy(path, index.header)
    origins = {key: dict(entry) for key, entry in index.header["origins"].items()}
    number = 1 + max((entry["number"] for entry in origins.values()), default=0)
    entry = origins.setdefault(origin, {"number": number, "name": name})
    pending = _Pending(path, shape, entry["number"])
    keep = [np.ones(len(segment), bool) for segment in index.segments]
    known = replaced = 0
    for batch in batches:
        ids, texts = packed_words(batch.column("id")), packed_words(batch.column("text_hash"))[:, 0]
        fresh = np.ones(len(ids), bool)
        for segment, mask in zip(index.segments, keep, strict=True):
            rows = segment.rows_of(ids)
            there = np.flatnonzero(rows >= 0)
            same = segment.texts[rows[there]] == texts[there]
            fresh[there[same]] = False
            mask[rows[there[~same]]] = False
            known, replaced = known + int(same.sum()), replaced + int((~same).sum())
        pending.hold(batch.filter(pa.array(fresh)))
    made = pending.done()
    added = sum(len(segment) for segment in made)
    if not made and not replaced:
        return Change(known=known, without_words=pending.without_words, version=index.header["version"])
    version = _commit(index, origins, made, keep)
    return Change(added, replaced, known, pending.without_words, 0, version)


def remove(path: Path, shape: Shape, ids: Sequence[str]) -> Change:
    """Takes texts out by id; ids that are not there are no error. The rows leave the disk with the commit."""
    index = NearIndex.open(path, shape)
    _tidy(path, index.header)
    wanted = packed_words(pa.array(sorted(set(ids)), pa.string()))
    keep = [np.ones(len(segment), bool) for segment in index.segments]
    for segment, mask in zip(index.segments, keep, strict=True):
        rows = segment.rows_of(wanted)
        mask[rows[rows >= 0]] = False
    removed = sum(int((~mask).sum()) for mask in keep)
    if not removed:
        return Change(version=index.header["version"])
    origins = {key: dict(entry) for key, entry in index.header["origins"].items()}
    return Change(removed=removed, version=_commit(index, origins, [], keep))


class _Pending:
    """New texts: in memory up to HELD_BYTES, then as segments that no header names yet."""

    def __init__(self, path: Path, shape: Shape, origin: int) -> None:
        self.path, self.shape, self.origin = path, shape, origin
        self.held: list[Batch] = []
        self.made: list[Segment] = []
        self.without_words = 0

    def hold(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            columns = (batch.column(name) for name in ("id", "text", "text_hash"))
            made, wordless = self.shape.batch(*columns, self.origin)
            self.without_words += wordless
            self.held += [made] if len(made.ids) else []
            if sum(held.size_bytes for held in self.held) > HELD_BYTES:
                self._spill()

    def _spill(self) -> None:
        self.made.append(write_batches(_new_folder(self.path), self.held))
        self.held = []
        if len(self.made) > MOST_SEGMENTS:
            self.made = [_joined(self.path, self.made, [np.ones(len(segment), bool) for segment in self.made])]

    def done(self) -> list[Segment]:
        if self.held:
            self._spill()
        return self.made


def _joined(path: Path, segments: list[Segment], keep: list[np.ndarray]) -> Segment:
    made = join(_new_folder(path), segments, keep)
    for segment in segments:
        if segment.path.parent.name == ".tmp":
            shutil.rmtree(segment.path)
    return made


def _new_folder(path: Path) -> Path:
    folder = path / "segments" / ".tmp"
    folder.mkdir(parents=True, exist_ok=True)
    taken = [int(child.name) for child in folder.iterdir()]
    return folder / f"{max(taken, default=0) + 1:06d}"


def _commit(index: NearIndex, origins: dict[str, Any], made: list[Segment], keep: list[np.ndarray]) -> int:
    """Segments that lost rows are rewritten, the smallest are joined while there are many; then the header changes."""
    path, version = index.path, index.header["version"] + 1
    left = [(segment, mask) for segment, mask in zip(index.segments, keep, strict=True) if mask.any()]
    segments = [segment if mask.all() else _joined(path, [segment], [mask]) for segment, mask in left]
    segments = sorted([*segments, *made], key=len)
    if len(segments) > MOST_SEGMENTS:
        small = segments[: len(segments) // 2 + 1]
        segments = [_joined(path, small, [np.ones(len(segment), bool) for segment in small]), *segments[len(small) :]]
    entries = []
    for i, segment in enumerate(segments):
        folder = segment.path
        if folder.parent.name == ".tmp":
            folder = folder.rename(path / "segments" / f"{version:06d}-{i}")
        sizes = {file.stem: file.stat().st_size for file in sorted(folder.glob("*.npy"))}
        entries.append({"name": folder.name, "documents": len(segment), "size_bytes": sizes})
    fsync_folder(path / "segments")
    opened = [Segment(path / "segments" / entry["name"]) for entry in entries]
    header = {**index.header, "version": version, "origins": _counted(origins, opened), "segments": entries}
    write_json(path / "index.json", header)
    _tidy(path, header)
    return version


def _counted(origins: dict[str, Any], segments: list[Segment]) -> dict[str, Any]:
    """The origins with how many texts each has, and a digest of these that no order enters: sums of hashes."""
    for entry in origins.values():
        total, count = np.zeros(4, np.uint64), 0
        for segment in segments:
            mine = segment.origins == entry["number"]
            high, low, texts = segment.ids[mine, 0], segment.ids[mine, 1], segment.texts[mine]
            sums = [high, low, texts, (high ^ texts) * np.uint64(0x9E3779B97F4A7C15)]
            total, count = total + np.array([column.sum(dtype=np.uint64) for column in sums]), count + len(high)
        entry |= {"documents": count, "digest": hashlib.sha256(total.astype("<u8").tobytes()).hexdigest()}
    return {key: entry for key, entry in origins.items() if entry["documents"]}


def _tidy(path: Path, header: dict[str, Any]) -> None:
    """Removes what no header names: segments replaced by others, and those of a change that was killed."""
    named = {entry["name"] for entry in header["segments"]}
    for folder in (path / "segments").glob("*"):
        if folder.name not in named:
            shutil.rmtree(folder, ignore_errors=True)
