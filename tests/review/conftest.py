"""Review databases for tests: SQLite files, and PostgreSQL where its server programs are installed."""

import glob
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from dataforge.review import auth
from dataforge.review import tables as t
from dataforge.review.database import Database, open_database
from dataforge.review.seed import BatchSpec, seed

LABELS = """\
- {name: questions, singular: question, key: '6', letter: q, definition: asks for information}
- {name: directives, singular: directive, key: '3', letter: d, definition: makes the hearer act}
- {name: other, singular: other, key: '8', letter: o, definition: none of these}
"""


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def location(request, tmp_path):
    """Where a review database may be made: one of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "review.sqlite")
    return _empty_schema(request.getfixturevalue("postgres"), request.node.name)


@pytest.fixture
def database(location, clock):
    opened = open_database(location, clock=clock)
    yield opened
    opened.dispose()


@pytest.fixture
def sqlite(tmp_path, clock):
    opened = open_database(tmp_path / "review.sqlite", clock=clock)
    yield opened
    opened.dispose()


@pytest.fixture
def label_file(tmp_path) -> str:
    path = tmp_path / "three.yaml"
    path.write_text(LABELS)
    return str(path)


@pytest.fixture
def make_batch(label_file):
    """make_batch(database, n, need=2, …) -> batch id; item k has text "text k" and row id "k" in 32 digits."""

    def make(database: Database, n: int = 3, **spec: object) -> int:
        rows = spec.pop("rows", None)
        values = {"title": "acts", "label_set": label_file, "guideline": "speech_acts", **spec}
        return seed(database, rows if rows is not None else sample(n), BatchSpec(**values))

    return make


def sample(n: int, **columns: list) -> pa.Table:
    return pa.table({"id": [row_id(k) for k in range(n)], "text": [f"text {k}" for k in range(n)], **columns})


def row_id(k: int) -> str:
    return f"{k:032x}"


@pytest.fixture
def people(database) -> dict[str, int]:
    return make_people(database)


def make_people(database: Database) -> dict[str, int]:
    for name, role in (("ana", "annotator"), ("bo", "annotator"), ("cy", "annotator"), ("lea", "lead")):
        auth.add_user(database, name, role)
    with database.read() as c:
        return dict(c.execute(sa.select(t.account.c.name, t.account.c.id)).tuples().all())


@pytest.fixture(scope="session")
def postgres():
    """URL of a private PostgreSQL on loopback, started for this session and stopped after it."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server programs; apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="review-pg-"))
    user = _unprivileged(folder)
    run = {"check": True, "capture_output": True, "user": user, "cwd": folder, "env": {**os.environ, "LC_ALL": "C"}}
    try:
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "review", "-A", "trust", "--no-sync", "-E", "UTF8"],
            **run,
        )
        port = _free_port()
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=200"
        )
        log = folder / "log"
        subprocess.run([programs / "pg_ctl", "-D", folder / "data", "-w", "-l", log, "-o", options, "start"], **run)
        yield f"postgresql://review@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(
            [programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop"], **{**run, "check": False}
        )
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path | None:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_ctl"), reverse=True)
    on_path = shutil.which("pg_ctl")
    return Path(found[0]).parent if found else Path(on_path).parent if on_path else None


def _unprivileged(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: give the folder to the package's own user."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, user="postgres")
    return "postgres"


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _empty_schema(url: str, name: str) -> str:
    """A schema of its own for each test, inside the one database."""
    schema = "t" + str(abs(hash((name, os.getpid()))))
    engine = sa.create_engine("postgresql+psycopg" + url[len("postgresql") :])
    with engine.begin() as c:
        c.exec_driver_sql(f"drop schema if exists {schema} cascade")
        c.exec_driver_sql(f"create schema {schema}")
    engine.dispose()
    return f"{url}?options=-csearch_path%3D{schema}"
