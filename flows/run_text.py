"""What a run says to people: a line per scan while it goes on, the funnel and the way on at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dataforge.engine.run import Scan
from dataforge.flows.quarantine import quarantine_hint
from dataforge.flows.trial import trial_lines
from dataforge.funnel import funnel, funnel_text, is_aside
from dataforge.table import Table

if TYPE_CHECKING:
    from dataforge.flows.execute import Outcome


def progress(scan: Scan, tables: list[Table], seconds: float) -> str:
    if not tables:
        return f"{scan.name}: nothing filled"
    account, took = tables[0].account, f"({seconds:.1f} s)"
    if is_aside(tables[0]):
        made = "files" if tables[0].is_files else f"{account.rows_out:,} rows about them"
        return f"{scan.name}: {account.rows_in:,} rows read, {made} {took}"
    left = sum(account.dropped.values())
    more = f", {left:,} dropped" if left else ""
    more += f", {account.quarantined:,} quarantined" if account.quarantined else ""
    return f"{scan.name}: {account.rows_in:,} rows in, {account.rows_out:,} out{more} {took}"


def outcome_text(outcome: Outcome, config: str) -> str:
    """The result for people: funnel, where things are, how to load them. `config` is the path that the run was given."""
    lines = [funnel_text(funnel(outcome.tables())).rstrip(), ""] if outcome.state.tables else []
    lines.append(f"{outcome.graph.config.name}: {outcome.status} in {outcome.seconds:.1f} s{_unchanged(outcome)}")
    lines += trial_lines(outcome.graph.config)
    lines += quarantine_hint(outcome.tables(), config, outcome.graph.config.first_rows)
    if outcome.out is not None:
        lines += [f"dataset  {outcome.out}", f"report   {outcome.out / 'report.html'}", "", *_loading(outcome.out)]
    return "\n".join(lines)


def _unchanged(outcome: Outcome) -> str:
    return ", nothing to do: this version was there" if outcome.was_there else ""


def _loading(out: Path) -> list[str]:
    """Lines to copy: the default config and the tokens, each by a split that it has (few rows may all be held out)."""
    from dataforge.version_bytes import read_manifest

    manifest = read_manifest(out)
    default, split_of = manifest["default"], {e["config"]: e["split"] for e in reversed(manifest["configs"])}
    lines = [
        "from datasets import load_dataset",
        f'rows = load_dataset("{out}", split="{split_of[default]}")  # {default}',
    ]
    if "tokenized" in split_of:
        lines.append(f'tokens = load_dataset("{out}", "tokenized", split="{split_of["tokenized"]}")')
    return lines
