"""Which columns of sample rows are text, key, uri and created, and what to say of those that are none of these.

By the usual names, checked against the values. A guess that `dataforge init` writes down for people to check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dataforge.errors import escape
from dataforge.operators.decode import lookup
from dataforge.operators.files_rows import RowFault, key_of, seconds_of

_TEXT = ("text", "content", "body", "raw_content", "document", "message", "article", "passage", "contents", "sentence")
_KEY = ("id", "_id", "uuid", "guid", "doc_id", "document_id", "docid", "key", "message_id", "path")
_URI = ("url", "uri", "link", "source_url", "permalink")
_CREATED = ("created", "created_at", "date", "timestamp", "published", "published_at", "time", "datetime", "createdAt")
_MOST_NAMED = 12
_DEPTH = 4  # of columns inside columns
_TIMES_BEGIN = 315_532_800  # 1980, in seconds: smaller numbers are counts rather than times

Row = dict[str, Any]


def suggest(rows: Sequence[Row]) -> dict[str, str]:
    """Which columns are which. The text falls back to the column with the most characters, the key to none."""
    columns = _columns(rows)
    texts = [name for name, values in columns.items() if _are_texts(values)]
    longest = max(texts, key=lambda name: sum(len(value) for value in columns[name] if isinstance(value, str)), default=None)
    text = _first(_TEXT, texts, columns, any) or longest
    found = {
        "text": text,
        "key": _first(_KEY, list(columns), columns, _are_keys),
        "uri": _first(_URI, texts, columns, any),
        "created": _first(_CREATED, list(columns), columns, _are_dates),
    }
    return {setting: name for setting, name in found.items() if name and (setting == "text" or name != text)}


def unread(rows: Sequence[Row], chosen: dict[str, str], *, nested: bool = False) -> tuple[str, ...]:
    """A line on the columns that no setting reads: `author, msg_no (key?), sent (created?)`; none where all are read.
    `nested` also names columns inside of columns where they look like an address or a date: `meta.url (uri?)`."""
    others = {name: values for name, values in _columns(rows).items() if name not in chosen.values()}
    told = [escape(name, 40) + _might_be(values, chosen) for name, values in others.items()]
    told = [*(_inside(rows, chosen) if nested else ()), *told]
    more = [f"{len(told) - _MOST_NAMED} more"] if len(told) > _MOST_NAMED else []
    return (f"columns that no setting reads: {', '.join([*told[:_MOST_NAMED], *more])}",) if told else ()


def _might_be(values: list[Any], chosen: dict[str, str]) -> str:
    there = [value for value in values if value is not None]
    if "created" not in chosen and there and _are_dates(there) and not any(map(_is_small, there)):
        return " (created?)"
    may_be_key = "key" not in chosen and len(values) > 1 and not any(map(_is_prose, values))
    return " (key?)" if may_be_key and _are_keys(values) else ""


def _inside(rows: Sequence[Row], chosen: dict[str, str]) -> list[str]:
    """Columns inside of columns, by the usual names, for settings that have none."""
    found = []
    for setting, usual, fits in (("uri", _URI, _are_texts), ("created", _CREATED, _are_dates)):
        names = [name for name in column_names(rows) if "." in name and name.rpartition(".")[2].lower() in usual]
        likely = [name for name in names if setting not in chosen and fits([lookup(row, name) for row in rows])]
        found += [f"{escape(name, 40)} ({setting}?)" for name in likely[:1]]
    return found


def column_names(rows: Sequence[Row]) -> list[str]:
    """Columns of JSON rows and, dotted, those inside of them: ["id", "meta", "meta.url"]."""
    found: dict[str, None] = {}
    for row in rows:
        _collect(row, "", _DEPTH, found)
    return list(found)


def _collect(row: Row, before: str, depth: int, found: dict[str, None]) -> None:
    for name, value in row.items():
        found[before + name] = None
        if isinstance(value, dict) and depth > 1:
            _collect(value, f"{before}{name}.", depth - 1, found)


def _is_small(value: Any) -> bool:
    """A number, also one in letters, that counts rather than tells a time."""
    try:
        return float(value) < _TIMES_BEGIN
    except (TypeError, ValueError):
        return False


def _is_prose(value: Any) -> bool:
    """A title, a name: different in each row by chance."""
    return isinstance(value, str) and len(value.split()) > 1


def _columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _first(
    usual: Sequence[str], names: Sequence[str], columns: dict[str, list[Any]], fits: Callable[[list[Any]], bool]
) -> str | None:
    lower = {name.lower(): name for name in reversed(names)}
    known: Iterator[str] = (lower[name.lower()] for name in usual if name.lower() in lower)
    return next((name for name in known if fits(columns[name])), None)


def _are_texts(values: list[Any]) -> bool:
    """Nine in ten values that are there are strings: one odd row must not turn a column of texts into none."""
    there = [value for value in values if value is not None]
    return bool(there) and 10 * sum(isinstance(value, str) for value in there) >= 9 * len(there) and any(there)


def _are_keys(values: list[Any]) -> bool:
    try:
        return len({key_of(value, "") for value in values}) == len(values)
    except RowFault:
        return False


def _are_dates(values: list[Any]) -> bool:
    try:
        return any(seconds_of(value, "") is not None for value in values)
    except RowFault:
        return False
