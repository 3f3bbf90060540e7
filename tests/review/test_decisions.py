"""What answers amount to, adjudication, closing, the export, and the Source that waits for it."""

import hashlib
import json
import uuid

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError, DataforgeError, GateError, InputError, NotReady
from dataforge.operators.labels import Labels
from dataforge.review import commands
from dataforge.review import tables as t
from dataforge.review.closing import close, preview
from dataforge.review.decisions import Decision, Given, adjudicate, decide, withdraw
from dataforge.review.export import export_lines, export_sha256
from dataforge.review.leases import claim
from dataforge.review.problems import Conflict, Invalid
from dataforge.review.queue import Answer, submit
from dataforge.schemas.label import LABEL
from tests.review.invented import make_people, row_id, sample


def said(*labels):
    return [Given("label", (x,)) if x not in ("reject", "unsure", "flag") else Given(x) for x in labels]


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([], ("none", (), "unresolved")),
        (["a"], ("label", ("a",), "single")),
        (["a", "a"], ("label", ("a",), "unanimous")),
        (["a", "b"], ("none", (), "unresolved")),
        (["a", "a", "b"], ("label", ("a",), "majority")),
        (["a", "b", "c"], ("none", (), "unresolved")),
        (["a", "a", "b", "b"], ("none", (), "unresolved")),
        (["a", "unsure"], ("none", (), "unresolved")),
        (["a", "a", "unsure"], ("label", ("a",), "majority")),
        (["reject", "reject"], ("reject", (), "unanimous")),
        (["a", "reject"], ("none", (), "unresolved")),
        (["flag"], ("none", (), "unresolved")),
    ],
)
def test_decision_of_answers(answers, outcome):
    decision = decide(said(*answers))
    assert (decision.kind, decision.labels, decision.source) == outcome


@given(st.lists(st.sampled_from(["a", "b", "reject", "unsure"]), max_size=6), st.randoms())
@settings(max_examples=60)
def test_order_of_answers_does_not_matter(words, random):
    mixed = list(words)
    random.shuffle(mixed)
    assert decide(said(*words)) == decide(said(*mixed))


def test_agreed_label_with_different_edits_is_unresolved():
    assert decide([Given("label", ("a",), '{"x":1}'), Given("label", ("a",), '{"x":2}')]).source == "unresolved"
    assert decide([Given("label", ("a",), '{"x":1}'), Given("label", ("a",))]).instruct == '{"x":1}'


@pytest.fixture
def answered(database, make_batch, people):
    """Three items, need 2: ana and bo agree on row 0, differ on row 1; row 2 has only ana's answer."""
    batch = make_batch(database, 3)
    with database.read() as c:
        items = dict(c.execute(sa.select(t.item.c.row_id, t.item.c.id)).tuples().all())
    for who, labels in (("ana", ["questions", "questions", "other"]), ("bo", ["questions", "directives"])):
        claim(database, batch, people[who], 3)
        for k, label in enumerate(labels):
            submit(database, items[row_id(k)], people[who], Answer(uuid.uuid4().hex, labels=(label,), seconds=2.5))
    return batch, [items[row_id(k)] for k in range(3)]


def finish(database, batch, **options):
    return close(database, batch, digest=export_sha256, **{"now_at_once": True, **options})


def test_closing_is_refused_while_items_are_open_and_says_what_is(database, answered):
    batch, _ = answered
    with pytest.raises(Conflict, match="2 agreed, 0 adjudicated, 1 unresolved; 1 still short of answers"):
        finish(database, batch)
    assert preview(database, batch).state == "open"


def test_lead_adjudicates_then_the_batch_closes(database, answered, people):
    batch, items = answered
    adjudicate(database, items[1], people["lea"], Decision("label", ("directives",), "", 0, error_category="edge_case"))
    adjudicate(database, items[2], people["lea"], Decision("reject", (), "", 0))
    closing = finish(database, batch)
    assert closing.state == "closed"
    assert closing.counts == {"unanimous": 1, "majority": 0, "adjudicated": 2, "single": 0, "unresolved": 0}
    with database.read() as c:
        rows = [json.loads(line) for line in export_lines(c, batch)]
        text = "".join(export_lines(c, batch))
    assert [(r["id"], r["label"], r["decided_by"], r["rejected"]) for r in rows] == [
        (row_id(0), "questions", "unanimous", False),
        (row_id(1), "directives", "adjudicated", False),
        (row_id(2), None, "adjudicated", True),
    ]
    assert [a["annotator"] for a in rows[0]["answers"]] == ["a01", "a02"]
    assert closing.export_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert "ana" not in text and "text 0" not in text


