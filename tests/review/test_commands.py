"""The commands of the shell, the database file, label sets and guidelines."""

import sqlite3

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from dataforge.errors import ConfigError, DataforgeError, InputError, SecretError, VersionError
from dataforge.review import commands
from dataforge.review import tables as t
from dataforge.review.app import serve
from dataforge.review.database import open_database, refuse_network_file_system
from dataforge.review.label_sets import load_guideline, load_label_set
from dataforge.review.leases import claim
from dataforge.review.queue import Answer, submit
from dataforge.review.seed import BatchSpec
from tests.review.invented import make_people, row_id, sample


@pytest.fixture
def where(tmp_path):
    return str(tmp_path / "review.sqlite")


def test_sample_reads_a_parquet_file_and_shows_the_batch(where, tmp_path, label_file):
    pq.write_table(sample(3), tmp_path / "sample.parquet")
    spec = BatchSpec("acts", label_set=label_file, guideline="speech_acts")
    batch = commands.sample(where, tmp_path / "sample.parquet", spec)
    assert (batch["title"], batch["state"], batch["done"], batch["items"]) == ("acts", "open", 0, 3)
    assert commands.batches(where) == [batch]
    assert commands.stats(where)["agreement"]["alpha"]["why"] == "not defined: no overlap"


def test_people_are_added_with_a_one_time_link_and_switched_off(where):
    link = commands.user_add(where, "ana", "lead", base_url="https://review.example.org/")
    assert link.startswith("https://review.example.org/login#")
    assert commands.user_list(where) == [{"name": "ana", "role": "lead", "active": True, "passphrase": False}]
    assert commands.user_link(where, "ana") != link
    commands.user_remove(where, "ana")
    assert not commands.user_list(where)[0]["active"]
    for wrong in (("a b", "lead"), ("x", "king"), ("", "lead")):
        with pytest.raises(DataforgeError) as refused:
            commands.user_add(where, *wrong)
        assert (refused.value.code, refused.value.exit_code) == ("CONFIG", 2)
    with pytest.raises(DataforgeError) as unknown:
        commands.user_link(where, "nobody")
    assert (unknown.value.code, unknown.value.exit_code) == ("CONFIG", 2)


def test_a_removed_account_is_opened_again_by_adding_it(where):
    commands.user_add(where, "ana", "lead")
    commands.user_remove(where, "ana")
    commands.user_add(where, "ana")
    assert commands.user_list(where) == [{"name": "ana", "role": "annotator", "active": True, "passphrase": False}]


def test_a_batch_with_open_work_waits_like_a_run_and_a_wrong_number_is_a_mistake(where, sqlite, make_batch):
    make_batch(sqlite, 1)
    with pytest.raises(DataforgeError) as waiting:
        commands.close_batch(where)
    assert (waiting.value.code, waiting.value.exit_code) == ("REVIEW", 5)
    with pytest.raises(DataforgeError) as mistaken:
        commands.close_batch(where, batch=7)
    assert (mistaken.value.code, mistaken.value.exit_code) == ("CONFIG", 2)


def test_close_calls_back_once_with_ids_and_counts(where, sqlite, make_batch):
    make_batch(sqlite, 2)
    events = []
    closing = commands.close_batch(where, allow_unresolved=True, now=True, on_closed=events.append)
    assert closing.counts["unresolved"] == 2
    assert set(events[0]) == {"id", "title", "kind", "items", "done", "export_sha256"}


def test_backup_while_people_work_is_a_whole_database(where, sqlite, make_batch, tmp_path):
    people = make_people(sqlite)
    batch = make_batch(sqlite, 2)
    for item in claim(sqlite, batch, people["ana"], 2).item_ids:
        submit(sqlite, item, people["ana"], Answer(f"key-number-{item}", labels=("other",)))
        commands.backup(where, tmp_path / f"copy-{item}")
    copy = sqlite3.connect(tmp_path / "copy-2")
    assert copy.execute("select count(*) from annotation").fetchone() == (2,)
    assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
    assert (tmp_path / "copy-2").stat().st_mode & 0o777 == 0o600


