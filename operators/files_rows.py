"""Rows of a file on their way into DOCUMENT batches, and beside them the rows that could not be read.

A row without a key column gets `key` "" and the id of its text; `number_copies` (run after all rows of a part are
together) then tells equal texts apart. So no id depends on the file or the line in which a row happened to stand.
"""

from __future__ import annotations

import base64
import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from dataforge.errors import ConfigError, escape
from dataforge.identity import row_ids, text_hashes
from dataforge.operator import Rows
from dataforge.schemas.document import DOCUMENT
from dataforge.schemas.verdict import DROPPED, QUARANTINED

BATCH_BYTES, BATCH_ROWS = 8 << 20, 4096
RAW_BYTES = 4096
OTHER_COLUMNS = "(others)"
NAMED_COLUMNS = 64  # unread columns told apart in the notes of a file; their names come from data
LONGEST_NAME = 64
_NAMED = 12  # columns named in an error


class RowFault(Exception):
    """A row that cannot be used. `reason` gives expected and actual, never the row's text."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(f"{code}: {reason}")


@dataclass
class RowBuffer:
    """Gathers rows of one file until a batch is full. `name` is the source's, `file` the path relative to its root."""

    name: str
    file: str
    licence: str | None
    _columns: tuple[list[Any], ...] = field(default_factory=lambda: ([], [], [], []))  # keys, texts, uris, created
    _faults: list[tuple[Any, ...]] = field(default_factory=list)
    _drops: list[tuple[str, str, float | None]] = field(default_factory=list)  # keys, reasons, scores
    _bytes: int = 0
    _notes: dict[str, int] = field(default_factory=dict)

    def add(self, text: str, key: str | None, uri: str | None, created_s: int | None) -> None:
        for column, value in zip(self._columns, (key, text, uri, created_s), strict=True):
            column.append(value)
        self._bytes += len(text)

    def quarantine(self, fault: RowFault, raw: bytes, *, line: int | None, offset: int | None) -> None:
        self._faults.append((self.file, line, offset, fault.code, escape(fault.reason, 400), shown(raw)))

    def drop(self, key: str, reason: str, score: float | None = None) -> None:
        """A row that was read and is not wanted."""
        self._drops.append((key, reason, score))

    def note(self, name: str, count: int = 1) -> None:
        self._notes[name] = self._notes.get(name, 0) + count

    def full(self) -> bool:
        lengths = (len(self._columns[0]), len(self._faults), len(self._drops))
        return self._bytes > BATCH_BYTES or max(lengths) >= BATCH_ROWS

    def take(self) -> Rows:
        """What was gathered so far, as one batch; the buffer is empty afterwards."""
        keys, texts, uris, created = self._columns
        kept = documents(self.name, keys, texts, uris, created, self.licence)
        bad = quarantined(self._faults) if self._faults else None
        rows = Rows(kept, dropped(self.name, self._drops) if self._drops else None, bad, self._notes or None)
        self._columns, self._faults, self._drops, self._bytes, self._notes = ([], [], [], []), [], [], 0, {}
        return rows

    def __bool__(self) -> bool:
        return bool(self._columns[0] or self._faults or self._drops or self._notes)


def documents(
    name: str,
    keys: Sequence[str | None],
    texts: Sequence[str],
    uris: Sequence[str | None],
    created_s: Sequence[int | None],
    licence: str | None,
) -> pa.RecordBatch:
    """DOCUMENT rows. Where a key is None, `key` becomes "" and the id that of (name, hash of the text)."""
    digest = xxhash.xxh3_128_hexdigest
    native = [digest(text.encode()) if key is None else key for key, text in zip(keys, texts, strict=True)]
    size = len(texts)
    columns = [
        row_ids(name, native),
        pa.repeat(pa.scalar(name, pa.string()), size),
        pa.array(["" if key is None else key for key in keys], pa.string()),
        pa.array(texts, pa.string()),
        pa.array(uris, pa.string()),
        pa.array(created_s, pa.int64()),
        pa.repeat(pa.scalar(licence, pa.string()), size),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENT)


