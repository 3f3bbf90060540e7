"""The directory and the entries of a zip file, read by own code with limits.

`zipfile` reads overlapping entries, believes the sizes it is told and builds every entry before anyone can count them.
Here entries are counted while they are listed, may not overlap, and unpack to no more than they declare. Only stored
and deflated entries are read; encrypted ones, links and devices are refused.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dataforge.errors import ArchiveError, CorruptError

CHUNK = 1 << 18
ESCAPED_NAME = re.compile(r"#U([0-9a-f]{4})")  # how some unzip programs write what they cannot represent


@dataclass(frozen=True)
class Limits:
    """Above any of these an archive is refused. A day file of a busy channel is a few MB, a whole export a few GB."""

    ratio: int = 200  # unpacked : packed, of entries above 1 MiB and of the whole
    entries: int = 200_000
    entry_bytes: int = 256 << 20
    total_bytes: int = 64 << 30


@dataclass(frozen=True)
class Entry:
    name: str  # relative, "/" between parts, NFC
    size_bytes: int  # unpacked
    packed_bytes: int
    place: str | int  # folder: the path on disk; zip: offset of the local header
    method: int = 0
    crc: int = 0
    end: int = 0  # zip: where the next entry (or the directory) begins


def clean_name(name: str) -> str:
    """NFC, with the `#U00e9` forms of some unzip programs undone, so that zip and folder agree."""
    if name.isascii() and "#U" not in name:
        return name
    return unicodedata.normalize("NFC", ESCAPED_NAME.sub(lambda m: chr(int(m[1], 16)), name))


@dataclass(frozen=True)
class _Directory:
    offset: int
    size: int
    count: int


def zip_entries(path: Path, limits: Limits) -> Iterator[tuple[Entry, bool]]:
    with open(path, "rb") as file:
        where = _find_directory(file, path.name)
        if where.count > limits.entries:
            raise ArchiveError(f"{where.count} entries, limit {limits.entries}", file=path.name)
        if where.count == 0:
            raise ArchiveError("the zip is empty", file=path.name)
        file.seek(where.offset)
        listed = list(_directory_entries(file, where, limits, path.name))
    listed.sort(key=lambda item: item[0].place)
    ends = [entry.place for entry, _ in listed[1:]] + [where.offset]
    for (entry, mended), end in zip(listed, ends, strict=True):
        if int(entry.place) + 30 + entry.packed_bytes > int(end):
            raise ArchiveError("entries overlap", file=entry.name, hint="do not use this archive")
        if not entry.name.endswith("/"):
            yield (
                Entry(entry.name, entry.size_bytes, entry.packed_bytes, entry.place, entry.method, entry.crc, int(end)),
                mended,
            )


def _find_directory(file: BinaryIO, name: str) -> _Directory:
    """End-of-directory record, at most 64 KiB before the end; its 64-bit twin when a field says so."""
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, size - 65_557))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        raise CorruptError("not a zip file, or its end is cut off", file=name)
    disk, first, here, count, length, offset = struct.unpack_from("<HHHHII", tail, at + 4)
    end = start + at
    if 0xFFFF in (count, here) or 0xFFFFFFFF in (length, offset):
        if at < 20 or tail[at - 20 : at - 16] != b"PK\6\7":
            raise CorruptError("64-bit directory record is missing", file=name)
        end = struct.unpack_from("<Q", tail, at - 12)[0]
        file.seek(min(end, size))
        record = file.read(56)
        if len(record) < 56 or record[:4] != b"PK\6\6":
            raise CorruptError("64-bit directory record is damaged", file=name)
        here, count, length, offset = struct.unpack_from("<QQQQ", record, 24)
    if disk or first or here != count:
        raise CorruptError("zip in several volumes", file=name, hint="join them first")
    if offset + length != end:
        raise CorruptError(f"directory of {length} bytes at {offset} does not end at {end}", file=name)
    return _Directory(offset, length, count)


def _directory_entries(file: BinaryIO, where: _Directory, limits: Limits, archive: str) -> Iterator[tuple[Entry, bool]]:
    left, count = where.size, 0
    while left > 0:
        head = file.read(46)
        if len(head) < 46 or head[:4] != b"PK\1\2":
            raise CorruptError("damaged directory", file=archive)
        system, flags, method, crc, packed, size, name_len, extra_len, note_len, attributes, offset = struct.unpack(
            "<4x1xB2xHH4xIIIHHH4xII", head
        )
        raw, extra = file.read(name_len), file.read(extra_len)
        file.seek(note_len, os.SEEK_CUR)
        left -= 46 + name_len + extra_len + note_len
        count += 1
        if count > where.count or count > limits.entries:
            raise ArchiveError(f"more entries than the {where.count} it declares", file=archive)
        size, packed, offset = _wide(extra, size, packed, offset)
        name, mended = _zip_name(raw, bool(flags & 0x800))
        _check_kind(name, flags, method, attributes >> 16 if system == 3 else 0)
        yield Entry(name, size, packed, offset, method, crc), mended
    if left or count != where.count:
        raise CorruptError(f"{count} entries, {where.count} declared", file=archive)


def _wide(extra: bytes, *values: int) -> list[int]:
    """Sizes and offset that are all ones stand, in this order, in the 64-bit extra field."""
    found: list[int] = []
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            found = [n[0] for n in struct.iter_unpack("<Q", body[: len(body) // 8 * 8])]
        at += 4 + length
    wide = iter(found)
    return [next(wide, value) if value == 0xFFFFFFFF else value for value in values]


def _zip_name(raw: bytes, is_utf8: bool) -> tuple[str, bool]:
    """Names without the UTF-8 flag are cp437, but many writers forget the flag: valid UTF-8 is taken as such."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if is_utf8:
            raise ArchiveError("entry name is not UTF-8", file=raw.decode("cp437")) from error
        return clean_name(raw.decode("cp437")), False
    clean = clean_name(name)
    return clean, clean != name or (not is_utf8 and not name.isascii())


