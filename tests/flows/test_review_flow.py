"""The labeling step inside runs: audits of drops, retraining, gold rows, targets that alert or stop."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dataforge.errors import ConfigError
from dataforge.flows.cli import main
from dataforge.flows.config import load_config
from dataforge.flows.review_rows import masked_rows
from tests.flows.demo import copy_demo, small_config

RUN = ["--direct", "--workers", "1", "-q", "--json"]


def run(config: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any], str]:
    capsys.readouterr()
    code = main(["run", str(config), *RUN, *more])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def report(document: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads((Path(document["out"]) / "report.json").read_bytes()))


def audited(folder: Path, **more: str) -> Path:
    """A corpus of which a word-count rule drops the short half; one short row holds an address."""
    long = " ".join(f"word{k}" for k in range(60))
    rows = [{"id": str(k), "text": f"{long} {k}" if k % 2 else f"short text {k} by kai{k}@example.org"} for k in range(24)]
    rules = "{preset: gopher_quality, min_words: 20, min_stop_words: null}"
    lines = [json.dumps(row).encode() for row in rows]
    return small_config(folder, lines, quality=rules, dedupe="{near: false}", **more)


def test_a_run_waits_for_the_audit_and_reports_the_measured_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = audited(tmp_path / "c", review="{audit: {enabled: true, rows: 8}}")
    code, document, _ = run(config, capsys)
    assert code == 5 and document["error"]["what"] == "small dropped rows: 0 of 8 labelled" and document["out"] is None
    database = tmp_path / "c" / "store" / "review.sqlite"
    with sqlite3.connect(database) as c:
        rows = c.execute("select row_id, text, meta_json from item order by row_id").fetchall()
    assert all("<EMAIL_ADDRESS>" in text and "@" not in text for _, text, _ in rows)
    assert {json.loads(meta)["filter"] for _, _, meta in rows} == {"corpus/selected: too_few_words"}
    answers = tmp_path / "answers.jsonl"
    said = [{"id": row[0], "label": "wrong" if k < 2 else "right", "annotator": "lea"} for k, row in enumerate(rows)]
    answers.write_text("".join(json.dumps(line) + "\n" for line in said))
    assert main(["review", "import", str(config), str(answers)]) == 0
    assert main(["review", "close", str(config)]) == 0
    code, document, _ = run(config, capsys)
    assert code == 0
    (entry,) = report(document)["audit"]
    assert entry == {
        "filter": "corpus/selected: too_few_words",
        "dropped": 12,
        "asked": 8,
        "judged": 8,
        "wrong": 2,
        "rate": 0.25,
        "low": 0.0715,
        "high": 0.5907,
    }
    assert "25.0 %" in (Path(document["out"]) / "report.html").read_text()
    assert run(config, capsys)[1]["out"] == document["out"]  # the same again is the same version


def test_another_audit_is_another_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Published files never change under their version, so what people said must be part of it."""
    plain = run(audited(tmp_path / "c"), capsys)[1]["out"]
    config = audited(tmp_path / "c", review="{audit: {enabled: true, rows: 1, answers: none.jsonl}}")
    with_one = run(config, capsys)
    assert with_one[0] == 3  # the answers are named and missing: never silently none
    (tmp_path / "c" / "none.jsonl").write_text("")
    code, document, _ = run(config, capsys)
    assert code == 0 and document["out"] != plain and report(document)["audit"] == []


@pytest.mark.slow
def test_labels_retrain_the_tagger_and_the_report_says_how_right_both_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review = "{enabled: true, need: 2, size: 500, answers: labels.jsonl, retrain: true, gold: gold.jsonl}"
    config = copy_demo(tmp_path / "demo", review=review)
    (tmp_path / "demo" / "gold.jsonl").write_text('{"id": "1", "text": "Thanks a lot!", "label": "expressives"}\n')
    code, document, _ = run(config, capsys)
    assert code == 0
    found = report(document)
    told = found["retrained"]
    assert told["labels"] == 69 and told["used"] == (told["after"]["value"] >= told["before"]["value"])
    assert told["before"]["low"] < told["before"]["value"] < told["before"]["high"]
    assert found["review"]["decided_by"] == {"unanimous": 69, "unanswered": 1, "unresolved": 4}
    assert found["review"]["alpha"] == 0.9342  # as on the page: rows left open count
    html = (Path(document["out"]) / "report.html").read_text()
    assert "Trained anew on 69 labels" in html and "By source and split" in html


