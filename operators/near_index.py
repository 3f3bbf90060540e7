"""A living index of texts for near-duplicates: what earlier data held, so that later data can be compared with it.

    INDEX/index.json          the header: parameters, version, additions, the segments that count with the sha256 of each
                              file, and a checksum of itself. Replaced whole
    INDEX/segments/NAME/      immutable arrays (near_segment), checked against the header once in a process

It holds hashes of shingles, never texts; near_index_change adds and removes. Each addition has an origin, so that a run
that comes again after its own rows were added compares with the same rows as before: `digest` and `find` leave one
origin out, and put the rows back that it replaced. To everyone else a replaced row is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.errors import ConfigError, InputError, VerifyError, VersionError
from dataforge.identity import digest_of, pack_ids, packed_bytes, unpack_ids
from dataforge.kernels.bands import band_keys
from dataforge.kernels.jaccard import at_least, overlaps
from dataforge.kernels.minhash import MinHashSpec, shingle_hashes, signatures
from dataforge.operators.near_segment import Batch, Segment, checked, lookup

FORMAT = 2
WAY_OUT = "restore the folder from a copy, or delete it and run `dataforge index add` again for each config it was made of"
MOST_OF_A_BUCKET = 1000  # texts of one segment compared for one band of a text
SHINGLES_AT_ONCE = 1 << 23  # of candidates, held in memory


@dataclass(frozen=True)
class Shape:
    """All that two sets of band keys must have in common to be compared."""

    spec: MinHashSpec = field(default_factory=MinHashSpec)
    bands: int = 18
    rows: int = 7

    def document(self) -> dict[str, Any]:
        return {**self.spec.metadata(), "bands": self.bands, "rows": self.rows}

    def batch(self, ids: pa.Array, texts: pa.Array, text_hashes: pa.Array, origin: int) -> tuple[Batch, int]:
        """What the index holds of texts, and how many of them have no word and so are left out."""
        signed = signatures(texts, self.spec)
        worded = np.flatnonzero(signed.words > 0)
        chosen = texts.take(pa.array(worded))
        offsets, shingles = shingle_hashes(chosen, self.spec)
        batch = Batch(
            packed_words(ids.take(pa.array(worded))),
            packed_words(text_hashes.take(pa.array(worded)))[:, 0].copy(),
            np.full(len(worded), origin, np.uint32),
            offsets,
            shingles,
            band_keys(signed.values[worded], self.bands, self.rows),
        )
        return batch, len(texts) - len(worded)


def packed_words(ids: pa.Array) -> np.ndarray:
    """uint64[n, 2] of ids (32 hex digits), whose order is theirs."""
    return packed_bytes(pack_ids(ids)).view(">u8").astype(np.uint64).reshape(-1, 2)


def unpacked(words: np.ndarray) -> pa.Array:
    """The inverse of `packed_words`."""
    raw = pa.py_buffer(np.ascontiguousarray(words).astype(">u8").tobytes())
    return unpack_ids(pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(words), [None, raw]))


@dataclass(frozen=True)
class Match:
    """A text of the index that is like a text asked for."""

    row: int  # of the texts asked for
    id: str
    common: int  # shingles in both
    union: int  # shingles in either

    @property
    def jaccard(self) -> float:
        return self.common / self.union


@dataclass(frozen=True)
class NearIndex:
    """One version of an index. `header` is the parsed `index.json`; an index that is not there yet is an empty one."""

    path: Path
    header: dict[str, Any]

    @classmethod
    def open(cls, path: Path, shape: Shape) -> NearIndex:
        """Raises ConfigError for other parameters, VersionError for another format, InputError or VerifyError for damage."""
        index = cls.peek(path) or cls(path, empty_header(shape))
        wanted, found = shape.document(), index.header["shape"]
        if wanted != found:
            name = next(key for key in sorted({*wanted, *found}) if wanted.get(key) != found.get(key))
            what = f"the index was made with {name} {found.get(name)}, the config asks for {wanted.get(name)}"
            raise ConfigError(what, file=str(path), key="dedupe.index", hint="name another index, or the old parameters")
        return index

    @classmethod
    def peek(cls, path: Path) -> NearIndex | None:
        """The index as it lies there, whatever its parameters; None where there is none."""
        try:
            header = json.loads((path / "index.json").read_bytes())
            whole = isinstance(header, dict) and header.pop("checksum", None) == digest_of(header)
        except (FileNotFoundError, NotADirectoryError):
            if path.exists() and (not path.is_dir() or any(child.name[0] != "." for child in path.iterdir())):
                raise InputError("is no index", file=str(path), hint="name a folder of its own") from None
            return None
        except (OSError, ValueError, RecursionError) as error:
            what, file = "the header of the index is not readable JSON", str(path / "index.json")
            raise InputError(what, file=file, hint=WAY_OUT) from error
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            what = f"index format {header.get('format') if isinstance(header, dict) else '?'}, expected {FORMAT}"
            raise VersionError(what, file=str(path), hint="make the index anew with this version of dataforge")
        if not whole:
            what, file = "the header of the index differs from its checksum", str(path / "index.json")
            raise VerifyError(what, file=file, hint=WAY_OUT)
        return cls(path, header)

    def _opened(self, entry: dict[str, Any]) -> Segment:
        folder = self.path / "segments" / entry["name"]
        try:
            return checked(folder, entry["size_bytes"], entry["sha256"])
        except VerifyError as error:
            raise VerifyError(error.what, file=error.file, hint=WAY_OUT) from None
        except OSError as error:
            hint = f"if another command changed the index meanwhile, run this one again; otherwise {WAY_OUT}"
            raise InputError("a file of the index cannot be read", file=str(folder), hint=hint) from error

    @cached_property
    def segments(self) -> list[Segment]:
        return [self._opened(entry) for entry in self.header["segments"]]

    @cached_property
    def replaced(self) -> dict[str, Segment]:
        """The rows of others that each origin replaced, as they were: earlier data to that origin alone."""
        return {origin: self._opened(entry) for origin, entry in self.header["replaced"].items()}

    @property
    def documents(self) -> int:
        return sum(entry["documents"] for entry in self.header["origins"].values())

    def digest(self, *, without: str = "") -> str:
        """Hex sha256 of the parameters and of the rows held, as they are to one origin. No order of additions enters."""
        seen = [entry["sums"] for key, entry in self.header["origins"].items() if key != without]
        seen += [entry["sums"] for key, entry in self.header["replaced"].items() if key == without]
        sums = [sum(int(one[i], 16) for one in seen) % 2**64 for i in range(4)]
        return digest_of({"format": FORMAT, "shape": self.header["shape"], "rows": [f"{value:016x}" for value in sums]})

    def holds(self, ids: np.ndarray) -> np.ndarray:
        """bool[n]: which ids (uint64[n, 2]) are there."""
        found = np.zeros(len(ids), bool)
        for segment in self.segments:
            found |= segment.rows_of(ids) >= 0
        return found

    def find(self, texts: pa.Array, shape: Shape, threshold: float, *, without: str = "") -> Iterator[Match]:
        """Every text of the index with Jaccard >= threshold, by row, best first, then by id."""
        signed = signatures(texts, shape.spec)
        worded = np.flatnonzero(signed.words > 0)
        own = shingle_hashes(texts, shape.spec)
        keys = band_keys(signed.values[worded], shape.bands, shape.rows)
        skipped = self.header["origins"].get(without, {}).get("number")
        found: list[Match] = []
        aside = self.replaced.get(without)
        for segment in [*self.segments, *([aside] if aside else [])]:
            owners, rows = lookup(segment.bands, keys.reshape(-1), most=MOST_OF_A_BUCKET)
            pairs = np.unique(np.stack([worded[owners // shape.bands], rows], axis=1), axis=0)
            if skipped is not None and segment is not aside and len(pairs):
                pairs = pairs[segment.origins[pairs[:, 1]] != skipped]
            for piece in _pieces(segment, pairs):
                found += _verified(segment, own, piece, threshold)
        yield from sorted(found, key=lambda match: (match.row, -Fraction(match.common, match.union), match.id))


def _pieces(segment: Segment, pairs: np.ndarray) -> Iterator[np.ndarray]:
    """The pairs by candidate, cut so that the shingles of a piece fit in memory."""
    pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
    sizes = segment.ends[pairs[:, 1] + 1] - segment.ends[pairs[:, 1]]
    pieces = np.cumsum(sizes) // SHINGLES_AT_ONCE
    yield from np.split(pairs, np.flatnonzero(np.diff(pieces)) + 1) if len(pairs) else ()


def _verified(segment: Segment, own: tuple[Any, Any], pairs: np.ndarray, threshold: float) -> Iterator[Match]:
    rows, places = np.unique(pairs[:, 1], return_inverse=True)
    common, union = overlaps(own, segment.shingles_of(rows), np.stack([pairs[:, 0], places], axis=1))
    good = np.flatnonzero(at_least(common, union, threshold))
    names = unpacked(segment.ids[pairs[good, 1]]).to_pylist()
    for place, name in zip(good.tolist(), names, strict=True):
        yield Match(int(pairs[place, 0]), name, int(common[place]), int(union[place]))


def empty_header(shape: Shape) -> dict[str, Any]:
    return {"format": FORMAT, "shape": shape.document(), "version": 0, "origins": {}, "segments": [], "replaced": {}}