def test_closing_a_closed_batch_changes_nothing_and_its_decisions_are_final(database, answered, people):
    batch, items = answered
    first = finish(database, batch, allow_unresolved=True)
    assert finish(database, batch).export_sha256 == first.export_sha256
    with pytest.raises(Conflict):
        adjudicate(database, items[1], people["lea"], Decision("label", ("other",), "", 0))
    with pytest.raises(Conflict) as problem:
        submit(database, items[2], people["ana"], Answer("late-answer", labels=("other",)))
    assert problem.value.kind == "batch-closed"


def test_closing_waits_for_live_leases_and_takes_their_answers(database, make_batch, people, clock):
    batch = make_batch(database, 2, need=1)
    first, second = claim(database, batch, people["ana"], 2).item_ids
    submit(database, first, people["ana"], Answer("first-answer", labels=("other",)))
    assert finish(database, batch, allow_unresolved=True, now_at_once=False).state == "closing"
    with pytest.raises(Conflict):
        claim(database, batch, people["bo"], 1)
    submit(database, second, people["ana"], Answer("second-answer", labels=("other",)))
    clock.pass_(301)
    assert commands.sweep(database) == [batch]
    assert preview(database, batch).counts["single"] == 2


def test_withdrawn_adjudication_leaves_the_answers_to_decide(database, answered, people):
    batch, items = answered
    adjudicate(database, items[0], people["lea"], Decision("label", ("other",), "", 0))
    withdraw(database, items[0], people["lea"])
    assert preview(database, batch).counts["unanimous"] == 1
    with database.read() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(t.audit).where(t.audit.c.action == "decision")) == 2


def test_adjudication_outside_the_label_set_is_refused(database, answered, people):
    _, items = answered
    with pytest.raises(Invalid):
        adjudicate(database, items[0], people["lea"], Decision("label", ("nonsense",), "", 0))


def test_deadline_closes_with_what_is_resolved(database, make_batch, clock):
    batch = make_batch(database, 2, deadline=clock() + 100, on_deadline="close_resolved")
    assert commands.sweep(database) == []
    clock.pass_(101)
    events = []
    assert commands.sweep(database, on_closed=events.append) == [batch]
    assert events[0]["export_sha256"] and "text" not in json.dumps(events)


# --- the Source ---


@pytest.fixture
def labels(location, label_file):
    return Labels(title="support: acts", label_set=label_file, guideline="speech_acts", database=location)


def test_labels_wait_until_the_batch_is_closed(labels, location):
    batch = labels.seed(sample(5))
    assert labels.seed(sample(5)) == batch
    with pytest.raises(NotReady, match="0 of 5 labelled") as waiting:
        labels.digest()
    assert waiting.value.exit_code == 5
    assert waiting.value.line().startswith("waiting[REVIEW]: support: acts: 0 of 5 labelled; dataforge review serve CONFIG")
    closing = commands.close_batch(location, batch=batch, allow_unresolved=True, now=True)
    assert labels.digest() == closing.export_sha256


def test_who_waits_learns_whose_turn_it_is(labels, database, people):
    batch = labels.seed(sample(1))

    def says():
        with pytest.raises(NotReady) as waiting:
            labels.digest()
        return waiting.value.naming("my data.yaml").line()

    (item,) = claim(database, batch, people["ana"], 1).item_ids
    claim(database, batch, people["bo"], 1)
    submit(database, item, people["ana"], Answer("key-of-ana", labels=("other",)))
    submit(database, item, people["bo"], Answer("key-of-bo", labels=("questions",)))
    assert "decide 1 row on which people disagree; Adjudicate at dataforge review serve 'my data.yaml'" in says()
    adjudicate(database, item, people["lea"], Decision("label", ("other",), "adjudicated", 0))
    assert f"a lead has to close the batch; dataforge review close 'my data.yaml' --batch {batch}" in says()


def answers_file(tmp_path, *records):
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def with_answers(labels, path):
    return Labels(**{**labels.__dict__, "answers": path})


