"""`dataforge quarantine`: the rows that could not be read, where they stand in the input, and where their bytes are kept.

Nothing of a row's content is shown but its key, without secrets and addresses; `raw` is asked for explicitly, because it
may hold personal data.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dataforge.errors import escape
from dataforge.flows.build import Graph
from dataforge.operators.files import FileSource, location_of
from dataforge.operators.first_rows import stopped, underlying
from dataforge.part import part_name
from dataforge.table import Table

RAW_SHOWN = 400  # characters of a row's beginning in the text for people; the document holds all that is kept


def quarantine_document(graph: Graph, tables: Sequence[Table], limit: int, *, raw: bool) -> dict[str, Any]:
    """`{"schema", "rows", "codes": {code: n}, "quarantined": [{"step", "file", "row", "line", "offset", "key", "code",
    "reason", "input", "table", "table_row"}], "bad_files"}`: of `quarantined` at most `limit`."""
    codes: Counter[str] = Counter()
    shown: list[dict[str, Any]] = []
    for table, part, at, row in _rows(tables):
        codes[row["code"]] += 1
        if len(shown) < limit:
            shown.append(_entry(graph, table, part, at, row, raw=raw))
    bad = [{"step": t.step, **{k: b["error"][k] for k in ("file", "code", "what")}} for t in tables for b in t.bad_files]
    return {"schema": 1, "rows": codes.total(), "codes": dict(codes.most_common()), "quarantined": shown, "bad_files": bad}


def _rows(tables: Sequence[Table]) -> Iterator[tuple[Table, int, int, dict[str, Any]]]:
    """(table, part, place in the part's file, row); a loop over rows that are few, or else over the budget."""
    for table in tables:
        for part in range(table.n_parts):
            rows = (row for batch in table.read(part, kind="quarantine") for row in batch.to_pylist())
            yield from ((table, part, at, row) for at, row in enumerate(rows))


def _entry(graph: Graph, table: Table, part: int, at: int, row: Mapping[str, Any], *, raw: bool) -> dict[str, Any]:
    name = table.step.removeprefix("sources/")
    source = underlying(graph.sources[name].operator) if name in graph.sources else None
    held = base64.b64decode(row["raw"] or "").decode("utf-8", "backslashreplace")
    entry = {
        "step": table.step,
        "file": escape(row["file"]),
        "row": row["line"],
        "line": row["line"] if unit_of(table) == "line" else None,
        "offset": row["offset"],
        "key": _key(held, getattr(source, "key", None)) if isinstance(source, FileSource) else None,
        "code": row["code"],
        "reason": row["reason"],
        "input": location_of(source.path, row["file"]) if isinstance(source, FileSource) else getattr(source, "path", None),
        "table": str(table.path / "quarantine" / part_name(part)),
        "table_row": at,
    }
    return {**entry, "raw": held} if raw else entry


def unit_of(table: Table) -> str:
    """What the numbers of a table's quarantined rows count: lines of a file, or rows where a file has no lines."""
    operator = table.manifest["operator"]
    return "row" if "ParquetFiles" in (operator[""], (operator.get("source") or {}).get("")) else "line"


def _key(held: str, column: str | None) -> str | None:
    """The key that stands in the beginning of a row of JSON, whole or broken; None where none is seen."""
    found = re.search(rf'"{re.escape(column)}"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)', held) if column else None
    try:
        return escape(json.loads(found[1])) if found else None
    except ValueError:  # broken in the middle of the key
        return None


def quarantine_text(document: Mapping[str, Any], *, raw: bool) -> str:
    """A line a row by step, and where the bytes of the step's rows are."""
    if not document["rows"] and not document["bad_files"]:
        return "nothing was quarantined"
    codes = ", ".join(f"{code} {count:,}" for code, count in document["codes"].items())
    lines = [f"{counted(document['rows'])} quarantined" + (f": {codes}" if codes else "")]
    shown = document["quarantined"]
    for step in dict.fromkeys(entry["step"] for entry in shown):
        here = [entry for entry in shown if entry["step"] == step]
        lines += ["", step, *(line for entry in here for line in _lines(entry))]
        lines += [f"  input  {escape(place, 400)}" for place in dict.fromkeys(e["input"] for e in here) if place]
        kept = dict.fromkeys(e["table"] for e in here if e["input"])  # of a repeated key nothing but the id is kept
        lines += [f"  kept   {place}, column raw: base64 of the first 4 KiB, secrets masked" for place in kept]
    lines += ["", "files left out whole:"] if document["bad_files"] else []
    lines += [f"  {escape(bad['file'])}: {bad['code']}: {escape(bad['what'], 400)}" for bad in document["bad_files"]]
    if (hidden := document["rows"] - len(shown)) > 0:
        lines += ["", f"and {hidden:,} more: --limit {document['rows']} lists all"]
    lines += [] if raw or not shown else ["", "--raw shows the beginning of each row: it may hold personal data"]
    return "\n".join(lines)


def _lines(entry: Mapping[str, Any]) -> Iterator[str]:
    places = {"row" if entry["line"] is None else "line": entry["row"], "byte": entry["offset"], "key": entry["key"]}
    where = "".join(f"  {name} {value}" for name, value in places.items() if value is not None)
    yield f"  {entry['file']}{where}  {entry['code']}: {escape(entry['reason'], 400)}"
    if "raw" in entry:
        yield f"    {escape(entry['raw'], RAW_SHOWN)}"


def counted(rows: int) -> str:
    return f"{rows:,} row{'s' if rows != 1 else ''}"


def quarantine_hint(tables: Sequence[Table], config: str, first_rows: int) -> list[str]:
    """What a run says at its end where rows were quarantined: how many, and the command that lists them."""
    rows = sum(table.account.quarantined for table in tables)
    command = f"dataforge quarantine {shlex.quote(config)}" + (f" --trial {first_rows}" if first_rows else "")
    stops = [line for table in tables for line in stopped(table.step, table.account.notes, table.account.quarantined)]
    return [f"{counted(rows)} quarantined; to see them: {command}", *stops] if rows else []
