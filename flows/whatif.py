"""What another threshold would keep: answered from the stored score tables, nothing is computed again.

Only the verdict changes: duplicates and personal data are left as they were found, so a document counts as kept when it
passes the changed rules and loses to no duplicate. The amount is given in bytes of text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.engine.work import aligned
from dataforge.errors import ConfigError, InputError
from dataforge.flows.build import Graph
from dataforge.flows.parameters import language_rule, quality_rules, quality_rules_with
from dataforge.flows.plan import size
from dataforge.operators.select import judge
from dataforge.table import Table

STEPS = 20  # settings of a range without a step


def settings(text: str) -> tuple[str, list[float]]:
    """`quality.min_words=30..200` -> ("quality.min_words", [30, …, 200]); also `30,50` and `30..200:10`."""
    key, separator, values = text.partition("=")
    try:
        if not separator:
            raise ValueError
        if ".." not in values:
            return key, [float(v) for v in values.split(",")]
        ends, _, step = values.partition(":")
        low, high = (float(end) for end in ends.split(".."))
        width = float(step) if step else _round_step((high - low) / STEPS, whole=low.is_integer() and high.is_integer())
        if width <= 0 or high < low or (high - low) / width > 1000:
            raise ValueError
        return key, [round(low + i * width, 9) for i in range(math.floor((high - low) / width + 1e-9) + 1)]
    except ValueError:
        hint = "e.g. quality.min_words=30..200 or quality.min_words=30,50,100"
        raise ConfigError(f"cannot read the setting {text!r}", hint=hint) from None


def _round_step(width: float, *, whole: bool) -> float:
    return float(max(1, round(width))) if whole else width


def whatif_document(graph: Graph, tables: list[Table], changes: list[str]) -> dict[str, Any]:
    """`{"schema", "key", "settings": [{"value", "documents", "text_bytes", "dropped": {reason: n}}], "now"}`."""
    if len(changes) != 1:
        raise ConfigError("give exactly one --set", hint="--set quality.min_words=30..200")
    key, values = settings(changes[0])
    section, _, name = key.partition(".")
    preset = graph.config.quality.preset
    known = {rule.key: rule.value for rule in quality_rules(graph.config).rules}
    if section != "quality" or name not in known:
        raise ConfigError(
            f"{key} is no threshold of the preset {preset}", hint=f"known: {', '.join(f'quality.{k}' for k in known)}"
        )
    parts = list(_scores(graph, tables))
    overrides = dict(graph.config.quality.model_extra or {})
    now = _count(parts, graph, overrides)
    rows = [{"value": value, **_count(parts, graph, {**overrides, name: value})} for value in values]
    return {"schema": 1, "key": key, "current": known[name], "now": now, "settings": rows}


def _scores(graph: Graph, tables: list[Table]) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch, np.ndarray, np.ndarray]]:
    """Per row group: quality counters, languages, which rows lose to a duplicate, bytes of each text."""
    names = {table.step: table for table in tables}
    missing = [n for n in ("corpus/quality", "corpus/language", "corpus/twins") if n not in names]
    if missing:
        raise InputError(f"{missing[0]} has not run", hint="run the config first")
    wanted = [names["corpus/quality"], names["corpus/language"], names["corpus/twins"]]
    for part in range(wanted[0].n_parts):
        for counters, languages, twins in aligned(wanted, part, [None, None, ["id", "duplicate"]]):
            lost = pc.is_valid(twins.column("duplicate")).to_numpy(zero_copy_only=False)
            yield counters, languages, lost, counters.column("bytes").to_numpy()


def _count(parts: list[Any], graph: Graph, overrides: dict[str, Any]) -> dict[str, Any]:
    rules = quality_rules_with(graph.config, overrides)
    documents = size_bytes = 0
    dropped: dict[str, int] = {}
    for counters, languages, lost, weights in parts:
        verdict = judge(counters, languages, rules, language_rule(graph.config))
        passed = pc.is_null(verdict["reason"]).to_numpy()
        keep = passed & ~lost
        documents += int(keep.sum())
        size_bytes += int(weights[keep].sum())
        for entry in pc.value_counts(pc.drop_null(verdict["reason"])).to_pylist():
            dropped[entry["values"]] = dropped.get(entry["values"], 0) + entry["counts"]
        duplicates = int((passed & lost).sum())
        if duplicates:
            dropped["duplicate"] = dropped.get("duplicate", 0) + duplicates
    return {"documents": documents, "text_bytes": size_bytes, "dropped": dict(sorted(dropped.items()))}


def whatif_text(document: dict[str, Any]) -> str:
    """A table with a bar a setting: the longest bar is the most documents."""
    most = max([row["documents"] for row in document["settings"]] + [document["now"]["documents"], 1])
    now = document["now"]["documents"]
    lines = [
        f"{document['key']} (now {document['current']:g}: {now:,} documents)",
        f"{'value':>10}  {'documents':>10}  {'text':>12}",
    ]
    for row in document["settings"]:
        amount = size(row["text_bytes"])
        bar = "█" * round(30 * row["documents"] / most)
        here = "  ← now" if row["value"] == document["current"] else ""
        lines.append(f"{row['value']:>10g}  {row['documents']:>10,}  {amount:>12}  {bar}{here}")
    return "\n".join(lines)