def documents_of(
    name: str, keys: pa.Array | None, texts: pa.Array, uris: pa.Array | None, licence: str | None
) -> pa.RecordBatch:
    """`documents` of whole columns: strings without nulls or empty keys, which the caller has seen to."""
    size = len(texts)
    nothing = pa.nulls(size, pa.string())
    native = text_hashes(texts) if keys is None else keys
    columns = [
        row_ids(name, native.to_pylist()),
        pa.repeat(pa.scalar(name, pa.string()), size),
        pa.repeat(pa.scalar("", pa.string()), size) if keys is None else keys,
        texts,
        nothing if uris is None else uris,
        pa.nulls(size, pa.int64()),
        pa.repeat(pa.scalar(licence, pa.string()), size),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENT)


def quarantined(faults: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = [pa.array(column, kind.type) for column, kind in zip(zip(*faults, strict=True), QUARANTINED, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=QUARANTINED)


def dropped(name: str, drops: Sequence[tuple[str, str, float | None]]) -> pa.RecordBatch:
    keys, reasons, scores = zip(*drops, strict=True)
    nothing = pa.nulls(len(keys), pa.string())
    columns = [row_ids(name, keys), pa.array(reasons, pa.string()), pa.array(scores, pa.float64())]
    columns += [pa.nulls(len(keys), pa.float64()), nothing, nothing]
    return pa.RecordBatch.from_arrays(columns, schema=DROPPED)


def number_copies(rows: pa.Table) -> pa.Table:
    """Gives rows without a key their final key "<id of the text>#n" and id: the n-th of equal texts, counted from 0.

    `rows` is one whole part in a total order (id first). Copy 0 keeps its id; the others keep the first four hex digits
    of it, which name the part, so no row has to move again. Rows with a key stay. The result is sorted by id.
    """
    keys = rows.column("key").to_numpy(zero_copy_only=False)
    bare = np.flatnonzero(keys == "")
    if not len(bare):
        return rows
    ids = rows.column("id").to_numpy(zero_copy_only=False)
    seen: dict[str, int] = {}
    for at in bare.tolist():  # only rows without a key come here: a dict step and at most one hash each
        base = ids[at]
        copy = seen[base] = seen.get(base, -1) + 1
        keys[at] = f"{base}#{copy}"
        if copy:
            ids[at] = base[:4] + xxhash.xxh3_128_hexdigest(f"{base}\0{copy}".encode())[4:]
    for name, values in (("id", ids), ("key", keys)):
        index = rows.schema.get_field_index(name)
        rows = rows.set_column(index, rows.schema.field(index), pa.array(values, pa.string()))
    return rows.sort_by([("id", "ascending")])


def told(name: str) -> str:
    """A column's name for reports. It may be a person's: only what looks like a column's name is told, a single word of
    letters of any script, digits, `_`, `-` and `.`."""
    word = name.replace("-", "_").replace(".", "_")
    like_a_name = len(name) <= LONGEST_NAME and not name.startswith(("-", ".")) and word.isidentifier()
    return name if like_a_name else OTHER_COLUMNS


def unread_notes(columns: Iterable[str], read: Iterable[str | None], rows: int) -> dict[str, int]:
    """Notes on the columns of a file that no setting reads, so that nothing is left out unseen."""
    left = sorted({told(name) for name in set(columns) - set(read)})[:NAMED_COLUMNS]
    return {f"unread_column:{name}": rows for name in left} if rows else {}


def named_columns(names: Sequence[str], wanted: str) -> str:
    """The columns that are there, those that look like the wanted one first: `there are id, title, …; did you mean 'id'?`"""
    close = close_columns(names, wanted)
    order = [*close, *(name for name in names if name not in close)]
    told = ", ".join([*(escape(name, 64) for name in order[:_NAMED]), *(["…"] if len(order) > _NAMED else [])])
    return f"there are {told}" + (f"; did you mean '{escape(close[0], 64)}'?" if close else "")


def close_columns(names: Sequence[str], wanted: str) -> list[str]:
    """The same letters in another case first, then what differs little; "url" is also meant where it stands inside."""
    lower = {name.lower(): name for name in reversed(names)}
    found = difflib.get_close_matches(wanted.lower(), list(lower), n=3, cutoff=0.6)
    inside = [name for name in lower if name.rpartition(".")[2] == wanted.lower() and name not in found]
    return [lower[name] for name in (*inside, *found)]


def shown(raw: bytes) -> str | None:
    """Base64 of the first 4 KiB with secrets masked; None where no masker is installed, so that nothing leaks."""
    try:
        from dataforge.operators.secrets import mask_secrets
    except ImportError:
        return None
    head = raw[: 2 * RAW_BYTES].decode("utf-8", "surrogateescape")  # a secret across the cut is still seen whole
    return base64.b64encode(mask_secrets(head).encode("utf-8", "surrogateescape")[:RAW_BYTES]).decode()


def utf8(raw: bytes, what: str) -> str:
    """Strict UTF-8, or a RowFault that says at which byte of `what` it stops being so."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise RowFault("ENCODING", f"{what} is not UTF-8 at byte {error.start} of {len(raw)}") from None


def decoded(raw: bytes, what: str, encoding: str) -> str:
    """Text in a named encoding, strictly; "utf-8" says at which byte it fails."""
    if encoding.lower() in ("utf-8", "utf8"):
        return utf8(raw, what)
    try:
        text = raw.decode(encoding)
        text.encode()  # escapes such as \\ud800 decode to what UTF-8 cannot hold
        return text
    except (UnicodeError, ValueError):
        raise RowFault("ENCODING", f"{what} is not {encoding}") from None
    except LookupError:  # hex, rot13: codecs that give no text
        raise ConfigError(f"'{encoding}' is no text encoding", key="sources.encoding") from None


def seconds_of(value: Any, path: str) -> int | None:
    """Seconds since 1970-01-01 UTC of a date in one of the usual forms; without a zone it is taken as UTC.

    "2024-02-03T04:05:06Z", "2024-02-03", "Sat, 03 Feb 2024 04:05:06 GMT" and numbers: seconds, or by their size
    milli-, micro- or nanoseconds (the border is the year 5138 in each).
    """
    if value is None or value == "":
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _epoch(value, path)
    if isinstance(value, datetime):
        return math.floor((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    if isinstance(value, date):
        return math.floor(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
    if isinstance(value, str):
        return _written_date(value.strip(), path)
    raise RowFault("SCHEMA", f"{path}: expected a date or a number, found {type_name(value)}")


def _epoch(value: float, path: str) -> int:
    if not math.isfinite(value) or abs(value) >= 1e20:
        raise RowFault("SCHEMA", f"{path}: expected a date, found a number out of range")
    for unit in (1, 10**3, 10**6):
        if abs(value) < 1e11 * unit:
            return math.floor(value // unit)
    return math.floor(value // 10**9)


def _written_date(text: str, path: str) -> int:
    from email.utils import parsedate_to_datetime

    parsers: tuple[Callable[[str], Any], ...] = (datetime.fromisoformat, parsedate_to_datetime)
    for parse in parsers:
        try:
            moment: datetime = parse(text)
            return math.floor((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    if text.replace(".", "", 1).lstrip("-").isascii() and text.replace(".", "", 1).lstrip("-").isdigit():
        return _epoch(float(text), path)
    raise RowFault("SCHEMA", f"{path}: expected a date (ISO 8601, RFC 2822 or epoch), found other text")


def type_name(value: Any) -> str:
    """The JSON name of a value's type: type_name(None) -> "null"."""
    names = {type(None): "null", bool: "boolean", str: "string", dict: "object", list: "array", int: "integer"}
    return names.get(type(value), "number" if isinstance(value, float) else type(value).__name__)


def key_of(value: Any, path: str) -> str:
    """A native key as text. Integers count as keys; a missing or empty key is a fault."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    found = "an empty string" if value == "" else type_name(value)
    raise RowFault("SCHEMA", f"{path}: expected a non-empty string or an integer, found {found}")


def text_of(value: Any, path: str) -> str:
    if isinstance(value, str):
        return value
    raise RowFault("SCHEMA", f"{path}: expected string, found {type_name(value)}")
