"""The tokenizer of a config by itself: a sample of texts to measure it on, a copy of its folder, and beside it others.

What trains it is the run of `execute` up to that step. The sample is a function of the tables: rows of the held-out splits
where the tokenizer was trained on `train` alone, since texts that it was trained on flatter it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, InputError
from dataforge.flows.build import Graph
from dataforge.kernels.tokenizer_folder import FILES, Folder, open_folder
from dataforge.operators.published_place import tokenizer_sha256
from dataforge.operators.tokenizer_files import REPORT
from dataforge.operators.tokenizer_import import BESIDE
from dataforge.operators.tokenizer_measure import Texts, measure, read_tokenizer
from dataforge.table import Table

MOST_PARTS = 32  # of a table that are read for the sample: ids are hashes, so any part is a random part
OWN = "this config"
FILES_OF_FOLDER = {*FILES.values(), *BESIDE, REPORT}  # all that a tokenizer's folder holds


def trained_document(table: Table, graph: Graph, selected: Sequence[Table], size_bytes: int) -> dict[str, Any]:
    """What `tokenizer train` says of a tokenizer that is there."""
    folder = table.checked_files()
    made = json.loads((folder / REPORT).read_bytes())
    sample, held_out = sampled(graph, selected, size_bytes)
    found = measure(open_folder(folder), sample)
    return {
        "folder": str(folder),
        "kind": made["kind"],
        "vocab_size": made["vocab_size"],
        "asked": made["asked"],
        "sha256": tokenizer_sha256(folder),
        "trained_on": made["trained_on"],
        "measured_on": _told(sample, held_out),
        "bytes_per_token": found["bytes_per_token"],
        "tokens_per_word": found["tokens_per_word"],
    }


def compared_document(
    graph: Graph, tables: Sequence[Table], others: Sequence[Path], *, pattern: str, size_bytes: int
) -> dict[str, Any]:
    """`{"schema", "sample", "tokenizers": [{"name", "format", "vocab_size", …, "sources"}]}`, the config's own first."""
    by_step = {table.step: table for table in tables}
    if missing := next((s.name for s in graph.selected() if s.name not in by_step), None):
        raise InputError(f"{missing} has not run: there are no texts yet", hint=_way(graph))
    texts, held_out = sampled(graph, [by_step[step.name] for step in graph.selected()], size_bytes)
    opened = [(OWN, _own(graph, by_step)), *((str(other), read_tokenizer(other, pattern=pattern)) for other in others)]
    rows = [{"name": name, **measure(tokenizer, texts)} for name, tokenizer in opened]
    return {"schema": 1, "sample": _told(texts, held_out), "tokenizers": rows}


def _own(graph: Graph, by_step: dict[str, Table]) -> Folder:
    settings = graph.config.tokenizer
    if settings.path is not None:
        return read_tokenizer(graph.config.path(settings.path), pattern=settings.pattern or "")
    if (table := by_step.get(graph.tokens.tokenizer.name)) is None:
        raise InputError("the config's tokenizer is not there yet", hint=_way(graph))
    return open_folder(table.checked_files())


def _way(graph: Graph) -> str:
    return "dataforge run CONFIG" if graph.config.tokenizer.path is not None else "dataforge tokenizer train CONFIG"


def _told(sample: Sequence[Texts], held_out: bool) -> dict[str, Any]:
    sources = {p.source: {"rows": len(p.texts), "bytes": p.size_bytes, "words": p.words} for p in sample}
    total = {key: sum(entry[key] for entry in sources.values()) for key in ("rows", "bytes", "words")}
    return {**total, "held_out": held_out, "sources": sources}


def sampled(graph: Graph, tables: Sequence[Table], size_bytes: int) -> tuple[list[Texts], bool]:
    """Texts by source, in the order of sources' names; and whether the tokenizer was trained on none of them."""
    apart = graph.config.tokenizer.path is None and graph.config.tokenizer.train_on == "train"
    found = _texts(tables, size_bytes, held_out=True) if apart else {}
    held_out = bool(found) or graph.config.tokenizer.path is not None
    found = found or _texts(tables, size_bytes, held_out=False)
    if not found:
        raise InputError("no row is left: there is no text to measure a tokenizer on", hint="dataforge funnel CONFIG")
    return [Texts(source, tuple(texts)) for source, texts in sorted(found.items())], held_out


def _texts(tables: Sequence[Table], size_bytes: int, *, held_out: bool) -> dict[str, list[str]]:
    """About `size_bytes` of the tables' texts, each table by its share of the bytes."""
    found: dict[str, list[str]] = defaultdict(list)
    total = sum(table.size_bytes for table in tables) or 1
    for table in tables:
        count = min(MOST_PARTS, table.n_parts)
        budget = max(1, size_bytes * table.size_bytes // total // max(1, count))
        for number in range(count):
            for source, text in _of_part(table, number * table.n_parts // count, budget, held_out):
                found[source].append(text)
    return dict(found)


def _of_part(table: Table, part: int, budget: int, held_out: bool) -> list[tuple[str, str]]:
    """The first rows of a part, until they fill the budget; the row that does is cut there."""
    found: list[tuple[str, str]] = []
    for batch in table.read(part, ["text", "source", "split"]):
        if held_out:
            batch = batch.filter(pc.not_equal(batch["split"], "train"))
        for source, text in zip(batch["source"].to_pylist(), _upto(batch["text"], budget), strict=False):
            found.append((source, text))
            budget -= len(text.encode())
            if budget <= 0:
                return found
    return found


def _upto(texts: pa.Array, budget: int) -> list[str]:
    """Texts as Python strings, none longer than the budget (in characters): a text may be a gigabyte."""
    return [text for text in pc.utf8_slice_codeunits(texts, 0, budget).to_pylist() if text]


def copy_folder(folder: Path, out: Path, *, force: bool) -> bool:
    """Copies the tokenizer to `out`; False if it was there already, byte for byte. Raises ConfigError for another one,
    unless `force`, and in any case where `out` holds anything else."""
    if _content(out) == _content(folder):
        return False
    check_target(out)
    if _content(out) and not force:
        what = "another tokenizer is there already; the new one stands in the store"
        raise ConfigError(what, file=str(out), key="--out", hint="another folder, or --force")
    beside = _beside(out)
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(folder, beside)
    shutil.rmtree(out, ignore_errors=True)
    beside.rename(out)
    return True


def check_target(out: Path) -> None:
    """Raises ConfigError, before anything is trained, for a place that holds anything but a tokenizer's files or that
    cannot be written."""
    strange = not out.is_dir() or {path.name for path in out.iterdir()} - FILES_OF_FOLDER
    if out.exists() and strange:
        hint = "name a folder that is not there yet"
        raise ConfigError("is there already and holds other things than a tokenizer", file=str(out), key="--out", hint=hint)
    beside = _beside(out)
    try:
        beside.mkdir(parents=True)
        beside.rmdir()
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise ConfigError(what, file=str(out), key="--out", hint="name a folder that you may make") from None


def _beside(out: Path) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}.tmp")


def _content(folder: Path) -> dict[str, bytes]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path.read_bytes() for path in files if path.is_file()} if files else {}
