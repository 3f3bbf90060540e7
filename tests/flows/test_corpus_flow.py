"""Whole runs over a few rows: what the config says about documents is what happens to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataforge import Store
from dataforge.flows.cli import main
from tests.flows.demo import small_config

LONG = (
    "The ferry leaves the northern pier at seven in the morning and comes back when the tide allows, which on most days"
    " is shortly before noon; whoever misses it walks along the dunes for two hours or asks the miller for his cart."
)
OTHER = (
    "Bees swarm on warm days in May, and a keeper who hears the high sound of the queen has about an hour to find a"
    " second box, smoke, and a neighbour who is not afraid, because a swarm that has left the garden is gone for good."
)
GERMAN = (
    "Der Bäcker im Dorf beginnt um drei Uhr nachts, heizt den Ofen mit Buchenholz und wiegt den Teig von Hand ab, weil"
    " er der neuen Waage nicht traut; um sechs stehen die ersten Leute vor der Tür und warten auf warme Brötchen."
)


def rows(**texts: str) -> list[bytes]:
    return [json.dumps({"id": key, "text": text}).encode() for key, text in texts.items()]


def run(config: Path, code: int = 0) -> dict[str, Any]:
    assert main(["run", str(config), "--direct", "--workers", "1", "-q"]) == code
    return {table.step: table for table in Store(config.parent / "store").tables()}


def reasons(tables: dict[str, Any], step: str = "corpus/selected") -> dict[str, str]:
    keys = {r["id"]: r["key"] for r in tables["corpus/documents"].to_table(["id", "key"]).to_pylist()}
    return {keys[r["id"]]: r["reason"] for r in tables[step].to_table(kind="dropped").to_pylist()}


def test_language_rules_spare_what_is_too_short_to_tell(tmp_path: Path) -> None:
    config = small_config(tmp_path, rows(en=LONG, de=GERMAN, short="Hm, ja."), language="{keep: [en]}")
    assert reasons(run(config)) == {"de": "language"}


def test_evaluation_texts_do_not_reach_the_training_rows(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "quiz.jsonl").write_text(json.dumps({"text": f"Q: {LONG[:120]}"}) + "\n")
    config = small_config(tmp_path, rows(leaked=LONG, clean=OTHER), split="{decontaminate: evals/quiz.jsonl}")
    assert reasons(run(config), "corpus/decontaminated") == {"leaked": "contaminated"}


def test_personal_data_can_drop_a_row_or_get_pseudonyms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = rows(mail=f"{LONG} Write to ada@mill.example.", clean=OTHER)
    config = small_config(tmp_path / "drop", texts, pii="{action: drop}")
    assert reasons(run(config)) == {"mail": "personal_data"}
    monkeypatch.setenv("A_PII_KEY", "0123456789abcdef")
    config = small_config(tmp_path / "name", texts, pii="{action: pseudonym, key: env:A_PII_KEY}")
    kept = " ".join(run(config)["corpus/selected"].to_table()["text"].to_pylist())
    assert "ada@mill.example" not in kept and "@" in kept


def test_a_repeated_key_is_dropped_or_quarantined(tmp_path: Path) -> None:
    twice = [*rows(a=LONG, b=OTHER), *rows(a=LONG), *rows(b=GERMAN)]
    tables = run(small_config(tmp_path, twice, ingest="{max_bad_rows: 1}"))
    account = tables["corpus/ingested"].account
    assert (account.rows_in, account.rows_out, account.dropped, account.quarantined) == (4, 2, {"repeated_key": 1}, 1)


def test_equal_texts_without_keys_are_two_rows(tmp_path: Path) -> None:
    lines = [json.dumps({"text": LONG}).encode()] * 2 + [json.dumps({"text": OTHER}).encode()]
    config = small_config(tmp_path, lines, sources="[{name: s, kind: jsonl, path: in.jsonl}]")
    tables = run(config)
    assert tables["corpus/ingested"].rows == 3
    assert list(tables["corpus/selected"].account.dropped.items()) == [("exact_duplicate", 1)]


def test_a_changed_threshold_runs_no_scoring_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = rows(a=LONG, b=OTHER)
    run(small_config(tmp_path, texts, quality="{preset: gopher_quality, min_words: 20}"))
    config = small_config(tmp_path, texts, quality="{preset: gopher_quality, min_words: 30}")
    capsys.readouterr()
    assert main(["plan", str(config), "--json"]) == 0
    steps = {s["step"]: s for s in json.loads(capsys.readouterr().out)["steps"]}
    assert steps["corpus/quality"]["state"] == steps["corpus/bands"]["state"] == steps["corpus/near"]["state"] == "done"
    assert steps["corpus/verdicts"]["state"] == "run" and "min_words" in steps["corpus/verdicts"]["why"]


def test_everything_dropped_is_still_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small_config(tmp_path, rows(a=LONG), quality="{preset: gopher_quality, min_words: 5000}")
    assert main(["run", str(config), "--direct", "--workers", "1", "-q", "--json"]) in (0, 3)
    document = json.loads(capsys.readouterr().out)
    assert document["error"] is None or document["error"]["hint"]


def test_a_preset_that_drops_nearly_all_is_told_by_the_run_and_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"id": str(n), "text": f"Zeile {n}"}).encode() for n in range(99)] + rows(long=LONG)
    config = small_config(tmp_path, lines, quality="{preset: gopher, min_words: 20}", dedupe="{near: false}")
    tables = run(config)
    assert tables["corpus/selected"].rows == 1
    said = "corpus/selected keeps 1 of 100 rows: too_few_words 99. If that is not meant: `dataforge whatif`"
    assert f"warning: {said}" in capsys.readouterr().err
    (report,) = tmp_path.glob("out/*/*/report.json")
    assert [a["text"] for a in json.loads(report.read_bytes())["alerts"] if a["text"].startswith(said)]


def test_lists_and_models_of_the_user_are_scores_with_thresholds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.operators.test_text_model import labelled

    (tmp_path / "rude.txt").write_text("swarm\nhigh sound\n")
    labels = labelled(tmp_path / "labels.jsonl")
    assert main(["quality", "train", str(labels), "--out", str(tmp_path / "model"), "--json"]) == 0
    assert main(["quality", "evaluate", str(labels), "--model", str(tmp_path / "model"), "--json"]) == 0
    lists, models = "{rude: {path: {en: rude.txt}, max_per_1000: 20}}", "{spam: {path: model, label: bad, max_score: 0.5}}"
    spam = " ".join(["Buy now, cheap: free casino bonus, click here and win big prizes."] * 3)
    texts = rows(fine=LONG, rude=OTHER, spam=spam)
    config = small_config(tmp_path, texts, quality=f"{{model: model, min_score: 0.0, lists: {lists}, models: {models}}}")
    tables = run(config)
    assert reasons(tables) == {"rude": "rude", "spam": "spam"}
    dropped = tables["corpus/selected"].to_table(kind="dropped").to_pylist()
    assert all(row["score"] > row["threshold"] for row in dropped)
    capsys.readouterr()
    settings = ["--set", "quality.lists.rude.max_per_1000=0,1000", "--set", "quality.min_score=0,1"]
    assert main(["whatif", str(config), *settings, "--json"]) == 0
    found = {tuple(r["set"].values()): r["documents"] for r in json.loads(capsys.readouterr().out)["settings"]}
    assert found == {(0, 0): 1, (0, 1): 0, (1000, 0): 2, (1000, 1): 0}


def test_names_of_scores_are_checked_with_the_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = "{too_few_words: {path: a}, x: {path: {en: a, elvish: b}}, UP: {path: a}}"
    config = small_config(tmp_path, rows(a=LONG), quality=f"{{preset: gopher, lists: {lists}, min_score: 0.5}}")
    assert main(["config", "check", str(config)]) == 2
    text = capsys.readouterr().err
    assert "quality.lists.too_few_words" in text and "elvish" in text and "lists.UP" in text


def test_every_verdict_says_why_by_how_much_and_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evals.jsonl").write_text(json.dumps({"text": f"Q: {OTHER[:120]}"}) + "\n")
    (tmp_path / "rude.txt").write_text("waiting\n")
    texts = rows(
        fine=LONG.replace("ferry", "boat for ada@mill.example"),
        short="The mill and the bridge that have to be kept are old.",
        de=GERMAN,
        mail=f"{LONG[::-1][:9]} The harbour and the cranes that have to move: ada@mill.example, bo@mill.example, at night "
        "when the town sleeps and only the watchman with his lamp walks along the quays and counts the lights of the ships.",
        leaked=OTHER,
        same=LONG.replace("ferry", "boat for ada@mill.example"),
        alike=LONG.replace("ferry", "boat for ada@mill.example") + " Or so.",
        rude="The people who are waiting for the boat have to stand with the horses, be it cold or wet, and the guard of "
        "the pier reads to them from the paper that the captain brought: waiting, he says, is half of the journey here.",
    )
    config = small_config(
        tmp_path,
        texts,
        quality="{preset: gopher_quality, min_words: 20, lists: {rude: {path: rude.txt, max_per_1000: 0}}}",
        language="{keep: [en]}",
        pii="{action: drop, drop_above: 1}",
        split="{decontaminate: evals.jsonl}",
    )
    tables = run(config)
    others = {"fine": "near_duplicate", "same": "exact_duplicate"}
    found = {"short": "too_few_words", "de": "language", "mail": "personal_data", "rude": "rude"}
    assert reasons(tables).keys() == (found | others).keys() and found.items() <= reasons(tables).items()
    assert reasons(tables, "corpus/decontaminated") == {"leaked": "contaminated"}
    steps = [tables[f"corpus/{step}"] for step in ("selected", "decontaminated")]
    dropped = [row for table in steps for row in table.to_table(kind="dropped").to_pylist()]
    assert all(row["score"] is not None and row["threshold"] is not None for row in dropped)
    for row in dropped:
        capsys.readouterr()
        assert main(["trace", str(config), row["id"]]) == 0
        assert f"dropped: {row['reason']} ({row['score']:g} against {row['threshold']:g})" in capsys.readouterr().out
    assert main(["report", str(config), "--json"]) == 0
    facts = json.loads(next((tmp_path / "store").rglob("report.json")).read_text())
    shown = {row["reason"]: row["text"] for row in facts["samples"]["dropped"]}
    assert shown.keys() == {row["reason"] for row in dropped}
    assert shown["personal_data"] is None and shown["too_few_words"].startswith("The mill") and shown["language"]
    assert "ada@mill" not in json.dumps(facts) and "<EMAIL_ADDRESS>" in json.dumps(facts["samples"]["kept"])
