"""One run of a config: read sources, check budgets, fill the graph, publish, report. The same with and without Prefect.

The order of events is the same everywhere; `around` is the only thing that differs: Prefect wraps each scan in a task.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from dataforge.engine.run import Engine, Scan, State, run
from dataforge.errors import DataforgeError, GateError, NotReady, PartialError, escape
from dataforge.flows.budgets import check_budgets
from dataforge.flows.build import Graph, build
from dataforge.flows.config import Config
from dataforge.flows.gates import check_gates, findings
from dataforge.flows.parameters import publication
from dataforge.flows.run_text import progress
from dataforge.flows.runs import begin
from dataforge.funnel import funnel
from dataforge.identity import digest_of
from dataforge.operators.publish import check_out, publish
from dataforge.report.alerts import small_vocabulary, step_warnings
from dataforge.report.facts import empty_columns
from dataforge.report.markup import markup_facts, markup_text
from dataforge.step import in_order
from dataforge.store import Store
from dataforge.table import Table

Around = Callable[[Scan, Callable[[], None]], None]
Goal = Literal["published", "tokenizer"]  # how far a run goes


@dataclass
class Outcome:
    """What a run did. `out` is the published version's folder, None while it waits or after an error."""

    graph: Graph
    state: State
    out: Path | None = None
    was_there: bool = False  # published before this run
    goal: Goal = "published"
    waiting: NotReady | None = None
    error: DataforgeError | None = None
    warnings: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)  # targets of the config that the data misses
    seconds: float = 0.0
    scans: list[dict[str, Any]] = field(default_factory=list)
    publish_seconds: float | None = None  # None: nothing was published, or it was there

    @property
    def status(self) -> str:
        if self.error is not None:
            return "partial" if self.error.exit_code == 6 else "failed"
        return "waiting" if self.waiting is not None else "done"

    @property
    def exit_code(self) -> int:
        problem = self.error or self.waiting
        return problem.exit_code if problem is not None else 0

    @property
    def empty(self) -> bool:
        """True if no source gave a row, or no row was selected: there is nothing to train on or to publish."""
        tables = self.state.tables
        return any(
            all(step in tables and tables[step].rows == 0 for step in steps)
            for steps in (tuple(self.graph.sources.values()), self.graph.selected())
        )

    def tables(self) -> list[Table]:
        """Finished tables in the order of the graph."""
        return [self.state.tables[step] for step in self.graph.steps() if step in self.state.tables]

    def document(self) -> dict[str, Any]:
        """The JSON document of `dataforge run --json`."""
        problem = self.error or self.waiting
        return {
            "schema": 1,
            "status": self.status,
            "out": str(self.out) if self.out is not None else None,
            "store": str(self.graph.config.path(self.graph.config.store)),
            "funnel": funnel(self.tables()),
            "seconds": round(self.seconds, 3),
            "peak_rss_bytes": peak_rss_bytes(),
            "error": problem.as_dict() if problem is not None else None,
            **({"first_rows": rows} if (rows := self.graph.config.first_rows) else {}),
        }


