"""Gates: what must hold before a version may appear. A failed gate ends the run with exit code 4."""

from __future__ import annotations

from dataforge.errors import GateError
from dataforge.flows.build import Graph
from dataforge.table import Table


def check_gates(graph: Graph, tables: list[Table]) -> None:
    """Raises GateError naming the gate: shares of acts outside `acts.expect` where `acts.gate` is set."""
    config = graph.config
    if not config.acts.expect or graph.slack is None:
        return
    found = next((table for table in tables if table.step == graph.slack.acts.name), None)
    if found is None or not config.acts.gate:
        return
    for alert in act_alerts(found, config.acts.expect):
        raise GateError(alert, key="acts.expect", hint="look at the acts in the report, or set acts.gate: false")


def act_alerts(acts: Table, expect: dict[str, tuple[float, float]]) -> list[str]:
    """One line per act whose share of the messages lies outside what the config expects."""
    counts = {row["values"]: row["counts"] for row in acts.to_table(["act"])["act"].value_counts().to_pylist()}
    total = sum(counts.values())
    alerts = []
    for act, (least, most) in sorted(expect.items()):
        share = counts.get(act, 0) / total if total else 0.0
        if not least <= share <= most:
            alerts.append(f"{act} are {share:.1%} of the messages, expected {least:.1%} to {most:.1%}")
    return alerts
