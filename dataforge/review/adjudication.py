"""What a lead looks at before deciding: the items that answers leave open, and one of them with every answer to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.auth import User
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.decisions import Decision, decide, decisions_of, given_of_item
from dataforge.review.export import answers_of, in_order
from dataforge.review.label_sets import LabelSet
from dataforge.review.views import item_for


def to_adjudicate(c: sa.Connection, batch_id: int) -> list[tuple[int, float]]:
    """(item, agreement) of items that the answers leave open or that somebody flagged, lowest agreement first."""
    batch_row(c, batch_id)
    d = t.decision
    final = sa.select(d.c.item_id).join(t.item, t.item.c.id == d.c.item_id).where(t.item.c.batch_id == batch_id)
    adjudicated = set(c.scalars(final.where(d.c.source == "adjudicated")))
    answers, decisions = answers_of(c, batch_id), decisions_of(c, batch_id)
    full = set(c.scalars(sa.select(t.item.c.id).where(t.item.c.batch_id == batch_id, t.item.c.done >= t.item.c.need)))
    found = []
    for item_id, given in answers.items():
        waiting = decisions[item_id].source == "unresolved" and item_id in full
        if item_id not in adjudicated and (waiting or any(a.flagged for a in given)):
            found.append((item_id, _top_share(given)))
    return sorted(found, key=lambda pair: (pair[1], pair[0]))


def _top_share(given: Sequence[Any]) -> float:
    words = [(a.kind, a.labels_json) for a in given]
    return max(words.count(word) for word in words) / len(words)


def adjudication(c: sa.Connection, item_id: int, user: User) -> dict[str, Any]:
    """One item with every answer to it and the decision so far."""
    item = item_for(c, item_id, user)
    batch = batch_row(c, item["batch"])
    label_set = labels_of(c, batch.label_schema_id)
    suggestion = c.execute(sa.select(t.suggestion).where(t.suggestion.c.item_id == item_id)).first()
    stored = c.execute(sa.select(t.decision).where(t.decision.c.item_id == item_id)).first()
    decision: Decision | Any = stored or decide(given_of_item(c, item_id))
    if item["swapped"]:  # people saw A and B in their own order; a lead sees the stored one
        item["responses"] = item["responses"][::-1]
    return {
        **item,
        "answers": [seen(a, label_set) for a in answers_of(c, item["batch"]).get(item_id, [])],
        "suggestion": {"label": suggestion.label, "score": suggestion.score, "by": suggestion.source}
        if suggestion
        else None,
        "decision": {
            "source": decision.source,
            "kind": decision.kind,
            "note": decision.note,
            "labels": json.loads(stored.labels_json) if stored else list(decision.labels),
        },
    }


def seen(answer: Any, label_set: LabelSet) -> dict[str, Any]:
    """One answer as leads see it."""
    return {
        "name": answer.name,
        "kind": answer.kind,
        "labels": in_order(answer.labels_json, label_set),
        "note": answer.note,
        "flagged": bool(answer.flagged),
        "seconds": answer.seconds,
        "at": answer.created_at,
        "reason": answer.reason,
        "instruct": json.loads(answer.instruct_json) if answer.instruct_json else None,
    }
