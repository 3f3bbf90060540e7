"""What the config asks of the data: shares of speech acts, agreement of annotators. Missed: an alert, or exit code 4."""

from __future__ import annotations

from dataforge.errors import GateError
from dataforge.flows.build import Graph
from dataforge.operators.acts_shares import deviations, with_shares
from dataforge.report.counts import acts_by_split
from dataforge.report.facts import review_facts
from dataforge.table import Table


def findings(graph: Graph, tables: list[Table]) -> list[str]:
    """Shares outside `acts.expect`, by source and by source and split: sentences for the report and the terminal."""
    acts = graph.config.acts
    by_step = {table.step: table for table in tables}
    if graph.slack is None or not acts.expect or graph.slack.tagged.name not in by_step:
        return []
    counts = acts_by_split(by_step[graph.slack.tagged.name], [by_step[graph.slack.pairs.name]])
    in_pairs = counts.filter(counts["split"].is_valid())
    found = deviations(with_shares(counts, ("source",)), acts.expect)
    found += deviations(with_shares(in_pairs, ("source", "split")), acts.expect)
    return [deviation.line() for deviation in found if deviation.rows >= acts.expect_rows]


def check_gates(graph: Graph, tables: list[Table], found: list[str]) -> None:
    """Raises GateError where a gate is set and what it asks is not so."""
    if graph.config.acts.gate and found:
        raise GateError("; ".join(found), key="acts.expect", hint="widen acts.expect or look at the data")
    review = graph.config.review
    decided = review_facts([table for table in tables if not table.is_files]) if review.gate else None
    if decided is not None and decided["alpha"] is not None and decided["alpha"] < review.min_alpha:
        raise GateError(
            f"annotators agree little: alpha {decided['alpha']:.3f}, wanted {review.min_alpha:g}",
            key="review.min_alpha",
            hint="mend the guideline and label again, or lower review.min_alpha",
        )
