"""What the commands `dataforge review …` do, as plain functions: no printing, no parsing of arguments.

`database` is the location of review.database (file, postgresql:// URL, env:NAME, file:PATH). A batch is named by its
id, or None for the newest that is not cancelled.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from dataforge.errors import ConfigError, InputError
from dataforge.review import auth, formats
from dataforge.review import stats as numbers
from dataforge.review import tables as t
from dataforge.review.answers import Batch, Imported, import_answers, read_answers
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.closing import Closing, close, due
from dataforge.review.database import Database, open_database, resolve_secret
from dataforge.review.export import export_sha256
from dataforge.review.seed import BatchSpec, seed

OnClosed = Callable[[dict[str, Any]], None]


@contextmanager
def opened(location: str | Path, *, create: bool = False) -> Iterator[Database]:
    database = open_database(location, create=create)
    try:
        yield database
    finally:
        database.dispose()


def sample(database: str | Path, rows: pa.Table | Path, spec: BatchSpec) -> dict[str, Any]:
    """Seeds a batch from rows, a Parquet file or the folder of a Table; the batch as `batches` shows it."""
    with opened(database, create=True) as db:
        return _row(db, seed(db, rows if isinstance(rows, pa.Table) else _read_rows(rows), spec))


def _read_rows(path: Path) -> pa.Table:
    try:
        return pq.read_table(path / "data" if (path / "data").is_dir() else path)
    except (OSError, pa.ArrowInvalid):
        raise InputError("the sample cannot be read", file=str(path)) from None


def batches(database: str | Path) -> list[dict[str, Any]]:
    with opened(database) as db:
        with db.read() as c:
            ids = c.scalars(sa.select(t.batch.c.id).order_by(t.batch.c.id)).all()
        return [_row(db, batch_id) for batch_id in ids]


def _row(db: Database, batch_id: int) -> dict[str, Any]:
    with db.read() as c:
        batch = batch_row(c, batch_id)
        done, items = numbers.progress_of(c, batch_id)
    return {
        "id": batch.id,
        "title": batch.title,
        "kind": batch.kind,
        "state": batch.state,
        "need": batch.need,
        "done": done,
        "items": items,
        "deadline": batch.deadline,
        "export_sha256": batch.export_sha256,
    }


def _chosen(db: Database, batch: int | None) -> int:
    """The named batch; without a name the only one that is open, else the newest. Two open ones must be told apart."""
    with db.read() as c:
        if batch is not None:
            return int(batch_row(c, batch).id)
        order = (t.batch.c.seeded_at.desc(), t.batch.c.id.desc())
        rows = c.execute(sa.select(t.batch).where(t.batch.c.state != "cancelled").order_by(*order)).all()
    open_ = [row for row in rows if row.state in ("open", "closing")]
    if len(open_) > 1:
        error = ConfigError(f"{len(open_)} batches are open", key="--batch", hint=f"name one: --batch {open_[-1].id}")
        error.details = [f"batch {row.id}: {row.title}" for row in sorted(open_, key=lambda row: row.id)]
        raise error
    if not rows:
        raise InputError("there is no batch yet", hint="run the flow once: it seeds the review queue")
    return int((open_ or rows)[0].id)


def current(database: str | Path) -> list[int]:
    """Batches that still count, oldest first: the open ones, or the newest where none is open."""
    with opened(database) as db, db.read() as c:
        select = sa.select(t.batch).where(t.batch.c.state != "cancelled")
        rows = c.execute(select.order_by(t.batch.c.seeded_at, t.batch.c.id)).all()
    return [row.id for row in rows if row.state in ("open", "closing")] or [row.id for row in rows][-1:]


def user_add(
    database: str | Path, name: str, role: str = "annotator", *, base_url: str = "http://127.0.0.1:8474"
) -> str:
    """Makes an account; gives its one-time link. The token stands in the fragment, so no server log sees it."""
    with opened(database, create=True) as db:
        return f"{base_url.rstrip('/')}/login#{auth.add_user(db, name, role)}"


def user_link(database: str | Path, name: str, *, base_url: str = "http://127.0.0.1:8474") -> str:
    with opened(database) as db:
        return f"{base_url.rstrip('/')}/login#{auth.new_link(db, name)}"


def user_role(database: str | Path, name: str, role: str) -> None:
    with opened(database) as db:
        auth.set_role(db, name, role)


def user_remove(database: str | Path, name: str) -> None:
    """Ends the account's login at once; its answers stay."""
    with opened(database) as db:
        auth.deactivate(db, name)


def user_list(database: str | Path) -> list[dict[str, object]]:
    with opened(database) as db:
        return auth.users(db)


def stats(database: str | Path, batch: int | None = None) -> dict[str, Any]:
    """The document of `review stats --json`: {"schema": 1, …} as stats.stats gives it."""
    with opened(database) as db:
        return {"schema": 1, **numbers.stats(db, _chosen(db, batch))}


def export(
    database: str | Path, out: Path, *, batch: int | None = None, format: str = "jsonl", with_names: bool = False
) -> dict[str, Any]:
    """Writes a batch to the file `out`: format, path, sha256 of the native export. label-studio also writes `out`.xml."""
    if format not in formats.FORMATS:
        raise ConfigError(f"format must be one of {', '.join(formats.FORMATS)}", key="--format")
    beside = out.with_name(out.name + ".partial")
    with opened(database) as db, db.read() as c:
        batch_id = _chosen(db, batch)
        label_set = labels_of(c, batch_row(c, batch_id).label_schema_id)
        if format == "parquet":
            pq.write_table(formats.hf_table(formats.exported(c, batch_id, with_names=with_names), label_set), beside)
        else:
            with open(beside, "w", encoding="utf-8", newline="") as file:
                file.writelines(formats.export_text(c, batch_id, format, with_names=with_names))
        os.replace(beside, out)
        if format == "label-studio":
            out.with_name(out.name + ".xml").write_text(formats.label_studio_config(label_set), encoding="utf-8")
        return {"batch": batch_id, "format": format, "path": str(out), "export_sha256": export_sha256(c, batch_id)}