def test_answers_file_closes_the_batch_and_rows_come_sorted_with_the_rest_dropped(labels, tmp_path):
    path = answers_file(
        tmp_path,
        {"id": row_id(2), "label": "question", "annotator": "ana"},
        {"id": row_id(0), "label": "other", "annotator": "ana"},
        {"id": row_id(0), "label": "other", "annotator": "bo"},
        {"id": row_id(1), "label": "other", "annotator": "ana"},
        {"id": row_id(1), "label": "questions", "annotator": "bo"},
    )
    labels = with_answers(labels, path)
    labels.seed(sample(4, act=["other", "other", "questions", "other"], act_score=[0.5, 0.6, 0.7, 0.8]))
    first = labels.digest()
    (file,) = labels.read(labels.splits()[0])
    (rows,) = file.rows
    assert rows.kept.schema == LABEL
    assert rows.kept.column("id").to_pylist() == [row_id(0), row_id(2)]
    assert rows.kept.column("label").to_pylist() == ["other", "questions"]
    assert rows.kept.column("decided_by").to_pylist() == ["unanimous", "single"]
    assert rows.kept.column("suggestion_score").to_pylist() == [0.5, 0.7]
    assert list(zip(rows.dropped["id"].to_pylist(), rows.dropped["reason"].to_pylist(), strict=True)) == [
        (row_id(1), "unresolved"),
        (row_id(3), "unanswered"),
    ]
    assert file.counted() == 4
    labels.seed(sample(4, act=["other", "other", "questions", "other"], act_score=[0.5, 0.6, 0.7, 0.8]))
    assert labels.digest() == first


@pytest.mark.parametrize(("kind", "key"), [("act", "review.answers"), ("dropped", "review.audit.answers")])
def test_a_missing_answers_file_names_the_key_that_asked_for_it(tmp_path, kind, key):
    path = str(tmp_path / "none.jsonl")
    missing = Labels("acts", kind, database=str(tmp_path / "review.sqlite"), answers=path)
    with pytest.raises(InputError) as error:
        missing.seed(sample(1))
    assert (error.value.key, error.value.file) == (key, path)


def test_digest_is_a_function_of_sample_and_answers(labels, tmp_path, label_file):
    path = answers_file(tmp_path, {"id": row_id(0), "label": "other", "annotator": "ana"})
    one = with_answers(labels, path)
    one.seed(sample(2))
    two = Labels(
        title=one.title,
        label_set=label_file,
        guideline="speech_acts",
        database=str(tmp_path / "again.sqlite"),
        answers=path,
    )
    two.seed(sample(2).take([1, 0]))
    assert one.digest() == two.digest()


def test_changed_answers_file_is_another_batch(labels, tmp_path):
    one = with_answers(labels, answers_file(tmp_path, {"id": row_id(0), "label": "other", "annotator": "ana"}))
    one.seed(sample(2))
    first = one.digest()
    answers_file(tmp_path, {"id": row_id(0), "label": "questions", "annotator": "ana"})
    one.seed(sample(2))
    assert one.digest() != first


@pytest.mark.parametrize(
    ("record", "row", "message"),
    [
        ({"id": "f" * 32, "label": "other", "annotator": "a"}, 2, "is not in the sample"),
        ({"id": row_id(1), "label": "nonsense", "annotator": "a"}, 2, "'nonsense' is not in the label set 'three'"),
        ({"label": "other", "annotator": "a"}, 2, "the text `id`"),
        ({"id": row_id(0), "label": "questions", "annotator": "ana"}, 2, "differently on line 1"),
        ({"id": row_id(1), "label": ["questions", "other"], "annotator": "a"}, 2, "2 labels where"),
    ],
)
def test_bad_answers_name_file_and_line(tmp_path, label_file, record, row, message):
    path = answers_file(tmp_path, {"id": row_id(0), "label": "other", "annotator": "ana"}, record)
    labels = Labels(
        title="x", label_set=label_file, guideline="speech_acts", database=str(tmp_path / "r.sqlite"), answers=path
    )
    with pytest.raises(DataforgeError, match=message) as problem:
        labels.seed(sample(2))
    assert (problem.value.file, problem.value.row, problem.value.exit_code) == (path, row, 3)
    with pytest.raises(NotReady):
        labels.digest()


def test_missing_answers_file_is_an_input_error(labels):
    with pytest.raises(InputError):
        with_answers(labels, "no-such-file").seed(sample(1))


