"""What the act tagger reaches on corpora that its training did not see: rules alone, a plain linear model, ours.

Run as `python -m tests.benchmarks.acts_heldout UTTERANCES.jsonl.gz [--json]`. Each corpus of the file is tagged by
models trained on the other corpora and the invented examples; AMI also in halves, by meeting. The two sets of invented
dialogues beside this file are tagged by models trained on all corpora; rules were improved while looking at them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from dataforge.operators import acts_corpus, acts_lexicon, acts_model, acts_train
from dataforge.operators.acts_evaluate import report

FOLDER = acts_lexicon.FOLDER
LETTERS = dict(zip("ecdDvqro", range(8), strict=True))
# The baseline has nothing to be pulled to: it is fitted with weaker pulls.
PLAIN = acts_train.Fit(plain=True, epochs=4, pull_dense=0.1, pull_hashed=0.5)
MODELS = {"rules": None, "plain linear": PLAIN, "ours": acts_train.Fit()}
Rows = list[dict[str, Any]]


def dialogues(name: str = "acts_dialogues.txt") -> Rows:
    rows: Rows = []
    path = Path(__file__).parent / name
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        if line.startswith("#"):
            dialog = str(number)
            continue
        speaker, act, text = line.split("|", 2)
        place = {"dialog": dialog, "turn": number, "speaker": speaker}
        rows.append({"source": "dialogues", "text": text, "class": LETTERS[act], **place})
    return rows


def folds(rows: Rows) -> dict[str, tuple[Rows, Rows]]:
    """Name of the test → rows to train on, rows to test on."""
    out = {}
    for name in sorted({row["source"] for row in rows}):
        out[name] = [row for row in rows if row["source"] != name], [row for row in rows if row["source"] == name]
    meetings = sorted({row["dialog"] for row in rows if row["source"] == "ami"})
    for half in range(2 if meetings else 0):
        held = set(meetings[half::2])
        test = [row for row in rows if row["source"] == "ami" and row["dialog"] in held]
        out[f"ami half {half + 1}"] = [row for row in rows if row["dialog"] not in held], test
    out["invented dialogues"] = rows, dialogues()
    out["invented dialogues 2"] = rows, dialogues("acts_dialogues_2.txt")
    return out


def tag(fit: acts_train.Fit | None, train: Rows, test: acts_corpus.Utterances) -> np.ndarray:
    rules = acts_model.open_tagger(FOLDER, "none")
    if fit is None:
        return acts_model.judge(rules, test.texts, test.neighbours).acts
    known = acts_corpus.utterances(acts_corpus.trusted(train, FOLDER) + acts_corpus.examples(FOLDER))
    about = {"temperature_milli": 4000, "plain": fit.plain}
    tagger = acts_model.Tagger(rules.table, rules.bits, acts_train.fit_weights(rules, known, fit), about)
    return acts_model.judge(tagger, test.texts, test.neighbours).acts


def measure(path: Path) -> dict[str, dict[str, Any]]:
    rows, out = list(acts_corpus.read_rows(path)), {}
    for name, (train, test) in folds(rows).items():
        data = acts_corpus.utterances(test)
        out[name] = {model: report(data.classes, tag(fit, train, data)) for model, fit in MODELS.items()}
    return out


def mean(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Per model, macro-F1 over the corpora that training did not see at all (no halves, nothing invented)."""
    unseen = [models for name, models in found.items() if " half " not in name and not name.startswith("invented")]
    return {
        model: {"macro_f1": sum(models[model]["macro_f1"] for models in unseen) / len(unseen), "classes": {}}
        for model in MODELS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.path)
    if asked.json:
        print(json.dumps(found))
        return
    for name, models in (found | {"mean of the corpora": mean(found)}).items():
        for model, one in models.items():
            classes = " ".join(f"{act[:5]} {f['f1']:.2f}" for act, f in one["classes"].items())
            print(f"{name:22}{model:14}{one['macro_f1']:.3f}  {classes}")


if __name__ == "__main__":
    main()
