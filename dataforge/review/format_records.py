"""What the bridges share: an item with all that a format may write, and checked reading of foreign records.

Every reader keeps to `id` of the record's meta; a record that lost it is refused with its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dataforge.errors import InputError, SchemaError
from dataforge.review import tables as t
from dataforge.review.answers import Batch, Given
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.decisions import Decision
from dataforge.review.export import answers_of, in_order, pseudonyms, records, suggestions_of
from dataforge.review.label_sets import LabelSet

KINDS = ("label", "unsure", "reject", "flag")
FILE_LIMIT = 1 << 28


@dataclass(frozen=True)
class Exported:
    """One item with all that a bridge may write. `answers` hold annotator, kind, labels, seconds, flagged, instruct."""

    row_id: str
    item_key: str
    text: str
    context: list[dict[str, Any]]
    suggestion: dict[str, Any] | None
    answers: list[dict[str, Any]]
    decision: dict[str, Any]  # as in the native export

    def meta(self, label_set: LabelSet) -> dict[str, Any]:
        decided = {
            k: self.decision[k] for k in ("decided_by", "labels", "rejected", "instruct", "error_category", "agreement")
        }
        return {
            "id": self.row_id,
            "item_key": self.item_key,
            "decision": decided,
            "label_schema": f"{label_set.name}/{label_set.version}",
            "guideline": self.decision["guideline_version"],
        }


def exported(c: sa.Connection, batch_id: int, *, with_names: bool = False) -> Iterator[Exported]:
    label_set, answers, suggested = (
        labels_of(c, batch_row(c, batch_id).label_schema_id),
        answers_of(c, batch_id),
        suggestions_of(c, batch_id),
    )
    names = pseudonyms(a for given in answers.values() for a in given)
    decided = {record["id"]: record for record in records(c, batch_id)}
    items = c.execute(sa.select(t.item).where(t.item.c.batch_id == batch_id).order_by(t.item.c.row_id)).all()
    for item in sorted(items, key=lambda x: x.row_id):
        given = [
            {
                "annotator": a.name if with_names else names[a.name],
                "kind": a.kind,
                "labels": in_order(a.labels_json, label_set),
                "seconds": a.seconds,
                "flagged": bool(a.flagged),
                "instruct": json.loads(a.instruct_json) if a.instruct_json else None,
            }
            for a in answers.get(item.id, [])
        ]
        yield Exported(
            item.row_id,
            item.item_key,
            item.text,
            json.loads(item.context_json or "[]"),
            suggested.get(item.id),
            sorted(given, key=lambda x: x["annotator"]),
            decided[item.row_id],
        )


def beside(answer: dict[str, Any]) -> dict[str, Any]:
    """What a format has no field for."""
    return {
        name: answer[name] for name in ("kind", "seconds", "flagged", "instruct") if answer[name] not in (None, False)
    }


def json_line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) + "\n"


def read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise InputError(f"larger than {FILE_LIMIT >> 20} MiB", file=str(path))
        return path.read_bytes()
    except OSError:
        raise InputError("the file cannot be read", file=str(path)) from None


AnswerOf = Callable[[dict[str, Any], dict[str, Any]], tuple[str, str, list[str]] | None]


def read_lines(path: Path, label_set: LabelSet, answer_of: AnswerOf) -> Batch:
    answers: list[Given] = []
    decisions: dict[str, Decision] = {}
    for number, line in enumerate(read_bytes(path).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise SchemaError("not a JSON object", file=str(path), row=number) from None
        meta = record.get("meta") if isinstance(record, dict) else None
        meta = meta if isinstance(meta, dict) else record
        if isinstance(meta, dict) and isinstance(meta.get("row_id"), str):  # `id` may be the tool's own number
            meta = {**meta, "id": meta["row_id"]}
        needed({"meta": meta}, path, number, "meta", "id", leaf=str)
        if found := answer_of(record, meta):
            annotator, kind, labels = found
            answers.append(
                given_answer(
                    meta["id"], annotator, kind, labels if kind == "label" else [], label_set, path, number, meta
                )
            )
        keep_decision(decisions, meta["id"], meta.get("decision"))
    return Batch(tuple(answers), decisions)


def needed(value: Any, path: Path, number: int, *names: str, leaf: Any = dict) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, leaf) or (leaf is dict and not isinstance(value.get("id"), str)):
        raise SchemaError(
            "a record does not name the row it answers: its meta has no `id`",
            file=str(path),
            row=number,
            hint="keep the meta fields of the exported file",
        )
    return value


def given_answer(
    row_id: str,
    annotator: str,
    kind: str,
    labels: list[str],
    label_set: LabelSet,
    path: Path,
    number: int,
    beside: dict[str, Any],
) -> Given:
    names = [label_set.stored_name(label) for label in labels]
    if None in names or kind not in KINDS or (kind == "label" and not names):
        raise SchemaError(
            f"a label is not in the label set {label_set.name!r}",
            file=str(path),
            row=number,
            hint=f"use {', '.join(label_set.names)}",
        )
    return Given(
        row_id,
        annotator,
        kind,
        tuple(str(x) for x in names),
        number,
        beside.get("seconds"),
        beside.get("instruct"),
        bool(beside.get("flagged")),
    )


def keep_decision(decisions: dict[str, Decision], row_id: str, decided: Any) -> None:
    if isinstance(decided, dict) and decided.get("decided_by") == "adjudicated":
        decisions[row_id] = lead_decision(
            "reject" if decided.get("rejected") else "label", tuple(decided.get("labels") or ()), decided
        )


def lead_decision(kind: str, labels: tuple[str, ...], decided: dict[str, Any]) -> Decision:
    instruct = decided.get("instruct")
    return Decision(
        kind,
        labels,
        "adjudicated",
        0,
        decided.get("agreement"),
        json.dumps(instruct, ensure_ascii=False, sort_keys=True) if instruct else None,
        decided.get("error_category") or "",
    )
