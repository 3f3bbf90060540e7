"""The shipped configs of a help desk and of a persona give pairs from any export after the edits that they ask for."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

import dataforge
from dataforge.engine.local import Local
from dataforge.engine.run import run
from dataforge.errors import ConfigError
from dataforge.flows.build import build
from dataforge.flows.config import load_config
from dataforge.store import Store
from dataforge.table import Table
from tests.slack_workspace import Workspace

CONFIGS = Path(dataforge.__file__).parent / "configs"
PERSONA = "U00000003"


def written(folder: Path, name: str, **edits: str) -> Path:
    """The config with its edits, the key beside it, as the head of the file says."""
    (folder / ".dataforge-key").write_text("0123456789abcdef0123456789abcdef")
    text = (CONFIGS / f"slack_{name}.yaml").read_text(encoding="utf-8")
    for before, after in edits.items():
        before = {"persona": "persona: U0123ABCD", "consent": 'consent: ""'}[before]
        assert text.count(before) == 1
        text = text.replace(before, f"{before.split(':')[0]}: {after}")
    (folder / "dataforge.yaml").write_text(text, encoding="utf-8")
    return folder / "dataforge.yaml"


def exported(folder: Path, kind: str) -> None:
    workspace = Workspace(seed=11, messages=400, people=6, channels=2, old=kind == "old")
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        for name, data in workspace.entries():
            if not (kind == "no users" and name == "users.json"):
                archive.writestr(name, data)


def made(path: Path) -> Table:
    """The pairs, up to the step that makes them."""
    config = load_config(path)
    graph = build(config)
    step = next(step for step in graph.steps() if step.name == "instruct/made")
    with Local(1) as engine:
        return run(Store(config.path(config.store)), [step], engine).tables[step]


@pytest.mark.parametrize("kind", ["old", "modern", "no users"])
def test_a_help_desk_from_any_export(tmp_path: Path, kind: str) -> None:
    exported(tmp_path, kind)
    pairs = made(written(tmp_path, "helpdesk")).to_table().to_pylist()
    assert len(pairs) > 80
    assert all(pair["instruction"] and pair["output"] and len(pair["message_ids"]) > 1 for pair in pairs)
    assert not any(PERSONA in json.dumps(pair) for pair in pairs)


@pytest.mark.parametrize("kind", ["old", "modern", "no users"])
def test_a_persona_from_any_export_speaks_every_answer(tmp_path: Path, kind: str) -> None:
    exported(tmp_path, kind)
    table = made(written(tmp_path, "persona", persona=PERSONA, consent="letter of 2025-01-31"))
    pairs = table.to_table().to_pylist()
    assert len(pairs) > 10
    speakers = {json.loads(pair["meta"])["answered_by"] for pair in pairs}
    assert len(speakers) == 1 and speakers.pop().startswith("user_")
    assert {row["reason"] for row in table.to_table(kind="dropped").to_pylist()} >= {"persona_silent"}


def test_a_persona_needs_consent_and_a_member(tmp_path: Path) -> None:
    exported(tmp_path, "modern")
    with pytest.raises(ConfigError, match="consent"):
        build(load_config(written(tmp_path, "persona", persona=PERSONA)))
    with pytest.raises(ConfigError, match="no list of members holds this id"):
        build(load_config(written(tmp_path, "persona", consent="letter")))
