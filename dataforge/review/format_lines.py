"""Prodigy JSONL (`choice` view), doccano JSONL (text classification): one line per answer. And CSV, out only."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dataforge.review.answers import Batch
from dataforge.review.format_records import Exported, beside, json_line, read_lines
from dataforge.review.label_sets import LabelSet


def write_prodigy(items: Iterable[Exported], label_set: LabelSet) -> Iterator[str]:
    options = [{"id": label.name, "text": label.singular} for label in label_set.labels]
    style = "multiple" if label_set.multi else "single"
    for item in items:
        task = {
            "text": item.text,
            "options": options,
            "meta": item.meta(label_set),
            "_view_id": "choice",
            "_input_hash": _hash32(item.text),
            "_task_hash": _hash32(item.item_key),
            "config": {"choice_style": style},
        }
        for a in item.answers:
            answer = {"label": "accept", "reject": "reject"}.get(a["kind"], "ignore")
            yield json_line(
                {
                    **task,
                    "accept": a["labels"],
                    "answer": answer,
                    "_session_id": a["annotator"],
                    "_annotator_id": a["annotator"],
                    "meta": item.meta(label_set) | beside(a),
                }
            )
        if not item.answers:
            yield json_line(task)


def read_prodigy(path: Path, label_set: LabelSet) -> Batch:
    def answer(record: dict[str, Any], meta: dict[str, Any]) -> tuple[str, str, list[str]] | None:
        if "answer" not in record:
            return None
        kind = {"accept": "label", "reject": "reject"}.get(record["answer"], meta.get("kind", "unsure"))
        return (
            str(record.get("_annotator_id") or record.get("_session_id") or "prodigy"),
            kind,
            record.get("accept") or [],
        )

    return read_lines(path, label_set, answer)


def _hash32(text: str) -> int:
    """A signed 32-bit number, as Prodigy's own hashes are."""
    value = zlib.crc32(text.encode())
    return value - (1 << 32) if value >= 1 << 31 else value


NO_ANSWER: dict[str, Any] = {
    "annotator": None,
    "labels": [],
    "kind": None,
    "seconds": None,
    "flagged": False,
    "instruct": None,
}


def write_doccano(items: Iterable[Exported], label_set: LabelSet) -> Iterator[str]:
    number = 0
    for item in items:
        for a in item.answers or [NO_ANSWER]:
            number += 1
            meta = (
                item.meta(label_set)
                | {"row_id": item.row_id}
                | ({"annotator": a["annotator"]} if a["annotator"] else {})
                | beside(a)
            )
            yield json_line({"id": number, "text": item.text, "label": a["labels"], "meta": meta})


def read_doccano(path: Path, label_set: LabelSet) -> Batch:
    """Reads lines with `meta`, and lines that have its keys at the top level, where doccano's own number is `id`."""

    def answer(record: dict[str, Any], meta: dict[str, Any]) -> tuple[str, str, list[str]] | None:
        labels = record.get("label") or record.get("labels") or []
        kind = "label" if labels else meta.get("kind")
        if kind is None:
            return None
        return str(record.get("username") or meta.get("annotator") or "doccano"), kind, labels

    return read_lines(path, label_set, answer)


def write_csv(items: Iterable[Exported], label_set: LabelSet) -> Iterator[str]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(["id", "text", "label", "decided_by", "agreement", "answers"])
    for item in items:
        answers = "; ".join(f"{a['annotator']}: {' + '.join(a['labels']) or a['kind']}" for a in item.answers)
        d = item.decision
        row = [item.row_id, item.text, " + ".join(d["labels"]), d["decided_by"], d["agreement"], answers]
        writer.writerow([harmless(cell) for cell in row])
    yield buffer.getvalue()


def harmless(cell: Any) -> Any:
    """A cell that a spreadsheet would take for a formula gets an apostrophe in front: "=1+1" -> "'=1+1"."""
    return "'" + cell if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else cell
