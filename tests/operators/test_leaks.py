"""A held-out row that a training row contains leaves the held-out splits; training rows and boilerplate stay."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge import Step
from dataforge.operators import leaks
from dataforge.operators.leaks import Contained, DropLeaks, HeldOut, Leaks
from dataforge.schemas.document import SELECTED
from tests.literal import doc, fill, literal


def words(seed: int, count: int = 60) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choice("abcdefgh") for _ in range(6)) for _ in range(count))


def rows(**texts: tuple[str, str]) -> Step:
    """key=(split, text)"""
    made = [{"id": doc(key), "text": text, "source": "s", "split": split} for key, (split, text) in texts.items()]
    return literal(made, SELECTED)


def apart(selected: Step, size: int = 13) -> Step:
    known = Step("held-out", HeldOut(size), (selected,))
    found = Step("leaks", Leaks(4), (Step("contained", Contained(size), (selected, known)),))
    return Step("without-leaks", DropLeaks(), (selected, found))


def dropped(table: Any) -> dict[str, tuple[str, str, float]]:
    return {row["id"]: (row["reason"], row["into"], row["score"]) for row in table.to_table(kind="dropped").to_pylist()}


def test_a_short_held_out_text_inside_a_long_training_text_is_dropped(engine: Any, tmp_path: Path) -> None:
    selected = rows(
        book=("train", f"{words(1, 300)} {words(2)} {words(3, 300)}"),
        quoted=("validation", words(2)),
        other=("test", words(4)),
        also=("train", words(5)),
    )
    table = fill(apart(selected), tmp_path, engine)
    assert dropped(table) == {doc("quoted"): ("held_out_in_train", doc("book"), 1.0)}
    assert set(table.to_table()["id"].to_pylist()) == {doc("book"), doc("other"), doc("also")}


def test_four_of_five_n_grams_leak_and_three_do_not(tmp_path: Path) -> None:
    """A text of 32 words has 20 n-grams of 13: all are sampled."""
    text = words(1, 32).split()
    inside = {"most": " ".join([*text[:28], *words(2, 20).split()]), "some": " ".join([*text[:27], *words(3, 20).split()])}
    for key, expected in (("most", 16 / 20), ("some", None)):
        table = fill(apart(rows(held=("test", " ".join(text)), **{key: ("train", inside[key])})), tmp_path / key)
        assert dropped(table) == ({doc("held"): ("held_out_in_train", doc(key), expected)} if expected else {})


def test_the_training_row_that_holds_most_is_named_then_the_smallest_id(tmp_path: Path) -> None:
    text = words(1, 32)
    most = " ".join(text.split()[:30])
    selected = rows(held=("test", text), part=("train", most), a=("train", f"x {text}"), b=("train", f"y {text}"))
    table = fill(apart(selected), tmp_path)
    assert dropped(table) == {doc("held"): ("held_out_in_train", min(doc("a"), doc("b")), 1.0)}


def test_what_many_held_out_rows_share_is_boilerplate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "MOST_SHARED", 2)
    licence = words(1, 100)
    held = {f"h{i}": ("test", f"{licence} {words(10 + i)}") for i in range(3)}
    table = fill(apart(rows(train=("train", licence), **held)), tmp_path)
    assert dropped(table) == {}


def test_held_out_rows_alone_or_too_short_are_no_leak(tmp_path: Path) -> None:
    selected = rows(a=("test", words(1)), b=("validation", words(1)), yes=("test", "yes"), no=("train", "yes"))
    assert dropped(fill(apart(selected), tmp_path / "pairs")) == {}
    assert dropped(fill(apart(rows(a=("train", words(1)))), tmp_path / "train only")) == {}


@settings(max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.randoms())
def test_states_merge_in_any_order(tmp_path_factory: pytest.TempPathFactory, seeds: list[int], draw: random.Random) -> None:
    fold, parts = HeldOut(5), []
    for place, seed in enumerate(seeds):
        row = {"id": doc(str(place)), "text": words(seed, 20), "split": "test"}
        parts.append(fold.observe(0, pa.RecordBatch.from_pylist([row])))
    files = []
    for chosen in (parts, draw.sample(parts, len(parts))):
        state = chosen[0]
        for part in chosen[1:]:
            state = fold.merge(state, part)
        files.append(tmp_path_factory.mktemp("state"))
        fold.finish(state, files[-1])
    for name in (leaks.HASHES, leaks.ROWS):
        assert (files[0] / name).read_bytes() == (files[1] / name).read_bytes()


def test_a_run_keeps_its_own_splits_apart_unless_told_otherwise(tmp_path: Path) -> None:
    from dataforge import Store
    from dataforge.flows.cli import main
    from tests.flows.demo import small_config

    texts = {f"t{i}": words(i) for i in range(12)}
    texts["long"] = " ".join(texts.values())
    lines = [json.dumps({"id": key, "text": text}).encode() for key, text in texts.items()]
    reasons = {}
    for mode in ("contained", "off", "true"):
        split = f"{{own_splits: {mode}, salt: c}}"
        config = small_config(tmp_path / mode, lines, split=split, publish="{splits: {train: 0.7, test: 0.3}}")
        assert main(["run", str(config), "--direct", "--workers", "1", "-q"]) == 0
        tables = {table.step: table for table in Store(tmp_path / mode / "store").tables()}
        splits = dict(zip(*tables["corpus/selected"].to_table(["id", "split"]).to_pydict().values(), strict=True))
        held = {key for key, split in splits.items() if split == "test"}
        assert splits[doc("long")] == "train" and 0 < len(held) < 12
        kept = tables.get("corpus/without-leaks")
        reasons[mode] = dict(kept.account.dropped) if kept else {}
        assert mode != "contained" or set(dropped(kept)) == held
    assert reasons == {"contained": {"held_out_in_train": len(held)}, "off": {}, "true": {"contaminated": 1}}
