"""SQL of the busy path, given to the driver as it stands.

A claim or an answer is about ten small statements. SQLite takes 5 to 20 µs for one; building and reading each through
SQLAlchemy's expression layer took ten times that and was most of a request. Transactions stay SQLAlchemy's.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

_NAMED = re.compile(r":(\w+)")


class Statement:
    """One statement with `:name` parameters, the same text for SQLite and PostgreSQL. Rows are named tuples."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._of = {"sqlite": text, "postgresql": _NAMED.sub(r"%(\1)s", text)}
        self._row: Any = None

    def all(self, c: sa.Connection, values: Mapping[str, Any]) -> list[Any]:
        cursor = self._run(c, values)
        return list(map(self._made(cursor), cursor.fetchall()))

    def first(self, c: sa.Connection, values: Mapping[str, Any]) -> Any | None:
        cursor = self._run(c, values)
        found = cursor.fetchall()
        return self._made(cursor)(found[0]) if found else None

    def column(self, c: sa.Connection, values: Mapping[str, Any]) -> list[Any]:
        return [row[0] for row in self._run(c, values).fetchall()]

    def scalar(self, c: sa.Connection, values: Mapping[str, Any]) -> Any:
        found = self._run(c, values).fetchall()
        return found[0][0] if found else None

    def run(self, c: sa.Connection, values: Mapping[str, Any]) -> None:
        self._run(c, values)

    def _run(self, c: sa.Connection, values: Mapping[str, Any]) -> Any:
        raw: Any = c.connection.driver_connection
        try:
            return raw.execute(self._of[c.dialect.name], values)
        except c.dialect.loaded_dbapi.Error as error:  # those above know SQLAlchemy's names only
            raise _translated(c, error) from error

    def _made(self, cursor: Any) -> Any:
        if self._row is None:
            row = namedtuple("row", [column[0] for column in cursor.description], rename=True)  # type: ignore[misc]
            self._row = row
        return self._row._make


def _translated(c: sa.Connection, error: Exception) -> Exception:
    found = sa.exc.DBAPIError.instance(None, None, error, c.dialect.loaded_dbapi.Error, hide_parameters=True)
    return found if isinstance(found, Exception) else error


class OfMany:
    """A statement about a list of ids, `in (:ids)`: one text for each length, so that drivers can keep them prepared."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._of: dict[int, Statement] = {}

    def all(self, c: sa.Connection, ids: Sequence[int], values: Mapping[str, Any]) -> list[Any]:
        names = [f"id{k}" for k in range(len(ids))]
        statement = self._of.get(len(ids))
        if statement is None:
            statement = Statement(self.text.replace(":ids", ", ".join(f":{name}" for name in names)))
            self._of[len(ids)] = statement
        return statement.all(c, {**values, **dict(zip(names, ids, strict=True))})
