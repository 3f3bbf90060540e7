"""What `tokenizer train` and `tokenizer compare` say to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

COLUMNS = {  # head of the table → key of the document
    "bytes/token": "bytes_per_token",
    "tokens/word": "tokens_per_word",
    "one byte": "single_byte",
    "cut character": "fragments",
    "unknown": "unknown",
}


def trained_text(document: Mapping[str, Any], name: str) -> str:
    """Where the tokenizer is and what it is; without one, how the run ended."""
    if document["error"] is not None:
        return f"{name}: {document['status']}"
    by, size, asked = document["trained_on"], document["vocab_size"], document["asked"]
    lines = [
        f"tokenizer    {document['folder']}",
        f"kind         {document['kind']}",
        f"vocabulary   {size:,}" + (f", asked {asked:,}" if size < asked else ""),
        f"sha256       {document['sha256']}",
        f"trained on   {_rows(by['rows'])}, {by['bytes']:,} bytes",
        f"compression  {_compression(document)}",
    ]
    if document["out"]:
        lines.append(f"copied to    {document['out']}" + ("" if document["copied"] else ", where it was already"))
    return "\n".join(lines)


def _compression(document: Mapping[str, Any]) -> str:
    on = document["measured_on"]
    figures = [f"{document['bytes_per_token']:.3f} bytes per token"]
    figures += [f"{document['tokens_per_word']:.3f} tokens per word"] if document["tokens_per_word"] else []
    return f"{', '.join(figures)}; on {_sample(on)}"


def _sample(on: Mapping[str, Any]) -> str:
    how = "not trained on" if on["held_out"] else "that it may have been trained on: no row is held out"
    return f"{_rows(on['rows'])} ({on['bytes']:,} bytes) {how}"


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"


def compared_text(document: Mapping[str, Any]) -> str:
    """A table of all texts, and one for each source where there are several."""
    rows = document["tokenizers"]
    lines = [f"on {_sample(document['sample'])}", "", *_table(_overall(rows))]
    if len(document["sample"]["sources"]) > 1:
        for source, told in document["sample"]["sources"].items():
            lines += ["", f"{source}: {_rows(told['rows'])}, {told['bytes']:,} bytes"]
            lines += _table([_head(), *([row["name"], *_cells(row["sources"][source])] for row in rows)])
    return "\n".join(lines)


def _head() -> list[str]:
    return ["tokenizer", *COLUMNS]


def _overall(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    head = [*_head(), "vocabulary", "of it used"]
    return [head, *([r["name"], *_cells(r), f"{r['vocab_size']:,}", _percent(r["vocabulary_used"])] for r in rows)]


def _cells(figures: Mapping[str, Any]) -> Iterator[str]:
    for key in COLUMNS.values():
        value = figures[key]
        yield ("–" if value is None else f"{value:.3f}") if "_per_" in key else _percent(value)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns, the first one to the left."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
