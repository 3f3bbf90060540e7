"""`quality train` and `quality evaluate`: labelled texts → a model folder; a model and labelled texts → its figures.

A tenth of the texts, chosen by their hash, is held out: it sets how sure the scores are (a temperature) and gives the
figures in model.json. Equal texts are one. No text is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from dataforge.errors import ConfigError, InputError, SchemaError
from dataforge.operators import text_model
from dataforge.operators.text_model import Matrix

POSITIVE = ("1", "true", "good", "high", "keep", "yes", "positive")  # labels that are the score without being asked
MOST_LABELS, HELD_OUT = 16, 10
TEMPERATURES = (1000, 1400, 2000, 2800, 4000, 5600, 8000)  # thousandths
SMALLEST = 0.01  # smaller weights are left out of the file
BINS = 10


@dataclass(frozen=True)
class Fit:
    """How the model is fitted: passes, step, pull to zero; `balance` 1: labels weigh alike, 0: rows do."""

    epochs: int = 5
    rate: float = 0.3
    pull: float = 1e-4
    balance: float = 1.0
    seed: int = 7


@dataclass(frozen=True)
class Labelled:
    """n texts, each once, and the number of its label."""

    texts: pa.Array
    classes: np.ndarray  # int64[n]
    labels: tuple[str, ...]


def read_labelled(files: list[Path], text: str, label: str, labels: tuple[str, ...] = ()) -> Labelled:
    """JSONL, plain or .gz or .zst; a label is a word, a number or a truth value. Raises SchemaError naming the line."""
    rows = dict(pair for file in files for pair in _rows(file, text, label))  # of equal texts the last
    found = labels or tuple(sorted(set(rows.values())))
    if unknown := sorted(set(rows.values()) - set(found)):
        raise InputError(f"{len(unknown)} label(s) that the model does not have", hint=f"its labels: {', '.join(found)}")
    if len(rows) and not 2 <= len(found) <= MOST_LABELS:
        raise InputError(f"{len(found)} different labels, expected 2 to {MOST_LABELS}", key=label)
    classes = np.array([found.index(name) for name in rows.values()], np.int64)
    return Labelled(pa.array(list(rows), pa.string()), classes, found)


def _rows(file: Path, text: str, label: str) -> Iterator[tuple[str, str]]:
    import json

    from dataforge.operators.acts_corpus import open_text

    try:
        with open_text(file) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _checked(json.loads(line), text, label, file, number)
    except (EOFError, OSError, ValueError) as error:
        raise InputError(f"not readable as JSON lines ({type(error).__name__})", file=str(file)) from error


def _checked(row: Any, text: str, label: str, file: Path, number: int) -> tuple[str, str]:
    if not isinstance(row, dict) or not isinstance(row.get(text), str):
        raise SchemaError("expected a text", file=str(file), row=number, key=text, hint="name the column with --text")
    value = row.get(label)
    if isinstance(value, bool):
        return row[text], str(value).lower()
    if isinstance(value, (int, str)) or (isinstance(value, float) and value.is_integer()):
        return row[text], str(value if isinstance(value, str) else int(value))
    raise SchemaError("expected a label: a word or a whole number", file=str(file), row=number, key=label)


def train(
    files: list[Path], out: Path, *, text: str = "text", label: str = "label", score: str = "", fit: Fit | None = None
) -> dict[str, Any]:
    """Writes `weights.npz` and `model.json` into `out`; returns the content of model.json. Same files, same bytes."""
    from dataforge.operators.acts_train import save

    fit, data = fit or Fit(), read_labelled(files, text, label)
    score = score_label(data.labels, score)
    held = held_out(data.texts)
    if not (held.any() and len(np.unique(data.classes[~held])) == len(data.labels)):
        raise InputError("too few texts to train on and to hold a tenth out", hint="at least some dozens of each label")
    matrix = text_model.features(data.texts)
    weights = fit_weights(rows_of(matrix, ~held), data.classes[~held], len(data.labels), fit)
    sums = text_model.logits(rows_of(matrix, held), weights)
    temperature = min(TEMPERATURES, key=lambda t: loss(text_model.probabilities(sums, t), data.classes[held]))
    shares = text_model.probabilities(sums, temperature)
    about = {
        "format": text_model.FORMAT,
        "labels": list(data.labels),
        "score": score,
        "temperature_milli": temperature,
        "fit": asdict(fit),
        "data": [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in files],
        "rows": {name: int((data.classes == c).sum()) for c, name in enumerate(data.labels)},
        "held_out": figures(shares, data.classes[held], data.labels, score),
    }
    save(out, weights, about)
    return about


def score_label(labels: tuple[str, ...], wanted: str) -> str:
    """The label whose probability is the score: the one asked for, or the only one that says so itself."""
    if wanted and wanted not in labels:
        raise ConfigError(f"no row has the label {wanted}", key="--score", hint=f"one of {', '.join(labels)}")
    telling = [name for name in labels if name.lower() in POSITIVE]
    if not wanted and len(telling) != 1:
        raise ConfigError("which label is the score?", key="--score", hint=f"--score with one of {', '.join(labels)}")
    return wanted or telling[0]


def held_out(texts: pa.Array) -> np.ndarray:
    """bool[n], about a tenth: a function of each text alone."""
    return np.array([xxhash.xxh64_intdigest(text.encode()) % HELD_OUT == 0 for text in texts.to_pylist()], bool)


def rows_of(matrix: Matrix, chosen: np.ndarray) -> Matrix:
    sizes = np.diff(matrix.starts)
    inside = np.repeat(chosen, sizes)
    starts = np.concatenate([[0], np.cumsum(sizes[chosen])]).astype(np.int64)
    return Matrix(matrix.index[inside], matrix.value[inside], starts)


def fit_weights(matrix: Matrix, classes: np.ndarray, labels: int, fit: Fit) -> np.ndarray:
    """int16[FEATURES, labels], by the fitting of the speech-act model."""
    from dataforge.operators import acts_fit

    counts = np.bincount(classes, minlength=labels).astype(float)
    weight = np.power(len(classes) / (labels * counts), fit.balance)[classes]
    rng = np.random.default_rng(fit.seed)
    orders = np.stack([rng.permutation(len(classes)) for _ in range(fit.epochs)]).astype(np.int32)
    rows = (matrix.index, matrix.value, matrix.starts, classes, weight, np.ones((len(classes), labels), bool))
    everything, nothing = np.ones(text_model.FEATURES, bool), np.zeros(orders.shape, np.uint8)
    prior, pull = np.zeros((text_model.FEATURES, labels)), np.array([fit.pull, fit.pull])
    share = np.zeros(text_model.FEATURES)
    weights = acts_fit.fit(*rows, 1.0, orders, nothing, everything, prior, fit.rate, pull, share)
    weights[np.abs(weights) < SMALLEST] = 0.0
    return np.clip(np.rint(weights * text_model.WEIGHT), -32768, 32767).astype(np.int16)


def loss(shares: np.ndarray, classes: np.ndarray) -> float:
    """Mean negative logarithm of the right label's probability."""
    return float(-np.log(np.maximum(shares[np.arange(len(classes)), classes], 1e-9)).mean())


