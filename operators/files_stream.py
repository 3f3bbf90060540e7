"""Bytes of one input file, decompressed, with every kind of damage turned into a CorruptError that names the byte.

Plain, gzip and Zstandard files are told apart by their first bytes; several members or frames in a row are one file.
A cut file, a wrong checksum and a tail that is no member are all damage. Memory is bounded by the read size.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa

from dataforge.errors import CorruptError

READ_BYTES = 1 << 20
HEAD_BYTES = 8192  # kept of a row that is too long: enough for the 4 KiB that a quarantined row shows
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIX = {".gz": "gzip", ".zst": "zstd"}


class ByteStream:
    """Reads `name` from the start. `read(n)` gives n decompressed bytes, fewer only at the end of an undamaged file."""

    def __init__(self, open_file: Callable[[], BinaryIO], name: str) -> None:
        self._open, self.name, self.position = open_file, name, 0
        self._file = open_file()
        self._codec = self._find_codec()
        self._source = self._decompressor()

    def _find_codec(self) -> str | None:
        head = self._file.read(4)
        self._file.seek(0)
        codec = next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), None)
        named = next((codec for suffix, codec in _SUFFIX.items() if self.name.lower().endswith(suffix)), None)
        if named and codec != named:
            state = "is empty" if not head else f"does not begin as a {named} file"
            raise CorruptError(f"the file {state} (byte 0)", file=self.name, hint="fetch the file again or rename it")
        return codec

    def _decompressor(self) -> Any:
        if self._codec is None:
            return self._file
        return pa.CompressedInputStream(pa.PythonFile(self._file, mode="r"), self._codec)

    def read(self, size: int = READ_BYTES) -> bytes:
        try:
            data: bytes = self._source.read(size)
        except (OSError, pa.ArrowException, EOFError, ValueError):
            if self._codec is None:  # plain bytes cannot be damaged: the medium failed
                raise
            raise self._damage(self._codec) from None
        self.position += len(data)
        return data

    def _damage(self, codec: str) -> CorruptError:
        offset, what = damaged_at(self._open, codec)
        return CorruptError(
            f"{codec} data is {what} at byte {offset} of the file", file=self.name, hint="fetch the file again"
        )

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(READ_BYTES):
            yield data

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def damaged_at(open_file: Callable[[], BinaryIO], codec: str) -> tuple[int, str]:
    """Walks a damaged file once more, in small steps, and returns (byte offset in the file, what is wrong there).

    Cut files give their length; a wrong checksum or header the place where the member begins to be wrong, within 4 KiB.
    """
    import zstandard

    def new_member() -> Any:
        return zlib.decompressobj(31) if codec == "gzip" else zstandard.ZstdDecompressor().decompressobj()

    magic = next(magic for magic, name in _MAGIC.items() if name == codec)
    member, offset, inside = new_member(), 0, False
    with open_file() as file:
        while data := file.read(4096):
            while data:
                try:
                    member.decompress(data)
                except (zlib.error, zstandard.ZstdError):
                    strange = not inside and not data.startswith(magic)
                    return offset, "followed by bytes that are no member" if strange else "corrupt"
                inside = True
                left = member.unused_data if member.eof else b""
                offset += len(data) - len(left)
                data = left
                if member.eof:
                    member, inside = new_member(), False
    return offset, "cut off"


@dataclass
class LineCounter:
    """Counts lines that hold more than white space, from the raw blocks alone: the check on the reader."""

    lines: int = 0
    _open: bool = field(default=False)

    def feed(self, block: bytes) -> None:
        first, *rest = block.split(b"\n")
        self._open = self._open or bool(first.strip())
        if rest:
            self.lines += self._open + sum(map(bool, map(bytes.strip, rest[:-1])))
            self._open = bool(rest[-1].strip())

    def total(self) -> int:
        return self.lines + self._open


@dataclass(frozen=True)
class Lines:
    """Whole lines that follow each other. `number` is 1-based; `offset` is that of the first, decompressed."""

    number: int
    offset: int
    lines: list[bytes]  # without their newline
    too_long: int = 0  # length in bytes of a line over the limit: then `lines` holds just its head


def split_lines(stream: ByteStream, counter: LineCounter, max_line_bytes: int) -> Iterator[Lines]:
    """The stream as groups of lines. A line longer than `max_line_bytes` comes alone and cut, never held whole."""
    number, offset, rest = 1, 0, b""
    blocks = _counted(stream, counter)
    block = next(blocks, b"")
    while block:
        lines = (rest + block).split(b"\n")
        rest, block = lines.pop(), b""
        yield from _apart(lines, number, offset, max_line_bytes)
        number, offset = number + len(lines), offset + sum(map(len, lines)) + len(lines)
        if len(rest) > max_line_bytes:
            length, block = _skip_line(blocks, len(rest))
            yield Lines(number, offset, [rest[:HEAD_BYTES]], too_long=length)
            number, offset, rest = number + 1, offset + length + 1, b""
        block = block or next(blocks, b"")
    if rest:
        yield Lines(number, offset, [rest])


def _counted(stream: ByteStream, counter: LineCounter) -> Iterator[bytes]:
    for block in stream:
        counter.feed(block)
        yield block


def _apart(lines: list[bytes], number: int, offset: int, limit: int) -> Iterator[Lines]:
    """Lines in one group, or each alone where one of them is too long."""
    if lines and max(map(len, lines)) <= limit:
        yield Lines(number, offset, lines)
        return
    for line in lines:
        long = len(line) > limit
        yield Lines(number, offset, [line[:HEAD_BYTES] if long else line], too_long=len(line) if long else 0)
        number, offset = number + 1, offset + len(line) + 1


def _skip_line(blocks: Iterator[bytes], length: int) -> tuple[int, bytes]:
    """Reads up to the next newline and returns (length of the line, what was read behind it)."""
    for block in blocks:
        at = block.find(b"\n")
        if at >= 0:
            return length + at, block[at + 1 :]
        length += len(block)
    return length, b""