def test_forgotten_rows_leave_no_byte_in_the_file(where, sqlite, make_batch, tmp_path):
    people = make_people(sqlite)
    rows = sample(2).to_pylist()
    rows[0]["text"] = "CANARY-4711 lives here"
    import pyarrow as pa

    batch = make_batch(sqlite, rows=pa.Table.from_pylist(rows))
    for item in claim(sqlite, batch, people["ana"], 2).item_ids:
        submit(
            sqlite,
            item,
            people["ana"],
            Answer(f"key-number-{item}", labels=("other",), note="CANARY-4711 noted" if item == 1 else ""),
        )
    sqlite.dispose()
    assert commands.forget_rows(where, [row_id(0), row_id(9)]) == 1
    assert not any(b"CANARY-4711" in path.read_bytes() for path in tmp_path.glob("review.sqlite*"))
    assert commands.batches(where)[0]["items"] == 1
    assert commands.forget_rows(where, [row_id(0)]) == 0


def test_no_database_no_batch_and_wrong_format_say_what_to_do(where, tmp_path):
    with pytest.raises(InputError, match="no review database"):
        commands.stats(where)
    open_database(where).dispose()
    with pytest.raises(InputError, match="no batch yet"):
        commands.stats(where)
    with pytest.raises(ConfigError):
        commands.export(where, tmp_path / "x", format="nonsense")


def test_database_url_may_stand_in_the_environment_or_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("REVIEW_DB", str(tmp_path / "a.sqlite"))
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path}/b.sqlite\n")
    for location, made in (("env:REVIEW_DB", "a.sqlite"), (f"file:{tmp_path}/url", "b.sqlite")):
        open_database(location).dispose()
        assert (tmp_path / made).exists()
    for wrong in ("env:NO_SUCH_NAME", "file:/no/such/file"):
        with pytest.raises(SecretError):
            open_database(wrong)
    with pytest.raises(ConfigError):
        open_database("mysql://x")


def test_network_file_system_is_refused(tmp_path):
    mounts = f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n"
    with pytest.raises(ConfigError, match="network file system"):
        refuse_network_file_system(tmp_path / "review.sqlite", mounts)
    refuse_network_file_system(tmp_path.parent / "review.sqlite", mounts)


def test_database_of_another_version_is_refused(where):
    database = open_database(where)
    with database.write() as c:
        c.execute(sa.update(t.setting).where(t.setting.c.key == "schema_version").values(value="99"))
    database.dispose()
    with pytest.raises(VersionError, match="version 99"):
        open_database(where)


def test_pragmas_that_keep_acknowledged_answers(sqlite):
    with sqlite.read() as c:
        values = {
            name: c.exec_driver_sql(f"pragma {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_page_does_not_open_to_others_without_a_public_url(where):
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0"):
        serve(where, host="0.0.0.0")


@pytest.mark.parametrize("name", ["dropped", "instruct", "preference"])
def test_label_sets_and_guidelines_of_every_kind_load(name):
    assert load_label_set(name).labels and load_guideline(name).version == "1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {name: a, key: '1', letter: x}", "'x' of 'a' is not one free key: an action of the page"),
        ("- {name: a, key: '0'}", "an action of the page"),
        ("- {name: a, key: '1'}\n- {name: b, key: '1'}", "label a"),
        ("- {name: a}\n- {name: a}", "given twice"),
        ("- {name: unsure}", "reserved"),
        ("labels: 3", "a label set is a list"),
        ("- [", "not YAML"),
        ("colour: red\nlabels: [{name: a}]", "unknown key 'colour'"),
    ],
)
def test_wrong_label_sets_are_config_errors(tmp_path, text, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_label_set(str(path))
