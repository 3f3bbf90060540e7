"""Rows of a sample as questions of the queue: what is shown, what it is called, what a tagger suggests."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import xxhash

from dataforge.errors import SchemaError
from dataforge.review.label_sets import LabelSet

META = ("source", "channel", "speaker", "language", "uri", "reason", "filter", "score", "threshold", "conversation", "form")


def questions(rows: pa.Table, label_set: LabelSet) -> Iterable[dict[str, Any]]:
    """One dict per row. A loop over rows is cheap: a sample has hundreds or thousands of rows, for people to read.

    Columns read where present: those of sample.SAMPLE (act, act_score, share, p_selected, priority: 0 is shown first,
    gold_label, prev_text, next_text), `context` (list of {speaker, text, after}), `suggestion`/`suggestion_score`/
    `suggestion_by`, `gold` (label or list), `random`, `instruct` {instruction, input, output}, `responses` (two strings)
    and the META columns.
    """
    if missing := [name for name in ("id", "text") if name not in rows.column_names]:
        raise SchemaError(f"a review sample needs column {missing[0]!r}; found {', '.join(rows.column_names)}")
    for number, row in enumerate(rows.to_pylist()):
        if row["id"] is None or row["text"] is None:
            raise SchemaError("a review sample has a row without id or text", row=number)
        shown = {"text": row["text"], "instruct": _instruct(row), "responses": row.get("responses")}
        yield {
            "row_id": row["id"],
            "item_key": xxhash.xxh3_128_hexdigest(f"{row['id']}\0{dump(shown)}".encode()),
            "priority": -(_number(row.get("priority"), 0.0) or 0.0),
            "p_selected": _number(row.get("p_selected"), None),
            "is_random": bool(row.get("random")) or row.get("share") == "random",
            "text": row["text"].replace("\0", "\ufffd"),  # PostgreSQL stores no NUL
            "context_json": dump(_context(row)),
            "instruct_json": dump(
                {**(shown["instruct"] or {}), **({"responses": shown["responses"]} if shown["responses"] else {})}
            ),
            "meta_json": dump({name: row[name] for name in _meta(row) if row.get(name) not in (None, "")}),
            "gold_json": dump(_gold(row.get("gold") or row.get("gold_label"), label_set, number)),
            "suggestion": None if row.get("share") == "gold" else _suggestion(row, label_set),  # it would be the answer
        }


def _meta(row: dict[str, Any]) -> tuple[str, ...]:
    """A drawn sample may hold gold rows, which come from elsewhere: its sources would give them away."""
    return META if row.get("share") is None else tuple(name for name in META if name != "source")


def dump(value: Any) -> str | None:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else None


def _number(value: Any, default: float | None) -> float | None:
    return default if value is None or not math.isfinite(value) else float(value)


def _instruct(row: dict[str, Any]) -> dict[str, str] | None:
    triple = row.get("instruct") or (row if row.get("instruction") else None)
    if not triple:
        return None
    output = triple.get("output") if triple.get("output") is not None else triple.get("response")
    return {"instruction": triple.get("instruction") or "", "input": triple.get("input") or "", "output": output or ""}


def _context(row: dict[str, Any]) -> list[dict[str, Any]]:
    value = row.get("context")
    entries = json.loads(value) if isinstance(value, str) and value else value or []
    if not entries:
        entries = [
            {
                "text": row[f"{side}_text"],
                "after": side == "next",
                "speaker": "same speaker" if row.get(f"{side}_same_speaker") else "another",
            }
            for side in ("prev", "next")
            if row.get(f"{side}_text")
        ]
    return [
        {
            "speaker": str(x.get("speaker") or ""),
            "text": str(x.get("text") or ""),
            "after": bool(x.get("after") or x.get("position") == "after"),
        }
        for x in entries
    ]


def _gold(value: Any, label_set: LabelSet, number: int) -> list[str]:
    wanted = [value] if isinstance(value, str) and value else list(value or [])
    names = [label_set.stored_name(word) for word in wanted]
    if None in names:
        raise SchemaError(f"gold label {wanted[names.index(None)]!r} is not in the label set {label_set.name!r}", row=number)
    return sorted(name for name in names if name)


def _suggestion(row: dict[str, Any], label_set: LabelSet) -> dict[str, Any] | None:
    word = row.get("suggestion") or row.get("act")
    name = label_set.stored_name(word) if word else None
    if name is None:  # a tagger of another label set: nothing to suggest here
        return None
    score = row.get("suggestion_score") if row.get("suggestion") else row.get("act_score")
    source = row.get("suggestion_by") or row.get("act_by") or "tagger"
    return {"source": str(source), "version": "", "label": name, "score": _number(score, None)}
