"""Additions to a near-duplicate index and removals from it: one commit each, under the lock of the index.

A change writes new segments beside the old ones and then replaces the header: a killed one leaves the index as it was, and
the next one clears away what it left. Adding what is there changes nothing; a text with a known id and new content replaces
the old one; removing rewrites the segments that held the text, so nothing of it stays on disk.

A replaced row of another origin is set aside for the origin that replaced it: that one compared its rows with the old text
and must find it again when it comes again, or a run after its own addition would keep what the run before it dropped.
Nobody else sees it. It goes when its id is removed, or when another origin brings a text of that id; so there is at most
one such row for each id.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.commit import fsync_folder, write_json
from dataforge.identity import digest_of
from dataforge.operators.near_index import NearIndex, Shape, packed_words
from dataforge.operators.near_segment import Batch, Mask, Segment, join, sizes_of, sums_of, write_batches
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
    keep, aside = _all(index.segments), dict(zip(index.replaced, _all(index.replaced.values()), strict=True))
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
        _drop(ids[fresh], [(segment, aside[key]) for key, segment in index.replaced.items() if key != origin])
        pending.hold(batch.filter(pa.array(fresh)))
    made = pending.done()
    added = sum(len(segment) for segment in made)
    if not made and not replaced:
        return Change(known=known, without_words=pending.without_words, version=index.header["version"])
    moved = [~mask & (segment.origins != entry["number"]) for segment, mask in zip(index.segments, keep, strict=True)]
    put_aside = _set_aside(index, aside, origin, moved)
    version = _commit(index, origins, made, keep, put_aside)
    return Change(added, replaced, known, pending.without_words, 0, version)


def remove(path: Path, shape: Shape, ids: Sequence[str]) -> Change:
    """Takes texts out by id; ids that are not there are no error. The rows leave the disk with the commit."""
    index = NearIndex.open(path, shape)
    _tidy(path, index.header)
    wanted = packed_words(pa.array(sorted(set(ids)), pa.string()))
    keep, aside = _all(index.segments), dict(zip(index.replaced, _all(index.replaced.values()), strict=True))
    found = _drop(wanted, [*zip(index.segments, keep, strict=True), *((index.replaced[key], aside[key]) for key in aside)])
    removed = int(found.sum())
    if not removed:
        return Change(version=index.header["version"])
    origins = {key: dict(entry) for key, entry in index.header["origins"].items()}
    return Change(removed=removed, version=_commit(index, origins, [], keep, _set_aside(index, aside, "", [])))


def _all(segments: Iterable[Segment]) -> list[Mask]:
    return [np.ones(len(segment), bool) for segment in segments]


def _drop(ids: np.ndarray, segments: Iterable[tuple[Segment, Mask]]) -> Mask:
    """Clears the masks where a segment holds one of the ids; says which ids any of them holds."""
    found = np.zeros(len(ids), bool)
    for segment, mask in segments:
        rows = segment.rows_of(ids)
        mask[rows[rows >= 0]] = False
        found |= rows >= 0
    return found


def _set_aside(index: NearIndex, aside: dict[str, Mask], origin: str, moved: list[Mask]) -> dict[str, Segment]:
    """What each origin replaced: the rows that stay, and for `origin` the rows of others that it replaces now."""
    left = {key: segment for key, segment in index.replaced.items() if aside[key].any()}
    found = {
        key: segment if aside[key].all() else join(_new_folder(index.path), [segment], [aside[key]])
        for key, segment in left.items()
        if key != origin
    }
    pieces = [(index.segments[i], mask) for i, mask in enumerate(moved) if mask.any()]
    if not pieces:
        return found | ({origin: left[origin]} if origin in left else {})
    pieces += [(left[origin], aside[origin])] if origin in left else []
    segments, masks = zip(*pieces, strict=True)
    return found | {origin: join(_new_folder(index.path), segments, masks)}


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
            self.made = [_joined(self.path, self.made, _all(self.made))]

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


def _commit(
    index: NearIndex, origins: dict[str, Any], made: list[Segment], keep: list[Mask], aside: dict[str, Segment]
) -> int:
    """Segments that lost rows are rewritten, the smallest are joined while there are many; then the header changes."""
    path, version = index.path, index.header["version"] + 1
    left = [(segment, mask) for segment, mask in zip(index.segments, keep, strict=True) if mask.any()]
    segments = [segment if mask.all() else _joined(path, [segment], [mask]) for segment, mask in left]
    segments = sorted([*segments, *made], key=len)
    if len(segments) > MOST_SEGMENTS:
        small = segments[: len(segments) // 2 + 1]
        segments = [_joined(path, small, _all(small)), *segments[len(small) :]]
    counted = _counted(origins, segments)
    written = {entry["name"]: entry for entry in [*index.header["segments"], *index.header["replaced"].values()]}
    entries = [_named(segment, written, f"{version:06d}-{i}") for i, segment in enumerate(segments)]
    replaced = {
        key: {"sums": _sums([(segment, slice(None))]), **_named(segment, written, f"{version:06d}-r{i}")}
        for i, (key, segment) in enumerate(sorted(aside.items()))
    }
    fsync_folder(path / "segments")
    header = {**index.header, "version": version, "origins": counted, "segments": entries, "replaced": replaced}
    write_json(path / "index.json", {**header, "checksum": digest_of(header)})
    _tidy(path, header)
    return version


def _named(segment: Segment, written: dict[str, Any], name: str) -> dict[str, Any]:
    """The entry of a segment in the header; a new one gets its name first."""
    if segment.path.parent.name != ".tmp":
        entry = written[segment.path.name]
        return {key: entry[key] for key in ("name", "documents", "size_bytes", "sha256")}
    documents = len(segment)
    folder = segment.path.rename(segment.path.parent.parent / name)
    return {"name": name, "documents": documents, "size_bytes": sizes_of(folder), "sha256": sums_of(folder)}


def _counted(origins: dict[str, Any], segments: list[Segment]) -> dict[str, Any]:
    """The origins that have texts, with how many and the sums of these."""
    for entry in origins.values():
        mine = [(segment, np.asarray(segment.origins == entry["number"])) for segment in segments]
        entry |= {"documents": sum(int(mask.sum()) for _, mask in mine), "sums": _sums(mine)}
    return {key: entry for key, entry in origins.items() if entry["documents"]}


def _sums(rows: Iterable[tuple[Segment, Any]]) -> list[str]:
    """Sums of hashes of rows, mod 2**64: no order enters, and sums of disjoint rows add up."""
    total = np.zeros(4, np.uint64)
    for segment, mask in rows:
        high, low, texts = segment.ids[mask, 0], segment.ids[mask, 1], segment.texts[mask]
        columns = [high, low, texts, (high ^ texts) * np.uint64(0x9E3779B97F4A7C15)]
        total = total + np.array([column.sum(dtype=np.uint64) for column in columns])
    return [f"{value:016x}" for value in total.tolist()]


def _tidy(path: Path, header: dict[str, Any]) -> None:
    """Removes what no header names: segments replaced by others, and those of a change that was killed."""
    named = {entry["name"] for entry in [*header["segments"], *header["replaced"].values()]}
    for folder in (path / "segments").glob("*"):
        if folder.name not in named:
            shutil.rmtree(folder, ignore_errors=True)
