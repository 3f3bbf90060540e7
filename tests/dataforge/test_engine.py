"""The engines: same graph, same bytes, whatever the workers, the batch size, the file order or a crash."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge import Step, Store, Table, commit
from dataforge.commit import file_sha256
from dataforge.engine import work_keyed, work_source
from dataforge.engine.local import Local
from dataforge.engine.run import run, survey
from dataforge.errors import ConfigError, InputError, PartialError, VerifyError, VersionError
from dataforge.operators import files
from dataforge.operators.files_jsonl import JsonlFiles
from tests.dataforge.words import Lines, graph, write_words


def tree(folder: Path) -> dict[str, str]:
    """sha256 of every file, by relative path, the lock apart."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def build(root: Path, words: Path, engine: Any, **options: Any) -> dict[str, str]:
    store = Store(root)
    with store.lock():
        state = run(store, [graph(words)["total"]], engine, **options)
    assert not state.waiting
    return tree(root)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    words = write_words(tmp_path_factory.mktemp("words"))
    with Local(1) as local:
        return build(tmp_path_factory.mktemp("store"), words, local)


def test_every_engine_gives_the_same_bytes(engine: Any, tmp_path: Path, expected: dict[str, str]) -> None:
    assert build(tmp_path / "store", write_words(tmp_path / "words"), engine) == expected


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_batch_size_changes_no_byte(tmp_path: Path, expected: dict[str, str], batch_rows: int) -> None:
    with Local(1) as local:
        assert build(tmp_path / "store", write_words(tmp_path / "words"), local, batch_rows=batch_rows) == expected


def test_a_second_run_fills_nothing(tmp_path: Path) -> None:
    words, store = write_words(tmp_path / "words"), Store(tmp_path / "store")
    filled: list[str] = []
    with Local(1) as local, store.lock():
        run(store, [graph(words)["total"]], local)
        run(store, [graph(words)["total"]], local, around=lambda scan, fill: filled.append(scan.name))
    assert filled == []


def test_maps_over_the_same_table_share_one_scan(tmp_path: Path) -> None:
    words, store = write_words(tmp_path / "words"), Store(tmp_path / "store")
    seen: list[str] = []

    def around(scan: Any, fill: Any) -> None:
        seen.append(scan.name)
        fill()

    with Local(1) as local, store.lock():
        run(store, [graph(words)["total"]], local, around=around)
    assert "words/upper + words/length" in seen


def test_rows_add_up_and_short_ones_are_named(tmp_path: Path) -> None:
    words, store = write_words(tmp_path / "words"), Store(tmp_path / "store")
    with (words / "0.txt").open("a") as file:
        file.write("!\n")
    g = graph(words)
    with Local(1) as local, store.lock():
        state = run(store, [g["total"]], local)
    lines, long = state.tables[g["lines"]], state.tables[g["long"]]
    assert (lines.account.rows_in, lines.account.quarantined, lines.account.rows_out) == (181, 1, 180)
    assert lines.to_table(kind="quarantine")["line"].to_pylist() == [61]
    assert long.account.rows_in == 180 == long.account.rows_out + long.account.dropped["short"]
    assert long.to_table(kind="dropped").num_rows == long.account.dropped["short"] > 0


def test_a_file_that_changes_while_it_is_read_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, store = write_words(tmp_path / "words"), Store(tmp_path / "store")
    read = Lines.rows

    def rows(self: Lines, name: str, lines: list[str]) -> Any:
        (words / "0.txt").write_text("other\n")
        return read(self, name, lines)

    with Local(1) as local, store.lock():
        with monkeypatch.context() as patch:
            patch.setattr(Lines, "rows", rows)
            with pytest.raises(InputError, match="changed while it was read"):
                run(store, [graph(words)["total"]], local)
        assert not list(store.tables())
        state = run(store, [(g := graph(words))["total"]], local)
    assert "other" in state.tables[g["lines"]].to_table()["text"].to_pylist()


