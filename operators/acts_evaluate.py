"""`evaluate`: a labelled file → precision, recall and F1 per act, macro-F1, confusion and calibration.

The tagger runs exactly as in a flow: a row's act depends on it and its neighbours, never on the file's other rows.
macro_f1 is the mean over the classes present in the file, `other` included.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dataforge.operators import acts_corpus, acts_lexicon, acts_model
from dataforge.schemas.act import ACTS

BINS = 10


def evaluate(path: str | Path, model: str = "shipped", lexicon: Path = acts_lexicon.FOLDER) -> dict[str, Any]:
    """The document of `acts evaluate FILE`. Raises InputError or SchemaError on a file that cannot be scored."""
    data = acts_corpus.read([Path(path)])
    tagger = acts_model.open_tagger(lexicon, model)
    judged = acts_model.judge(tagger, data.texts, data.neighbours)
    scores = judged.scores / acts_model.ONE
    return {"schema": 1, **report(data.classes, judged.acts), "calibration": calibration(data.classes, scores)}


def report(gold: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """macro_f1, rows, classes and confusion of two int[n] of act codes. Rows of `confusion` are gold, columns found."""
    table = np.zeros((len(ACTS), len(ACTS)), np.int64)
    np.add.at(table, (gold, found), 1)
    classes = {ACTS[c]: class_scores(table, c) for c in range(len(ACTS)) if table[c].any() or table[:, c].any()}
    present = [ACTS[c] for c in range(len(ACTS)) if table[c].any()]
    return {
        "macro_f1": sum(classes[name]["f1"] for name in present) / len(present) if present else 0.0,
        "rows": len(gold),
        "classes": classes,
        "confusion": {"labels": list(ACTS), "rows": table.tolist()},
    }


def class_scores(table: np.ndarray, c: int) -> dict[str, float | int]:
    """0 where a quotient is undefined."""
    hits, found, there = int(table[c, c]), int(table[:, c].sum()), int(table[c].sum())
    return {
        "precision": hits / found if found else 0.0,
        "recall": hits / there if there else 0.0,
        "f1": 2 * hits / (found + there) if found + there else 0.0,
        "n": there,
    }


def calibration(gold: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Expected calibration error of the top score over BINS equal bins, the bins, and the mean Brier score."""
    top, right = scores.max(axis=1), scores.argmax(axis=1) == gold
    bins = []
    for low in range(BINS):
        here = (top > low / BINS) & (top <= (low + 1) / BINS)
        n = int(here.sum())
        bins.append(
            {
                "from": low / BINS,
                "to": (low + 1) / BINS,
                "n": n,
                "score": float(top[here].mean()) if n else None,
                "accuracy": float(right[here].mean()) if n else None,
            }
        )
    error = sum(b["n"] * abs(b["score"] - b["accuracy"]) for b in bins if b["n"]) / max(1, len(gold))
    one_hot = np.eye(len(ACTS))[gold]
    return {"ece": error, "brier": float(((scores - one_hot) ** 2).sum(axis=1).mean()), "bins": bins}
