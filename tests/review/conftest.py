"""Review databases for tests: SQLite files, and PostgreSQL where its server programs are installed."""

import glob
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from dataforge.review.database import Database, open_database
from dataforge.review.seed import BatchSpec, seed
from tests.review.browser import Web
from tests.review.invented import LABELS, Clock, free_port, make_people, sample


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
    opened = open_database(location, clock=clock, steady=clock.steady)
    yield opened
    opened.dispose()


@pytest.fixture
def sqlite(tmp_path, clock):
    opened = open_database(tmp_path / "review.sqlite", clock=clock, steady=clock.steady)
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


@pytest.fixture
def people(database) -> dict[str, int]:
    return make_people(database)


@pytest.fixture
def web(database, people):
    return Web(database)


@pytest.fixture
def lite(sqlite):
    make_people(sqlite)
    return Web(sqlite)


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
        port = free_port()
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


def _empty_schema(url: str, name: str) -> str:
    """A schema of its own for each test, inside the one database."""
    schema = "t" + str(abs(hash((name, os.getpid()))))
    engine = sa.create_engine("postgresql+psycopg" + url[len("postgresql") :])
    with engine.begin() as c:
        c.exec_driver_sql(f"drop schema if exists {schema} cascade")
        c.exec_driver_sql(f"create schema {schema}")
    engine.dispose()
    return f"{url}?options=-csearch_path%3D{schema}"
