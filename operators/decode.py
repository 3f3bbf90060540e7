"""The one JSON decoder: strict, one pass, an object per row. What is not exact is a RowFault, never a guess.

orjson refuses bad UTF-8, lone surrogates, NaN and broken syntax. It lets two things pass that lose data: the last of
two equal keys wins, and integers beyond 64 bits become floats. Both are found here from cheap counts; only rows that
look suspicious are read a second time, and then just to name the place.
"""

from __future__ import annotations

import codecs
import json
from typing import Any

import orjson

from dataforge.errors import escape
from dataforge.operators.files_rows import RowFault, type_name, utf8

MAX_DEPTH = 64
_INT_LIMIT = 2.0**63


def decode_object(raw: bytes) -> dict[str, Any]:
    """One JSON object. `{"a": 1, "a": 2}`, `{"a": 1e999}`, `[1]` and nesting over 64 levels are faults."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _syntax_fault(raw, error) from None
    if type(value) is not dict:
        raise RowFault("SCHEMA", f"$: expected object, found {type_name(value)}")
    colons, depth, big = _survey(value, 1)
    if depth > MAX_DEPTH:
        raise RowFault("SCHEMA", f"$: nested deeper than {MAX_DEPTH} levels")
    if big or colons != raw.count(b":") or b"\\u003" in raw:
        _find_loss(raw)
    return value


def _survey(value: Any, depth: int) -> tuple[int, int, bool]:
    """(colons that the JSON text of `value` must have, depth, whether a number may have been an integer > 64 bit).

    A repeated key hides at least its own colon, so the raw count is then larger: no second parse for honest rows.
    """
    if depth > MAX_DEPTH:
        return 0, depth, False
    if type(value) is dict:
        colons, members = len(value) + sum(key.count(":") for key in value), value.values()
    else:
        colons, members = 0, value
    deepest, big = depth, False
    for member in members:  # one step per value of a row: about 0.1 µs
        kind = type(member)
        if kind is str:
            colons += member.count(":")
        elif kind is float:
            big = big or abs(member) >= _INT_LIMIT
        elif kind is dict or kind is list:
            inner, below, inner_big = _survey(member, depth + 1)
            colons, deepest, big = colons + inner, max(deepest, below), big or inner_big
    return colons, deepest, big


def _find_loss(raw: bytes) -> None:
    """Reads a suspicious row again to look for repeated keys and long integers. Nothing it parses is used."""

    def members(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RowFault("SCHEMA", f"$..{escape(key, 64)}: expected unique keys, found the key twice")
            seen.add(key)

    def integer(digits: str) -> None:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
            raise RowFault("SCHEMA", f"$: expected an integer of 64 bits, found one of {len(digits)} digits")

    try:
        json.loads(raw, object_pairs_hook=members, parse_int=integer)
    except RecursionError:  # only a value hidden by a repeated key can still be this deep
        raise RowFault("SCHEMA", f"$: nested deeper than {MAX_DEPTH} levels") from None


def _syntax_fault(raw: bytes, error: orjson.JSONDecodeError) -> RowFault:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"{\0", b"\0{")):
        return RowFault("ENCODING", "the row is UTF-16; convert the file to UTF-8")
    try:
        utf8(raw, "the row")
    except RowFault as fault:
        return fault
    if raw.startswith(b"\xef\xbb\xbf"):
        return RowFault("ENCODING", "byte order mark inside the file, at byte 0 of the row")
    if "surrogate" in error.msg:
        return RowFault("ENCODING", f"lone surrogate escape at character {error.pos}")
    if "depth" in error.msg:
        return RowFault("SCHEMA", f"$: nested deeper than {MAX_DEPTH} levels")
    return RowFault("SCHEMA", f"not JSON at character {error.pos}: {error.msg}")


def lookup(row: dict[str, Any], column: str) -> Any:
    """The value of a column, or of a path such as "payload.text" where no column has that very name."""
    if column in row or "." not in column:
        return row.get(column)
    value: Any = row
    for name in column.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def holds(row: dict[str, Any], column: str) -> bool:
    """Whether a row of JSON has a column, or a path such as "meta.url", whatever its value."""
    if column in row or "." not in column:
        return column in row
    parent, _, name = column.rpartition(".")
    inner = lookup(row, parent)
    return isinstance(inner, dict) and name in inner
