"""A zip or a folder as one stream of entries: the same names, bytes and digest for a zip and its unpacked folder.

Nothing is ever extracted. What is checked: entry count, sizes, ratio, traversal, absolute paths, drives, NUL, links,
devices, twins by name or by case, archives inside; archive_zip adds overlap, encryption and CRC. What the entries mean
is not decided here.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dataforge.errors import ArchiveError, CorruptError, InputError
from dataforge.operators.archive_zip import CHUNK, Entry, Limits, clean_name, zip_chunks, zip_entries

NESTED = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar", ".bz2", ".xz", ".jar")


@dataclass(frozen=True)
class Archive:
    """`entries` are sorted by name. `repaired` counts names whose encoding was mended."""

    path: Path
    entries: dict[str, Entry]
    repaired: int

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of an entry. Raises CorruptError at a wrong size or CRC: use nothing of it before the end."""
        entry = self.entries[name]
        if isinstance(entry.place, str):
            return _file_chunks(entry)
        return zip_chunks(self.path, entry, entry.place)

    def read(self, name: str) -> bytes:
        return b"".join(self.chunks(name))

    def digest(self, names: Iterator[str] | list[str]) -> str:
        """Hex sha256 over name, size and sha256 of the named entries, in sorted order."""
        total = hashlib.sha256()
        for name in sorted(names):
            one = hashlib.sha256()
            for chunk in self.chunks(name):
                one.update(chunk)
            total.update(f"{name}\0{self.entries[name].size_bytes}\0{one.hexdigest()}\n".encode())
        return total.hexdigest()


def open_archive(path: str | Path, limits: Limits | None = None, skip: Callable[[str], bool] | None = None) -> Archive:
    """The entries of a zip or a folder that `skip` does not name. Raises ArchiveError, CorruptError or InputError."""
    path, limits = Path(path), limits or Limits()
    if path.is_dir():
        found = _folder_entries(path, limits)
    elif path.is_file():
        found = zip_entries(path, limits)
    else:
        raise InputError("no such file or folder", file=path.name, hint="check the path of the source")
    return _checked(path, found, limits, skip or (lambda name: False))


def stamp_of(path: str) -> str:
    """Differs once a zip, or a file below a folder, was changed: hex sha256 over names, sizes and times of change."""
    places = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names] or [path]
    states = [(place, os.lstat(place)) for place in sorted(places)]
    return hashlib.sha256(repr([(place, s.st_size, s.st_mtime_ns) for place, s in states]).encode()).hexdigest()


def _checked(path: Path, found: Iterator[tuple[Entry, bool]], limits: Limits, skip: Callable[[str], bool]) -> Archive:
    entries: dict[str, Entry] = {}
    folded: set[str] = set()
    total = packed = repaired = 0
    for entry, mended in found:
        _check_name(entry.name)
        if entry.name.casefold() in folded:
            raise ArchiveError("two entries with one name, or names that differ only in case", file=entry.name)
        folded.add(entry.name.casefold())
        if entry.size_bytes > limits.entry_bytes:
            raise ArchiveError(f"entry of {entry.size_bytes} bytes, limit {limits.entry_bytes}", file=entry.name)
        _check_ratio(entry.size_bytes, entry.packed_bytes, limits, entry.name)
        total, packed, repaired = total + entry.size_bytes, packed + entry.packed_bytes, repaired + mended
        if total > limits.total_bytes:
            raise ArchiveError(f"more than {limits.total_bytes} bytes unpacked", file=path.name)
        if skip(entry.name):
            continue
        if entry.name.lower().endswith(NESTED):
            raise ArchiveError("an archive inside the archive", file=entry.name, hint="unpack it by hand first")
        entries[entry.name] = entry
    _check_ratio(total, packed, limits, path.name)
    return Archive(path, dict(sorted(entries.items())), repaired)


def _check_ratio(size: int, packed: int, limits: Limits, name: str) -> None:
    if size > 1 << 20 and size > limits.ratio * max(packed, 1):
        raise ArchiveError(f"unpacks to {size} bytes from {packed}, ratio limit {limits.ratio}", file=name)


def _check_name(name: str) -> None:
    parts = name.split("/")
    bad = (
        any(part in ("", ".", "..") for part in parts)
        or "\\" in name
        or re.match(r"[A-Za-z]:", name)
        or len(name) > 1024
        or (not name.isprintable() and any(unicodedata.category(c) == "Cc" for c in name))
    )
    if bad:
        raise ArchiveError("entry name is not a plain relative path", file=name, hint="do not use this archive")


def _folder_entries(root: Path, limits: Limits) -> Iterator[tuple[Entry, bool]]:
    waiting, count = [""], 0
    while waiting:
        folder = waiting.pop()
        for item in _listed(root, folder):
            raw = f"{folder}{item.name}"
            mode = item.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                waiting.append(raw + "/")
                continue
            if not stat.S_ISREG(mode):
                raise ArchiveError("a link, device or pipe in the folder", file=raw, hint="copy the real file there")
            count += 1
            if count > limits.entries:
                raise ArchiveError(f"more than {limits.entries} files", file=root.name)
            name, size = clean_name(raw), item.stat(follow_symlinks=False).st_size
            yield Entry(name, size, size, str(root / raw)), name != raw


def _listed(root: Path, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / folder) as items:
            return list(items)
    except OSError as error:
        what = f"a folder cannot be listed: {error.strerror}"
        raise InputError(what, file=folder or root.name, hint="check its permissions") from None


def _file_chunks(entry: Entry) -> Iterator[bytes]:
    seen = 0
    with open(str(entry.place), "rb") as file:
        while chunk := file.read(CHUNK):
            seen += len(chunk)
            yield chunk
    if seen != entry.size_bytes:
        raise CorruptError(f"size changed while reading: {entry.size_bytes} bytes, now {seen}", file=entry.name)