def peak_rss_bytes() -> int:
    """Largest resident set of this process or any child that ended, in bytes."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) * 1024


def execute(
    config: Config,
    engine: Callable[[], Any],
    *,
    device: str = "auto",
    around: Around = lambda scan, fill_scan: fill_scan(),
    say: Callable[[str], None] = lambda line: None,
    strict: bool = False,
    locked: bool = False,
    goal: Goal = "published",
) -> Outcome:
    """Runs a config up to its goal under the store's lock, which the caller has if it says `locked`. Typed errors end up in
    the outcome, except LockedError, which is raised."""
    store = Store(config.path(config.store))
    if goal == "published":
        check_out(config.path(config.out), config.name)
    with nullcontext() if locked else store.lock():
        began = time.monotonic()
        outcome = Outcome(build(config, device=device), State(), goal=goal)
        running = begin(store, config.name, outcome.graph.input_bytes)
        try:
            with engine() as opened:
                _fill(outcome, store, opened, around, say, lambda: running.write(outcome.scans, datetime.now(UTC)))
            outcome.warnings = warnings_of(outcome)
            if strict and outcome.warnings:
                raise GateError(outcome.warnings[0], hint="run without --strict to accept it")
            if goal == "published" and not outcome.state.waiting and not outcome.empty:
                outcome.findings = findings(outcome.graph, outcome.tables())
                if strict and outcome.findings:
                    raise GateError(outcome.findings[0], hint="run without --strict to accept it")
                check_gates(outcome.graph, outcome.tables(), outcome.findings)
                outcome.out = _timed_publishing(outcome, say)
        except DataforgeError as error:
            outcome.error = error
        outcome.seconds = time.monotonic() - began
        more = {"scans": outcome.scans, "publish_seconds": outcome.publish_seconds}
        try:
            running.end({**outcome.document(), **more}, datetime.now(UTC))
        except PartialError as error:  # a full disk was met before, by the table that matters
            outcome.error = outcome.error or error
    return outcome


def _timed_publishing(outcome: Outcome, say: Callable[[str], None]) -> Path:
    began = time.monotonic()
    out = publish_version(outcome, say)
    outcome.publish_seconds = None if outcome.was_there else round(time.monotonic() - began, 3)
    return out


def _fill(
    outcome: Outcome, store: Store, engine: Engine, around: Around, say: Callable[[str], None], note: Callable[[], None]
) -> None:
    graph, state = outcome.graph, outcome.state
    last = graph.targets() if outcome.goal == "published" else (graph.tokens.tokenizer,)
    steps = sum(1 for _ in in_order((*graph.sources.values(), *graph.selected(), *last)))

    def timed(scan: Scan, fill_scan: Callable[[], None]) -> None:
        began = time.monotonic()
        around(scan, fill_scan)
        tables = [state.tables[step] for step in scan.steps if step in state.tables]
        outcome.scans.append(_scan_figures(scan, tables, time.monotonic() - began))
        note()
        say(progress(scan, tables, time.monotonic() - began, done=len(state.tables), steps=steps))

    sources = tuple(graph.sources.values())
    run(store, sources, engine, state=state, around=timed)
    check_budgets(graph, state, sources)
    for targets in (graph.selected(), last):
        if not outcome.empty:
            run(store, (*sources, *targets), engine, state=state, around=timed)
    check_budgets(graph, state, tuple(graph.steps()))
    outcome.waiting = waiting_for(state)


def waiting_for(state: State) -> NotReady | None:
    """What people are waited for, in one: two batches may be open at once. Steps behind a pending one say the same."""
    pending = {id(reason): reason for reason in state.waiting.values() if reason.code == NotReady.code}
    named = [reason for reason in pending.values() if not reason.what.startswith("needs ")] or list(pending.values())
    if len(named) < 2:
        return named[0] if named else None
    return NotReady("; ".join(reason.what for reason in named), step=named[0].step, hint=named[0].hint)


def warnings_of(outcome: Outcome) -> list[str]:
    """What is odd but no error: things a Slack export lacks or that were skipped, sources without rows, steps that drop
    nearly all, operators of the user's own that fail on many."""
    found = []
    for name, step in outcome.graph.sources.items():
        skipped = getattr(step.operator, "skipped", dict)()
        found += [f"{name}: {what} ({count})" for what, count in sorted(skipped.items()) if count]
        table = outcome.state.tables.get(step)
        found += [f"{name}: left out {bad['file']}: {bad['error']['what']}" for bad in (table.bad_files if table else ())]
        for setting, column in (empty_columns(table) if table is not None else {}).items():
            where = "`dataforge config check` names the columns that are there"
            found.append(f"{name}: no row has a value in the column {escape(column, 64)} (`{setting}:`): {where}")
        if table is not None and table.rows == 0:
            found.append(f"{name}: gave no rows")
    shared = [table for table in outcome.tables() if table.manifest["contract"] == "subset"]
    found += [text for entry in funnel(shared) for text in step_warnings(entry)]
    corpus = [table for step, table in outcome.state.tables.items() if step is outcome.graph.corpus]
    found += [text for entry in markup_facts(corpus) if (text := markup_text(entry))]
    if outcome.empty:
        found.append("no row is left: nothing is published")
    else:
        found += _of_tokenizer(outcome)
    return found


def _of_tokenizer(outcome: Outcome) -> list[str]:
    """Few rows may all be in other splits; little text supports few tokens."""
    table = outcome.state.tables.get(outcome.graph.tokens.tokenizer)
    if table is None or not (report := table.files / "tokenizer_report.json").exists():
        return []
    made = json.loads(report.read_bytes())
    if made.get("trained_on", {}).get("rows") == 0:
        return ["no row of the train split is left: the tokenizer knows bytes only"]
    text = small_vocabulary(made)
    return [text] if text else []


def _scan_figures(scan: Scan, tables: list[Table], seconds: float) -> dict[str, Any]:
    return {
        "scan": scan.name,
        "seconds": round(seconds, 3),
        "rows_in": max((t.account.rows_in for t in tables), default=0),
        "bytes_out": sum(t.size_bytes for t in tables),
        "peak_rss_bytes": peak_rss_bytes(),
    }


def publish_version(outcome: Outcome, say: Callable[[str], None]) -> Path:
    """Publishes what the graph made; a version that is there already is left alone."""
    from dataforge.report import facts
    from dataforge.report.facts import public
    from dataforge.version_bytes import check_bytes

    graph, state, config = outcome.graph, outcome.state, outcome.graph.config
    configs = {name: [state.tables[s] for s in steps] for name, steps in graph.published().items()}
    plain = config.model_dump(mode="json")
    spec = publication(config)
    parents = {name: [table.id for table in tables] for name, tables in configs.items()}
    if graph.reported():  # the report is part of a version
        parents["report"] = [state.tables[step].id for step in graph.reported()]
    version = config.version if config.version != "auto" else digest_of([spec, parents, public(plain)])[:12]
    out = config.path(config.out)
    final = out / config.name / version
    if config.version == "auto" and (final / "dataset_manifest.json").exists() and not check_bytes(final):
        outcome.was_there = True
        return final  # there, and every byte as its manifest says
    say(f"publish: {config.name} {version}")
    tokenizer = state.tables[graph.tokens.tokenizer].checked_files()
    found = facts(outcome.tables(), configs, tokenizer=tokenizer, config=plain, findings=outcome.findings)
    return publish(spec, configs, tokenizer=tokenizer, out=out, version=version, facts=found)