def evaluate(folder: Path, files: list[Path], *, text: str = "text", label: str = "label") -> dict[str, Any]:
    """The document of `quality evaluate`: `{"schema", "rows", "label", "accuracy", "auc", "loss", "thresholds"}`."""
    model = text_model.open_model(folder)
    data = read_labelled(files, text, label, model.labels)
    if not len(data.texts):
        raise InputError("no labelled rows", file=str(files[0]))
    return {"schema": 1, **figures(model.probabilities(data.texts), data.classes, model.labels, model.score)}


def figures(shares: np.ndarray, classes: np.ndarray, labels: tuple[str, ...], score: str) -> dict[str, Any]:
    """Figures of the score; `thresholds`: what `min_score` would keep, and how much of that has the label."""
    column = labels.index(score)
    scores, right = shares[:, column], classes == column
    steps = []
    for step in range(1, BINS):
        kept = scores >= step / BINS
        hits = int((kept & right).sum())
        precision = hits / int(kept.sum()) if kept.any() else None
        recall = hits / int(right.sum()) if right.any() else None
        steps.append({"min_score": step / BINS, "kept": float(kept.mean()), "precision": precision, "recall": recall})
    return {
        "rows": len(classes),
        "label": score,
        "accuracy": float((shares.argmax(axis=1) == classes).mean()),
        "auc": auc(scores, right),
        "loss": loss(shares, classes),
        "thresholds": steps,
    }


def auc(scores: np.ndarray, right: np.ndarray) -> float | None:
    """Chance that a text with the label scores above one without it, ties half; None where one side is empty."""
    there, others = int(right.sum()), int((~right).sum())
    if not there or not others:
        return None
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[places][right].sum() - there * (there + 1) / 2) / (there * others))
