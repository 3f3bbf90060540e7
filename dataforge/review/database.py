"""Opens the review database and gives read and write transactions on it.

SQLite: WAL, synchronous=FULL, writes under BEGIN IMMEDIATE, one writer at a time inside the process, commits shared by
those who wait (commits.py), and a refusal of network file systems, where WAL loses data. PostgreSQL: READ COMMITTED,
rows locked by the statements themselves.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from dataforge.errors import ConfigError, InputError, MissingExtraError, SecretError, VersionError
from dataforge.review import tables as t
from dataforge.review.commits import Desk, Turns

NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "glusterfs", "gpfs", "beegfs"}
BUSY_MS = 5000
Result = TypeVar("Result")


class Database:
    """An open review database. `now()` never runs backwards, so a clock step cannot revive a lease or a session.

    While the clock is behind what was stored, time goes on by the steady clock: leases still end.
    """

    def __init__(
        self, engine: sa.Engine, *, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self.engine, self._clock, self._steady, self._ticking = engine, clock, steady, threading.Lock()
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._turns, self._desk = Turns(engine), Desk(self.write)
        self._latest, self._latest_steady = 0.0, steady()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: on disk when the block has ended, rolled back on any error inside it."""
        if self.is_sqlite:
            with self._turns.turn() as connection:
                yield connection
        else:
            with self.engine.connect() as connection, connection.begin():
                yield connection

    async def transact(self, work: Callable[[sa.Connection], Result]) -> Result:
        """`write` for an event loop: runs `work` in a transaction elsewhere and gives its result once it is on disk."""
        if self.is_sqlite:
            return await self._desk.run(work)  # type: ignore[no-any-return]
        from anyio.to_thread import run_sync

        return await run_sync(self._alone, work)

    def _alone(self, work: Callable[[sa.Connection], Result]) -> Result:
        with self.write() as connection:
            return work(connection)

    def now(self) -> float:
        with self._ticking:
            steady = self._steady()
            passed, self._latest_steady = steady - self._latest_steady, steady
            self._latest = max(self._latest + passed, float(self._clock()))
            return self._latest

    def start_clock(self) -> None:
        """Takes up the latest time stored, in case the clock was set back while nobody ran."""
        with self.read() as c:
            stored = [
                c.scalar(sa.select(sa.func.max(column))) for column in (t.lease.c.granted_at, t.annotation.c.created_at)
            ]
        self._latest = max([self._latest, *(value for value in stored if value)])

    def dispose(self) -> None:
        self._desk.stop()
        self.engine.dispose()


def open_database(
    location: str | Path,
    *,
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
    create: bool = True,
) -> Database:
    """`location`: a file for SQLite, a `postgresql://` URL, or `env:NAME` / `file:PATH` that hold one."""
    target = resolve_secret(str(location))
    engine = _postgres(target) if target.startswith("postgres") else _sqlite(_sqlite_path(target), create=create)
    database = Database(engine, clock=clock, steady=steady)
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
