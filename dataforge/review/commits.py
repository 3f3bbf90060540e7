"""How those who write to SQLite share commits, and with each commit its fsync.

SQLite has one writer and an fsync takes 0.1 to 10 ms: with a commit for each answer a slow disk serves 100 answers a
second. Threads take turns (`Turns`); who comes while others are queued leaves the commit to the last of them. Requests
of the page go through one thread (`Desk`), which runs all that wait in one transaction. Nobody is answered before the
commit, and each has a savepoint of his own, so that one that fails leaves the others alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from queue import Empty, SimpleQueue
from typing import Any

import sqlalchemy as sa

GROUP_SIZE = 64  # writers that may share a commit

Work = Callable[[sa.Connection], Any]
Job = tuple[Work, asyncio.Future[Any], asyncio.AbstractEventLoop]


class _Group:
    """Write transactions that share one commit."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection, self.transaction = connection, connection.begin()
        self.size, self.committed = 0, threading.Event()
        self.error: Exception | None = None

    def commit(self) -> None:
        try:
            _still_open(self.connection)
            self.transaction.commit()
        except Exception as error:  # every member must hear of it
            self.error = error
        finally:
            self.connection.close()
            self.committed.set()


def _still_open(connection: sa.Connection) -> Any:
    """The driver's connection. A full disk can make SQLite roll everything back, and a commit after that is silent."""
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        lost = Exception("the transaction was rolled back by the database")
        raise sa.exc.OperationalError("commit", None, lost, hide_parameters=True)
    return driver


class Turns:
    """Write transactions of threads, one after another, as many as wait in one commit."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writer, self._counter, self._waiting = threading.Lock(), threading.Lock(), 0
        self._group: _Group | None = None

    @contextmanager
    def turn(self) -> Iterator[sa.Connection]:
        self._count(1)
        self._writer.acquire()
        self._count(-1)
        group = None
        try:
            group = self._group = self._group or _Group(self._engine.connect().execution_options(immediate=True))
            group.size += 1
            with savepoint(group.connection):
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


@contextmanager
def savepoint(connection: sa.Connection) -> Iterator[None]:
    """Said to the driver itself: SQLAlchemy's own savepoint costs more than most of what stands between."""
    driver: Any = _still_open(connection)  # outside a transaction a savepoint would begin and commit one of its own
    driver.execute("savepoint one")
    try:
        yield
    except BaseException:
        if driver.in_transaction:  # else all of it is gone already, and the commit will say so
            driver.execute("rollback to one")
            driver.execute("release one")
        raise
    _still_open(connection).execute("release one")


class Desk:
    """One thread that runs what requests want to write, all that wait in one transaction."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._transaction = transaction
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    async def run(self, work: Work) -> Any:
        """What `work` gives, once it is on disk; its error, if it raised one, with nothing of it stored."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put((work, future, loop))
        if self._thread is None:
            self._start()
        return await future

    def stop(self) -> None:
        """Ends the thread after what is queued."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="review-writer", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        while True:
            jobs, more = self._next()
            if jobs:
                for (_, future, loop), outcome in zip(jobs, self._together(jobs), strict=True):
                    _tell(loop, future, outcome)
            if not more:
                return

    def _next(self) -> tuple[list[Job], bool]:
        """What waits now, at least one; and whether to go on after it."""
        jobs: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == GROUP_SIZE:
                return jobs, True
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _together(self, jobs: list[Job]) -> list[tuple[Any, Exception | None]]:
        try:
            with self._transaction() as connection:
                return [_outcome(connection, work) for work, _, _ in jobs]
        except Exception as error:  # not begun, or not committed: nobody's work is stored
            return [(None, error)] * len(jobs)


def _outcome(connection: sa.Connection, work: Work) -> tuple[Any, Exception | None]:
    try:
        with savepoint(connection):
            return work(connection), None
    except Exception as error:
        return None, error


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], outcome: tuple[Any, Exception | None]) -> None:
    def tell() -> None:
        result, error = outcome
        if future.done():  # who asked has gone away
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    if not loop.is_closed():
        loop.call_soon_threadsafe(tell)
