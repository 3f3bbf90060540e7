"""Parquet files: the columns that the config names, page checksums verified, text in strict UTF-8.

Damage is a CorruptError that names row group and column. Extension types that carry pickles are refused before any
value is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataforge.errors import CorruptError, SchemaError, escape
from dataforge.operator import Rows, SourceFile
from dataforge.operators.files import FileSource, InputFile, location_of, open_raw
from dataforge.operators.files_rows import (
    BATCH_BYTES,
    RowBuffer,
    RowFault,
    documents_of,
    key_of,
    named_columns,
    seconds_of,
    text_of,
    unread_notes,
    utf8,
)
from dataforge.schemas.document import DOCUMENT

_BATCH_ROWS = 1024
# What pyarrow raises on damaged files, seen on mutated and known-bad ones; some are not ArrowExceptions.
_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError, MemoryError, RuntimeError)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class ParquetFiles(FileSource):
    """Rows of Parquet files. `text` is a string or binary column, `key` a string or integer one."""

    VERSION = 3
    suffixes = (".parquet", ".pq")

    text: str = "text"
    key: str | None = None
    uri: str | None = None
    created: str | None = None

    def unpacked_bytes(self, file: InputFile) -> int:
        try:
            with open_raw(file.location) as stream:
                metadata = pq.read_metadata(stream)
                return sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        except _DAMAGE:  # reading it will say so, under the budget of bad files
            return file.size_bytes

    def read_file(self, name: str) -> SourceFile:
        return SourceFile(name, self._rows(name), lambda: self._footer_rows(name))

    def _footer_rows(self, name: str) -> int:
        with open_raw(location_of(self.path, name)) as stream:
            return int(pq.read_metadata(stream).num_rows)

    def _rows(self, name: str) -> Iterator[Rows]:
        with open_raw(location_of(self.path, name)) as stream:
            line = 1
            for batch in _batches(stream, self._columns(), name):
                whole = self._whole(batch)
                yield from self._documents(batch, name, line) if whole is None else [whole]
                line += batch.num_rows
            if notes := unread_notes(pq.read_schema(stream).names, self._columns(), line - 1):
                yield Rows(DOCUMENT.empty_table(), notes=notes)

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(c for c in (self.text, self.key, self.uri, self.created) if c))

    def _whole(self, batch: pa.RecordBatch) -> Rows | None:
        """The rows as columns where none of them can be at fault, else None: `_documents` then looks at each."""
        keys = None if self.key is None else _plain(batch.column(self.key), numbers=True)
        texts, uris = _plain(batch.column(self.text)), None if self.uri is None else _plain(batch.column(self.uri))
        if self.created is not None or texts is None or texts.null_count or (self.uri is not None and uris is None):
            return None
        if self.key is not None and (keys is None or keys.null_count or not pc.all(pc.not_equal(keys, "")).as_py()):
            return None
        lengths = pc.binary_length(texts)
        if (pc.max(lengths).as_py() or 0) > self.max_row_bytes or (pc.sum(lengths).as_py() or 0) > BATCH_BYTES:
            return None
        return Rows(documents_of(self.name, keys, texts, uris, self.licence)) if len(texts) else None

    def _documents(self, batch: pa.RecordBatch, name: str, line: int) -> Iterator[Rows]:
        buffer = RowBuffer(self.name, name, self.licence)
        order = (self.text, self.key, self.uri, self.created)
        columns = [_values(batch.column(c)) if c else [None] * batch.num_rows for c in order]
        for at, row in enumerate(zip(*columns, strict=True)):  # the same checks as for JSON, row by row
            try:
                self._add(buffer, *row)
            except RowFault as fault:
                raw = row[0] if isinstance(row[0], bytes) else str(row[0] or "").encode(errors="replace")
                buffer.quarantine(fault, raw, line=line + at, offset=None)
            if buffer.full():
                yield buffer.take()
        if buffer:
            yield buffer.take()

    def _add(self, buffer: RowBuffer, text: Any, key: Any, uri: Any, created: Any) -> None:
        if isinstance(text, bytes | str) and len(text) > self.max_row_bytes:
            raise RowFault("ROWSIZE", f"expected at most {self.max_row_bytes} bytes, found {len(text)}")
        buffer.add(
            text_of(_decoded(text, self.text), self.text),
            key_of(_decoded(key, str(self.key)), self.key) if self.key else None,
            None if uri is None else text_of(_decoded(uri, str(self.uri)), str(self.uri)),
            seconds_of(created, str(self.created)),
        )


def _plain(column: pa.Array, *, numbers: bool = False) -> pa.Array | None:
    """A column of strings (valid UTF-8), or of integers where they count, as string[n]; None for all others."""
    if numbers and pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return column.cast(pa.string())


def _batches(stream: BinaryIO, columns: list[str], name: str) -> Iterator[pa.RecordBatch]:
    """Record batches of the columns; what pyarrow raises for a damaged file becomes a CorruptError."""
    batches = None
    while True:
        try:
            if batches is None:
                file = pq.ParquetFile(stream, page_checksum_verification=True, pre_buffer=False)
                schema = file.schema_arrow
                batches = file.iter_batches(_BATCH_ROWS, columns=_checked(schema, columns, name))
            batch = next(batches, None)
        except SchemaError:
            raise
        except _DAMAGE:
            raise _damage(stream, columns, name) from None
        if batch is None:
            return
        yield batch


def _checked(schema: pa.Schema, columns: list[str], name: str) -> list[str]:
    for column in schema:
        _refuse_pickles(column, name)
    for column in columns:
        found = len(schema.get_all_field_indices(column))
        if found != 1:
            what = f"expected one column '{column}', found {found}; {named_columns(schema.names, column)}"
            raise SchemaError(what, file=name, key=column, hint="set the column's name in the config")
    return columns


def _refuse_pickles(column: pa.Field, name: str) -> None:
    """CVE-2023-47248: a type of this name would be unpickled by old readers; ours refuses the file."""
    kind = (column.metadata or {}).get(b"ARROW:extension:name", b"")
    if kind == b"arrow.py_extension_type" or type(column.type).__name__ == "PyExtensionType":
        raise SchemaError("a column has a pickled extension type", file=name, key=escape(column.name, 64))
    for i in range(column.type.num_fields):
        _refuse_pickles(column.type.field(i), name)


def _damage(stream: BinaryIO, columns: list[str], name: str) -> CorruptError:
    """Looks for the first row group and column that cannot be read, to name them."""
    where = "footer"
    try:
        stream.seek(0)
        file = pq.ParquetFile(stream, page_checksum_verification=True, pre_buffer=False)
        for group in range(file.num_row_groups):
            for column in columns:
                where = f"row group {group}, column '{escape(column, 64)}'"
                file.read_row_group(group, columns=[column], use_threads=False)
        where = "row groups do not fit together"
    except _DAMAGE:
        pass
    return CorruptError(f"Parquet data is damaged: {where}", file=name, hint="fetch or write the file again")


def _values(column: pa.Array) -> list[Any]:
    """Python values: str (bytes where a string is not UTF-8), bytes, int, or whole seconds for dates and times."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _seconds(column.cast(pa.int64()), 1, _PER_SECOND[kind.unit])
    if pa.types.is_date(kind):
        days = pa.types.is_date32(kind)
        return _seconds(column.cast(pa.int32() if days else pa.int64()), 86400 if days else 1, 1 if days else 1000)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            column = column.cast(pa.large_binary())
    return list(column.to_pylist())


def _seconds(values: pa.Array, times: int, per: int) -> list[int | None]:
    return [None if value is None else value * times // per for value in values.to_pylist()]


def _decoded(value: Any, column: str) -> Any:
    return utf8(value, column) if isinstance(value, bytes) else value