@pytest.mark.slow
def test_shares_outside_their_target_alert_by_source_and_split_or_stop_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acts = "expect: {questions: [0.9, 1.0]}, expect_rows: 20"
    config = copy_demo(tmp_path / "demo", acts=f"{{{acts}}}")
    code, document, errors = run(config, capsys)
    assert code == 0
    lines = [line for line in errors.splitlines() if "questions are" in line]
    assert [line.split(" of ")[1].split(" (")[0] for line in lines] == ["chat", "chat/train"]
    assert all(line.startswith("warning: questions are ") for line in lines)
    alerts = [alert["text"] for alert in report(document)["alerts"] if alert["level"] == "warning"]
    assert len([text for text in alerts if text.startswith("Questions are")]) == 2
    assert run(config, capsys, "--strict")[0] == 4
    copy = (tmp_path / "demo" / "dataforge.yaml").read_text()
    (tmp_path / "demo" / "dataforge.yaml").write_text(copy.replace("expect_rows: 20", "expect_rows: 20, gate: true"))
    code, document, _ = run(config, capsys)
    assert code == 4 and "questions are" in document["error"]["what"] and document["out"] is None


@pytest.mark.slow
def test_too_little_agreement_stops_the_run_where_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review = "{enabled: true, need: 2, size: 500, answers: labels.jsonl, min_alpha: 0.95, gate: true}"
    code, document, _ = run(copy_demo(tmp_path / "demo", review=review), capsys)
    assert code == 4 and document["error"]["what"] == "annotators agree little: alpha 0.934, wanted 0.95"


@pytest.mark.parametrize(
    ("section", "text", "said"),
    [
        ("review", "{deadline: next tuesday}", "must be an ISO date and time"),
        ("review", "{audit: {rowz: 3}}", "did you mean 'rows'?"),
        ("review", "{min_alpha: 2}", "must be at most 1"),
        ("acts", "{expect: {questions: [0.5, 0.2]}}", "larger end first"),
    ],
)
def test_what_cannot_be_is_said_when_the_config_is_read(section: str, text: str, said: str, tmp_path: Path) -> None:
    config = small_config(tmp_path / "c", [], **{section: text})
    with pytest.raises(ConfigError) as error:
        load_config(config)
    assert said in "\n".join(error.value.details)


def test_own_rows_are_masked_before_people_see_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small_config(tmp_path / "c", [])
    row = {
        "id": "1",
        "text": "mail kai@example.org",
        "responses": ["ask kai@example.org", "no"],
        "context": json.dumps([{"speaker": "kai@example.org", "text": "to kai@example.org", "after": False}]),
    }
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n")
    assert "kai@" not in json.dumps(masked_rows(tmp_path / "own.jsonl").to_pylist())
    command = ["review", "sample", str(config), "--rows", str(tmp_path / "own.jsonl"), "--kind", "preference"]
    assert main([*command, "--title", "which answer"]) == 0
    assert "which answer  preference  open   0 of 1" in capsys.readouterr().out
    assert b"kai@" not in (tmp_path / "c" / "store" / "review.sqlite").read_bytes()


@pytest.mark.slow
def test_edited_pairs_come_back_into_the_waiting_run_and_are_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataforge.load import load
    from dataforge.review.closing import close
    from dataforge.review.database import open_database
    from dataforge.review.export import export_sha256
    from dataforge.review.leases import claim
    from dataforge.review.queue import Answer, submit
    from tests.review.invented import make_people

    config = copy_demo(tmp_path / "demo", review="{pairs: {enabled: true, rows: 3}}")
    code, document, _ = run(config, capsys)
    assert code == 5 and document["error"]["what"] == "demo instruct pairs: 0 of 3 labelled"
    database = open_database(next((tmp_path / "demo").rglob("review.sqlite")))
    people = make_people(database)
    edited, fit, twin = claim(database, 1, people["ana"], 3).item_ids
    with database.read() as c:
        found = c.exec_driver_sql("select id, row_id, instruct_json from item").all()
    rows = {item: (row, json.loads(triple)) for item, row, triple in found}
    new = rows[edited][1] | {"output": "An answer that a person wrote."}
    submit(database, edited, people["ana"], Answer("key-number-1", labels=("fit",), instruct=new))
    submit(database, fit, people["ana"], Answer("key-number-2", labels=("fit",)))
    again = {name: f"{rows[fit][1][name]} \u200b" for name in new}  # an edit that makes it the pair beside it
    submit(database, twin, people["ana"], Answer("key-number-3", labels=("fit",), instruct=again))
    close(database, 1, people["lea"], digest=export_sha256)
    database.dispose()
    code, document, _ = run(config, capsys)
    assert code == 0
    published = {row["id"]: row for split in load(document["out"], "instruct").values() for row in split}
    assert {name: published[rows[edited][0]][name] for name in new} == new
    assert new["output"] in published[rows[edited][0]]["text"]
    assert len({rows[fit][0], rows[twin][0]} & published.keys()) == 1  # told apart again
    steps = {entry["step"]: entry for entry in document["funnel"]}
    assert steps["instruct/reviewed"]["edited"] == 2
    assert steps["instruct/different"]["dropped"] == {"exact_duplicate": 1}
    assert main(["trace", str(config), rows[edited][0], "--json"]) == 0
    assert '"reviewed": "edited"' in capsys.readouterr().out
    assert main(["verify", document["out"]]) == 0
