"""Reads a Slack source as an engine would: every file, every row accounted for."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.operator import Source
from dataforge.operators.slack_export import SlackExport
from dataforge.operators.slack_message import MessageRules
from dataforge.operators.slack_source import Who
from dataforge.schemas.message import MESSAGE

KEY = "env:DATAFORGE_TEST_KEY"


@dataclass
class Reading:
    kept: list[dict[str, Any]]
    dropped: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    notes: Counter[str]
    counted: int

    @property
    def texts(self) -> list[str]:
        return [row["text"] for row in self.kept]

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(row["reason"] for row in self.dropped))


def read(source: Source) -> Reading:
    """All rows of a source. The sum of every file must close against the count that does not use the decoder."""
    kept: list[pa.RecordBatch] = []
    found = Reading([], [], [], Counter(), 0)
    for split in source.splits():
        for file in source.read(split):
            rows = 0
            for batch in file.rows:
                kept.append(batch.kept)
                dropped = batch.dropped.to_pylist() if batch.dropped is not None else []
                quarantined = batch.quarantined.to_pylist() if batch.quarantined is not None else []
                found.dropped += dropped
                found.quarantined += quarantined
                found.notes.update(batch.notes or {})
                rows += batch.kept.num_rows + len(dropped) + len(quarantined)
            counted = file.counted()
            assert counted == rows
            found.counted += counted
    found.kept = pa.Table.from_batches(kept, schema=MESSAGE).to_pylist()
    return found


def export(folder: Path, files: dict[str, Any], **options: Any) -> SlackExport:
    """An export folder with these files; values that are not bytes are written as JSON."""
    for name, value in files.items():
        path = folder / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    rules = MessageRules(**options.pop("rules", {}))
    return SlackExport("chat", str(folder / "export"), KEY, Who(**options), rules)


USERS = [
    {
        "id": "U1",
        "name": "zelda.v",
        "team_id": "T1",
        "profile": {"real_name": "Zelda Vantongeren", "email": "zelda@corp.test"},
    },
    {"id": "U2", "name": "will", "team_id": "T1", "profile": {"real_name": "Will Haldorsen"}},
    {"id": "UB", "name": "ci", "team_id": "T1", "is_bot": True, "profile": {}},
    {"id": "UX", "name": "guest", "team_id": "T9", "is_stranger": True, "profile": {"real_name": "Guesty Outsider"}},
]
CHANNELS = [{"id": "C1", "name": "general"}]


def message(ts: str = "1700000000.000100", user: str = "U1", text: str = "hello there", **more: Any) -> dict[str, Any]:
    return {"type": "message", "user": user, "text": text, "ts": ts, **more}


def one_day(folder: Path, *rows: Any, **options: Any) -> SlackExport:
    files = {"users.json": USERS, "channels.json": CHANNELS, "general/2024-01-01.json": list(rows)}
    return export(folder, files, **options)
