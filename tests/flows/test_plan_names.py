"""What `plan` says has changed are keys of the config, and every key that it may name is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataforge.flows.cli import main
from dataforge.flows.config import Config
from dataforge.flows.plan_names import _KEYS, config_key
from tests.flows.config_page import sections
from tests.flows.demo import small_config

TEXT = "of plain words about the things that be and the rest, "
ROWS = [
    json.dumps({"id": str(i), "text": f"Row {i} {TEXT}" + " ".join(f"w{i}{j}" for j in range(60))}).encode()
    for i in range(4)
]
KEYS = set(Config.model_fields)
KEYS |= {f"{name}.{field.alias or key}" for name, model in sections() for key, field in model.model_fields.items()}
CHANGES = {
    "quality.min_words 3.0 → 4.0": {"quality": "{preset: gopher_quality, min_words: 4}"},
    "dedupe.threshold 0.8 → 0.7": {"dedupe": "{threshold: 0.7}"},
    "pii.action mask → drop": {"pii": "{action: drop}"},
    "split.salt dataforge → other": {"split": "{salt: other}"},
    "pack.sequence_length 64 → 32": {"pack": "{sequence_length: 32}"},
    "language.keep changed": {"language": "{keep: [en]}"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_plan_names_the_key_that_changed(change: str, ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = {"quality": "{preset: gopher_quality, min_words: 3}", "publish": "{splits: {train: 1.0}}", "store": str(ran)}
    config = small_config(tmp_path, ROWS, **{**kept, **CHANGES[change]})
    assert main(["plan", str(config), "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert change in [step["why"] for step in steps]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run."""
    folder = tmp_path_factory.mktemp("ran")
    quality = "{preset: gopher_quality, min_words: 3}"
    config = small_config(folder, ROWS, quality=quality, publish="{splits: {train: 1.0}}")
    assert main(["run", str(config), "--direct", "--json"]) == 0
    return folder / "store"


def test_the_keys_it_may_name_exist() -> None:
    named = {key for members in _KEYS.values() for _, key in members if "\\" not in key and " " not in key}
    assert named - KEYS == set()
    sections_named = {key.split(".")[0] for members in _KEYS.values() for _, key in members if "\\" in key}
    assert sections_named - {key.split(".")[0] for key in KEYS} == set()


def test_what_no_key_sets_keeps_its_name() -> None:
    assert config_key("Judge", "rules.rules.7.max_hashes.value") == "quality.max_hashes"
    assert config_key("Leaks", "parts") == "parts" and config_key("Nobody", "x") == "x"


def test_plan_tells_of_the_living_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small_config(tmp_path, ROWS, dedupe="{index: earlier}")
    assert main(["plan", str(config)]) == 0
    assert "living index" in (text := capsys.readouterr().out) and "not there yet" in text
