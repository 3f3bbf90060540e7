"""Bad files and bad rows against what the config allows: checked after everything was read, so that all are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from dataforge.engine.run import State
from dataforge.errors import BudgetError, DataforgeError, InputError
from dataforge.flows.build import Graph
from dataforge.flows.quarantine import unit_of
from dataforge.operators.first_rows import stopped
from dataforge.table import Table

NO_COLUMN = ": no such key, the row has "


def check_budgets(graph: Graph, state: State, steps: tuple[Any, ...]) -> None:
    """Bad files and bad rows against `ingest.max_bad_files` and `max_bad_rows`, after everything was read."""
    tables = [state.tables[step] for step in steps if step in state.tables]
    bad_files = [bad for table in tables for bad in table.bad_files]
    if len(bad_files) > graph.config.ingest.max_bad_files:
        first = bad_files[0]["error"]
        hint = first["hint"] or "mend or remove the file, or raise ingest.max_bad_files"
        error = InputError(str(first["what"]), file=str(first["file"]), row=first["row"], code=str(first["code"]), hint=hint)
        error.details = [bad["line"] for bad in bad_files[1:20]]
        raise error
    count = sum(table.account.quarantined for table in tables)
    if count > graph.config.ingest.max_bad_rows:
        raise over_budget(tables, count, graph.config.ingest.max_bad_rows)


def over_budget(tables: list[Table], count: int, allowed: int) -> BudgetError:
    """Names the first 20 bad rows and counts all of them by code."""
    plural = "s" if count != 1 else ""
    error = BudgetError(
        f"{count} bad row{plural}, ingest.max_bad_rows allows {allowed}",
        hint="mend the rows, or raise ingest.max_bad_rows",
        key="ingest.max_bad_rows",
    )
    stops = [line for t in tables for line in stopped(t.step, t.account.notes, t.account.quarantined)]
    named: list[str] = []
    codes: Counter[str] = Counter()
    for unit, batch in _quarantined(tables):  # there may be as many as there are rows
        first = batch.slice(0, 20 - len(named)).to_pylist()
        named += [_error_of(row, unit).line() for row in first]
        codes.update(batch.column("code").to_pylist())
    if named and all(NO_COLUMN in line for line in named):  # else the way out is the row's, not the config's
        error.hint = "name the column in the config: dataforge config check CONFIG says which are there"
        error.args = (error.line(),)
    if codes["ENCODING"]:
        error.hint += ", or name the `encoding:` of the source (of text files also `auto`)"
        error.args = (error.line(),)
    error.details = [*named, "bad rows by code: " + ", ".join(f"{code} {n}" for code, n in sorted(codes.items())), *stops]
    return error


def _error_of(row: dict[str, Any], unit: str) -> DataforgeError:
    return DataforgeError(row["reason"], file=row["file"], row=row["line"], unit=unit, code=row["code"])


def _quarantined(tables: list[Table]) -> Iterator[tuple[str, pa.RecordBatch]]:
    columns = ["reason", "file", "line", "code"]
    parts = ((table, part) for table in tables for part in range(table.n_parts))
    return ((unit_of(table), batch) for table, part in parts for batch in table.read(part, columns, kind="quarantine"))
