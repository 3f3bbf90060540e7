"""`review.retrain`: the labels of a closed batch train the tagger anew; it is used only where it proves itself.

    Taught        Map SAME  labels → what a tagger is taught: text, neighbours, label, chance of being asked
    Retrain       Fold      the model, and how right it and the present tagger are on labels that it did not see
    RetaggedActs  Map SAME  messages tagged again by the better of the two

The accuracy of the new model is that of five models, each trained without a fifth of the rows and asked about that
fifth. Both accuracies weigh every row by 1 / p_selected, so they speak of all messages and not of the drawn ones.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.operator import Contract, Fold, Map, Rows
from dataforge.operators import acts_corpus, acts_model
from dataforge.operators.acts import CONTEXT, TagActs, tag_batch
from dataforge.operators.sample import CANDIDATE, lots
from dataforge.schemas.act import ACT, ACTS

REPORT, MODEL = "retrain.json", "model"  # inside the folder that Retrain writes
FEWEST, FOLDS = 30, 5  # labels below which nothing is trained; parts of the cross-validation
TAUGHT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("label", pa.string()),  # null: rejected, or no act
        pa.field("p_selected", pa.float64()),
        pa.field("text", pa.string()),  # null: a gold row, which is no message
        *[CANDIDATE.field(name) for name in CONTEXT],
    ]
)


@dataclass(frozen=True)
class Taught(Map):
    """Inputs: labels, messages, their neighbours. TAUGHT rows, one per label."""

    contract: ClassVar[Contract] = Contract.SAME

    def needs(self) -> Sequence[Sequence[str] | None]:
        return ("id", "label", "p_selected"), ("id", "text"), ("id", *CONTEXT)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return TAUGHT

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def join(labels: pa.RecordBatch, messages: pa.RecordBatch, context: pa.RecordBatch) -> Rows:
            given = {name: labels.column(name) for name in ("id", "label", "p_selected")}
            given |= {"text": messages.column("text")} | {name: context.column(name) for name in CONTEXT}
            return Rows(pa.RecordBatch.from_arrays([given[f.name] for f in TAUGHT], schema=TAUGHT))

        return join


@dataclass(frozen=True)
class Retrain(Fold):
    """Writes `model/` (see acts_train) and `retrain.json`: rows, both accuracies with intervals, which one is used."""

    base: TagActs
    VERSION: ClassVar[int] = 3

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        table = pa.Table.from_batches([batch])
        usable = pc.and_(pc.is_in(table["label"], value_set=pa.array(ACTS)), pc.is_valid(table["text"]))
        return table.filter(usable)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        return pa.concat_tables([left, right])

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table | None:
        rows = (state if state is not None else TAUGHT.empty_table()).sort_by("id")
        report: dict[str, Any] = {"labels": rows.num_rows, "used": False}
        if rows.num_rows < FEWEST or len(rows["label"].unique()) < 2:
            report["why"] = f"fewer than {FEWEST} labels, or all alike: nothing was trained"
        else:
            before = self._accuracy(rows, acts_model.open_tagger(self.base.folder(), self.base.model))
            after = self._cross_validated(rows)
            train(rows, out / MODEL, self.base.folder())
            used = after["value"] >= before["value"]
            why = "" if used else "the present tagger is more often right: it stays"
            report |= {"used": used, "why": why, "before": before, "after": after, "folds": FOLDS}
        (out / REPORT).write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return None

    def _accuracy(self, rows: pa.Table, tagger: acts_model.Tagger) -> dict[str, Any]:
        return weighted_accuracy(right(rows, tagger), rows["p_selected"])

    def _cross_validated(self, rows: pa.Table) -> dict[str, Any]:
        """Of each fold by the model that was trained without it. A fold is a function of the id."""
        fold = (lots(rows["id"].combine_chunks(), "retrain", "fold") % FOLDS).astype(np.int64)
        hits = np.zeros(rows.num_rows, bool)
        for k in range(FOLDS):
            held, others = rows.filter(pa.array(fold == k)), rows.filter(pa.array(fold != k))
            if held.num_rows and len(others["label"].unique()) > 1:
                with tempfile.TemporaryDirectory(prefix="retrain-") as folder:
                    train(others, Path(folder), self.base.folder())
                    hits[fold == k] = right(held, acts_model.open_tagger(self.base.folder(), folder))
        return weighted_accuracy(hits, rows["p_selected"])


def train(rows: pa.Table, out: Path, lexicon: Path) -> None:
    """Trains on TAUGHT rows; the texts lie in a file only as long as that takes."""
    from dataforge.operators import acts_train

    with tempfile.TemporaryDirectory(prefix="labels-") as folder:
        file = Path(folder) / "labels.jsonl"
        names = ["text", "label", *CONTEXT]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows.select(names).to_pylist()]  # a few hundred
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        fit = acts_train.Fit(corpus=60.0)  # labels of the own register say more than invented ones
        acts_train.train([file], out, licence="the dataset's own", lexicon=lexicon, fit=fit)


def right(rows: pa.Table, tagger: acts_model.Tagger) -> np.ndarray:
    """bool[n]: whether the tagger gives the act that people gave."""
    around = acts_corpus.utterances([{**row, "source": "labels", "class": 0} for row in rows.to_pylist()]).neighbours
    judged = acts_model.judge(tagger, rows["text"], around)
    return judged.acts == np.array([ACTS.index(label) for label in rows["label"].to_pylist()])


def weighted_accuracy(hits: np.ndarray, p_selected: pa.ChunkedArray) -> dict[str, Any]:
    """{"value", "low", "high", "n"}: share right, each row weighing 1 / p; unknown chances count as certain."""
    from dataforge.review.agreement import weighted_share

    return weighted_share([(1 / (p or 1.0), bool(hit)) for hit, p in zip(hits, p_selected.to_pylist(), strict=True)])


@dataclass(frozen=True)
class RetaggedActs(Map):
    """Inputs: messages, their neighbours, the folder of Retrain. ACT rows by the tagger that proved better."""

    base: TagActs
    contract: ClassVar[Contract] = Contract.SAME
    VERSION: ClassVar[int] = 3

    def needs(self) -> Sequence[Sequence[str] | None]:
        return self.base.needs()

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return ACT

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        report = json.loads((files[0] / REPORT).read_text(encoding="utf-8"))
        if not report["used"]:
            return self.base.start(())
        tagger = acts_model.open_tagger(self.base.folder(), str(files[0] / MODEL))
        return lambda base, context=None: Rows(tag_batch(tagger, base, context))
