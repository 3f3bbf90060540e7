"""Invented rows, labels, people and a clock for the tests of the review queue."""

import socket

import pyarrow as pa
import sqlalchemy as sa

from dataforge.review import auth
from dataforge.review import tables as t
from dataforge.review.database import Database

LABELS = """\
- {name: questions, singular: question, key: '6', letter: q, definition: asks for information}
- {name: directives, singular: directive, key: '3', letter: d, definition: makes the hearer act}
- {name: other, singular: other, key: '8', letter: o, definition: none of these}
"""


class Clock:
    """A clock that stands until it is moved. The steady one beside it never goes back."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self.at, self.passed = at, 0.0

    def __call__(self) -> float:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += seconds
        self.passed += max(seconds, 0.0)

    def steady(self) -> float:
        return self.passed


def sample(n: int, **columns: list) -> pa.Table:
    return pa.table({"id": [row_id(k) for k in range(n)], "text": [f"text {k}" for k in range(n)], **columns})


def row_id(k: int) -> str:
    return f"{k:032x}"


def make_people(database: Database) -> dict[str, int]:
    for name, role in (("ana", "annotator"), ("bo", "annotator"), ("cy", "annotator"), ("lea", "lead")):
        auth.add_user(database, name, role)
    with database.read() as c:
        return dict(c.execute(sa.select(t.account.c.name, t.account.c.id)).tuples().all())


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
