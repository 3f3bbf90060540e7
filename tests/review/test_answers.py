"""Answers from files: what contradicts itself or holds an empty edit is refused whole, an edit is never lost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from dataforge.errors import DataforgeError, InputError, SchemaError
from dataforge.review import tables as t
from dataforge.review.answers import Batch, Given, Imported, import_answers, read_answers
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.decisions import Decision
from tests.review.invented import row_id

EDIT = {"instruction": "Which glue?", "input": "", "output": "The clear one."}


def stored(database, batch, path, *lines):
    """The lines' answers imported; what is then in the database: kind and edited triple of each answer."""
    path.write_text("".join(json.dumps({"id": row_id(0), "annotator": "ana", **line}) + "\n" for line in lines))
    with database.read() as c:
        labels = labels_of(c, batch_row(c, batch).label_schema_id)
    import_answers(database, batch, Batch(tuple(read_answers(path, labels))), file=path.name)
    with database.read() as c:
        rows = c.execute(sa.select(t.annotation.c.kind, t.annotation.c.instruct_json)).all()
    return [(kind, json.loads(edit) if edit else None) for kind, edit in rows]


@pytest.mark.parametrize("other", [EDIT | {"output": "The dark one."}, None], ids=["another edit", "none"])
def test_two_answers_of_one_person_with_different_edits_are_a_contradiction(sqlite, make_batch, tmp_path, other):
    lines = [{"label": "other", "instruct": EDIT}, {"label": "other", "instruct": other}]
    with pytest.raises(InputError, match="answers this id differently on line 1"):
        stored(sqlite, make_batch(sqlite, 1), tmp_path / "a.jsonl", *lines)
    with sqlite.read() as c:
        assert c.execute(sa.select(t.annotation)).all() == []


def test_the_same_answer_twice_is_one(sqlite, make_batch, tmp_path):
    line = {"label": "other", "instruct": EDIT}
    assert stored(sqlite, make_batch(sqlite, 1), tmp_path / "a.jsonl", line, line) == [("label", EDIT)]


@pytest.mark.parametrize("word", ["unsure", "reject", "flag"])
def test_an_edit_beside_unsure_reject_or_flag_is_kept(sqlite, make_batch, tmp_path, word):
    batch = make_batch(sqlite, 1)
    assert stored(sqlite, batch, tmp_path / "a.jsonl", {"label": word, "instruct": EDIT}) == [(word, EDIT)]


@pytest.mark.parametrize("blank", ["", " \n", "\u00a0\u200b", "\x00\u202e"])
@pytest.mark.parametrize("name", ["instruction", "output"])
def test_an_edit_without_instruction_or_output_is_refused(sqlite, make_batch, tmp_path, name, blank):
    batch, edit = make_batch(sqlite, 1), EDIT | {name: blank}
    with pytest.raises(SchemaError, match="only input may be empty"):
        stored(sqlite, batch, tmp_path / "a.jsonl", {"label": "other", "instruct": edit})
    given = Given(row_id(0), "ana", "label", ("other",), 1, instruct=edit)  # as the bridges read it
    lead = Decision("label", ("other",), "adjudicated", 0, instruct=json.dumps(edit))
    for wrong in (Batch((given,)), Batch((), {row_id(0): lead})):
        with pytest.raises(DataforgeError, match="only input may be empty"):
            import_answers(sqlite, batch, wrong)


def test_an_answer_that_differs_from_what_its_person_has_said_is_counted_apart_and_changes_nothing(
    sqlite, make_batch, tmp_path
):
    batch = make_batch(sqlite, 2)
    given = [Given(row_id(k), "ana", "label", ("other",), k, instruct=EDIT) for k in range(2)]
    assert import_answers(sqlite, batch, Batch(tuple(given))) == Imported(2, 0, 0)
    other = replace(given[1], instruct=EDIT | {"output": "The dark one."})
    assert import_answers(sqlite, batch, Batch((given[0], other))) == Imported(0, 1, 0, 1)
    assert import_answers(sqlite, batch, Batch((replace(given[0], labels=("questions",)),))) == Imported(0, 0, 0, 1)
    with sqlite.read() as c:
        edits = c.scalars(sa.select(t.annotation.c.instruct_json)).all()
    assert [json.loads(edit) for edit in edits] == [EDIT, EDIT]
