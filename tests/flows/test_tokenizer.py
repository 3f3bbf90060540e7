"""`tokenizer train` fills what the tokenizer needs and no more; `tokenizer compare` sets it beside others."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from dataforge import Store
from tests.flows.calling import CHEAP, Call, call, files, line, published
from tests.flows.demo import copy_demo, small_config

QUICK = ("--direct", "--workers", "1", "-q")


@pytest.fixture
def dataforge(capsys: pytest.CaptureFixture[str]) -> Call:
    return partial(call, capsys=capsys)


def config_of(folder: Path, rows: int = 40, **changes: str) -> Path:
    return small_config(folder, [line(i) for i in range(rows)], **{"tokenizer": "{vocab_size: 320}", **CHEAP, **changes})


def test_training_fills_up_to_the_tokenizer_and_the_run_goes_on_from_there(tmp_path: Path, dataforge: Call) -> None:
    config = config_of(tmp_path)
    document = dataforge("tokenizer", "train", config, *QUICK, "--json").document
    steps = {table.step for table in Store(tmp_path / "store").tables()}
    assert "tokenizer" in steps and not steps & {"corpus/encoded", "packed"} and not (tmp_path / "out").exists()
    assert (document["status"], document["kind"], document["vocab_size"], document["asked"]) == ("done", "bpe", 320, 320)
    assert document["measured_on"]["held_out"] is True and document["bytes_per_token"] > 1
    assert document["trained_on"]["rows"] + document["measured_on"]["rows"] == 40
    assert dataforge("run", config, *QUICK, "--json").code == 0
    manifest = json.loads((published(tmp_path) / "dataset_manifest.json").read_bytes())
    assert manifest["tokenizer_sha256"] == document["sha256"]


def test_the_copy_loads_elsewhere_and_is_never_overwritten_silently(tmp_path: Path, dataforge: Call) -> None:
    from tokenizers import Tokenizer

    config, out = config_of(tmp_path), tmp_path / "copies" / "tok"
    assert dataforge("tokenizer", "train", config, *QUICK, "--out", out, "--json").document["copied"] is True
    assert Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab_size() == 320
    before = files(out)
    assert dataforge("tokenizer", "train", config, *QUICK, "--out", out, "--json").document["copied"] is False
    config.write_text(config.read_text().replace("vocab_size: 320", "vocab_size: 300"))
    refused = dataforge("tokenizer", "train", config, *QUICK, "--out", out, "--json")
    assert refused.code == 2 and refused.error["key"] == "--out" and "--force" in refused.error["hint"]
    assert files(out) == before
    assert dataforge("tokenizer", "train", config, *QUICK, "--out", out, "--force", "--json").document["vocab_size"] == 300
    assert files(out) != before and sorted(p.name for p in out.parent.iterdir()) == ["tok"]


def test_a_folder_with_other_things_is_refused_before_anything_is_trained(tmp_path: Path, dataforge: Call) -> None:
    config = config_of(tmp_path / "data")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "a-file").write_text("")
    unmade = dataforge("tokenizer", "train", config, *QUICK, "--out", tmp_path / "a-file" / "tok", "--json")
    assert unmade.code == 2 and unmade.error["key"] == "--out" and not (tmp_path / "data" / "store").exists()
    said = dataforge("tokenizer", "train", config, *QUICK, "--out", tmp_path / "mine", "--force", "--json")
    assert said.code == 2 and "other things" in said.error["what"] and not (tmp_path / "data" / "store").exists()
    assert files(tmp_path / "mine") == {"thesis.txt": b"years of work"}


def test_a_small_vocabulary_is_said_by_the_command_the_run_and_the_report(tmp_path: Path, dataforge: Call) -> None:
    config = config_of(tmp_path, tokenizer="{vocab_size: 5000}")
    said = dataforge("tokenizer", "train", config, *QUICK)
    assert "warning: tokenizer.vocab_size asked 5,000 tokens, the text supports " in said.err
    assert ", asked 5,000\n" in said.out
    assert "the text supports" in dataforge("run", config, *QUICK).err
    report = json.loads((published(tmp_path) / "report.json").read_bytes())
    (alert,) = [alert for alert in report["alerts"] if "vocab_size" in alert["text"]]
    assert alert["level"] == "warning" and "asked 5,000" in alert["text"]


def test_without_text_or_with_a_tokenizer_that_is_there_nothing_is_trained(tmp_path: Path, dataforge: Call) -> None:
    empty = dataforge("tokenizer", "train", config_of(tmp_path / "empty", rows=0), *QUICK, "--json")
    assert empty.code == 3 and "no row is left" in empty.error["what"]
    config = config_of(tmp_path / "one")
    dataforge("tokenizer", "train", config, *QUICK, "--out", tmp_path / "tok")
    there = config_of(tmp_path / "two", tokenizer=f"{{path: {tmp_path / 'tok'}}}")
    said = dataforge("tokenizer", "train", there, *QUICK, "--json")
    assert said.code == 2 and said.error["key"] == "tokenizer.path" and str(there) in said.error["hint"]


def test_a_run_that_waits_for_people_trains_later(tmp_path: Path, dataforge: Call) -> None:
    config = copy_demo(tmp_path / "demo", review="{enabled: true}")
    said = dataforge("tokenizer", "train", config, *QUICK, "--json")
    assert said.code == 5 and said.document["status"] == "waiting" and "folder" not in said.document


def test_tokenizers_are_compared_on_the_same_texts_by_source(tmp_path: Path, dataforge: Call) -> None:
    sources = "[{name: s, kind: jsonl, path: in.jsonl, key: id}, {name: t, kind: text, path: '*.txt'}]"
    config = config_of(tmp_path, sources=sources)
    (tmp_path / "one.txt").write_text("Kites are flown on windy days by people who like wind and string.")
    none = dataforge("tokenizer", "compare", config, "--json")
    assert none.code == 3 and none.error["hint"] == f"dataforge run {config}"
    small = tmp_path / "small"
    other = config_of(tmp_path / "other", tokenizer="{vocab_size: 300}")
    dataforge("tokenizer", "train", other, *QUICK, "--out", small)
    dataforge("tokenizer", "train", config, *QUICK)
    document = dataforge("tokenizer", "compare", config, small, small / "tokenizer.json", "--json").document
    own, folder, file = document["tokenizers"]
    assert (own["name"], own["vocab_size"]) == ("this config", 320)
    assert {**folder, "name": ""} == {**file, "name": ""} and folder["name"] == str(small)
    assert own["bytes_per_token"] > folder["bytes_per_token"] and folder["single_byte"] > own["single_byte"]
    assert set(own["sources"]) == set(document["sample"]["sources"]) <= {"s", "t"}
    assert document == dataforge("tokenizer", "compare", config, small, small / "tokenizer.json", "--json").document
    text = dataforge("tokenizer", "compare", config, small).out
    assert "this config" in text and str(small) in text and "vocabulary" in text


def test_a_named_tokenizer_is_compared_without_training(tmp_path: Path, dataforge: Call) -> None:
    dataforge("tokenizer", "train", config_of(tmp_path / "one"), *QUICK, "--out", tmp_path / "tok")
    config = config_of(tmp_path / "two", tokenizer=f"{{path: {tmp_path / 'tok'}}}")
    assert dataforge("run", config, *QUICK).code == 0
    document = dataforge("tokenizer", "compare", config, tmp_path / "tok", "--json").document
    own, other = document["tokenizers"]
    assert {**own, "name": ""} == {**other, "name": ""} and document["sample"]["held_out"] is True
