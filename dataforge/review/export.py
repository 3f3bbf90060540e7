"""The export of a batch: one JSON line per item, sorted by row id, the same bytes for the same answers.

It holds decisions and pseudonymous answers; no times, no names, no notes, no text. Its sha256 stands for the labels
in the id of every Step after them. `read_export` is the way back into rows of schemas.label.LABEL.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.decisions import Decision, decisions_of
from dataforge.review.label_sets import LabelSet
from dataforge.schemas.label import LABEL
from dataforge.schemas.verdict import DROPPED

ANSWERS = ("label", "unsure", "reject", "flag")


def export_lines(c: sa.Connection, batch_id: int) -> Iterator[str]:
    for record in records(c, batch_id):
        yield json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"


def export_sha256(c: sa.Connection, batch_id: int) -> str:
    digest = hashlib.sha256()
    for line in export_lines(c, batch_id):
        digest.update(line.encode())
    return digest.hexdigest()


def records(c: sa.Connection, batch_id: int) -> Iterator[dict[str, Any]]:
    """One dict per item, sorted by row id. `decided_by` is "unresolved" where there is no decision."""
    batch = batch_row(c, batch_id)
    label_set, head = labels_of(c, batch.label_schema_id), _head(c, batch)
    decisions, answers, suggestions = decisions_of(c, batch_id), answers_of(c, batch_id), suggestions_of(c, batch_id)
    names = pseudonyms(a for given in answers.values() for a in given)
    items = c.execute(sa.select(t.item).where(t.item.c.batch_id == batch_id)).all()
    for item in sorted(items, key=lambda item: item.row_id):  # what people answered by hand: a loop is cheap
        decided = _decided(decisions[item.id], label_set)
        yield {**head, **decided, **suggestions.get(item.id, {}), **_item(item, answers.get(item.id, []), names, label_set)}


def _head(c: sa.Connection, batch: Any) -> dict[str, Any]:
    label_set = labels_of(c, batch.label_schema_id)
    return {
        "kind": batch.kind,
        "label_schema": label_set.name,
        "label_schema_version": label_set.version,
        "guideline_version": c.scalar(sa.select(t.guideline.c.version).where(t.guideline.c.id == batch.guideline_id)),
    }


def _item(item: Any, given: list[Any], names: dict[str, str], label_set: LabelSet) -> dict[str, Any]:
    said = [
        {"annotator": names[a.name], "kind": a.kind, "labels": in_order(a.labels_json, label_set)} for a in given
    ]
    return {
        "id": item.row_id,
        "item_key": item.item_key,
        "answers": sorted(said, key=lambda x: x["annotator"]),
        "flagged": any(a.flagged for a in given),
        "gold": item.gold_json is not None,
        "random": bool(item.is_random),
        "p_selected": item.p_selected,
        "filter": _filter(item.meta_json),
    }


def count_items(c: sa.Connection, batch_id: int) -> int:
    return int(c.scalar(sa.select(sa.func.count()).select_from(t.item).where(t.item.c.batch_id == batch_id)) or 0)


def answers_of(c: sa.Connection, batch_id: int) -> dict[int, list[Any]]:
    """Live answers with their annotators' names, by item."""
    a = t.annotation
    rows = c.execute(
        sa.select(a, t.account.c.name)
        .join(t.item, t.item.c.id == a.c.item_id)
        .join(t.account, t.account.c.id == a.c.user_id)
        .where(t.item.c.batch_id == batch_id, a.c.superseded_by.is_(None), a.c.kind.in_(ANSWERS))
        .order_by(a.c.id)
    )
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.item_id].append(row)
    return found


def suggestions_of(c: sa.Connection, batch_id: int) -> dict[int, dict[str, Any]]:
    s = t.suggestion
    rows = c.execute(
        sa.select(s).join(t.item, t.item.c.id == s.c.item_id).where(t.item.c.batch_id == batch_id).order_by(s.c.source)
    )
    return {r.item_id: {"suggestion": r.label, "suggestion_score": r.score, "suggestion_by": r.source} for r in rows}


def pseudonyms(answers: Iterable[Any]) -> dict[str, str]:
    names = sorted({a.name for a in answers})
    return {name: f"a{number:02d}" for number, name in enumerate(names, 1)}


def in_order(labels_json: str, label_set: LabelSet) -> list[str]:
    given = json.loads(labels_json)
    return [name for name in label_set.names if name in given]


def _decided(decision: Decision, label_set: LabelSet) -> dict[str, Any]:
    labels = [name for name in label_set.names if name in decision.labels]
    return {
        "label": labels[0] if labels else None,
        "labels": labels,
        "rejected": decision.kind == "reject",
        "decided_by": decision.source,
        "n_answers": decision.n_answers,
        "agreement": decision.agreement,
        "instruct": json.loads(decision.instruct) if decision.instruct else None,
        "error_category": decision.error_category or None,
    }


def _filter(meta_json: str | None) -> str | None:
    meta = json.loads(meta_json) if meta_json else {}
    return meta.get("filter") or meta.get("reason")


def label_rows(exported: Iterable[dict[str, Any]]) -> tuple[pa.Table, pa.Table]:
    """(LABEL rows, DROPPED rows): items without a decision are dropped as `unresolved` or `unanswered`.

    `detail` of a dropped row holds its answers as JSON: agreement without them would be agreement on the agreed.
    """
    kept, dropped = [], []
    for record in exported:
        if record["decided_by"] != "unresolved":
            kept.append({name: record.get(name) for name in LABEL.names})
        else:
            reason = "unresolved" if record["n_answers"] else "unanswered"
            dropped.append(
                {
                    "id": record["id"],
                    "reason": reason,
                    "score": None,
                    "threshold": None,
                    "detail": json.dumps(record["answers"], sort_keys=True) if record["answers"] else None,
                    "into": None,
                }
            )
    return pa.Table.from_pylist(kept, LABEL), pa.Table.from_pylist(dropped, DROPPED)
