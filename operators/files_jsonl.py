"""JSON Lines, plain or compressed: one object per line, in strict UTF-8, each line a document or a quarantined row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dataforge.operator import Rows, SourceFile
from dataforge.operators.decode import decode_object, holds, lookup
from dataforge.operators.files import FileSource
from dataforge.operators.files_rows import (
    NAMED_COLUMNS,
    OTHER_COLUMNS,
    RowBuffer,
    RowFault,
    key_of,
    seconds_of,
    text_of,
    told,
)
from dataforge.operators.files_stream import LineCounter, Lines, split_lines

_BOM = b"\xef\xbb\xbf"
_SHAPES = 4096  # sets of columns told apart in a file: keys that are data would fill the memory


@dataclass(frozen=True)
class JsonlFiles(FileSource):
    """Rows of JSONL files. Columns may be paths ("payload.text"); a `key` column must be there in every row."""

    VERSION = 3
    suffixes = (".jsonl", ".ndjson", ".jsonlines")

    text: str = "text"
    key: str | None = None
    uri: str | None = None
    created: str | None = None

    def read_file(self, name: str) -> SourceFile:
        counter = LineCounter()
        return SourceFile(name, self._rows(name, counter), counter.total)

    def _rows(self, name: str, counter: LineCounter) -> Iterator[Rows]:
        buffer, columns = RowBuffer(self.name, name, self.licence), Counter[tuple[str, ...]]()
        with self.open(name) as stream:
            for group in split_lines(stream, counter, self.max_row_bytes):
                self._add_lines(group, buffer, columns)
                if buffer.full():
                    yield buffer.take()
        for column, count in self._unread(columns).items():
            buffer.note(f"unread_column:{column}", count)
        if buffer:
            yield buffer.take()

    def _add_lines(self, group: Lines, buffer: RowBuffer, columns: Counter[tuple[str, ...]]) -> None:
        number, offset = group.number, group.offset
        for line in group.lines:  # a loop over rows: decoding them one by one is the strictness
            try:
                if group.too_long:
                    limit = self.max_row_bytes
                    raise RowFault("ROWSIZE", f"expected at most {limit} bytes, found {group.too_long}")
                if line.strip():
                    row = decode_object(line.removeprefix(_BOM) if offset == 0 else line)
                    self._add(row, buffer)
                    columns[tuple(row) if len(columns) < _SHAPES else (OTHER_COLUMNS,)] += 1
            except RowFault as fault:
                buffer.quarantine(fault, line, line=number, offset=offset)
            number, offset = number + 1, offset + len(line) + 1

    def _add(self, row: dict[str, Any], buffer: RowBuffer) -> None:
        value = lookup(row, self.text)
        if value is None and not holds(row, self.text):
            raise _lacks(row, "text", self.text)
        text = text_of(value, f"$.{self.text}")
        if self.key and not holds(row, self.key):
            raise _lacks(row, "key", self.key)
        key = key_of(lookup(row, self.key), f"$.{self.key}") if self.key else None
        uri = lookup(row, self.uri) if self.uri else None
        created = seconds_of(lookup(row, self.created), f"$.{self.created}") if self.created else None
        buffer.add(text, key, None if uri is None else text_of(uri, f"$.{self.uri}"), created)

    def _unread(self, columns: Counter[tuple[str, ...]]) -> dict[str, int]:
        """How many rows carry each column that no setting reads, so that nothing is left out unseen."""
        read = {name.split(".")[0] for name in (self.text, self.key, self.uri, self.created) if name}
        counts = Counter[str]()
        for names, rows in columns.items():
            for name in names:
                if name not in read:
                    counts[told(name)] += rows
        return dict(sorted(counts.items())[:NAMED_COLUMNS])


def _lacks(row: dict[str, Any], setting: str, column: str) -> RowFault:
    found = f"no such key, the row has {_named(row)}; `{setting}:` of the source names it"
    return RowFault("SCHEMA", f"$.{column}: {found}")


def _named(row: dict[str, Any]) -> str:
    """The first keys of a row: `body, id, …`; `none` for an empty object."""
    return ", ".join([*dict.fromkeys(told(name) for name in list(row)[:5]), *(["…"] if len(row) > 5 else [])]) or "none"
