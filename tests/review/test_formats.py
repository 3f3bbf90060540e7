"""Bridges: what is exported and brought back into a batch of the same rows gives the same decisions."""

import json
import uuid
import xml.etree.ElementTree as ET

import pyarrow.parquet as pq
import pytest

from dataforge.errors import DataforgeError
from dataforge.review import commands, formats
from dataforge.review.database import open_database
from dataforge.review.decisions import Decision, adjudicate
from dataforge.review.export import export_lines, export_sha256
from dataforge.review.leases import claim
from dataforge.review.queue import Answer, submit
from tests.review.invented import make_people, row_id, sample

BRIDGES = ("prodigy", "doccano", "label-studio", "parquet")


@pytest.fixture
def filled(sqlite, make_batch):
    """Five rows: agreed, disputed and adjudicated, rejected, unsure and flagged, untouched."""
    people = make_people(sqlite)
    batch = make_batch(sqlite, rows=sample(5, act=["other"] * 5, act_score=[0.5] * 5))
    answers = {
        "ana": [("label", "questions"), ("label", "other"), ("reject", ""), ("unsure", ""), None],
        "bo": [("label", "questions"), ("label", "directives"), ("reject", ""), ("flag", ""), None],
    }
    for who, given in answers.items():
        items = sorted(claim(sqlite, batch, people[who], 5).item_ids)
        for item, answer in zip(items, given, strict=True):
            if answer:
                labels = (answer[1],) if answer[1] else ()
                submit(
                    sqlite,
                    item,
                    people[who],
                    Answer(uuid.uuid4().hex, answer[0], labels, seconds=2.25, flagged=answer[0] == "flag"),
                )
    adjudicate(sqlite, 2, people["lea"], Decision("label", ("directives",), "", 0, error_category="edge_case"))
    return batch


def native(database, batch):
    with database.read() as c:
        return [json.loads(line) for line in export_lines(c, batch)]


@pytest.mark.parametrize("name", BRIDGES)
def test_round_trip_keeps_ids_answers_and_decisions(sqlite, filled, make_batch, tmp_path, name):
    location = str(tmp_path / "review.sqlite")
    out = tmp_path / f"out.{name}"
    done = commands.export(location, out, batch=filled, format=name)
    other = str(tmp_path / "other.sqlite")
    fresh = open_database(other)
    again = make_batch(fresh, rows=sample(5, act=["other"] * 5, act_score=[0.5] * 5))
    imported = commands.import_file(other, out, batch=again, format=name)
    assert (imported.answers, imported.decisions) == (8, 1)
    was, now = native(sqlite, filled), native(fresh, again)
    for record in (*was, *now):
        record.pop("agreement")  # of the adjudicated row: counted at the time of deciding
        record.pop("n_answers")
    assert now == was
    assert commands.import_file(other, out, batch=again, format=name).answers == 0  # twice stores once
    assert done["export_sha256"]
    fresh.dispose()


def test_prodigy_lines_have_what_prodigy_reads(sqlite, filled):
    with sqlite.read() as c:
        lines = [json.loads(line) for line in formats.export_text(c, filled, "prodigy")]
    first = lines[0]
    assert first["_view_id"] == "choice" and first["accept"] == ["questions"] and first["answer"] == "accept"
    assert {"id": "questions", "text": "question"} in first["options"]
    assert all(-(2**31) <= first[h] < 2**31 for h in ("_input_hash", "_task_hash"))
    assert [line["answer"] for line in lines if "answer" in line] == ["accept"] * 4 + ["reject"] * 2 + ["ignore"] * 2
    assert "answer" not in lines[-1] and first["meta"]["id"] == row_id(0)  # an item without answers is a task


def test_names_are_pseudonyms_unless_asked_for(sqlite, filled):
    with sqlite.read() as c:
        assert "ana" not in "".join(formats.export_text(c, filled, "doccano"))
        assert '"ana"' in "".join(formats.export_text(c, filled, "doccano", with_names=True))


def test_label_studio_tasks_and_their_interface(sqlite, filled, tmp_path):
    with sqlite.read() as c:
        tasks = json.loads("".join(formats.export_text(c, filled, "label-studio")))
    assert tasks[0]["annotations"][0]["result"][0] == {
        "from_name": "act",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": ["questions"]},
    }
    assert tasks[0]["predictions"][0]["score"] == 0.5
    assert [a["ground_truth"] for a in tasks[1]["annotations"]] == [False, False, True]
    commands.export(str(tmp_path / "review.sqlite"), tmp_path / "ls.json", batch=filled, format="label-studio")
    view = ET.parse(tmp_path / "ls.json.xml").getroot()
    assert [x.get("value") for x in view.iter("Choice")] == ["questions", "directives", "other", "reject"]


def test_parquet_loads_as_a_dataset_with_class_labels(sqlite, filled, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "labels.parquet"
    commands.export(str(tmp_path / "review.sqlite"), path, batch=filled, format="parquet")
    loaded = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
    assert loaded.features["label"].names == ["questions", "directives", "other"]
    assert loaded["label"][:] == [0, 1, -1, -1, -1]
    assert pq.read_table(path).column("labels_all").to_pylist()[0][0]["seconds"] == 2.25


@pytest.mark.parametrize(
    ("cell", "safe"),
    [("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"), ("a=1", "a=1"), (3, 3)],
)
def test_csv_cells_are_no_formulas(cell, safe):
    assert formats.harmless(cell) == safe


@pytest.mark.parametrize("name", BRIDGES)
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"[1]", b'{"a": 1}', b"\xff\xfe\x00", b'{"meta": {"id": 3}}', b'[{"data": {"text": "x"}}]'],
)
def test_foreign_files_give_nothing_or_a_named_error(sqlite, make_batch, tmp_path, name, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    batch = make_batch(sqlite, 1)
    try:
        assert commands.import_file(str(tmp_path / "review.sqlite"), path, batch=batch, format=name).answers == 0
    except DataforgeError as error:
        assert error.file == str(path)


def test_answer_of_another_label_set_is_refused(sqlite, filled, make_batch, tmp_path):
    out = tmp_path / "out.jsonl"
    commands.export(str(tmp_path / "review.sqlite"), out, batch=filled, format="prodigy")
    out.write_text(out.read_text().replace('"accept": ["questions"]', '"accept": ["greetings"]'))
    batch = make_batch(sqlite, rows=sample(5), title="another", need=1)
    with pytest.raises(DataforgeError, match="not in the label set"):
        commands.import_file(str(tmp_path / "review.sqlite"), out, batch=batch, format="prodigy")


def test_export_is_the_same_bytes_each_time(sqlite, filled):
    with sqlite.read() as c:
        assert export_sha256(c, filled) == export_sha256(c, filled)


def test_doccano_lines_with_the_meta_at_the_top_level_are_read(sqlite, filled, make_batch, tmp_path):
    out = tmp_path / "out.jsonl"
    commands.export(str(tmp_path / "review.sqlite"), out, batch=filled, format="doccano")
    flat = []
    for line in out.read_text().splitlines():
        record = json.loads(line)
        flat.append(json.dumps({**record.pop("meta"), **record}))
    out.write_text("\n".join(flat))
    other = open_database(tmp_path / "other.sqlite")
    batch = make_batch(other, rows=sample(5, act=["other"] * 5, act_score=[0.5] * 5))
    assert commands.import_file(str(tmp_path / "other.sqlite"), out, batch=batch, format="doccano").answers == 8
    other.dispose()
