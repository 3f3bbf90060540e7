"""Opens the review database and gives read and write transactions on it.

SQLite: WAL, synchronous=FULL, writes under BEGIN IMMEDIATE, one writer at a time inside the process, commits shared by
those who wait, and a refusal of network file systems, where WAL loses data. PostgreSQL: READ COMMITTED, rows locked by
the statements themselves.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dataforge.errors import ConfigError, InputError, MissingExtraError, SecretError, VersionError
from dataforge.review import tables as t

NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "glusterfs", "gpfs", "beegfs"}
BUSY_MS = 5000
GROUP_SIZE = 64  # writers that may share a commit


class _Group:
    """Write transactions that share one commit, and so one fsync."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection, self.transaction = connection, connection.begin()
        self.size, self.committed = 0, threading.Event()
        self.error: Exception | None = None

    def commit(self) -> None:
        try:
            self.transaction.commit()
        except Exception as error:  # every member must hear of it
            self.error = error
        finally:
            self.connection.close()
            self.committed.set()


class Database:
    """An open review database. `now()` never runs backwards, so a clock step cannot revive a lease or a session."""

    def __init__(self, engine: sa.Engine, *, clock: Callable[[], float] = time.time) -> None:
        self.engine, self._clock = engine, clock
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writer, self._counter, self._waiting = threading.Lock(), threading.Lock(), 0
        self._group: _Group | None = None
        self._latest = 0.0

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: on disk when the block has ended, rolled back on any error inside it."""
        if self.is_sqlite:
            with self._grouped() as connection:
                yield connection
        else:
            with self.engine.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def _grouped(self) -> Iterator[sa.Connection]:
        """Writers take turns; who comes while others are queued leaves the commit to the last of them.

        An fsync takes 0.1 to 10 ms and SQLite has one writer: with a commit of its own for each answer, a slow disk
        serves 100 answers a second. Each member has a savepoint, so that one that fails leaves the others alone.
        """
        self._count(1)
        self._writer.acquire()
        self._count(-1)
        group = None
        try:
            group = self._group = self._group or _Group(self.engine.connect().execution_options(immediate=True))
            group.size += 1
            with group.connection.begin_nested():
                yield group.connection
        finally:
            if group is not None and (self._waiting == 0 or group.size >= GROUP_SIZE):
                self._group = None
                group.commit()
            self._writer.release()
        group.committed.wait()
        if group.error is not None:
            raise group.error

    def _count(self, by: int) -> None:
        with self._counter:
            self._waiting += by

    def now(self) -> float:
        self._latest = max(self._latest, float(self._clock()))
        return self._latest

    def start_clock(self) -> None:
        """Takes up the latest time stored, in case the clock was set back while nobody ran."""
        with self.read() as c:
            stored = [
                c.scalar(sa.select(sa.func.max(column))) for column in (t.lease.c.granted_at, t.annotation.c.created_at)
            ]
        self._latest = max([self._latest, *(value for value in stored if value)])

    def dispose(self) -> None:
        self.engine.dispose()


def open_database(location: str | Path, *, clock: Callable[[], float] = time.time, create: bool = True) -> Database:
    """`location`: a file for SQLite, a `postgresql://` URL, or `env:NAME` / `file:PATH` that hold one."""
    target = resolve_secret(str(location))
    engine = _postgres(target) if target.startswith("postgres") else _sqlite(_sqlite_path(target), create=create)
    database = Database(engine, clock=clock)
    try:
        _prepare(database)
    except sa.exc.OperationalError as error:
        engine.dispose()
        raise InputError(
            f"the review database cannot be opened ({type(error.orig).__name__})", hint="check review.database"
        ) from None
    database.start_clock()
    return database


def is_missing(location: str | Path) -> bool:
    """Whether `location` is a SQLite file that nobody has made yet."""
    target = resolve_secret(str(location))
    return not target.startswith("postgres") and not _sqlite_path(target).exists()


def resolve_secret(location: str) -> str:
    """`env:NAME` and `file:PATH` stand for what they hold, so that a password need not stand in a config."""
    kind, _, rest = location.partition(":")
    if kind == "env":
        if not os.environ.get(rest):
            raise SecretError(f"environment variable {rest} is not set", key="review.database")
        return os.environ[rest]
    if kind == "file" and not rest.startswith("//"):
        try:
            return Path(rest).read_text(encoding="utf-8").strip()
        except OSError:
            raise SecretError(
                "the file that names the database cannot be read", file=rest, key="review.database"
            ) from None
    return location


def _sqlite_path(target: str) -> Path:
    path = target.removeprefix("sqlite:///")
    if "://" in path:
        raise ConfigError("a review database is a file or a postgresql:// URL", key="review.database")
    return Path(path)


def _sqlite(path: Path, *, create: bool) -> sa.Engine:
    if not path.exists():
        if not create:
            raise InputError(
                "there is no review database", file=str(path), hint="run the flow once: it seeds the queue"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # it holds texts and the cookie secret
    refuse_network_file_system(path)
    engine = sa.create_engine(f"sqlite:///{path}", pool_size=16, max_overflow=48, pool_timeout=30)

    @sa.event.listens_for(engine, "connect")
    def _connect(raw: Any, _: Any) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves
        # Durability before speed: FULL syncs the WAL at every commit, so an acknowledged answer survives a power cut.
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            raw.execute(f"pragma {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _postgres(url: str) -> sa.Engine:
    url = "postgresql+psycopg://" + url.split("://", 1)[1]
    try:
        return sa.create_engine(url, pool_size=16, max_overflow=48, pool_pre_ping=True, hide_parameters=True)
    except ModuleNotFoundError:
        raise MissingExtraError(
            "PostgreSQL needs the package psycopg", hint="pip install 'dataforge[review]'"
        ) from None
    except sa.exc.ArgumentError:
        raise ConfigError("the database URL cannot be read", key="review.database") from None


def _prepare(database: Database) -> None:
    with database.write() as c:
        if not database.is_sqlite:
            c.exec_driver_sql("select pg_advisory_xact_lock(7236411)")  # two processes may start at once
        t.metadata.create_all(c)
        version = c.scalar(sa.select(t.setting.c.value).where(t.setting.c.key == "schema_version"))
        if version is None:
            c.execute(
                t.setting.insert(),
                [
                    {"key": "schema_version", "value": t.SCHEMA_VERSION},
                    {"key": "cookie_secret", "value": secrets.token_hex(32)},
                ],
            )
        elif version != t.SCHEMA_VERSION:
            raise VersionError(f"the review database has version {version}, this program writes {t.SCHEMA_VERSION}")


def refuse_network_file_system(path: Path, mounts: str | None = None) -> None:
    """SQLite's WAL needs shared memory and true locks. `mounts` is the text of /proc/mounts."""
    if mounts is None:
        table = Path("/proc/mounts")
        mounts = table.read_text(encoding="utf-8", errors="replace") if table.exists() else ""
    where, kind = str(path.absolute().resolve()), ""
    best = -1
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ").rstrip("/")
        if (where == point or where.startswith(point + "/")) and len(point) >= best:
            best, kind = len(point), fields[2]
    if kind in NETWORK_FILE_SYSTEMS or kind in {"fuse.sshfs", "fuse.s3fs", "fuse.glusterfs"}:
        raise ConfigError(
            f"the review database lies on a network file system ({kind}), where SQLite can lose answers",
            file=str(path),
            key="review.database",
            hint="use a local disk or a postgresql:// URL",
        )
