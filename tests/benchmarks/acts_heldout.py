"""What the act tagger reaches on corpora that its training did not see: rules alone, a plain linear model, ours.

Run as `python -m tests.benchmarks.acts_heldout UTTERANCES.jsonl.gz [--json]`. Each corpus of the file is left out in turn:
"ours" is taught by the invented utterances alone (so is the shipped model), "ours + corpora" and "plain linear" by them
and the other corpora. "sure labels" scores only rows whose publisher's label means what our act means (corpora.yaml).
The sets of invented dialogues beside this file are read by no training; rules were improved while looking at the first
two, phrases after looking at every other dialogue of the third, which has registers that nothing else here has.
Registers of the invented utterances are left out in groups.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataforge.operators import acts_corpus, acts_lexicon, acts_model, acts_train
from dataforge.operators.acts_evaluate import calibration, report

FOLDER = acts_lexicon.FOLDER
LETTERS = dict(zip("ecdDvqro", range(8), strict=True))
MODELS = {  # name → how it is fitted, whether the other corpora teach it
    "rules": (None, False),
    "plain linear": (acts_train.Fit(plain=True), True),
    "ours": (acts_train.Fit(), False),
    "ours + corpora": (acts_train.Fit(), True),
}
REGISTERS = (
    ("chat", "helpdesk"),
    ("dialogue", "mail_forum"),
    ("telephone", "tweets"),
    ("meeting", "reviews", "mixed"),
    ("assistant", "german"),
)
Rows = list[dict[str, Any]]
Found = dict[str, dict[str, dict[str, Any]]]  # test → model → its figures


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


def thinned(rows: Rows) -> Rows:
    """Every eighth meeting of AMI, which is ninety times the others: its rows weigh by the root of their number anyway."""
    meetings = set(sorted({row["dialog"] for row in rows if row["source"] == "ami"})[::8])
    return [row for row in rows if row["source"] != "ami" or row["dialog"] in meetings]


def folds(rows: Rows) -> Iterator[tuple[str, Rows, Rows, dict[str, Rows]]]:
    """Name, corpora to train on, invented utterances to train on, the tests' rows by their name."""
    invented = acts_corpus.examples(FOLDER)
    corpora = acts_corpus.trusted(thinned(rows), FOLDER)
    for name in sorted({row["source"] for row in rows}):
        test = [row for row in rows if row["source"] == name]
        yield name, [row for row in corpora if row["source"] != name], invented, {name: test}
    names = {"": "acts_dialogues.txt", " 2": "acts_dialogues_2.txt", " 3": "acts_dialogues_3.txt"}
    invented_tests = {f"invented dialogues{number}": dialogues(file) for number, file in names.items()}
    yield "dialogues", corpora, invented, invented_tests
    for group in REGISTERS:
        name, test = f"registers {'+'.join(group)}", [row for row in invented if row["register"] in group]
        yield name, corpora, [row for row in invented if row["register"] not in group], {name: test}


def taggers(corpora: Rows, invented: Rows) -> dict[str, acts_model.Tagger]:
    rules, out = acts_model.open_tagger(FOLDER, "none"), {}
    for model, (fit, wide) in MODELS.items():
        out[model] = rules
        if fit is not None:
            weights = acts_train.fit_weights(rules, acts_corpus.utterances(invented + (corpora if wide else [])), fit)
            about = {"temperature_milli": acts_train.TEMPERATURE, "plain": fit.plain}
            out[model] = acts_model.Tagger(rules.table, rules.bits, weights, about)
    return out


def sure_rows(rows: Rows) -> np.ndarray:
    """bool[n]: the publisher's label means what our act means."""
    known = {id(row): row for row in rows}
    sure = {id(row) for row in acts_corpus.trusted(list(known.values()), FOLDER)}  # rows made weak are copies
    return np.array([id(row) in sure and row.get("strength") != "weak" for row in rows], bool)


def score(tagger: acts_model.Tagger, rows: Rows, found: Found, model: str, name: str) -> None:
    data = acts_corpus.utterances(rows)
    judged = acts_model.judge(tagger, data.texts, data.neighbours)
    error = calibration(data.classes, judged.scores / acts_model.ONE)["ece"]
    found.setdefault(name, {})[model] = report(data.classes, judged.acts) | {"ece": error}
    sure = sure_rows(rows)
    if not sure.all():
        found.setdefault(f"{name}, sure labels", {})[model] = report(data.classes[sure], judged.acts[sure])


def measure(path: Path) -> Found:
    rows, found = list(acts_corpus.read_rows(path)), {}
    for _, corpora, invented, tests in folds(rows):
        for model, tagger in taggers(corpora, invented).items():
            for name, test in tests.items():
                score(tagger, test, found, model, name)
    return found


def means(found: Found) -> Found:
    """Per model, mean macro-F1 over the corpora, over their rows with sure labels, and over the registers."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for name, models in found.items():
        if not name.startswith("invented"):
            place = "the registers" if name.startswith("registers") else "sure labels" if "sure" in name else "the corpora"
            kinds.setdefault(f"mean of {place}", []).append(models)
    return {
        kind: {model: {"macro_f1": mean(one[model] for one in some), "classes": {}} for model in MODELS}
        for kind, some in kinds.items()
    }


def mean(reports: Iterator[dict[str, Any]]) -> float:
    values = [one["macro_f1"] for one in reports]
    return sum(values) / len(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.path)
    if asked.json:
        print(json.dumps(found))
        return
    for name, models in (found | means(found)).items():
        for model, one in models.items():
            classes = " ".join(f"{act[:5]} {f['f1']:.2f}" for act, f in one["classes"].items())
            ece = f"ece {one['ece']:.2f}" if "ece" in one else " " * 8
            print(f"{name:32}{model:16}{one['macro_f1']:.3f}  {ece}  {classes}")


if __name__ == "__main__":
    main()
