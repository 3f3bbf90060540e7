"""CSV and TSV by RFC 4180, strictly: a row whose quotes or number of fields do not fit is quarantined, the rest kept.

The first row names the columns. A quote that is never closed costs only its own line: reading goes on with the next.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dataforge.errors import ConfigError, SchemaError
from dataforge.operator import Rows, SourceFile
from dataforge.operators.files import FileSource
from dataforge.operators.files_rows import (
    RowBuffer,
    RowFault,
    decoded,
    key_of,
    named_columns,
    seconds_of,
    unread_notes,
)
from dataforge.operators.files_stream import ByteStream, LineCounter, split_lines


@dataclass(frozen=True)
class Line:
    """One physical line without its newline. `size` is its true length where it was cut for being too long."""

    number: int
    offset: int
    raw: bytes
    size: int


@dataclass(frozen=True)
class CsvFiles(FileSource):
    """Rows of CSV files. `delimiter` "auto" is a tab for .tsv and a comma otherwise. `encoding` is one whose ASCII is
    ASCII, as UTF-8, cp1252 and shift_jis are: lines, quotes and delimiters are found in the bytes."""

    VERSION = 3
    suffixes = (".csv", ".tsv")

    text: str = "text"
    key: str | None = None
    uri: str | None = None
    created: str | None = None
    delimiter: str = "auto"
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if not keeps_ascii(self.encoding):
            hint = "name the codec, e.g. cp1252; save UTF-16 as UTF-8 first"
            raise ConfigError("expected the name of an encoding that extends ASCII", key="encoding", hint=hint)
        if self.delimiter != "auto" and (
            len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n'
        ):
            raise ConfigError('expected "auto" or one ASCII character that is no quote or newline', key="delimiter")

    def read_file(self, name: str) -> SourceFile:
        counter = RecordCounter()
        return SourceFile(name, self._rows(name, counter), counter.total)

    def _rows(self, name: str, counter: RecordCounter) -> Iterator[Rows]:
        buffer, header, count = RowBuffer(self.name, name, self.licence), None, 0
        with self.open(name) as stream:
            for line, raw, fields in self._records(stream, counter, name):
                if header is None:
                    header = self._header(fields, name)
                    continue
                try:
                    self._add(buffer, header, fields)
                    count += 1
                except RowFault as fault:
                    counter.exact = False
                    buffer.quarantine(fault, raw, line=line.number, offset=line.offset)
                if buffer.full():
                    yield buffer.take()
        for note, rows in unread_notes(header or (), (self.text, self.key, self.uri, self.created), count).items():
            buffer.note(note, rows)
        if buffer:
            yield buffer.take()

    def _records(self, stream: ByteStream, counter: LineCounter, name: str) -> Records:
        delimiter = self.delimiter_of(name)
        return records(stream, counter, delimiter, self.max_row_bytes, encoding=self.encoding)

    def delimiter_of(self, name: str) -> str:
        if self.delimiter != "auto":
            return self.delimiter
        return "\t" if ".tsv" in name.lower() else ","

    def _header(self, fields: list[str] | RowFault, name: str) -> dict[str, int]:
        if isinstance(fields, RowFault):
            raise SchemaError(f"the header is no CSV row: {fields.reason}", file=name, row=1)
        if len(set(fields)) < len(fields):
            raise SchemaError("the header names a column twice", file=name, row=1, hint="rename one of the columns")
        header = {column: at for at, column in enumerate(fields)}
        for column in (self.text, self.key, self.uri, self.created):
            if column is not None and column not in header:
                what = f"expected column '{column}', {named_columns(fields, column)}"
                raise SchemaError(what, file=name, row=1, key=column, hint="set the column's name in the config")
        return header

    def _add(self, buffer: RowBuffer, header: dict[str, int], fields: list[str] | RowFault) -> None:
        if isinstance(fields, RowFault):
            raise fields
        if len(fields) != len(header):
            raise RowFault("SCHEMA", f"expected {len(header)} fields, found {len(fields)}")

        def value(column: str | None) -> Any:
            return fields[header[column]] if column else None

        key = key_of(value(self.key), self.key) if self.key else None
        created = seconds_of(value(self.created), str(self.created))
        buffer.add(value(self.text), key, value(self.uri) or None, created)


@dataclass
class RecordCounter(LineCounter):
    """Counts records from the raw bytes: line ends outside quotes, less the header.

    Where a row broke the quoting rules, quotes say nothing about lines any more: then there is no count.
    """

    exact: bool = True
    _quotes: int = 0

    def feed(self, block: bytes) -> None:
        for number, piece in enumerate(block.split(b"\n")):
            if number and self._quotes % 2 == 0:
                self.lines, self._open = self.lines + self._open, False
            self._quotes += piece.count(b'"')
            self._open = self._open or bool(piece.strip(b"\r"))

    def total(self) -> int | None:  # type: ignore[override]
        return max(0, self.lines + self._open - 1) if self.exact else None


@dataclass(frozen=True)
class Grammar:
    """RFC 4180 for one delimiter, as patterns that never backtrack: time is linear in the record."""

    whole: re.Pattern[bytes]  # a complete record
    opened: re.Pattern[bytes]  # the first line of a record whose last field is quoted and goes on in the next line
    field: re.Pattern[str]

    @staticmethod
    def of(delimiter: str) -> Grammar:
        d, quoted = re.escape(delimiter), r'"[^"]*+(?:""[^"]*+)*+'
        field = rf'(?:{quoted}"|[^"\r\n{d}]*+)'
        return Grammar(
            re.compile(rf"{field}(?:{d}{field})*+".encode()),
            re.compile(rf"(?:{field}{d})*+{quoted}".encode()),
            re.compile(rf'"([^"]*+(?:""[^"]*+)*+)"|([^"\r\n{d}]*+)'),
        )

    def fields(self, record: str) -> list[str]:
        """Fields of a whole record, without their quotes; doubled quotes inside become single."""
        found, at = [], 0
        while match := self.field.match(record, at):
            inner = match.group(1)
            found.append(match.group(2) if inner is None else inner.replace('""', '"'))
            at = match.end() + 1
            if at > len(record):
                break
        return found


Records = Iterator[tuple[Line, bytes, list[str] | RowFault]]


def records(
    stream: ByteStream, counter: LineCounter, delimiter: str, max_row_bytes: int, *, encoding: str = "utf-8"
) -> Records:
    """Each record of a CSV stream: its first line, its bytes, its fields or why it has none.

    Linear: a line that opens a quote holds an odd number of them and so ends the search of any line before it.
    """
    grammar = Grammar.of(delimiter)
    source, again = _physical_lines(stream, counter, max_row_bytes), deque[Line]()
    while (line := again.popleft() if again else next(source, None)) is not None:
        if not line.raw.strip(b"\r"):
            continue
        lines, size = [line], line.size
        odd = bool(grammar.opened.fullmatch(line.raw)) and line.size == len(line.raw)
        while odd and size <= max_row_bytes and (more := again.popleft() if again else next(source, None)):
            lines.append(more)
            size += more.size + 1
            odd = more.raw.count(b'"') % 2 == 0
        record = b"\n".join(part.raw for part in lines).removesuffix(b"\r")
        fault = _fault(record, grammar, odd=odd, size=size, limit=max_row_bytes)
        if fault and len(lines) > 1:  # only the first line is to blame; what follows it is read again
            again.extendleft(reversed(lines[1:]))
        yield line, line.raw if fault else record, fault or _fields(record, grammar, encoding)


def _fields(record: bytes, grammar: Grammar, encoding: str) -> list[str] | RowFault:
    try:
        return grammar.fields(decoded(record, "the row", encoding))
    except RowFault as fault:
        return fault


def keeps_ascii(encoding: str) -> bool:
    ascii_bytes = bytes(range(128))
    try:
        return ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
    except (LookupError, UnicodeError):
        return False


def _fault(record: bytes, grammar: Grammar, *, odd: bool, size: int, limit: int) -> RowFault | None:
    if size > limit:
        return RowFault("ROWSIZE", f"expected at most {limit} bytes, found {size}" + " in an open quote" * odd)
    if odd:
        return RowFault("SCHEMA", "a quote is opened and never closed")
    if not grammar.whole.fullmatch(record):
        if b"\r" in record and b'"' not in record:
            return RowFault("SCHEMA", "a carriage return inside a row: rows end with LF or CRLF")
        return RowFault("SCHEMA", "expected quotes only around a field and doubled inside it (RFC 4180)")
    return None


def _physical_lines(stream: ByteStream, counter: LineCounter, limit: int) -> Iterator[Line]:
    for group in split_lines(stream, counter, limit):
        number, offset = group.number, group.offset
        for raw in group.lines:
            bare = raw.removeprefix(b"\xef\xbb\xbf") if offset == 0 else raw
            yield Line(number, offset, bare, group.too_long or len(bare))
            number, offset = number + 1, offset + len(raw) + 1
