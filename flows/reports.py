"""`dataforge report`: the report with timings and memory of the runs, written into the store; published ones hold none."""

from __future__ import annotations

from typing import Any

from dataforge.commit import committed, write_json
from dataforge.flows.build import Graph
from dataforge.flows.gates import findings
from dataforge.flows.plan import latest_version
from dataforge.flows.runs import ENDED, runs
from dataforge.report import complete, facts, html
from dataforge.store import Store
from dataforge.table import Table
from dataforge.version_bytes import read_manifest


def write_store_report(graph: Graph, tables: list[Table]) -> dict[str, Any]:
    """Writes report.html and report.json into {store}/runs/{name}/; `{"schema", "html", "json", "published"}`."""
    config = graph.config
    store = Store(config.path(config.store))
    by_step = {table.step: table for table in tables}
    configs = {
        name: [by_step[step.name] for step in steps]
        for name, steps in graph.published().items()
        if all(step.name in by_step for step in steps)
    }
    tokenizer = by_step.get(graph.tokens.tokenizer.name)
    found = facts(
        tables,
        configs,
        tokenizer=tokenizer.files if tokenizer else None,
        config=config.model_dump(mode="json"),
        findings=findings(graph, tables) if all(step.name in by_step for step in graph.selected()) else (),
    )
    folder = store.root / "runs" / config.name
    folder.mkdir(parents=True, exist_ok=True)
    history = list(runs(store, config.name, needs=ENDED))[:20]
    write_json(folder / "report.json", {**found, "runs": history})
    published = latest_version(config)
    whole = complete(found, read_manifest(published) if published else {})
    with committed(folder / "report.html") as file:
        file.write(html(whole, runs=history).encode())
    return {
        "schema": 1,
        "html": str(folder / "report.html"),
        "json": str(folder / "report.json"),
        "published": str(published / "report.html") if published else None,
    }
