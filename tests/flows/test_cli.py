"""The command line: exit codes, one JSON document, error lines, and what every kind of trouble ends in."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard

from dataforge import Store
from dataforge.errors import PartialError
from dataforge.flows import build
from dataforge.flows.config import load_config
from dataforge.identity import row_id
from tests.flows.calling import CHEAP, Call, call, files, line, published
from tests.flows.demo import copy_demo, small_config

RULES = "{preset: gopher_repetition, max_top_2_gram: null, max_top_3_gram: null, max_top_4_gram: null}"
RUN = ("--direct", "--workers", "1")


@pytest.fixture
def dataforge(capsys: pytest.CaptureFixture[str]) -> Call:
    return partial(call, capsys=capsys)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset after its first run: five rows, two of them near-duplicates."""
    from dataforge.flows.cli import main

    folder = tmp_path_factory.mktemp("done") / "small"
    twin = " ".join(f"word{i}" for i in range(60))
    rows = [line(1), line(2), line(3, twin), line(4, twin + " more"), line(5)]
    config = small_config(folder, rows, quality=RULES)
    assert main(["run", str(config), "-q", *RUN]) == 0
    return folder


# --- one document, whatever happens -----------------------------------------------------------------------------------

LOOKS = ["plan", "status", "funnel", "duplicates", "report", "run --direct", "gc", "config check", "config show"]


@pytest.mark.parametrize("command", LOOKS)
def test_commands_on_a_finished_dataset_print_one_document(command: str, done: Path, dataforge: Call) -> None:
    words = command.split()
    assert dataforge(*words, done, "--json").code == 0
    text = dataforge(*words, done)
    assert text.code == 0 and text.out and not text.out.startswith("{")


def test_a_run_prints_lines_that_load_what_there_is(tmp_path: Path, dataforge: Call) -> None:
    splits = "{splits: {train: 0.001, validation: 0.999}}"
    said = dataforge("run", small_config(tmp_path, [line(1), line(2)], publish=splits, **CHEAP), *RUN)
    assert said.code == 0 and said.out.count('split="validation"') == 2 and 'split="train"' not in said.out
    exec("\n".join(said.out.splitlines()[-3:]), found := {})
    assert len(found["rows"]) == 2 and sorted(found["tokens"].column_names)[0] == "attention_mask"


def test_other_commands_print_one_document_too(done: Path, dataforge: Call) -> None:
    assert dataforge("verify", published(done), "--json").document["status"] == "ok"
    assert dataforge("doctor", "--json").document["core"]["pyarrow"]
    keys = json.loads(dataforge("config", "schema").out)
    assert dataforge("config", "schema", "--json").document == {"schema": 1, **keys} and "sources" in keys["properties"]
    assert dataforge("whatif", done, "--set", "quality.max_repeated_lines=0.1,1", "--json").document["settings"]
    trace = dataforge("trace", done, row_id("s", "r1"), "--json").document
    assert "corpus/train" in json.dumps(trace)


def test_the_run_document_has_the_shape_of_the_contract(done: Path, dataforge: Call) -> None:
    document = dataforge("run", done, *RUN, "--json").document
    assert set(document) == {"schema", "status", "out", "store", "funnel", "seconds", "peak_rss_bytes", "error"}
    assert document["status"] == "done" and document["out"] == str(published(done)) and document["error"] is None
    assert document["store"] == str(done / "store") and document["peak_rss_bytes"] > 1 << 20
    first, *_ = document["funnel"]
    assert first == {"step": "sources", "in": 5, "out": 5, "dropped": {}, "quarantined": 0}


def test_a_plan_says_why_in_few_lines(done: Path, tmp_path: Path, dataforge: Call) -> None:
    import shutil

    assert dataforge("plan", done).out.count("\n") < 12 < dataforge("plan", done, "--all").out.count("\n")
    shutil.copytree(done, tmp_path / "copy")
    config = tmp_path / "copy" / "dataforge.yaml"
    config.write_text(config.read_text().replace("max_top_2_gram: null", "max_top_2_gram: null, max_repeated_5_grams: 0.5"))
    steps = {s["step"]: s for s in dataforge("plan", config, "--json").document["steps"]}
    assert steps["corpus/quality"]["state"] == "done", "scores stay; only their judge runs again"
    assert steps["corpus/verdicts"]["why"] == "quality.max_repeated_5_grams 0.15 → 0.5"
    assert steps["corpus/selected"]["why"] == "corpus/verdicts is new"