def import_file(database: str | Path, file: Path, *, batch: int | None = None, format: str = "jsonl") -> Imported:
    """Reads answers in a format of READERS, or JSONL `id, label, annotator`; stores what is new."""
    with opened(database) as db:
        batch_id = _chosen(db, batch)
        with db.read() as c:
            label_set = labels_of(c, batch_row(c, batch_id).label_schema_id)
        if format != "jsonl" and format not in formats.READERS:
            raise ConfigError(f"format must be one of jsonl, {', '.join(formats.READERS)}", key="--format")
        given = (
            Batch(tuple(read_answers(file, label_set)))
            if format == "jsonl"
            else formats.READERS[format](file, label_set)
        )
        return import_answers(db, batch_id, given, file=str(file))


def close_batch(
    database: str | Path,
    *,
    batch: int | None = None,
    allow_unresolved: bool = False,
    now: bool = False,
    on_closed: OnClosed | None = None,
) -> Closing:
    """Closes a batch (see decisions.close) and then calls `on_closed` with ids and counts."""
    with opened(database) as db:
        batch_id = _chosen(db, batch)
        closing = close(db, batch_id, None, allow_unresolved=allow_unresolved, now_at_once=now, digest=export_sha256)
        if on_closed and closing.state == "closed":
            on_closed(closed_event(db, batch_id))
    return closing


def closed_event(db: Database, batch_id: int) -> dict[str, Any]:
    """Payload of `dataforge.review.closed`: ids and counts, never text."""
    row = _row(db, batch_id)
    return {name: row[name] for name in ("id", "title", "kind", "items", "done", "export_sha256")}


def sweep(database: Database, *, on_closed: OnClosed | None = None) -> list[int]:
    """Applies the deadline policy and finishes `closing` batches whose leases have ended; ids of batches closed now."""
    closed = []
    for batch in due(database):
        if batch.state == "closing" or batch.on_deadline == "close_resolved":
            outcome = close(
                database,
                batch.id,
                None,
                allow_unresolved=True,
                now_at_once=batch.state != "closing",
                digest=export_sha256,
            )
            if outcome.state == "closed":
                closed.append(batch.id)
                if on_closed:
                    on_closed(closed_event(database, batch.id))
    return closed


def sweep_reviews(database: str | Path, *, on_closed: OnClosed | None = None) -> list[int]:
    with opened(database) as db:
        return sweep(db, on_closed=on_closed)


def backup(database: str | Path, out: Path) -> Path:
    """A consistent copy while people work (SQLite's online backup), mode 0600. PostgreSQL: use pg_dump."""
    location = resolve_secret(str(database)).removeprefix("sqlite:///")
    if "://" in location:
        raise ConfigError("backup copies SQLite databases", hint="for PostgreSQL use pg_dump")
    if not Path(location).exists():
        raise InputError("there is no review database", file=location)
    beside = out.with_name(out.name + ".partial")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_CREAT | os.O_RDWR, 0o600))
    source, target = sqlite3.connect(location), sqlite3.connect(beside)
    try:
        source.backup(target, pages=1000)
        if target.execute("pragma integrity_check").fetchone() != ("ok",):
            raise InputError("the copy fails its integrity check", file=location)
    finally:
        source.close()
        target.close()
    os.replace(beside, out)
    return out


def forget_rows(database: str | Path, row_ids: list[str]) -> int:
    """Removes items of these rows with all that hangs on them, and their bytes from the file; how many items."""
    with opened(database) as db:
        with db.write() as c:
            ids = [
                i
                for start in range(0, len(row_ids), 500)
                for i in c.scalars(sa.select(t.item.c.id).where(t.item.c.row_id.in_(row_ids[start : start + 500])))
            ]
            for start in range(0, len(ids), 500):
                chunk = ids[start : start + 500]
                c.execute(
                    t.annotation.update()
                    .where(t.annotation.c.item_id.in_(chunk))
                    .values(superseded_by=None, kind="skip")
                )
                for table in (t.suggestion, t.lease, t.annotation, t.decision):
                    c.execute(table.delete().where(table.c.item_id.in_(chunk)))
                c.execute(t.item.delete().where(t.item.c.id.in_(chunk)))
        if db.is_sqlite and ids:  # deleted rows stay readable in the WAL until it is emptied
            with db.engine.connect() as raw:
                driver = raw.connection.driver_connection
                for statement in ("pragma wal_checkpoint(truncate)", "vacuum", "pragma wal_checkpoint(truncate)"):
                    driver.execute(statement)  # type: ignore[union-attr]
    return len(ids)


def serve(
    database: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8474,
    on_closed: OnClosed | None = None,
    trusted_proxy: str = "",
    public_url: str = "",
    min_alpha: float = 0.667,
) -> None:
    """Runs the page until interrupted. Binds to loopback unless told otherwise."""
    from dataforge.review.app import serve as run

    run(
        open_database(database, clock=time.time),
        host=host,
        port=port,
        on_closed=on_closed,
        trusted_proxy=trusted_proxy,
        public_url=public_url,
        min_alpha=min_alpha,
    )


def as_json(closing: Closing) -> dict[str, Any]:
    return {"schema": 1, **asdict(closing), "sentence": closing.sentence()}
