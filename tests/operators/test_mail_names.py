"""Names of people are learnt from mail headers, kept as keyed hashes, and found in every document."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.errors import ConfigError
from dataforge.flows.config import load_config
from dataforge.operators.mail_names import MailNames, names_in_headers
from dataforge.operators.pii import FindPii
from dataforge.operators.slack_users import key_fingerprint
from tests.flows.demo import small_config

MAIL = "From: Anna Berg <anna@example.org>\nSubject: boat\n\nRegards, Anna"
MAIL_MASKED = "From: <PERSON> <<EMAIL_ADDRESS>>\nSubject: boat\n\nRegards, <PERSON>"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("From: Anna Berg <anna@example.org>", {"Anna Berg"}),
        ('To: "Berg, Anna M." <a@example.org>, Bob Stone <b@example.org>', {"Anna M. Berg", "Bob Stone"}),
        ("> > Cc: Jürgen von Ahn [mailto:j@example.org]", {"Jürgen von Ahn"}),
        ("Reply-To: bob@example.org (Bob Stone)", set()),
        ("On Mon, 3 Jan 2005 at 10:00, Anna Berg <a@example.org> wrote:", {"Anna Berg"}),
        ("Am Montag schrieb Anna Berg <a@example.org>:", {"Anna Berg"}),
        ("From: Anna Berg\nSent: Monday\nTo: Stone, Bob; Carl Reed\nSubject: boat", {"Anna Berg", "Bob Stone", "Carl Reed"}),
        ("On Monday Jan de Vries <j@example.org> wrote:", {"Jan de Vries"}),
        ("From: Support Team <help@example.org>\nTo: undisclosed-recipients:;", set()),
        ("From: anna@example.org\nTo: ANNA <a@example.org>", set()),
        ("From: Monday Morning\n\nthe boat", set()),
        ("We sail from: Anna Berg, to: Bob Stone", set()),
        ("Write to Anna Berg <a@example.org>, she knows.", set()),
    ],
)
def test_names_stand_in_headers(text: str, names: set[str]) -> None:
    assert names_in_headers(text) == names


def key_file(folder: Path) -> str:
    (folder / "key").write_text("0123456789abcdef")
    return f"file:{folder / 'key'}"


def test_a_name_of_one_document_is_found_in_all(tmp_path: Path) -> None:
    place = key_file(tmp_path)
    fold = MailNames(place, key_fingerprint(b"0123456789abcdef"))
    texts = [MAIL, "The boat of Anna Berg. anna is no name, Annabel another."]
    batch = pa.record_batch({"id": ["a", "b"], "text": texts})
    fold.finish(fold.observe(0, batch), tmp_path)
    assert "Anna" not in (tmp_path / "names.jsonl").read_text() and "Berg" not in (tmp_path / "names.jsonl").read_text()
    rows = FindPii(("PERSON",), names_key=place).start([tmp_path])(batch).kept.column("spans").to_pylist()
    found = [[text[s["start"] : s["end"]] for s in spans] for text, spans in zip(texts, rows, strict=True)]
    assert found == [["Anna Berg", "Anna"], ["Anna Berg"]]


def test_no_mail_gives_an_empty_list(tmp_path: Path) -> None:
    fold = MailNames(key_file(tmp_path), "")
    fold.finish(None, tmp_path)
    assert (tmp_path / "names.jsonl").read_bytes() == b""
    batch = pa.record_batch({"id": ["a"], "text": ["Anna Berg"]})
    assert FindPii(names_key=fold.key_place).start([tmp_path])(batch).kept.column("spans").to_pylist() == [[]]


@given(st.permutations([MAIL, "From: Bob Stone <b@example.org>", "no mail", MAIL]), st.integers(0, 4))
def test_states_merge_in_any_order(tmp_path_factory: pytest.TempPathFactory, texts: list[str], cut: int) -> None:
    folder = tmp_path_factory.mktemp("names")
    fold = MailNames(key_file(folder), "")
    states = [
        fold.observe(0, pa.record_batch({"id": part, "text": pa.array(part, pa.string())}))
        for part in (texts[:cut], texts[cut:])
    ]
    fold.finish(fold.merge(*states), folder)
    lines = (folder / "names.jsonl").read_text().splitlines()
    assert lines == sorted(set(lines)) and [json.loads(line)["words"] for line in lines].count(2) == 2


@pytest.mark.parametrize(
    "unit", ["From: ", "From: a\n", " ", "<", "A ", "a@b:\n", "From: A B <a@b> ", "To: A, B; ", '"', "@:\n"]
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = "From: x@y " + unit * (300_000 // len(unit))
    started = time.process_time()
    names_in_headers(text)
    assert time.process_time() - started < 2


def test_a_key_is_needed(tmp_path: Path) -> None:
    config = small_config(tmp_path, [b"{}"], pii="{mail_names: true}")
    with pytest.raises(ConfigError) as refused:
        load_config(config)
    assert "mail_names needs `key:" in "\n".join(refused.value.details)


def test_a_run_masks_people_of_mails_in_all_documents(tmp_path: Path) -> None:
    from dataforge import Store
    from dataforge.flows.cli import main

    note = "The boat of Anna Berg lies at the northern pier until the storm is over."
    rows = [{"id": "mail", "text": MAIL}, {"id": "note", "text": note}]
    pii = f"{{mail_names: true, key: '{key_file(tmp_path)}'}}"
    config = small_config(tmp_path, [json.dumps(row).encode() for row in rows], pii=pii)
    assert main(["run", str(config), "--direct", "--workers", "1", "-q"]) == 0
    tables = {table.step: table for table in Store(tmp_path / "store").tables()}
    texts = tables["corpus/selected"].to_table(["text"])["text"].to_pylist()
    assert sorted(texts) == [MAIL_MASKED, note.replace("Anna Berg", "<PERSON>")]
