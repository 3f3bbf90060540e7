"""Calls the command line in this process and checks what holds for every command; files that many tests start from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dataforge.flows.cli import main

ERROR_LINE = re.compile(r"^(?:error|waiting)\[[A-Z]+\]( (step|file|line|row|key)=\S+)*: .+$", re.MULTILINE)
CHEAP = {"dedupe": "{near: false}"}  # a third of the steps


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; anything beside it is an error of its own."""
        return json.loads(self.out)  # type: ignore[no-any-return]

    @property
    def error(self) -> dict[str, Any]:
        return self.document["error"]  # type: ignore[no-any-return]


Call = Callable[..., Said]


def call(*arguments: object, capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs `dataforge ARGUMENTS`; with --json there is one document of schema 1 that names the error, if there is one."""
    capsys.readouterr()
    code = main([str(a) for a in arguments])
    said = Said(code, *capsys.readouterr())
    assert "\x1b" not in said.out + said.err, "no colours when nobody looks"
    if "--json" in arguments:
        assert said.document["schema"] == 1
        problem = said.document.get("error")
        assert (code != 0) == (problem is not None)
        if problem is not None:
            assert problem["exit_code"] == code and problem["code"] and problem["what"]
            assert f"{'waiting' if code == 5 else 'error'}[{problem['code']}]" in said.err
    if code:
        assert ERROR_LINE.search(said.err), said.err
    return said


def line(i: int, text: str = "") -> bytes:
    """One JSONL row; its words differ enough from those of any other."""
    text = text or f"Row number {i} tells of kite {i * 7} and of wind {i * i}, and of nothing else that matters."
    return json.dumps({"id": f"r{i}", "text": text}).encode()


def published(folder: Path) -> Path:
    (manifest,) = folder.glob("out/*/*/dataset_manifest.json")
    return manifest.parent


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
