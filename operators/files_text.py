"""Text files: a whole file is one document, or each of its paragraphs or lines is.

UTF-8 unless the config says otherwise; a file in another encoding is a quarantined row, not a guess, except where
`encoding: auto` asks for a guess (charset-normalizer, a function of the bytes alone).
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from dataforge.errors import ConfigError
from dataforge.operator import Rows, SourceFile
from dataforge.operators.files import FileSource
from dataforge.operators.files_rows import RowBuffer, RowFault, decoded
from dataforge.operators.files_stream import HEAD_BYTES, READ_BYTES, ByteStream

_PARAGRAPH = re.compile(r"(?:[ \t]*\n){2,}")
# Suffixes of files that are more than their text, and what to do with them.
NOT_PLAIN = {
    **dict.fromkeys((".html", ".htm", ".xhtml"), "tags would stand in the texts; `kind: html` takes the text out"),
    **dict.fromkeys((".mbox", ".eml"), "headers and attachments would; write the bodies into JSONL, a message a line"),
    **dict.fromkeys((".rtf", ".xml"), "its markup would stand in the texts; write the plain text into files or JSONL"),
}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class TextFiles(FileSource):
    """Documents of text files. The key of a whole file is its path; paragraphs and lines have none of their own."""

    suffixes = (".txt", ".text", ".md", ".markdown", ".rst", ".adoc", ".org", ".tex")

    split: str = "file"  # file | paragraphs | lines
    encoding: str = "utf-8"  # utf-8 | auto | the name of a codec

    def __post_init__(self) -> None:
        if self.split not in ("file", "paragraphs", "lines"):
            raise ConfigError("expected file, paragraphs or lines", key="split")
        try:
            codecs.lookup("utf-8" if self.encoding == "auto" else self.encoding)
        except LookupError:
            raise ConfigError("expected utf-8, auto or the name of an encoding", key="encoding") from None

    def read_file(self, name: str) -> SourceFile:
        whole = self.split == "file"
        return SourceFile(name, self._rows(name), lambda: 1 if whole else None)

    def _rows(self, name: str) -> Iterator[Rows]:
        buffer = RowBuffer(self.name, name, self.licence)
        with self.open(name) as stream:
            raw, size = read_capped(stream, self.max_row_bytes)
        try:
            check_size(size, self.max_row_bytes)
            text = decode_text(raw, self.encoding)
        except RowFault as fault:
            buffer.quarantine(fault, raw, line=1, offset=0)
        else:
            for piece in _pieces(text, self.split):
                buffer.add(piece, name if self.split == "file" else None, name, None)
                if buffer.full():
                    yield buffer.take()
        if buffer:
            yield buffer.take()


def not_plain(names: Iterable[str]) -> tuple[str, ...]:
    """What to say of files that a text source reads as they stand, markup and all: a sentence per suffix."""
    suffixes = Counter(PurePosixPath(re.sub(r"\.(gz|zst)$", "", name.lower())).suffix for name in names)
    found = sorted((suffix, n) for suffix, n in suffixes.items() if suffix in NOT_PLAIN)
    return tuple(f"files in {suffix} ({n}) are read as plain text: {NOT_PLAIN[suffix]}" for suffix, n in found)


def read_capped(stream: ByteStream, limit: int) -> tuple[bytes, int]:
    """(the bytes, or just their head where there are more than `limit`; how many there are)."""
    blocks: list[bytes] = []
    size = 0
    while block := stream.read(READ_BYTES):
        size += len(block)
        blocks = [*blocks, block] if size <= limit else [blocks[0][:HEAD_BYTES] if blocks else block[:HEAD_BYTES]]
    return b"".join(blocks), size


def check_size(size: int, limit: int) -> None:
    """Raises RowFault for a file that is one row and has more bytes than a row may."""
    if size > limit:
        raise RowFault("ROWSIZE", f"expected at most {limit} bytes, found {size}")


def decode_text(raw: bytes, encoding: str) -> str:
    """Text of a file. A byte order mark decides; then `encoding`, for "auto" UTF-8 and else the likeliest encoding."""
    for mark, codec in _MARKS:
        if raw.startswith(mark):
            return decoded(raw.removeprefix(codecs.BOM_UTF8), "the file", codec)
    try:
        return decoded(raw, "the file", "utf-8" if encoding == "auto" else encoding)
    except RowFault:
        if encoding != "auto":
            raise
    from charset_normalizer import from_bytes

    best = from_bytes(raw).best()
    if best is None:
        raise RowFault("ENCODING", "no encoding fits the file")
    return str(best)


def _pieces(text: str, split: str) -> Iterator[str]:
    if split == "file":
        yield text
        return
    text = text.replace("\r\n", "\n")
    pieces = _PARAGRAPH.split(text) if split == "paragraphs" else text.split("\n")
    for piece in pieces:
        if piece.strip():
            yield piece.strip("\n")
