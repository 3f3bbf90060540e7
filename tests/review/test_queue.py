"""The laws of the queue, on SQLite and PostgreSQL: no item over need, no answer twice, none lost, leases end."""

import threading
import uuid

import pytest
import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.database import open_database
from dataforge.review.leases import claim, release, renew
from dataforge.review.problems import Conflict, Invalid, NotFound
from dataforge.review.queue import Answer, submit, undo
from tests.review.invented import make_people, row_id, sample


def says(*labels, **more):
    return Answer(client_key=more.pop("key", uuid.uuid4().hex), labels=labels or ("questions",), **more)


def count(database, table, *where):
    with database.read() as c:
        return c.scalar(sa.select(sa.func.count()).select_from(table).where(*where))


def done_of(database):
    with database.read() as c:
        return list(c.scalars(sa.select(t.item.c.done).order_by(t.item.c.row_id)))


def answer_all(database, batch, user, n=3):
    answered = []
    while (got := claim(database, batch, user, n)).item_ids:
        for item in got.item_ids:
            submit(database, item, user, says())
            answered.append(item)
    return answered


def test_seeding_twice_seeds_once(database, make_batch):
    assert make_batch(database, 5) == make_batch(database, 5)
    assert count(database, t.item) == 5


def test_claim_gives_priority_zero_first(database, make_batch, people):
    batch = make_batch(database, rows=sample(3, priority=[2, 0, 1]))
    with database.read() as c:
        by_row = dict(c.execute(sa.select(t.item.c.id, t.item.c.row_id)).tuples().all())
    got = [by_row[i] for i in claim(database, batch, people["ana"], 3).item_ids]
    assert got == [row_id(1), row_id(2), row_id(0)]


def test_claiming_again_renews_and_gives_the_same_items(database, make_batch, people, clock):
    batch = make_batch(database, 9)
    first = claim(database, batch, people["ana"], 3)
    clock.pass_(200)
    again = claim(database, batch, people["ana"], 3)
    assert (set(again.item_ids), again.expires_at) == (set(first.item_ids), first.expires_at + 200)


def test_need_one_gives_an_item_to_one_person(database, make_batch, people):
    batch = make_batch(database, 3, need=1)
    assert len(claim(database, batch, people["ana"], 2).item_ids) == 2
    assert len(claim(database, batch, people["bo"], 3).item_ids) == 1


def test_who_finds_nothing_learns_what_others_hold_and_when_it_is_back(database, make_batch, people, clock):
    batch = make_batch(database, 2, need=1)
    claim(database, batch, people["ana"], 2)
    nothing = claim(database, batch, people["bo"], 3)
    assert (nothing.item_ids, nothing.with_others, nothing.back_at) == ((), 2, clock() + 300)


