"""WARC and WET files: responses, resources and conversions as documents, one record a row.

Records are framed here, strictly: a version line, headers, exactly Content-Length bytes, two line ends. So a file that
is cut or has lost its framing is known to be damaged, with the byte, and gives nothing; readers that skip to the next
thing that looks like a record lose rows unseen. The key of a row is the file's name, the record's offset and its URI.
HTML becomes text while reading (extract.py): the pages stay in the WARC and are found again by the offset, and a Table
of raw HTML would cost five to ten times the space of its text. Other kinds of record and of content are counted only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dataforge.errors import CorruptError, SchemaError
from dataforge.operator import Rows, SourceFile, Split
from dataforge.operators.extract_process import Extractor
from dataforge.operators.files_html import PageFiles, is_binary
from dataforge.operators.files_http import page_text, parse_http, payload
from dataforge.operators.files_rows import RowBuffer, RowFault, seconds_of, utf8
from dataforge.operators.files_stream import HEAD_BYTES, READ_BYTES, ByteStream

_HEADER_BYTES = 1 << 16
_VERSION = re.compile(rb"WARC/[01]\.\d+\r?\n")
DOCUMENT_KINDS = frozenset(("response", "resource", "conversion"))
_OTHER_KINDS = frozenset(("warcinfo", "request", "metadata", "revisit", "continuation"))
_HTML = ("text/html", "application/xhtml+xml")
_BEGIN_TAG = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body|\?xml)", re.I)


@dataclass(frozen=True)
class WarcRecord:
    """One record. `block` is cut to its head where it is longer than the limit; `length` is its true length."""

    offset: int  # in the decompressed file
    headers: dict[str, str]  # names in lower case
    block: bytes
    length: int

    @property
    def kind(self) -> str:
        return self.headers.get("warc-type", "").lower()

    @property
    def uri(self) -> str:
        return self.headers.get("warc-target-uri", "").strip("<> ")


@dataclass(frozen=True)
class WarcFiles(PageFiles):
    """Documents of WARC and WET files."""

    suffixes = (".warc", ".wet", ".arc")

    def read(self, split: Split) -> Iterator[SourceFile]:
        with Extractor(self.extractor, self.extraction) as extractor:  # one child for all files of a split
            for name in split.files:
                counter = RecordCounter()
                yield SourceFile(name, self._rows(name, counter, extractor), counter.total)

    def _rows(self, name: str, counter: RecordCounter, extractor: Extractor) -> Iterator[Rows]:
        buffer = RowBuffer(self.name, name, self.licence)
        with self.open(name) as stream:
            for number, record in enumerate(warc_records(stream, self.max_row_bytes, counter), 1):
                if record.kind not in DOCUMENT_KINDS:
                    buffer.note(f"record:{record.kind if record.kind in _OTHER_KINDS else 'unknown'}")
                    continue
                key = f"{name}@{record.offset} {record.uri}"
                try:
                    page = page_of(record, self.max_row_bytes)
                    if isinstance(page, Unwanted):
                        buffer.drop(key, page.reason, page.score)
                        continue
                    text = extractor.text(page.text) if page.is_html else page.text
                    created = seconds_of(record.headers.get("warc-date"), "WARC-Date")
                    buffer.add(text, key, record.uri or None, created)
                except RowFault as fault:
                    buffer.quarantine(fault, record.block, line=number, offset=record.offset)
                if buffer.full():
                    yield buffer.take()
        if buffer:
            yield buffer.take()


@dataclass(frozen=True)
class Page:
    text: str
    is_html: bool


@dataclass(frozen=True)
class Unwanted:
    """A record that is no document: a reason for the ledger, and the value that decided where there is one."""

    reason: str
    score: float | None = None


def page_of(record: WarcRecord, limit: int) -> Page | Unwanted:
    """The characters of a record. RowFault where it is too long or its HTTP layer is damaged."""
    if record.length > limit:
        raise RowFault("ROWSIZE", f"expected at most {limit} bytes, found {record.length}")
    content_type = record.headers.get("content-type", "")
    if record.kind == "conversion":
        return Page(utf8(record.block, "the record"), is_html=False)
    body = record.block
    if record.kind == "response" and content_type.lower().startswith("application/http"):
        message = parse_http(record.block)
        if message.status != 200:
            return Unwanted("http_status", float(message.status))
        body, content_type = payload(message, limit), message.headers.get("content-type", "")
    return _page(body, content_type)


def _page(body: bytes, content_type: str) -> Page | Unwanted:
    """HTML and plain text, by content type; where the server gave none, by the first tag."""
    kind = content_type.split(";")[0].strip().lower()
    is_html = kind in _HTML or (not kind and _BEGIN_TAG.match(body) is not None)
    if not is_html and kind != "text/plain":
        return Unwanted("content_type")
    if is_binary(body):
        return Unwanted("binary")
    return Page(page_text(body, content_type), is_html)


@dataclass
class RecordCounter:
    """Records that could be documents, counted where they are framed: no HTTP, decoding or extraction has a say."""

    records: int = 0

    def total(self) -> int:
        return self.records


def warc_records(stream: ByteStream, limit: int, counter: RecordCounter) -> Iterator[WarcRecord]:
    """The records of a file, one after another without a gap. CorruptError, with the byte, where that is not so."""
    reader = _Reader(stream)
    while True:
        reader.skip_line_ends()
        offset = reader.position
        if not reader.fill(1):
            return
        headers = _headers(reader, offset)
        length = _length(reader, headers)
        block = reader.take(min(length, HEAD_BYTES if length > limit else length))
        skipped = reader.skip(length - len(block)) if length > limit else 0
        if len(block) + skipped < length:
            raise reader.damage(f"the record at byte {offset} is cut off: {length} bytes said, {len(block) + skipped} there")
        if not reader.at_line_end():
            raise reader.damage(f"the record at byte {offset} is not followed by a line end: its length is wrong")
        record = WarcRecord(offset, headers, block, length)
        counter.records += record.kind in DOCUMENT_KINDS
        yield record


class _Reader:
    """A stream with a buffer to look ahead in; `_at` is how much of the buffer was taken."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream, self.position, self._buffer, self._at = stream, 0, b"", 0

    def fill(self, size: int) -> bool:
        """Whether `size` bytes are there to be taken."""
        have = len(self._buffer) - self._at
        if have < size:
            pieces = [self._buffer[self._at :]]
            while have < size and (block := self.stream.read(READ_BYTES)):
                pieces.append(block)
                have += len(block)
            self._buffer, self._at = b"".join(pieces), 0
        return have >= size

    def take(self, size: int) -> bytes:
        self.fill(size)
        data = self._buffer[self._at : self._at + size]
        self._at += len(data)
        self.position += len(data)
        return data

    def skip(self, size: int) -> int:
        left = size
        while left and (data := self.take(min(left, READ_BYTES))):
            left -= len(data)
        return size - left

    def head(self) -> bytes:
        """What of the next 64 KiB is there, not taken."""
        self.fill(_HEADER_BYTES)
        return self._buffer[self._at : self._at + _HEADER_BYTES]

    def at_line_end(self) -> bool:
        return not self.fill(1) or self._buffer[self._at : self._at + 1] in (b"\r", b"\n")

    def skip_line_ends(self) -> None:
        while self.fill(1) and self.at_line_end():
            self.take(1)

    def damage(self, what: str) -> CorruptError:
        return CorruptError(what, file=self.stream.name, hint="fetch the file again")


def _headers(reader: _Reader, offset: int) -> dict[str, str]:
    head = reader.head()
    if head.startswith(b"filedesc:"):
        hint = "convert it with `warcio recompress`"
        raise SchemaError("an ARC file, the format before WARC, is not read", file=reader.stream.name, hint=hint)
    if not _VERSION.match(head):
        raise reader.damage(f"expected a WARC record at byte {offset}, found something else")
    ends = [(at, width) for at, width in ((head.find(b"\r\n\r\n"), 4), (head.find(b"\n\n"), 2)) if at >= 0]
    if not ends:
        raise reader.damage(f"the header of the record at byte {offset} has no end within {_HEADER_BYTES} bytes")
    at, width = min(ends)
    lines = reader.take(at + width).decode("utf-8", "replace").splitlines()[1:]
    headers: dict[str, str] = {}
    last = ""
    for line in lines:
        if line[:1] in (" ", "\t") and last:
            headers[last] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if colon:
            last = name.strip().lower()
            headers.setdefault(last, value.strip())
    return headers


def _length(reader: _Reader, headers: dict[str, str]) -> int:
    digits = headers.get("content-length", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise reader.damage(f"the record that ends before byte {reader.position} has no valid Content-Length")
    return int(digits)
