"""Labelled utterances: JSONL (plain, .gz, .zst) → texts, classes, context. Read by training and by evaluation.

A row has `text` and either `class7` (null = other) or `label`, one of the eight acts in the plural or singular; where
present, `source` names its corpus, `strength: weak` a doubtful mapping, and `dialog, turn, speaker` its place; or its
neighbours stand in the columns `prev_text, prev_same_speaker, next_text, next_same_speaker`, as in a review export.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.errors import InputError, SchemaError
from dataforge.operators.acts_lexicon import read_yaml
from dataforge.operators.acts_model import Neighbours
from dataforge.schemas.act import ACTS

NAMES = {name: code for code, name in enumerate(ACTS)} | {name.rstrip("s"): code for code, name in enumerate(ACTS)}
NOBODY = (None, "", "-")
EXAMPLES = "examples"  # the source of the invented utterances


@dataclass(frozen=True)
class Utterances:
    """n labelled rows, column by column."""

    texts: pa.Array  # string[n]
    classes: np.ndarray  # int64[n]: index into ACTS
    sources: np.ndarray  # int64[n]: index into `names`
    names: tuple[str, ...]
    weak: np.ndarray  # bool[n]
    neighbours: Neighbours

    def take(self, rows: np.ndarray) -> Utterances:
        around, at = self.neighbours, pa.array(rows)
        return Utterances(
            self.texts.take(at),
            self.classes[rows],
            self.sources[rows],
            self.names,
            self.weak[rows],
            Neighbours(around.before.take(at), around.before_same[rows], around.after.take(at), around.after_same[rows]),
        )


def open_text(path: Path) -> io.TextIOBase:
    """A plain, .gz or .zst file as text."""
    if not path.is_file():
        raise InputError("no such file", file=str(path))
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8")
    if path.suffix == ".zst":
        import zstandard

        return io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(path.open("rb")), encoding="utf-8")
    return path.open(encoding="utf-8")


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield checked(json.loads(line), path, number)
    except (EOFError, OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"not readable as JSON lines ({type(error).__name__})", file=str(path)) from error


def checked(row: Any, path: Path, number: int) -> dict[str, Any]:
    """The row with `class` as a number; SchemaError names the line, never its text."""
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise SchemaError("a row needs a string `text`", file=str(path), row=number)
    if "class7" not in row and "label" not in row:
        raise SchemaError("a row needs `class7` or `label`", file=str(path), row=number)
    name = row["class7"] if "class7" in row else row["label"]
    name = "other" if name is None else name
    if name not in NAMES:
        raise SchemaError("unknown speech act", file=str(path), row=number, hint=f"one of {', '.join(ACTS)}, or null")
    return row | {"class": NAMES[name]}


def read(paths: list[Path]) -> Utterances:
    """All rows of the files. The source of a row without one is its file's name."""
    rows = [{"source": path.name.split(".")[0]} | row for path in paths for row in read_rows(path)]
    if not rows:
        raise InputError("no labelled rows", file=str(paths[0]) if paths else "")
    return utterances(rows)


def examples(folder: Path) -> list[dict[str, Any]]:
    """Invented utterances by act, of examples.yaml and of invented/*.txt."""
    rows = []
    for act, groups in read_yaml(folder / "examples.yaml").items():
        rows += [example(str(line), act, "examples") for group in groups for line in group]
    for path in invented(folder):
        act = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("# ") and line[2:] in NAMES:
                act = line[2:]
            elif not act:
                raise SchemaError("an utterance before the first act", file=path.name, row=number)
            else:
                rows.append(example(line, act, path.stem))
    return rows


def invented(folder: Path) -> list[Path]:
    """Text files of one utterance a line under headings `# act`, a file per register."""
    return sorted((folder / "invented").glob("*.txt"))


def example(line: str, act: str, register: str) -> dict[str, Any]:
    """`before => text` gives what another speaker said before."""
    before, arrow, text = line.rpartition(" => ")
    context = {"prev_text": before, "prev_same_speaker": False} if arrow else {}
    return {"source": EXAMPLES, "register": register, "text": text, "class": NAMES[act], **context}


def trusted(rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Rows for training: publishers' labels that corpora.yaml says to skip are left out, doubtful ones made weak."""
    known = read_yaml(folder / "corpora.yaml")
    kept = []
    for row in rows:  # labelled rows are few
        trust = (known.get(row["source"]) or {}).get("labels", {}).get(row.get("label"))
        if trust != "skip":
            kept.append(row | {"strength": "weak"} if trust == "weak" else row)
    return kept


def utterances(rows: list[dict[str, Any]]) -> Utterances:
    names = sorted({str(row["source"]) for row in rows})
    return Utterances(
        pa.array([row["text"] for row in rows], pa.string()),
        np.array([row["class"] for row in rows], np.int64),
        np.array([names.index(str(row["source"])) for row in rows], np.int64),
        tuple(names),
        np.array([row.get("strength") == "weak" for row in rows], bool),
        neighbours(rows),
    )


def neighbours(rows: list[dict[str, Any]]) -> Neighbours:
    """Neighbours by dialog and turn; utterances of one turn follow each other as in the file. Where two speakers share
    a turn number, turns count per speaker (as in AMI), the order between speakers is unknown, and a row's neighbours
    are its own speaker's."""
    before, after = np.full(len(rows), -1, np.int64), np.full(len(rows), -1, np.int64)
    for members in by_dialog(rows).values():
        turns = {rows[i]["turn"] for i in members}
        spoken = {(rows[i]["turn"], str(rows[i].get("speaker"))) for i in members}
        keys = ["-"] if len(spoken) == len(turns) else sorted({speaker for _, speaker in spoken})
        for key in keys:
            chain = [i for i in members if key == "-" or str(rows[i].get("speaker")) == key]
            chain.sort(key=lambda i: rows[i]["turn"])  # stable
            before[chain[1:]], after[chain[:-1]] = chain[:-1], chain[1:]
    return Neighbours(*beside(rows, before, "prev"), *beside(rows, after, "next"))


def beside(rows: list[dict[str, Any]], other: np.ndarray, side: str) -> tuple[pa.Array, np.ndarray]:
    """Text of the neighbour (its row, or the row's own column) and int8 whether one speaker said both, -1 unknown."""
    texts = [rows[j]["text"] if j >= 0 else row.get(f"{side}_text") for row, j in zip(rows, other, strict=True)]
    same = np.full(len(rows), -1, np.int8)
    for i, (row, j) in enumerate(zip(rows, other, strict=True)):  # labelled rows are few
        if j < 0 and row.get(f"{side}_same_speaker") is not None:
            same[i] = bool(row[f"{side}_same_speaker"])
        if j >= 0 and row.get("speaker") not in NOBODY:
            same[i] = row.get("speaker") == rows[j].get("speaker")
    return pa.array(texts, pa.string()), same


def by_dialog(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = {}
    for i, row in enumerate(rows):
        if row.get("dialog") not in NOBODY and isinstance(row.get("turn"), int | float):
            found.setdefault((str(row["source"]), str(row["dialog"])), []).append(i)
    return found
