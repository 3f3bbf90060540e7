"""Shared commits: who is told "saved" is on disk, who fails leaves the others alone, and a full disk loses nothing."""

import asyncio

import pytest
import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.leases import claim
from dataforge.review.queue import Answer, submit
from tests.review.browser import Web, answer
from tests.review.invented import make_people


def note(word):
    """A write that can be recognised afterwards."""

    def work(c):
        c.execute(t.setting.insert().values(key=word, value="x"))
        return word

    return work


def fails(c):
    c.execute(t.setting.insert().values(key="half done", value="x"))
    raise LookupError("of its own making")


def rolled_back_by_the_database(c):
    """What SQLite may do by itself when the disk is full."""
    c.connection.driver_connection.execute("rollback")
    raise sa.exc.OperationalError("insert", {}, Exception("database or disk is full"))


def together(database, *works):
    async def all_at_once():
        return await asyncio.gather(*(database.transact(work) for work in works), return_exceptions=True)

    return asyncio.run(all_at_once())


def noted(database):
    with database.read() as c:
        return sorted(set(c.scalars(sa.select(t.setting.c.key))) - {"schema_version", "cookie_secret"})


def test_a_write_that_fails_leaves_those_beside_it_alone(database):
    first, failed, last = together(database, note("a"), fails, note("b"))
    assert (first, type(failed), last) == ("a", LookupError, "b")
    assert noted(database) == ["a", "b"]


def test_nobody_is_told_saved_when_the_database_has_rolled_everything_back(sqlite):
    jobs = [(work, None, None) for work in (note("a"), rolled_back_by_the_database, note("b"))]
    said = sqlite._desk._together(jobs)  # as they come when three wait at once
    assert [(result, type(error)) for result, error in said] == [(None, sa.exc.OperationalError)] * 3
    assert noted(sqlite) == []
    assert together(sqlite, note("a")) == ["a"] and noted(sqlite) == ["a"]


def test_threads_that_share_a_commit_all_hear_that_it_is_lost(sqlite):
    with pytest.raises(sa.exc.OperationalError), sqlite.write() as c:
        c.execute(t.setting.insert().values(key="lost", value="x"))
        c.connection.driver_connection.execute("rollback")
    assert noted(sqlite) == []


@pytest.fixture
def full_disk(sqlite):
    """full_disk(True): the file may not grow any more."""
    most = {"pages": 1 << 30}

    @sa.event.listens_for(sqlite.engine, "checkout")
    def _limit(raw, record, proxy):
        raw.execute(f"pragma max_page_count={most['pages']}")

    def fill(on):
        most["pages"] = 1 if on else 1 << 30  # below what it has: SQLite takes its present size

    return fill


def test_on_a_full_disk_answers_are_refused_until_there_is_room_and_none_is_lost_or_doubled(sqlite, make_batch, full_disk):
    make_people(sqlite)
    web = Web(sqlite)
    batch = make_batch(sqlite, 30, need=1)
    client = web.client("ana")
    items = [x["id"] for x in client.post(f"/api/v1/batches/{batch}/claim", json={"n": 20}).json()["items"]]
    full_disk(True)
    long = "a note of some length " * 180

    def send(item):
        path = f"/api/v1/items/{item}/answers"
        return client.post(path, json=answer("other", key=f"key-of-item-{item}", note=long)).status_code

    first = {item: send(item) for item in items}
    assert set(first.values()) == {200, 503}  # some still found room in pages that were there
    with sqlite.read() as c:
        stored = set(c.scalars(sa.select(t.annotation.c.item_id)))
    assert stored == {item for item, status in first.items() if status == 200}
    full_disk(False)
    assert {send(item) for item in items} == {200}  # the outbox sends all of them again
    assert web.count(t.annotation) == len(items)
    with sqlite.read() as c:
        assert c.exec_driver_sql("pragma integrity_check").scalar() == "ok"


def test_while_the_clock_is_behind_what_was_stored_leases_still_end(database, make_batch, people, clock):
    batch = make_batch(database, 1, need=1)
    clock.pass_(86_400)  # an hour or a day ahead by mistake …
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    clock.at -= 86_400  # … and set right
    assert claim(database, batch, people["bo"], 1).item_ids == ()
    clock.passed += 301
    assert claim(database, batch, people["bo"], 1).item_ids == (item,)
    submit(database, item, people["bo"], Answer("key-of-bo", labels=("other",)))
