"""Rows of MESSAGE with acts, written in one line each, and Conversations run as an engine would."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.identity import row_id
from dataforge.operator import Rows
from dataforge.operators.conversations import Conversations
from dataforge.schemas.message import MESSAGE

ACTED = MESSAGE.append(pa.field("act", pa.string()))


def act_of(text: str) -> str:
    """A stand-in for the tagger: enough for texts whose act is plain."""
    if "?" in text:
        return "questions"
    if re.match(r"(?i)(please|help|somebody)\b", text):
        return "directives"
    return "expressives" if re.match(r"(?i)(thanks?|thx|perfect|danke|hi all)\b", text) else "representatives"


def said(second: int, user: str, text: str, thread: int | None = None, **more: Any) -> dict[str, Any]:
    """`said(0, "ann", "why?")`; `thread` is the second of the root."""
    ts = f"{1_700_000_000 + second}.000000"
    channel = more.pop("channel", "general")
    row = {
        "id": row_id("chat", f"{channel}/{ts}"),
        "source": "chat",
        "key": f"{channel}/{ts}",
        "text": text,
        "channel": channel,
        "channel_kind": "public",
        "ts": ts,
        "ts_us": (1_700_000_000 + second) * 1_000_000,
        "user": user,
        "is_bot": False,
        "subtype": None,
        "parent_user": None,
        "reply_count": 0,
        "is_broadcast": False,
        "thread_ts": None if thread is None else f"{1_700_000_000 + thread}.000000",
        "text_source": "text",
        "edited_ts": None,
        "n_files": 0,
        "reactions": [],
        "resolved": False,
        "disputed": False,
        "mentions": re.findall(r"@(\w+)", text),
        "version": "",
        "act": act_of(text),
    }
    return row | more


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=ACTED).sort_by("id")


def gathered(operator: Conversations, rows: pa.Table, batch_rows: int = 1000) -> list[Rows]:
    """Route, shuffle, sort by (key, id), gather: part after part."""
    if not rows.num_rows:
        return []
    columns = rows.select(list(operator.needs()[0]))
    sent: list[tuple[pa.RecordBatch, np.ndarray]] = []
    for batch in columns.to_batches(max_chunksize=batch_rows):
        sent.append(operator.route(0, batch))
    found: list[Rows] = []
    for part in range(operator.parts):
        pieces = [batch.filter(pa.array(targets == part)) for batch, targets in sent]
        whole = pa.Table.from_batches(pieces).sort_by([("_key", "ascending"), ("id", "ascending")])
        found += list(operator.gather([whole]))
    return found


def conversations(*rows: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    found = gathered(Conversations(parts=2, **options), table(*rows))
    return [row for piece in found for row in piece.kept.to_pylist()]
