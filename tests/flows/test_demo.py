"""The demo from end to end: what is planted is found, every engine gives the same bytes, every README line works."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dataforge.flows.cli import main
from tests.flows.demo import DEMO, copy_demo

ROOT = Path(__file__).parent.parent.parent


def published(folder: Path) -> Path:
    (manifest,) = folder.glob("out/*/*/dataset_manifest.json")
    return manifest.parent


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, run once in this process."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    config = copy_demo(folder)
    assert main(["run", str(config), "--direct", "--workers", "1", "-q"]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [["--workers", "2"], ["--workers", "4"], ["--engine", "beam", "--workers", "1"]], ids=" ".join
)
def test_every_engine_publishes_the_same_bytes(options: list[str], demo: Path, tmp_path: Path) -> None:
    config = copy_demo(tmp_path / "demo")
    assert main(["run", str(config), "--direct", "-q", *options]) == 0
    assert digests(published(tmp_path / "demo")) == digests(published(demo))


def test_a_second_run_is_a_no_op(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = digests(demo / "out")
    capsys.readouterr()
    assert main(["run", str(demo), "--direct", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["status"] == "done" and captured.err == ""
    assert digests(demo / "out") == before


def test_the_readme_lines_load_every_config(demo: Path) -> None:
    snippet = re.search(r"<!-- snippet: load -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert snippet is not None
    names: dict[str, Any] = {"OUT": str(published(demo))}
    exec(compile(snippet[1], "README.md", "exec"), names)
    assert names["instruct"][0]["text"].startswith("###Instruction")
    assert next(iter(names["chat"]))["messages"][-1]["role"] == "assistant"
    assert set(names["packed"].column_names) >= {"input_ids", "labels", "position_ids", "seq_lengths"}
    assert len(names["rows"]) > 0


def test_every_config_loads_streaming_too(demo: Path) -> None:
    from datasets import get_dataset_config_names, load_dataset

    folder = str(published(demo))
    names = get_dataset_config_names(folder)
    assert names[0] == "instruct" and set(names) >= {"sft", "chat", "corpus", "annotations", "tokenized", "packed-256"}
    for name in names:
        whole = load_dataset(folder, name, split="train")
        streamed = load_dataset(folder, name, split="train", streaming=True)
        assert whole.num_rows == sum(1 for _ in streamed) > 0


def dropped_keys(demo: Path) -> dict[str, str]:
    """{native key: reason} of the handbook's dropped documents."""
    from dataforge import Store

    tables = {t.step: t for t in Store(demo / "store").tables()}
    keys = {r["id"]: r["key"] for r in tables["corpus/documents"].to_table(["id", "key"]).to_pylist()}
    return {keys[r["id"]]: r["reason"] for r in tables["corpus/selected"].to_table(kind="dropped").to_pylist()}


def test_planted_duplicates_and_junk_are_dropped_with_reasons(demo: Path) -> None:
    dropped = dropped_keys(demo)
    assert dropped["kite-care"] == "exact_duplicate" or dropped["kite-care-mirror"] == "exact_duplicate"
    assert sorted(dropped.values()).count("near_duplicate") == 2
    assert {"junk-list", "junk-repeat"} <= dropped.keys()
    assert not {k for k in dropped if k.startswith(("ja-", "de-", "fr-", "es-"))}


CANARIES = (
    b"maria.fernweh",
    b"901820",
    b"4111 1111",
    b"3704 0044",
    b"Kite-2024",
    b"AKIAIOSFODNN7",
    b"lena.vogt",
    b"2345678",
    b"Ana Ribeiro",
    b"Okafor",
)


def test_no_personal_data_or_secret_is_in_any_published_byte(demo: Path) -> None:
    folder = published(demo)
    for path in (p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data = "\n".join(str(row) for row in pq.read_table(path).to_pylist()).encode()
        assert [c for c in CANARIES if c in data] == [], path


def test_the_ledger_closes_from_the_first_line_on(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["funnel", str(demo), "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["funnel"]
    lines = (DEMO / "handbook.jsonl").read_bytes().count(b"\n") + 3
    messages = sum(len(json.loads(p.read_text())) for p in (DEMO / "slack").glob("*/*.json"))
    assert entries[0]["step"] == "sources" and entries[0]["in"] == lines + messages
    assert entries[0]["in"] == entries[0]["out"] + sum(entries[0]["dropped"].values()) + entries[0]["quarantined"]
    assert entries[0]["quarantined"] == 2


def test_trace_leads_to_shard_row_and_tokens(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dataforge.identity import row_id

    capsys.readouterr()
    assert main(["trace", str(demo), row_id("handbook", "wind-scale"), "--json"]) == 0
    text = capsys.readouterr().out
    assert "corpus/" in text and "packed-256/" in text and "tokens" in text


def test_verify_passes_and_a_flipped_bit_ends_in_seven(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(published(demo), folder)
    assert main(["verify", str(folder)]) == 0
    path = next(folder.glob("corpus/train-*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    capsys.readouterr()
    assert main(["verify", str(folder)]) == 7
    assert path.name in capsys.readouterr().err


def test_review_waits_until_people_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = copy_demo(tmp_path / "demo", review="{enabled: true, need: 2, size: 500}")
    assert main(["run", str(config), "--direct", "--workers", "1", "-q", "--json"]) == 5
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "waiting" and "0 of 73 labelled" in document["error"]["what"] and document["out"] is None
    assert main(["review", "import", str(config), str(DEMO / "labels.jsonl")]) == 0
    assert main(["review", "close", str(config), "--allow-unresolved"]) == 0
    capsys.readouterr()
    assert main(["run", str(config), "--direct", "--workers", "1", "-q", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "done"


def test_whatif_answers_from_stored_scores(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["whatif", str(demo), "--set", "quality.max_repeated_lines=0.1,0.3,1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    kept = [row["documents"] for row in document["settings"]]
    assert kept == sorted(kept) and kept[1] == document["now"]["documents"]


def test_golden_rows_change_only_with_a_version(demo: Path) -> None:
    """A step whose rows changed while no VERSION before it did: someone forgot to bump it."""
    from tests.flows.golden import GOLDEN, observed

    golden, now = json.loads(GOLDEN.read_text()), observed(demo / "store")
    versions = {step: entry["version"] for step, entry in golden.items()}
    bumped = {step for step, entry in now.items() if versions.get(step) != entry["version"]}
    changed = [step for step, entry in now.items() if step in golden and golden[step]["rows"] != entry["rows"]]
    assert bumped or not changed, f"{changed} changed: bump VERSION and run python -m tests.flows.golden"
    assert not bumped, f"{sorted(bumped)} are new or bumped: run python -m tests.flows.golden"


def test_acts_outside_their_expected_share_stop_the_publishing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = copy_demo(tmp_path / "demo", acts="{expect: {questions: [0.9, 1.0]}, gate: true}")
    assert main(["run", str(config), "--direct", "--workers", "1", "-q", "--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert "questions are 0.2" in document["error"]["what"] and document["out"] is None
