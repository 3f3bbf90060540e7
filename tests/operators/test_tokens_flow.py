"""Texts → tokenizer → ids → packed sequences through the engines: the same bytes from each, and nothing lost."""

import hashlib
import json
import random
from pathlib import Path

import pytest

from dataforge import Step, Store
from dataforge.engine.local import Local
from dataforge.engine.run import run
from dataforge.operators.encode import Encode
from dataforge.operators.pack import Pack
from dataforge.operators.tokenizer_import import ImportTokenizer
from dataforge.operators.tokenizer_train import TrainTokenizer
from tests.dataforge.words import Lines, Partition

WORDS = (
    "the",
    "Straße",
    "quick",
    "fox",
    "1234",
    "isn't",
    "中文",
    "\U0001f600",
    "jumps",
    "over",
    "old",
    "stones",
    "green",
)


def lines(folder: Path) -> Path:
    rng = random.Random(1)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a", "b", "c"):
        text = "".join(" ".join(rng.choices(WORDS, k=rng.randint(1, 40))) + "\n" for _ in range(120))
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def graph(folder: Path) -> dict[str, Step]:
    rows = Step("rows", Partition(4), (Step("lines", Lines(str(folder))),))
    tokenizer = Step("tokenizer", TrainTokenizer(vocab_size=400, sample_bytes=9000), (rows,))
    encoded = Step("encoded", Encode(device="cpu", check_every=10), (rows, tokenizer))
    packed = Step("packed", Pack(parts=2, sequence_length=64, split=""), (encoded,))
    return {"rows": rows, "tokenizer": tokenizer, "encoded": encoded, "packed": packed}


def tree(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def build(root, steps, engine, **options):
    store = Store(root)
    with store.lock():
        return run(store, [steps["packed"]], engine, **options)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    root, folder = tmp_path_factory.mktemp("store"), lines(tmp_path_factory.mktemp("lines"))
    with Local(1) as local:
        build(root, graph(folder), local)
    return tree(root)


def test_every_engine_gives_the_same_bytes(engine, tmp_path, expected):
    build(tmp_path / "store", graph(lines(tmp_path / "lines")), engine)
    assert tree(tmp_path / "store") == expected


@pytest.mark.parametrize("batch_rows", [7, 1000])
def test_batch_size_changes_no_byte(tmp_path, expected, batch_rows):
    with Local(1) as local:
        build(tmp_path / "store", graph(lines(tmp_path / "lines")), local, batch_rows=batch_rows)
    assert tree(tmp_path / "store") == expected


def test_packed_rows_decode_to_the_texts(tmp_path):
    from tokenizers import Tokenizer

    steps = graph(lines(tmp_path / "lines"))
    with Local(1) as local:
        state = build(tmp_path / "store", steps, local)
    files = state.tables[steps["tokenizer"]].files
    assert json.loads((files / "tokenizer_report.json").read_text())["trained_on"]["bytes"] >= 9000
    tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))
    texts = {row["id"]: row["text"] for row in state.tables[steps["rows"]].to_table().to_pylist()}
    pieces: dict[str, list[list[int]]] = {}
    for row in state.tables[steps["packed"]].to_table().to_pylist():
        at = 0
        for parent, length in zip(row["parents"], row["seq_lengths"], strict=True):
            pieces.setdefault(parent, []).append(row["input_ids"][at : at + length])
            at += length
    assert pieces.keys() == texts.keys()
    for parent, found in pieces.items():
        if len(found) == 1:
            assert found[0][-1] == tokenizer.token_to_id("</s>")
            assert tokenizer.decode(found[0][:-1]) == texts[parent]


def test_an_imported_tokenizer_is_a_step_without_inputs(tmp_path):
    steps = graph(lines(tmp_path / "lines"))
    with Local(1) as local:
        state = build(tmp_path / "store", steps, local)
        made = Step("imported", ImportTokenizer.of(state.tables[steps["tokenizer"]].files))
        encoded = Step("again", Encode(device="cpu"), (steps["rows"], made))
        store = Store(tmp_path / "store")
        with store.lock():
            state = run(store, [encoded], local)
            first = run(store, [steps["encoded"]], local).tables[steps["encoded"]].to_table()
    assert state.tables[encoded].to_table().equals(first)
