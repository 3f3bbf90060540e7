"""What a run says to people: a line per scan while it goes on, the funnel and the way on at its end."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from dataforge.engine.run import Scan
from dataforge.flows.quarantine import quarantine_hint
from dataforge.flows.trial import trial_lines
from dataforge.funnel import funnel, funnel_text, is_aside
from dataforge.table import Table

if TYPE_CHECKING:
    from dataforge.flows.execute import Outcome


def progress(scan: Scan, tables: list[Table], seconds: float, *, done: int, steps: int) -> str:
    """`[7/57] corpus/quality + corpus/pii: 31 rows in, 31 out (1.7 s)`; in brackets the steps that are there."""
    what = _what(tables[0]) if tables else "nothing filled"
    return f"[{done}/{steps}] {scan.name}: {what} ({seconds:.1f} s)"


def _what(table: Table) -> str:
    account = table.account
    if is_aside(table):  # rows about rows: what was read goes on elsewhere
        return f"{account.rows_in:,} rows read, {'files' if table.is_files else f'{account.rows_out:,} rows'} written"
    left = sum(account.dropped.values())
    more = f", {left:,} dropped" if left else ""
    more += f", {account.quarantined:,} quarantined" if account.quarantined else ""
    return f"{account.rows_in:,} rows in, {account.rows_out:,} out{more}"


def outcome_text(outcome: Outcome, config: str) -> str:
    """The result for people: funnel, where things are, how to load them. `config` is the path that the run was given."""
    lines = [funnel_text(funnel(outcome.tables())).rstrip(), ""] if outcome.state.tables else []
    lines.append(f"{outcome.graph.config.name}: {outcome.status} in {outcome.seconds:.1f} s{_unchanged(outcome)}")
    lines += trial_lines(outcome.graph.config)
    lines += quarantine_hint(outcome.tables(), config, outcome.graph.config.first_rows)
    if outcome.out is not None:
        lines += [f"dataset  {outcome.out}", f"report   {outcome.out / 'report.html'}"]
        lines += [f"why      {_why(outcome, config)}", "", "to load it:", *_loading(outcome.out)]
    return "\n".join(lines)


def _why(outcome: Outcome, config: str) -> str:
    """Where to look next: what a stranger asks first is where the rows went."""
    rows = outcome.graph.config.first_rows
    command = f"{shlex.quote(config)}" + (f" --trial {rows}" if rows else "")
    return f"dataforge funnel {command} --all  (all steps), dataforge trace {command} ID  (one row, by its id or key)"


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