def test_the_first_difference_of_two_operators_is_named() -> None:
    from dataforge.flows.plan import _first_difference

    old = {"": "Judge", "rules": {"": "Rules", "min_words": 50, "list": [1, 2]}, "n": 5}
    assert _first_difference(old, {**old, "rules": {**old["rules"], "min_words": 30}}) == "rules.min_words 50 → 30"
    assert _first_difference(old, {**old, "rules": {**old["rules"], "list": [1]}}) == "rules.list changed"
    assert _first_difference(old, {**old, "new": True}) == "new None → True"
    assert _first_difference(old, {"": "Other"}) == "another operator"
    assert _first_difference(old, dict(old)) == ""


def test_duplicates_name_the_row_that_stays_and_what_differs(done: Path, dataforge: Call) -> None:
    (cluster,) = dataforge("duplicates", done, "--json").document["clusters"]
    kept, lost = cluster["members"]
    assert (kept["key"], kept["duplicate"], lost["key"], lost["duplicate"]) == ("r4", None, "r3", "near")
    assert lost["into"] == kept["id"] and lost["changes"] == ["-more"] and lost["source"] == "s"
    assert kept["similarity"] is None and 0.8 <= lost["similarity"] < 1
    out = dataforge("duplicates", done).out
    assert "near duplicate of" in out and f", {lost['similarity']:.3f} alike" in out


def test_of_two_equal_rows_that_go_the_second_is_measured_by_the_first() -> None:
    from dataforge.flows.clusters import _fate, _measure

    class Pairs:
        def __init__(self, *rows: dict[str, Any]) -> None:
            self.rows = pa.Table.from_pylist(list(rows))

        def to_table(self, columns: list[str]) -> pa.Table:
            return self.rows.select(columns)

    kept = {"id": "k", "duplicate": None, "into": None, "similarity": None}
    one = {"id": "a", "duplicate": "near", "into": "k", "similarity": None}
    other = {"id": "b", "duplicate": "exact", "into": "k", "similarity": None}
    _measure([kept, one, other], Pairs({"a": "a", "b": "k", "common": 9, "union": 10}), Pairs({"a": "a", "b": "b"}))
    assert (kept["similarity"], one["similarity"], other["similarity"]) == (None, 0.9, 0.9)
    assert _fate(other) == "equal to another row that went, near duplicate of k, 0.900 alike"
    assert _fate({**other, "similarity": 1.0}) == "exact duplicate of k, 1.000 alike"


USAGE = [
    ["bogus"],
    ["run"],
    ["run", ".", "--bogus"],
    ["run", "nothing.yaml"],
    ["plan", "nothing.yaml"],
    ["whatif", "DONE", "--set", "quality.nothing=1"],
    ["whatif", "DONE", "--set", "nonsense"],
    ["run", "DONE", "--engine", "spark"],
    ["run", "DONE", "--device", "tpu"],
    ["run", "DONE", "--workers", "0"],
    ["config", "check", "nothing.yaml"],
]


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_usage_errors_end_in_two(words: list[str], done: Path, dataforge: Call) -> None:
    said = dataforge(*[str(done) if w == "DONE" else w for w in words], "--json")
    assert said.code == 2 and said.error["code"] == "CONFIG"


MISSING = [
    ["verify", "FOLDER"],
    ["trace", "DONE", "0" * 32],
    ["trace", "DONE", "what"],
    ["acts", "evaluate", "FOLDER/no.jsonl"],
    ["pii", "evaluate", "FOLDER/no.jsonl"],
    ["dedupe", "evaluate", "FOLDER/no.jsonl", "FOLDER/no.tsv"],
    ["extract", "evaluate", "FOLDER/no.warc", "FOLDER/no.jsonl"],
    ["init", "FOLDER/new", "--input", "FOLDER/no.jsonl"],
]