def _check_kind(name: str, flags: int, method: int, mode: int) -> None:
    if flags & 0x41:
        raise ArchiveError("encrypted entry", file=name, hint="decrypt the archive first")
    if method not in (0, 8):
        raise ArchiveError(f"compression method {method}; only stored and deflated are read", file=name)
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError("a link, device or pipe in the archive", file=name, hint="do not use this archive")


def zip_chunks(path: Path, entry: Entry, offset: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        file.seek(offset)
        head = file.read(30)
        if len(head) < 30 or head[:4] != b"PK\3\4":
            raise CorruptError("no entry at its place", file=entry.name)
        name_len, extra_len = struct.unpack_from("<HH", head, 26)
        start = file.seek(name_len + extra_len, os.SEEK_CUR)
        if start + entry.packed_bytes > entry.end:
            raise ArchiveError("entries overlap", file=entry.name, hint="do not use this archive")
        seen = crc = 0
        for chunk in _inflated(file, entry):
            seen, crc = seen + len(chunk), zlib.crc32(chunk, crc)
            if seen > entry.size_bytes:
                raise ArchiveError(f"unpacks to more than the {entry.size_bytes} bytes it declares", file=entry.name)
            yield chunk
    if seen != entry.size_bytes or crc != entry.crc:
        raise CorruptError(f"{seen} bytes of {entry.size_bytes}, or a wrong CRC", file=entry.name)


def _inflated(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """At most CHUNK bytes at a time, however far the data would unpack."""
    left = entry.packed_bytes
    inflate = zlib.decompressobj(-15) if entry.method == 8 else None
    while left > 0:
        block = file.read(min(CHUNK, left))
        if not block:
            raise CorruptError("entry is cut off", file=entry.name)
        left -= len(block)
        if inflate is None:
            yield block
            continue
        try:
            while block:
                yield inflate.decompress(block, CHUNK)
                block = inflate.unconsumed_tail
        except zlib.error as error:
            raise CorruptError("compressed data is damaged", file=entry.name) from error
    if inflate is not None:
        yield inflate.flush()