class FailingFile(io.BytesIO):
    """A file of a disk or a network that stops to answer."""

    def read(self, *_: Any) -> bytes:
        raise OSError(5, "Input/output error")


def test_a_medium_that_fails_in_reading_is_not_put_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged bytes stay damaged; a medium that fails may work the next time."""
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    step, store = Step("read", JsonlFiles("s", str(tmp_path / "a.jsonl"))), Store(tmp_path / "store")
    opened = iter([io.BytesIO(b"{}"), FailingFile()])  # the first is read for the digest
    with Local(1) as local, store.lock():
        with monkeypatch.context() as patch:
            patch.setattr(files, "open", lambda *_: next(opened), raising=False)
            with pytest.raises(PartialError, match="reading failed: Input/output error"):
                run(store, [step], local)
        assert run(store, [step], local).tables[step].rows == 1


def read_alone(file: Path, store: Store, monkeypatch: pytest.MonkeyPatch, spill_bytes: int | None) -> Table:
    """The Table of a file that is alone in its part; with `spill_bytes` its rows wait aside until it has proven whole."""
    step = Step("read", JsonlFiles("s", str(file)))
    with Local(1) as local, store.lock(), monkeypatch.context() as patch:
        if spill_bytes is not None:
            patch.setattr(work_source, "_fill_straight", work_source._fill_carefully)
            patch.setattr(work_source, "SPILL_BYTES", spill_bytes)
        return run(store, [step], local).tables[step]


def test_rows_that_wait_in_memory_or_on_disk_or_not_at_all_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept and bad ones alike: a file of nothing but bad rows must not fill the memory."""
    rows = [json.dumps({"text": str(i), "more": 1}) if i % 3 else "{" for i in range(10_000)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    trees = []
    for spill_bytes in (None, work_source.SPILL_BYTES, 0):
        store = Store(tmp_path / str(spill_bytes))
        account = read_alone(tmp_path / "a.jsonl", store, monkeypatch, spill_bytes).account
        trees.append(tree(store.root))
    assert trees[0] == trees[1] == trees[2]
    assert (account.rows_out, account.quarantined, account.notes) == (6666, 3334, {"unread_column:more": 6666})


def test_a_file_alone_in_its_part_that_breaks_in_the_middle_gives_none_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(json.dumps({"text": f"{i} " * 40}) + "\n" for i in range(20_000))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(rows.encode(), 1)[:-1000])
    straight, waiting = Store(tmp_path / "straight"), Store(tmp_path / "waiting")
    table = read_alone(tmp_path / "a.jsonl.gz", straight, monkeypatch, None)
    read_alone(tmp_path / "a.jsonl.gz", waiting, monkeypatch, 0)
    assert (table.rows, [bad["file"] for bad in table.bad_files]) == (0, ["a.jsonl.gz"])
    assert tree(straight.root) == tree(waiting.root)


def test_changed_parameters_make_another_table_and_keep_the_old(tmp_path: Path) -> None:
    words, store = write_words(tmp_path / "words"), Store(tmp_path / "store")
    with Local(1) as local, store.lock():
        first = run(store, [(g := graph(words))["total"]], local).tables[g["long"]]
        second = run(store, [(h := graph(words, least=9))["total"]], local).tables[h["long"]]
    assert first.path != second.path and first.rows > second.rows
    assert {t.step for t in store.tables()} == {s.name for s in g.values()}


def test_gc_takes_what_a_killed_run_began_unless_it_is_still_wanted(tmp_path: Path) -> None:
    words, store = write_words(tmp_path / "words"), Store(tmp_path / "store")
    with Local(1) as local, store.lock():
        tables = {step.name: table for step, table in run(store, [graph(words)["total"]], local).tables.items()}
        given_up, wanted, done = (tables[name] for name in ("words/rows", "words/length", "words/long"))
        for table in (given_up, wanted):
            (table.path / "manifest.json").unlink()
        keep = {t.id for t in tables.values()} - {given_up.id}
        assert store.collect(keep) == ([], [given_up.path])
        assert store.collect(keep, grace_s=0) == ([given_up.path], [])
    assert (given_up.path.exists(), wanted.path.exists(), done.path.exists()) == (False, True, True)


