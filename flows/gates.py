"""Gates: what must hold before a version may appear. A failed gate ends the run with exit code 4."""

from __future__ import annotations

from dataforge.flows.build import Graph
from dataforge.operators.acts_shares import gate, shares
from dataforge.table import Table


def check_gates(graph: Graph, tables: list[Table]) -> None:
    """Raises GateError when shares of acts lie outside `acts.expect` and `acts.gate` is set."""
    config = graph.config.acts
    if not (config.gate and config.expect) or graph.slack is None:
        return
    found = next((table for table in tables if table.step == graph.slack.acts.name), None)
    if found is not None:
        gate(shares(found.to_table(["act"])), config.expect)