def test_an_expired_lease_is_offered_again_at_once(database, make_batch, people, clock):
    batch = make_batch(database, 1, need=1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    clock.pass_(300)
    assert claim(database, batch, people["bo"], 1).item_ids == (item,)


def test_a_released_item_is_free_at_once(database, make_batch, people):
    batch = make_batch(database, 1, need=1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    release(database, item, people["ana"])
    assert claim(database, batch, people["bo"], 1).item_ids == (item,)


def test_a_clock_set_back_does_not_revive_a_lease(database, make_batch, people, clock, location):
    batch = make_batch(database, 1, need=1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    clock.pass_(400)
    claim(database, batch, people["bo"], 1)
    clock.pass_(-10_000)
    reopened = open_database(location, clock=clock, steady=clock.steady)
    with pytest.raises(Conflict):
        submit(reopened, item, people["ana"], says())
    reopened.dispose()


def test_a_retry_gives_the_first_result(database, make_batch, people, clock):
    batch = make_batch(database, 1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    first = submit(database, item, people["ana"], says(key="one-key-only"))
    clock.pass_(50)
    again = submit(database, item, people["ana"], says(key="one-key-only"))
    assert (again.answer_id, again.saved_at, again.duplicate) == (first.answer_id, first.saved_at, True)
    assert (count(database, t.annotation), done_of(database)) == (1, [1])


def test_two_tabs_with_the_same_answer_store_one(database, make_batch, people):
    batch = make_batch(database, 1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    first = submit(database, item, people["ana"], says("questions"))
    assert submit(database, item, people["ana"], says("questions")).answer_id == first.answer_id
    assert count(database, t.annotation) == 1


def test_two_tabs_with_different_answers_ask_which_one_holds(database, make_batch, people):
    batch = make_batch(database, 1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    first = submit(database, item, people["ana"], says("questions"))
    with pytest.raises(Conflict) as problem:
        submit(database, item, people["ana"], says("other"))
    assert (problem.value.kind, problem.value.extra) == ("already-answered", {"answer_id": first.answer_id})
    submit(database, item, people["ana"], says("other", replaces=first.answer_id))
    assert (count(database, t.annotation), count(database, t.annotation, t.annotation.c.superseded_by.is_(None))) == (
        2,
        1,
    )
    assert done_of(database) == [1]


def test_late_answer_is_taken_while_the_slot_is_free(database, make_batch, people, clock):
    batch = make_batch(database, 1, need=1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    clock.pass_(10_000)
    assert not submit(database, item, people["ana"], says()).extra


def test_late_answer_to_a_taken_slot_is_a_conflict_and_may_be_sent_as_extra(database, make_batch, people, clock):
    batch = make_batch(database, 1, need=1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    clock.pass_(301)
    claim(database, batch, people["bo"], 1)
    with pytest.raises(Conflict) as problem:
        submit(database, item, people["ana"], says())
    assert problem.value.kind == "taken"
    assert submit(database, item, people["ana"], says(extra=True)).extra
    submit(database, item, people["bo"], says())
    assert (done_of(database), count(database, t.annotation)) == ([1], 2)


def test_renewing_an_expired_lease_works_until_another_has_the_slot(database, make_batch, people, clock):
    batch = make_batch(database, 1, need=1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    clock.pass_(301)
    assert renew(database, item, people["ana"]) == clock() + 300
    clock.pass_(301)
    claim(database, batch, people["bo"], 1)
    with pytest.raises(Conflict):
        renew(database, item, people["ana"])


def test_skipped_items_come_back_last(database, make_batch, people):
    batch = make_batch(database, 3)
    first = claim(database, batch, people["ana"], 1).item_ids[0]
    submit(database, first, people["ana"], Answer("skip-it-now", "skip"))
    order = []
    while (got := claim(database, batch, people["ana"], 1)).item_ids:
        order.append(got.item_ids[0])
        submit(database, got.item_ids[0], people["ana"], says())
    assert len(order) == 3 and order[-1] == first


def test_reject_and_flag_and_unsure_use_a_slot_and_skip_does_not(database, make_batch, people):
    batch = make_batch(database, 4, need=1)
    items = claim(database, batch, people["ana"], 4).item_ids
    for item, kind in zip(items, ("reject", "flag", "unsure", "skip"), strict=True):
        submit(database, item, people["ana"], Answer(f"key-of-{kind}", kind, note="why"))
    assert sorted(done_of(database)) == [0, 1, 1, 1]


def test_undo_frees_the_slot_holds_the_item_and_keeps_history(database, make_batch, people):
    batch = make_batch(database, 1, need=1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    saved = submit(database, item, people["ana"], says())
    assert undo(database, saved.answer_id, people["ana"]) == item
    assert undo(database, saved.answer_id, people["ana"]) == item  # twice is once
    assert done_of(database) == [0]
    assert claim(database, batch, people["bo"], 1).item_ids == ()
    submit(database, item, people["ana"], says("other"))
    assert (done_of(database), count(database, t.annotation)) == ([1], 3)


def test_a_retry_after_undo_does_not_bring_the_answer_back(database, make_batch, people):
    batch = make_batch(database, 1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    saved = submit(database, item, people["ana"], says(key="only-once"))
    undo(database, saved.answer_id, people["ana"])
    assert submit(database, item, people["ana"], says(key="only-once")).duplicate
    assert done_of(database) == [0]


def test_nobody_answers_or_undoes_for_another(database, make_batch, people):
    batch = make_batch(database, 1)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    saved = submit(database, item, people["ana"], says(key="key-of-ana"))
    for attempt in (
        lambda: submit(database, item, people["cy"], says()),
        lambda: undo(database, saved.answer_id, people["cy"]),
    ):
        with pytest.raises(NotFound):
            attempt()
    claim(database, batch, people["bo"], 1)
    with pytest.raises(Invalid):
        submit(database, item, people["bo"], says(key="key-of-ana"))


@pytest.mark.parametrize(
    "answer",
    [
        Answer("12345678", labels=("nonsense",)),
        Answer("12345678", labels=("questions", "other")),
        Answer("12345678", labels=()),
        Answer("12345678", kind="undo"),
        Answer("short", labels=("other",)),
        Answer("undo:144", labels=("other",)),
        Answer("import:1234", labels=("other",)),
        Answer("carried:1:2:3", labels=("other",)),
        Answer("12345678", kind="skip", labels=("other",)),
        Answer("12345678", labels=("other",), note="x" * 4001),
        Answer("12345678", labels=("other",), instruct={"instruction": "a"}),
        Answer("12345678", labels=("other",), instruct={"instruction": "a", "input": "b", "output": ""}),
        Answer("12345678", labels=("other",), instruct={"instruction": " \u200b\n", "input": "b", "output": "c"}),
        Answer("12345678", labels=("other",), seconds=float("nan")),
    ],
)
def test_wrong_answers_are_refused_and_nothing_is_stored(sqlite, make_batch, answer):
    people = make_people(sqlite)
    (item,) = claim(sqlite, make_batch(sqlite, 1), people["ana"], 1).item_ids
    with pytest.raises(Invalid):
        submit(sqlite, item, people["ana"], answer)
    assert count(sqlite, t.annotation) == 0


def test_two_labels_where_the_batch_allows_them(database, make_batch, people):
    batch = make_batch(database, 1, allow_multi=True)
    (item,) = claim(database, batch, people["ana"], 1).item_ids
    submit(database, item, people["ana"], says("questions", "directives"))
    with database.read() as c:
        assert c.scalar(sa.select(t.annotation.c.labels_json)) == '["directives", "questions"]'


def test_concurrent_people_answer_everything_exactly_need_times(database, make_batch):
    """8 threads, need 2, every answer sent twice, some skips: 0 over, 0 under, 0 pairs twice."""
    batch = make_batch(database, 60, need=2)
    with database.write() as c:
        for name in "abcdefgh":
            c.execute(t.account.insert().values(name=name, role="annotator", active=True, created_at=0))
        users = list(c.scalars(sa.select(t.account.c.id)))
    errors = []

    def work(user):
        try:
            skipped = 0
            while (got := claim(database, batch, user, 3)).item_ids:
                for item in got.item_ids:
                    if skipped < 3:
                        skipped += 1
                        submit(database, item, user, Answer(uuid.uuid4().hex, "skip"))
                        continue
                    answer = says()
                    assert not submit(database, item, user, answer).duplicate
                    assert submit(database, item, user, answer).duplicate
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(user,)) for user in users]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert errors == []
    for user in users:  # who stopped because others held the rest
        answer_all(database, batch, user)
    assert done_of(database) == [2] * 60
    pairs = sa.select(t.annotation.c.item_id, t.annotation.c.user_id).where(t.annotation.c.kind == "label")
    with database.read() as c:
        stored = c.execute(pairs).all()
    assert len(stored) == len(set(stored)) == 120


def test_a_changed_sample_replaces_the_open_batch_and_carries_answers_over(database, make_batch, people):
    old = make_batch(database, 2)
    answer_all(database, old, people["ana"])
    new = make_batch(database, 3)
    with database.read() as c:
        states = dict(c.execute(sa.select(t.batch.c.id, t.batch.c.state)).tuples().all())
        done = list(c.scalars(sa.select(t.item.c.done).where(t.item.c.batch_id == new).order_by(t.item.c.row_id)))
    assert states == {old: "cancelled", new: "open"}
    assert done == [1, 1, 0]
    with pytest.raises(Conflict) as problem:
        claim(database, old, people["bo"], 1)
    assert problem.value.kind == "batch-cancelled"


def test_going_back_to_the_old_sample_opens_its_batch_again_with_what_came_meanwhile(database, make_batch, people):
    old = make_batch(database, 2)
    new = make_batch(database, 3)
    answer_all(database, new, people["bo"])
    assert make_batch(database, 2) == old
    assert len(claim(database, old, people["ana"], 3).item_ids) == 2
    with database.read() as c:
        assert list(c.scalars(sa.select(t.item.c.done).where(t.item.c.batch_id == old))) == [1, 1]


def test_an_old_database_whose_keys_begin_as_ours_can_still_undo(sqlite, make_batch):
    """Keys of the page may once have begun with `undo:`."""
    people = make_people(sqlite)
    batch = make_batch(sqlite, 2)
    one, two = claim(sqlite, batch, people["ana"], 2).item_ids
    first = submit(sqlite, one, people["ana"], says(key="key-number-1"))
    submit(sqlite, two, people["ana"], says(key="key-number-2"))
    with sqlite.write() as c:
        taken = t.annotation.update().where(t.annotation.c.item_id == two)
        c.execute(taken.values(client_key=f"undo:{first.answer_id}"))
    assert undo(sqlite, first.answer_id, people["ana"]) == one
