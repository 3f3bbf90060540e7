"""`dataforge init`: what it finds, what it writes; the same inputs give the same file, and the file runs as it is."""

from __future__ import annotations

import gzip
import re
import shutil
import stat
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataforge.flows.config import load_config
from tests.flows.calling import Call, call, line
from tests.flows.demo import DEMO


@pytest.fixture
def dataforge(capsys: pytest.CaptureFixture[str]) -> Call:
    return partial(call, capsys=capsys)


def export_zip(path: Path) -> Path:
    """The demo's Slack export as Slack hands it out: a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((DEMO / "slack").rglob("*.json")):
            archive.write(file, file.relative_to(DEMO / "slack").as_posix())
    return path


def warc(path: Path) -> Path:
    from tests.operators.test_files_warc import HTML, http, record

    path.write_bytes(gzip.compress(record(http(HTML))))
    return path


def texts(path: Path) -> Path:
    path.mkdir()
    (path / "one.txt").write_text("One text.\n")
    (path / "two.md").write_text("Another text.\n")
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def parquet(path: Path) -> Path:
    pq.write_table(pa.table({"doc_id": ["a", "b"], "content": ["One text of a row.", "Another."]}), path)
    return path


PAGE = b"<html><body><p>One text.</p></body></html>"
INPUTS: dict[str, Any] = {
    "jsonl": (
        lambda f: written(
            f / "in.jsonl", b'{"uuid": "1", "body": "Some text.", "url": "http://x.org/", "date": "2026-01-02"}\n'
        ),
        {"kind": "jsonl", "text": "body", "key": "uuid", "uri": "url", "created": "date"},
    ),
    "jsonl.gz": (lambda f: written(f / "in.jsonl.gz", gzip.compress(line(1) + b"\n")), {"kind": "jsonl", "key": "id"}),
    "csv": (
        lambda f: written(f / "in.csv", b"number;article\n1;Some text\n2;More text\n"),
        {"kind": "csv", "text": "article", "delimiter": ";"},
    ),
    "parquet": (lambda f: parquet(f / "in.parquet"), {"kind": "parquet", "text": "content", "key": "doc_id"}),
    "text": (lambda f: texts(f / "texts"), {"kind": "text"}),
    "html": (lambda f: written(f / "in.html.gz", gzip.compress(PAGE)), {"kind": "html"}),
    "html by its looks": (lambda f: written(f / "page", b"\n <!DOCTYPE html>" + PAGE), {"kind": "html"}),
    "warc": (lambda f: warc(f / "in.warc.gz"), {"kind": "warc"}),
    "slack zip": (lambda f: export_zip(f / "export.zip"), {"kind": "slack_export"}),
    "slack folder": (lambda f: DEMO / "slack", {"kind": "slack_export"}),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_each_kind_of_input_is_known_by_its_looks(kind: str, tmp_path: Path, dataforge: Call) -> None:
    make, expected = INPUTS[kind]
    place = make(tmp_path)
    assert dataforge("init", tmp_path / "made", "--input", place, "--json").code == 0
    config = load_config(tmp_path / "made")
    (source,) = config.sources
    assert {name: getattr(source, name) for name in expected} == expected
    assert config.path(source.path) == place
    assert Path(source.path).is_absolute() == (not place.is_relative_to(tmp_path)), "near the config: relative to it"
    plan = dataforge("plan", tmp_path / "made", "--json").document
    assert plan["input"][0]["files"] >= 1 and plan["input_bytes"] > 0


def test_the_same_inputs_give_the_same_file_and_nothing_is_overwritten(tmp_path: Path, dataforge: Call) -> None:
    export = export_zip(tmp_path / "export.zip")
    for name in ("a", "b"):
        folder = tmp_path / name / "data"
        folder.parent.mkdir()
        assert dataforge("init", folder, "--input", export, "--input", DEMO / "handbook.jsonl").code == 0
    one, two = ((tmp_path / name / "data" / "dataforge.yaml").read_bytes() for name in ("a", "b"))
    assert one == two and one.count(b"#") > 10 and not re.search(rb"[0-9a-f]{16}", one)
    again = dataforge("init", tmp_path / "a" / "data", "--input", export, "--json")
    assert again.code == 2 and "there already" in again.error["what"]
    assert (tmp_path / "a" / "data" / "dataforge.yaml").read_bytes() == one


def test_the_pseudonym_key_is_secret_random_and_kept(tmp_path: Path, dataforge: Call) -> None:
    for name in ("a", "b"):
        assert dataforge("init", tmp_path / name, "--input", DEMO / "slack").code == 0
    keys = [tmp_path / name / ".dataforge-key" for name in ("a", "b")]
    assert [stat.S_IMODE(key.stat().st_mode) for key in keys] == [0o600, 0o600]
    assert keys[0].read_bytes() != keys[1].read_bytes()
    assert keys[0].read_bytes().strip() not in (tmp_path / "a" / "dataforge.yaml").read_bytes()
    before = keys[0].read_bytes()
    (tmp_path / "a" / "dataforge.yaml").unlink()
    assert dataforge("init", tmp_path / "a", "--input", DEMO / "slack").code == 0
    assert keys[0].read_bytes() == before


def test_defaults_are_those_of_the_contract(tmp_path: Path, dataforge: Call) -> None:
    dataforge("init", tmp_path / "data", "--input", DEMO / "slack", "--input", DEMO / "handbook.jsonl")
    config = load_config(tmp_path / "data")
    assert config.path(config.store) == tmp_path / "data" / "store" and config.path(config.out) == tmp_path / "data" / "out"
    assert not config.review.enabled and config.pii.action == "mask" and config.language.keep == ()
    assert config.slack.key == "file:.dataforge-key" and config.split.salt == "dataforge"
    assert config.tokenizer.vocab_size == 512, "the texts are too few for more"


def test_unknown_inputs_are_named_and_nothing_is_written(tmp_path: Path, dataforge: Call) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\0\0")
    for place in (tmp_path / "photo.jpg", tmp_path / "nothing"):
        said = dataforge("init", tmp_path / "new", "--input", place, "--json")
        assert said.code == 3 and place.name in said.err and not (tmp_path / "new").exists()


def test_what_init_writes_runs_as_it_is(tmp_path: Path, dataforge: Call) -> None:
    shutil.copy(DEMO / "handbook.jsonl", tmp_path / "handbook.jsonl")
    lines = [row for row in (tmp_path / "handbook.jsonl").read_bytes().splitlines(True) if b"\xff" not in row]
    (tmp_path / "handbook.jsonl").write_bytes(b"".join(row for row in lines if row.rstrip().endswith(b"}")))
    folder = tmp_path / "data"
    export = export_zip(tmp_path / "export.zip")
    assert dataforge("init", folder, "--input", export, "--input", tmp_path / "handbook.jsonl").code == 0
    said = dataforge("run", folder, "--direct", "--workers", "1", "-q", "--json")
    assert said.code == 0 and said.document["status"] == "done", said.err
    assert dataforge("verify", said.document["out"], "--json").document["status"] == "ok"


def test_a_folder_of_texts_is_sampled_for_its_encodings(tmp_path: Path, dataforge: Call) -> None:
    texts(tmp_path / "texts")
    for name, files, encoding in (("plain", {}, "utf-8"), ("mixed", {"x.txt": "Voilà".encode("cp1252")}, "auto")):
        for file, data in files.items():
            written(tmp_path / "texts" / file, data)
        assert dataforge("init", tmp_path / name, "--input", tmp_path / "texts").code == 0
        assert load_config(tmp_path / name).sources[0].encoding == encoding


def test_mail_read_as_text_is_told_by_init_and_config_check(tmp_path: Path, dataforge: Call) -> None:
    written(tmp_path / "list.mbox", b"From ana@example.org\nSubject: Hello\n\nHello there.\n")
    told = "list: files in .mbox (1) are read as plain text: headers and attachments would; write the bodies into JSONL"
    assert told in dataforge("init", tmp_path / "mail", "--input", tmp_path / "list.mbox").out
    (warning,) = dataforge("config", "check", tmp_path / "mail", "--json").document["warnings"]
    assert warning.startswith(told)
    assert f"warning: {told}" in dataforge("config", "check", tmp_path / "mail").out
    written(tmp_path / "page.html", PAGE)
    assert dataforge("init", tmp_path / "web", "--input", tmp_path / "page.html").code == 0
    config = tmp_path / "web" / "dataforge.yaml"
    assert dataforge("config", "check", config, "--json").document["warnings"] == []
    config.write_text(config.read_text().replace("kind: html", "kind: text"))
    assert "`kind: html` takes the text out" in dataforge("config", "check", config, "--json").document["warnings"][0]


def test_tables_of_several_encodings_are_told_apart(tmp_path: Path, dataforge: Call) -> None:
    (tmp_path / "tables").mkdir()
    latin = "id,text\n1,Voilà un café très déjà vu à la crème\n"
    written(tmp_path / "tables" / "a.csv", latin.encode("cp1252"))
    assert dataforge("init", tmp_path / "one", "--input", tmp_path / "tables").code == 0
    assert load_config(tmp_path / "one").sources[0].encoding == "cp1252"
    written(tmp_path / "tables" / "b.csv", latin.encode())
    said = dataforge("init", tmp_path / "two", "--input", tmp_path / "tables")
    assert "note: tables: files differ in their encoding (cp1252, utf-8)" in said.out
    assert load_config(tmp_path / "two").sources[0].encoding == "utf-8"


def test_columns_that_were_seen_and_not_chosen_stand_in_a_comment(tmp_path: Path, dataforge: Call) -> None:
    rows = b'{"body": "Some.", "msg no": 1, "sent": "2026-01-02", "by": "x"}\n{"body": "More.", "msg no": 2, "by": "x"}\n'
    assert dataforge("init", tmp_path / "made", "--input", written(tmp_path / "in.jsonl", rows)).code == 0
    text = (tmp_path / "made" / "dataforge.yaml").read_text()
    assert "  # in: columns that no setting reads: msg no (key?), sent (created?), by\n  - {name: in," in text


def test_proposals_are_of_what_looks_like_it(tmp_path: Path, dataforge: Call) -> None:
    """Counters are no dates, titles no keys; inside of columns addresses and dates are found; HTML is told."""
    meta = '{"src": {"url": "https://example.org/1"}, "date": "2026-01-02"}'
    rows = [f'{{"body": "<p>a</p><p>{i}</p>", "nr": "{i}", "ttl": "Title {i}", "meta": {meta}}}' for i in range(20)]
    path = written(tmp_path / "in.jsonl", "\n".join(rows).encode())
    assert dataforge("init", tmp_path / "made", "--input", path).code == 0
    text = (tmp_path / "made" / "dataforge.yaml").read_text()
    told = "meta.src.url (uri?), meta.date (created?), nr (key?), ttl, meta"
    assert f"  # in: columns that no setting reads: {told}\n" in text
    assert "  # in: 20 of the first 20 texts look like HTML: tags are kept, unless" in text
    assert "max_bad_rows: 0                 # rows that cannot be read" in text


def test_text_that_repeats_itself_gets_a_small_vocabulary(tmp_path: Path, dataforge: Call) -> None:
    def size(name: str, words: int) -> int:
        """Of a million bytes in rows of forty words out of so many."""
        rows = [" ".join(f"w{(row * 40 + at) % words}" for at in range(40)) for row in range(4500)]
        path = written(tmp_path / f"{name}.jsonl", "".join(f'{{"text": "{row}"}}\n' for row in rows).encode())
        dataforge("init", tmp_path / name, "--input", path)
        return load_config(tmp_path / name).tokenizer.vocab_size

    assert size("few", 300) == 512 and size("more", 1000) == 1024 and size("many", 10**9) > 8000


def test_a_slack_source_is_named_neither_after_workspace_nor_date(tmp_path: Path, dataforge: Call) -> None:
    export = export_zip(tmp_path / "Acme Slack export Jan 1 2026 - Feb 2 2026.zip")
    assert dataforge("init", tmp_path / "made", "--input", export, "--input", DEMO / "slack").code == 0
    assert [source.name for source in load_config(tmp_path / "made").sources] == ["slack", "slack-2"]


def test_an_empty_input_is_a_usage_error(tmp_path: Path, dataforge: Call) -> None:
    said = dataforge("init", tmp_path / "made", "--input", "", "--json")
    assert said.code == 2 and said.error["key"] == "--input" and not (tmp_path / "made").exists()


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path, dataforge: Call) -> None:
    file = written(tmp_path / "in.jsonl", line(1))
    said = dataforge("init", file, "--input", file, "--json")
    assert said.code == 2 and said.error["file"] == str(file) and "cannot be made: File exists" in said.error["what"]