@pytest.mark.parametrize("words", MISSING, ids=" ".join)
def test_what_is_not_there_ends_in_three(words: list[str], done: Path, tmp_path: Path, dataforge: Call) -> None:
    said = dataforge(*[w.replace("DONE", str(done)).replace("FOLDER", str(tmp_path)) for w in words], "--json")
    assert said.code == 3, said.err


def test_no_command_shows_the_help_and_ends_in_two(capsys: pytest.CaptureFixture[str]) -> None:
    from dataforge.flows.cli import main

    assert main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "Commands:" in shown.err and "\\n" not in shown.err


def test_an_unexpected_error_is_one_line_without_its_message(
    done: Path, dataforge: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the text of a row")

    monkeypatch.setattr("dataforge.flows.plan.plan_document", broken)
    said = dataforge("plan", done, "--json")
    assert said.code == 1 and said.error["code"] == "UNEXPECTED" and "text of a row" not in said.out + said.err


def test_with_v_the_trace_of_an_unexpected_error_is_shown(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataforge.flows.cli import main

    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("dataforge.flows.plan.plan_document", broken)
    with pytest.raises(RuntimeError):
        main(["plan", str(done), "-v"])


def test_missing_input_is_named(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, [])
    (tmp_path / "in.jsonl").unlink()
    for command in (["run", config, *RUN], ["plan", config]):
        said = dataforge(*command, "--json")
        assert said.code == 3 and "in.jsonl" in said.err


# --- bad rows and files -----------------------------------------------------------------------------------------------


def thousand() -> list[bytes]:
    """1,000 rows, of which one is malformed and one holds a byte that is not UTF-8."""
    rows = [line(i) for i in range(1000)]
    rows[300] = b'{"id": "r300", "text": "cut'
    rows[700] = b'{"id": "r700", "text": "a bad \xff byte"}'
    return rows


def test_a_malformed_row_and_a_bad_byte_cost_two_rows_and_are_named(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, thousand(), **CHEAP)
    over = dataforge("run", config, *RUN, "--json")
    assert over.code == 4 and over.document["status"] == "failed" and over.document["out"] is None
    assert over.error["code"] == "BUDGET" and "2 bad rows" in over.error["what"]
    assert any("line=301" in d and "SCHEMA" in d and "in.jsonl" in d for d in over.error["details"])
    assert any("line=701" in d and "ENCODING" in d for d in over.error["details"])
    assert not list((tmp_path / "out").glob("*/*"))
    config.write_text(config.read_text() + "ingest: {max_bad_rows: 2}\n")
    within = dataforge("run", config, *RUN, "--json")
    assert within.code == 0 and within.document["status"] == "done"
    sources, *_ = within.document["funnel"]
    assert sources == {"step": "sources", "in": 1000, "out": 998, "dropped": {}, "quarantined": 2}
    manifest = json.loads((published(tmp_path) / "dataset_manifest.json").read_bytes())
    assert "r300" not in json.dumps(manifest)
    from dataforge.load import load

    held = [load(published(tmp_path), "corpus", split=s).num_rows for s in ("train", "validation")]
    assert sum(held) == 998


def test_a_cut_file_gives_no_row_and_is_named_with_its_offset(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(
        tmp_path, [line(1), line(2)], sources="[{name: s, kind: jsonl, path: '*.jsonl*', key: id}]", **CHEAP
    )
    whole = gzip.compress(b"".join(line(i) + b"\n" for i in range(100, 300)), mtime=0)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    said = dataforge("run", config, *RUN, "--json")
    assert said.code == 3 and said.error["code"] == "CORRUPT" and said.error["file"] == "cut.jsonl.gz"
    assert f"byte {len(whole) // 2}" in said.error["what"] and said.document["out"] is None
    config.write_text(config.read_text() + "ingest: {max_bad_files: 1}\n")
    said = dataforge("run", config, *RUN, "--json")
    assert said.code == 0 and said.document["funnel"][0]["out"] == 2


def test_no_rows_is_a_warning_and_publishes_nothing(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path / "empty", [], **CHEAP)
    said = dataforge("run", config, *RUN, "--json")
    assert said.code == 0 and said.document["status"] == "done" and said.document["out"] is None
    assert "warning: s: gave no rows\nwarning: no row is left: nothing is published" in said.err
    strict = dataforge("run", config, *RUN, "--strict", "--json")
    assert strict.code == 4
    config = small_config(tmp_path / "filtered", [line(1)], quality="{preset: gopher}", **CHEAP)
    said = dataforge("run", config, *RUN, "--json")
    assert said.code == 0 and said.document["out"] is None and "no row is left" in said.err


def test_a_repeated_key_with_other_content_is_quarantined(tmp_path: Path, dataforge: Call) -> None:
    config = small_config(tmp_path, [line(1), line(2), line(1), line(2, "Other words.")], **CHEAP)
    said = dataforge("run", config, *RUN, "--json")
    assert said.code == 4 and "repeats with other content" in "\n".join(said.error["details"])
    entry = next(e for e in said.document["funnel"] if e["step"] == "corpus/ingested")
    assert entry["dropped"] == {"repeated_key": 1} and entry["quarantined"] == 1


def test_rows_without_a_key_are_known_by_text_and_copy(tmp_path: Path, dataforge: Call) -> None:
    """The same rows in other files and another order have the same ids."""
    found = []
    for name, groups in {"one": [[1, 2, 1]], "two": [[1], [1, 2]]}.items():
        config = small_config(tmp_path / name, [], sources="[{name: s, kind: jsonl, path: '*.jsonl'}]", **CHEAP)
        for number, rows in enumerate(groups):
            (tmp_path / name / f"{number}.jsonl").write_bytes(b"".join(line(i) + b"\n" for i in rows))
        assert dataforge("run", config, *RUN, "-q").code == 0
        (table,) = [t for t in Store(tmp_path / name / "store").tables() if t.step == "corpus/ingested"]
        found.append(sorted(table.to_table(["id"])["id"].to_pylist()))
    assert len(set(found[0])) == 3 and found[0] == found[1]


# --- store and out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["store", "out"])
@pytest.mark.parametrize("what", ["file", "link"])
def test_a_folder_that_cannot_be_used_ends_in_two_before_any_work(
    place: str, what: str, tmp_path: Path, dataforge: Call
) -> None:
    config = small_config(tmp_path / "data", [line(1)])
    target = tmp_path / "data" / place
    if what == "file":
        target.write_text("")
    else:
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to(tmp_path / "elsewhere")
    said = dataforge("run", config, *RUN, "--json")
    assert said.code == 2 and said.error["file"] == str(target)
    assert not list((tmp_path / "data").glob("store/*/*")) and not list(tmp_path.glob("elsewhere/*"))


@pytest.mark.parametrize("place", ["store", "out"])
def test_what_a_run_writes_is_not_its_input_whatever_links_call_it(place: str, tmp_path: Path, dataforge: Call) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "texts")
    for source, made in (("texts", "link/made"), ("link", "texts/made")):
        config = small_config(tmp_path, [], sources=f"[{{name: s, kind: text, path: {source}}}]", **{place: made})
        said = dataforge("plan", config, "--json")
        assert said.code == 2 and said.error["key"] == place and "would read it as input" in said.error["what"]


def test_a_locked_store_ends_in_seventy_five_naming_the_holder(done: Path, dataforge: Call) -> None:
    with Store(done / "store").lock():
        began = time.monotonic()
        said = dataforge("run", done, *RUN, "--json")
        assert said.code == 75 and f"pid {os.getpid()}" in said.error["what"] and time.monotonic() - began < 5


def test_who_only_looks_reads_no_input_again_and_writes_nothing(
    done: Path, dataforge: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terabyte of input is not hashed for a status; a run does read every byte."""
    from dataforge.operators import files as reading

    dataforge("plan", done, "--json")  # remembers the file where the run did not
    before = files(done)
    monkeypatch.setattr(reading, "open_raw", lambda location: pytest.fail("the input was opened"))
    assert dataforge("status", done, "--json").document["to_run"] == []
    assert dataforge("funnel", done, "--json").document["funnel"][0]["in"] == 5
    assert files(done) == before


def test_a_store_that_cannot_be_written_can_be_looked_at(
    done: Path, dataforge: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, value: Any) -> None:
        raise PartialError("Read-only file system (errno 30)", file=str(path))

    monkeypatch.setattr(build, "read_remembered", lambda store: {})
    monkeypatch.setattr(build, "write_json", refuse)
    assert dataforge("plan", done, "--json").document["estimate"]["steps"] == 0


@pytest.mark.parametrize(
    ("earlier", "mebibytes", "parts"), [((), 1, 8), ((), 1000, 16), ((8,), 2000, 8), ((8,), 2100, 64), ((16, 32), 1, 32)]
)
def test_parts_stay_as_a_corpus_grows_until_they_are_too_large(
    tmp_path: Path, earlier: tuple[int, ...], mebibytes: int, parts: int
) -> None:
    for i, count in enumerate(earlier):
        folder = tmp_path / f"store/corpus/ingested/{i:012x}"
        folder.mkdir(parents=True)
        document = {"inputs": [{"step": "sources/s"}], "operator": {"parts": count}}
        (folder / "manifest.json").write_text(json.dumps(document))
    config = load_config(small_config(tmp_path, [line(1)]))
    sources = build.source_steps(config)
    assert build.parts_of(config, sources, Store(tmp_path / "store"), mebibytes << 20) == parts


def test_two_configs_share_a_store_and_each_has_its_version(tmp_path: Path, dataforge: Call) -> None:
    """The second config finds what it has in common, and makes the rest anew."""
    one = small_config(tmp_path, [line(i) for i in range(6)], **CHEAP)
    two = tmp_path / "two.yaml"
    two.write_text(one.read_text().replace("name: small", "name: other").replace("vocab_size: 400", "vocab_size: 300"))
    assert dataforge("run", one, "-q", *RUN).code == 0
    plan = {s["step"]: s["state"] for s in dataforge("plan", two, "--json").document["steps"]}
    assert plan["corpus/selected"] == "done" and plan["tokenizer"] == "run"
    before = files(tmp_path / "out")
    assert dataforge("run", two, "-q", *RUN).code == 0
    assert len(list(tmp_path.glob("out/*/*/README.md"))) == 2 and before.items() <= files(tmp_path / "out").items()
    refused = dataforge("gc", one, "--hours", "0", "--json")
    assert refused.code == 2 and "other" in refused.error["what"]
    dataforge("gc", one, two, "--hours", "0")
    assert {s["state"] for c in (one, two) for s in dataforge("plan", c, "--json").document["steps"]} == {"done"}


# --- a published folder that changed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["flip", "cut", "remove", "add"])
def test_verify_names_what_is_off(how: str, done: Path, tmp_path: Path, dataforge: Call) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(published(done), folder)
    path = next(folder.glob("corpus/train-*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    changes = {
        "flip": lambda: path.write_bytes(data),
        "cut": lambda: path.write_bytes(data[:100]),
        "remove": path.unlink,
        "add": lambda: path.with_name("train-00009-of-00010.parquet").write_bytes(b"PAR1"),
    }
    changes[how]()
    said = dataforge("verify", folder, "--json")
    assert said.code == 7 and "train-0000" in said.err


# --- evaluate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_evaluate_reads_plain_and_packed_files(suffix: str, tmp_path: Path, dataforge: Call) -> None:
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix]
    spans = {"text": "Write to ana@example.org now.", "spans": [{"start": 9, "end": 24, "label": "EMAIL_ADDRESS"}]}
    (tmp_path / f"spans.jsonl{suffix}").write_bytes(pack(json.dumps(spans).encode() + b"\n"))
    document = dataforge("pii", "evaluate", tmp_path / f"spans.jsonl{suffix}", "--json").document
    assert document["kinds"]["EMAIL_ADDRESS"]["recall_covering"] == 1.0 == document["total"]["precision_exact"]
    words = " ".join(f"word{i}" for i in range(80))
    docs = [{"id": "a", "text": words}, {"id": "b", "text": words + " more"}, {"id": "c", "text": "Nothing like it."}]
    (tmp_path / f"docs.jsonl{suffix}").write_bytes(pack(b"".join(json.dumps(d).encode() + b"\n" for d in docs)))
    (tmp_path / f"pairs.tsv{suffix}").write_bytes(pack(b"id_a\tid_b\tjaccard\na\tb\t0.987\n"))
    places = (tmp_path / f"docs.jsonl{suffix}", tmp_path / f"pairs.tsv{suffix}")
    document = dataforge("dedupe", "evaluate", *places, "--json").document
    assert (document["recall"], document["precision"]) == (1.0, 1.0)


def test_labels_that_are_no_kinds_are_answered_with_the_kinds(tmp_path: Path, dataforge: Call) -> None:
    spans = {"text": "Write to ana@example.org now.", "spans": [{"start": 9, "end": 24, "label": "MAIL"}]}
    (tmp_path / "spans.jsonl").write_text(json.dumps(spans) + "\n")
    said = dataforge("pii", "evaluate", tmp_path / "spans.jsonl", "--json")
    assert said.document["unscored"] == ["MAIL"] and "EMAIL_ADDRESS, " in said.err


def test_a_labelled_file_without_rows_is_an_error_that_names_it(tmp_path: Path, dataforge: Call) -> None:
    (tmp_path / "spans.jsonl").write_text("")
    said = dataforge("pii", "evaluate", tmp_path / "spans.jsonl")
    assert said.code == 3 and "spans.jsonl" in said.err and "no rows" in said.err


def test_the_tagger_is_evaluated_per_class(tmp_path: Path, dataforge: Call) -> None:
    rows = [{"text": "Thank you so much!", "class7": "expressives"}, {"text": "Where is the key?", "class7": "questions"}]
    (tmp_path / "acts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": "hm", "class7": None}]))
    document = dataforge("acts", "evaluate", tmp_path / "acts.jsonl", "--json").document
    assert document["rows"] == 3 and set(document["classes"]["questions"]) == {"precision", "recall", "f1", "n"}
    assert 0 <= document["macro_f1"] <= 1 and {"confusion", "calibration"} <= set(document)


def test_the_confusion_is_a_table_that_people_can_read() -> None:
    from dataforge.flows.commands_data import confusion_table

    assert confusion_table(["thanks", "promises", "others"], [[1200, 0, 3], [0, 0, 0], [0, 0, 41]]).splitlines() == [
        "confusion: a line per label of the file, a column per act found",
        "         thanks others",
        "  thanks  1,200      3",
        "  others      ·     41",
    ]


def test_extraction_is_evaluated_over_gold_strings(tmp_path: Path, dataforge: Call) -> None:
    from tests.operators.test_files_warc import HTML, http, record

    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(record(http(HTML))))
    gold = {"url": "http://x.org/a", "must_contain": ["kite"], "must_not_contain": ["<p>"]}
    (tmp_path / "gold.jsonl").write_text(json.dumps(gold) + "\n")
    document = dataforge("extract", "evaluate", tmp_path / "a.warc.gz", tmp_path / "gold.jsonl", "--json").document
    assert set(document) == {"schema", "precision", "recall", "f1", "pages"} and document["pages"] == 1


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_an_open_queue_ends_in_five(tmp_path: Path, dataforge: Call) -> None:
    config = copy_demo(tmp_path / "demo", review="{enabled: true, need: 2, size: 500}")
    config.write_text(
        "".join(s for s in config.read_text().splitlines(True) if "handbook.jsonl" not in s and "pages" not in s)
    )
    said = dataforge("run", config, *RUN, "-q", "--json")
    assert said.code == 5 and said.document["status"] == "waiting" and said.error["code"] == "REVIEW"
    assert said.err.startswith("waiting[REVIEW] step=review/closed") and f"dataforge review serve {config}" in said.err
    status = dataforge("status", config, "--json").document
    assert "review/closed" in status["waiting"] and status["published"] == []


# --- interruption -----------------------------------------------------------------------------------------------------


def start(config: Path, trouble: str, *options: str) -> subprocess.Popen[str]:
    """A run of two workers whose language step makes trouble in part 3."""
    command = [
        sys.executable,
        "-m",
        "tests.flows.slow_worker",
        str(config),
        "--direct",
        "--workers",
        "2",
        "--json",
        *options,
    ]
    environment = {**os.environ, "DATAFORGE_TEST_TRIGGER": trouble}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[2]
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "beam"])
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_stop_a_run_within_seconds_and_it_goes_on(
    sign: signal.Signals, code: int, engine: str, tmp_path: Path, dataforge: Call
) -> None:
    rows = [line(i) for i in range(60)]
    config = small_config(tmp_path / "data", rows, **CHEAP)
    process = start(config, "sleep", "--engine", engine, "-q")
    assert process.stderr is not None and process.stdout is not None
    before = []
    for text in process.stderr:
        before.append(text)
        if text == "working\n":
            break
    else:
        pytest.fail("".join(before))
    process.send_signal(sign)
    began = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert process.returncode == code
    assert json.loads(out)["error"]["exit_code"] == code and json.loads(out)["status"] == "partial"
    noise = {*before, *err.splitlines(True)} - {"working\n"}
    assert [text[:19] for text in noise] == ["error[INTERRUPTED]:"], "no trace, and nothing of the engine's own"
    goes_on_to_the_same_bytes(config, rows, tmp_path, dataforge)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "beam"])
def test_a_killed_worker_ends_in_six_naming_the_step(engine: str, tmp_path: Path, dataforge: Call) -> None:
    rows = [line(i) for i in range(60)]
    config = small_config(tmp_path / "data", rows, **CHEAP)
    process = start(config, "kill", "--engine", engine)
    out, err = process.communicate(timeout=250)
    assert process.returncode == 6, err
    error = json.loads(out)["error"]
    assert error["code"] == "WORKER" and json.loads(out)["status"] == "partial"
    assert "SIGKILL" in error["what"] and "Traceback" not in err
    assert "corpus/language" in error["what"] and "part 3" in error["what"] if engine == "local" else error["step"]
    goes_on_to_the_same_bytes(config, rows, tmp_path, dataforge)


def goes_on_to_the_same_bytes(config: Path, rows: list[bytes], folder: Path, dataforge: Call) -> None:
    kept = [t.step for t in Store(config.parent / "store").tables()]
    assert "corpus/documents" in kept and "corpus/selected" not in kept
    assert dataforge("run", config, "-q", *RUN).code == 0
    whole = small_config(folder / "whole", rows, **CHEAP)
    assert dataforge("run", whole, "-q", *RUN).code == 0
    assert files(published(config.parent)) == files(published(whole.parent))
    assert not list((config.parent / "store").glob("**/.tmp/**/*"))


# --- what loads -------------------------------------------------------------------------------------------------------

HEAVY = ("apache_beam", "prefect", "datasets", "transformers", "polars", "cupy", "sklearn", "spacy", "trafilatura")


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["run", "DONE", "--direct", "-q"], ["status", "DONE"]], ids=" ".join
)
def test_looking_and_no_op_runs_load_nothing_heavy(words: list[str], done: Path) -> None:
    assert loaded_by([str(done) if word == "DONE" else word for word in words], HEAVY) == "[] 0"


def test_a_locked_store_is_told_before_operators_and_prefect_load(done: Path) -> None:
    with Store(done / "store").lock():
        assert loaded_by(["run", str(done)], (*HEAVY, "dataforge.flows.build", "dataforge.operators.publish")) == "[] 75"


def loaded_by(words: list[str], modules: tuple[str, ...]) -> str:
    """Which of the modules a command has loaded in a process of its own, and its exit code: `"['prefect'] 0"`."""
    code = (
        f"import sys; from dataforge.flows.cli import main; c = main({words!r})\n"
        f"print([m for m in {modules!r} if m in sys.modules], c)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stdout, shown.stderr
    return shown.stdout.splitlines()[-1]
