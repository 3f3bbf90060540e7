"""`review sample --rows FILE`: rows of the user's own for the queue. Personal data is masked before people see a text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataforge.errors import InputError
from dataforge.operators.labelled import read_labelled
from dataforge.operators.pii import FindPii
from dataforge.operators.treatment import Treatment

# Fields that people are shown, wherever they stand in a row.
TEXTS = {"text", "prev_text", "next_text", "instruction", "input", "output", "response", "responses"}
TEXTS |= {"speaker", "channel", "uri", "conversation", "note"}


def masked_rows(path: Path) -> pa.Table:
    """Rows of a JSONL or Parquet file (columns as review/questions.py reads them), every text of them masked."""
    rows = _read(path)
    if not rows:
        raise InputError("there are no rows", file=str(path))
    for number, row in enumerate(rows, 1):  # a context may come as JSON
        if isinstance(row.get("context"), str):
            row["context"] = _context(row["context"], path, number)
    found: list[str] = []
    _each_text(rows, lambda text: found.append(text) or text)
    texts = pa.array(found, pa.string())
    masked, _, _ = Treatment().start()(texts, FindPii().scanner().spans(texts), pa.array(np.ones(len(texts), bool)))
    replaced = iter(masked.to_pylist())
    return pa.Table.from_pylist(_each_text(rows, lambda text: next(replaced)))


def _context(text: str, path: Path, number: int) -> Any:
    try:
        return json.loads(text or "[]")
    except ValueError:
        raise InputError("expected JSON", file=str(path), row=number, key="context") from None


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix != ".parquet":
        return list(read_labelled(path, {"id": str, "text": str}))
    try:
        return list(pq.read_table(path).to_pylist())
    except (OSError, pa.ArrowInvalid):
        raise InputError("cannot be read as Parquet", file=str(path)) from None


def _each_text(value: Any, change: Callable[[str], str], name: str = "") -> Any:
    """The same value with `change` applied to its texts, in one fixed order: a sample is small, for people to read."""
    if isinstance(value, dict):
        return {key: _each_text(child, change, key) for key, child in value.items()}
    if isinstance(value, list):
        return [_each_text(child, change, name) for child in value]
    return change(value) if isinstance(value, str) and name in TEXTS else value