def test_survey_runs_nothing(tmp_path: Path) -> None:
    words, store = write_words(tmp_path / "words"), Store(tmp_path / "store")
    state = survey(store, [graph(words)["total"]])
    assert len(state.ids) == 7 and not state.tables and not (tmp_path / "store").exists()


def test_files_of_a_fold_are_checked_before_anything_reads_them(tmp_path: Path) -> None:
    words, store = write_words(tmp_path / "words"), Store(tmp_path / "store")
    g = graph(words)
    with Local(1) as local, store.lock():
        table = run(store, [g["total"]], local).tables[g["total"]]
    (table.files / "letters.txt").write_text("changed")
    with pytest.raises(VerifyError) as damaged:
        table.checked_files()
    assert damaged.value.exit_code == 7


def test_a_part_is_hashed_once_a_process_until_somebody_touches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = graph(write_words(tmp_path / "words"))["lines"]
    store, hashed = Store(tmp_path / "store"), []
    with store.lock(), Local(1) as local:
        table = run(store, [step], local).tables[step]
    part = table.path / "data" / "part-00000.parquet"
    monkeypatch.setattr(commit, "file_sha256", lambda path: hashed.append(path) or file_sha256(path))
    list(table.read(0))
    list(table.read(0))
    assert hashed == [part, part]  # written a moment ago: it might change unseen
    monkeypatch.setattr(commit, "REST_NS", -(10**12))
    for _ in range(3):
        list(table.read(0))
    assert hashed == [part, part, part]
    part.write_bytes(part.read_bytes() + b"\0")
    with pytest.raises(VerifyError, match="sha256 differs"):
        list(table.read(0))


def test_workers_do_not_load_pandas_for_arrow_and_still_get_it() -> None:
    code = """
import sys, pyarrow as pa
from dataforge.engine.local import _spare_pandas
_spare_pandas()
pa.array(["a"]), pa.table([pa.array([1])], ["a"])
print("pandas" in sys.modules, len(pa.table({"a": [1]}).to_pandas()))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "1"]


@pytest.mark.parametrize("damage", ['{"format": 1}', "[]", "{"])
def test_a_damaged_manifest_is_named(damage: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(damage)
    with pytest.raises((VerifyError, VersionError)):
        Table.open(tmp_path)


def test_a_manifest_that_lost_a_part_is_named(tmp_path: Path) -> None:
    words, store = write_words(tmp_path / "words"), Store(tmp_path / "store")
    g = graph(words)
    with Local(1) as local, store.lock():
        tables = run(store, [g["total"]], local).tables
    table = next(t for t in tables.values() if t.n_parts > 1)
    document = json.loads((table.path / "manifest.json").read_text())
    document["parts"].pop()
    (table.path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(VerifyError, match="its seal differs"):
        Table.open(table.path)


def test_errors_hold_no_secret_and_no_address() -> None:
    secret, mail, phone = "xoxb-" + "1" * 12, "ann@example.org", "+49 30 1234567"
    error = ConfigError(f"found {mail}, {secret}", file=f"{mail}.jsonl", key=secret, hint=phone)
    error.details = [f"{secret} twice"]
    said = error.line() + json.dumps(error.as_dict())
    assert not any(private in said for private in (secret, mail, phone))
    assert error.line() == "error[CONFIG] file=<email> key=<secret>: found <email>, <secret>; <phone>"


@given(st.lists(st.integers(0, 3) | st.integers(0, 2**64 - 1)))
def test_rows_of_one_key_keep_their_order(keys: list[int]) -> None:
    found = work_keyed.stable_order(np.array(keys, np.uint64)).tolist()
    assert found == sorted(range(len(keys)), key=keys.__getitem__)