def test_missed_deadline_fails_the_run_where_the_config_says_so(tmp_path, label_file):
    labels = Labels(
        title="x",
        label_set=label_file,
        guideline="speech_acts",
        database=str(tmp_path / "r.sqlite"),
        deadline=1.0,
        on_deadline="fail",
    )
    labels.seed(sample(1))
    with pytest.raises(GateError, match="0 of 1 labelled"):
        labels.digest()


def test_rows_of_the_sampling_step_keep_share_gold_and_neighbours(sqlite, make_batch):
    import pyarrow as pa

    from dataforge.operators.sample import SAMPLE

    row = {
        "id": row_id(0),
        "source": "chat",
        "text": "Is it?",
        "act": "questions",
        "act_score": 0.5,
        "stratum": "questions/chat",
        "share": "random",
        "p_selected": 0.25,
        "priority": 3,
        "gold_label": "questions",
        "prev_text": "before",
        "prev_same_speaker": True,
        "next_text": None,
        "next_same_speaker": None,
    }
    make_batch(sqlite, rows=pa.Table.from_pylist([row], SAMPLE))
    with sqlite.read() as c:
        item = c.execute(sa.select(t.item)).one()
    assert (bool(item.is_random), item.p_selected, item.priority, json.loads(item.gold_json)) == (
        True,
        0.25,
        -3.0,
        ["questions"],
    )
    assert json.loads(item.context_json) == [{"speaker": "same speaker", "text": "before", "after": False}]


def test_gold_outside_the_label_set_is_refused(sqlite, make_batch):
    with pytest.raises(DataforgeError, match="gold label"):
        make_batch(sqlite, rows=sample(1, gold=["nonsense"]))


@pytest.mark.parametrize(
    "spec", [{"need": 0}, {"show_suggestions": "maybe"}, {"kind": "x"}, {"on_deadline": "x"}, {"title": " "}]
)
def test_settings_out_of_range_are_config_errors(sqlite, make_batch, spec):
    with pytest.raises(ConfigError):
        make_batch(sqlite, 1, **spec)


def test_stats_show_progress_people_gold_and_the_tagger_on_the_random_share(sqlite, make_batch):
    people = make_people(sqlite)
    rows = sample(
        3,
        gold=["questions", None, None],
        random=[False, True, True],
        act=["other", "questions", "other"],
        p_selected=[1.0, 0.5, 0.5],
    )
    batch = make_batch(sqlite, rows=rows)
    for who in ("ana", "bo"):
        for item in claim(sqlite, batch, people[who], 3).item_ids:
            submit(
                sqlite,
                item,
                people[who],
                Answer(uuid.uuid4().hex, labels=("questions",), seconds=0.5 if who == "bo" else 4),
            )
    from dataforge.review.stats import stats

    got = stats(sqlite, batch)
    assert got["progress"]["done"] == 3 and got["progress"]["answers"] == 6
    assert got["agreement"]["alpha"]["why"] == "undefined: only one label was used, 6/6 equal"
    assert [(p["name"], p["too_fast"], p["gold"]["value"]) for p in got["people"]] == [("ana", 0, 1.0), ("bo", 3, 1.0)]
    assert (got["tagger"]["random_share"]["hits"], got["tagger"]["random_share"]["n"]) == (1, 2)
    assert got["tagger"]["weighted"]["value"] == pytest.approx(2 / 5)


def test_audit_of_drops_measures_the_false_drop_rate(sqlite, make_batch):
    people = make_people(sqlite)
    batch = make_batch(
        sqlite, rows=sample(2, reason=["too_few_words"] * 2), kind="dropped", label_set="", guideline="", need=1
    )
    for item, label in zip(claim(sqlite, batch, people["ana"], 2).item_ids, ("wrong", "right"), strict=True):
        submit(sqlite, item, people["ana"], Answer(uuid.uuid4().hex, labels=(label,)))
    from dataforge.review.stats import stats

    drops = stats(sqlite, batch)["false_drops"]["too_few_words"]
    assert (drops["hits"], drops["n"], drops["value"]) == (1, 2, 0.5)


def test_labels_before_the_first_seeding_are_waiting(tmp_path):
    with pytest.raises(NotReady, match="nothing is seeded yet"):
        Labels(title="x", database=str(tmp_path / "none.sqlite")).digest()
    assert not (tmp_path / "none.sqlite").exists()
