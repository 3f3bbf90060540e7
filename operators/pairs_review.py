"""People look at a few training pairs: PairSample draws them, ReviewedPairs brings back what they said.

    PairSample     Fold        of the selected pairs the `rows` with the smallest lots, as questions of the review queue
    ReviewedPairs  Map SUBSET  a pair that people edited is theirs from here on; one that they found unfit is dropped

Ids stay. What people wrote is cleaned and its personal data treated as everywhere in the run; fields that they left alone
stay byte for byte. An edit of which nothing is left to ask or to answer drops its pair. `reviewed` says edited or fit, and
is null for pairs that nobody was asked about or did not agree on; `meta` carries it into the published rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.operator import Contract, Fold, Map, Rows
from dataforge.operators.clean_text import TextRules, clean_text
from dataforge.operators.instruct_render import chat, render
from dataforge.operators.mask import spans_a_row
from dataforge.operators.pii import FindPii
from dataforge.operators.sample import lots
from dataforge.operators.slack_source import SlackSource
from dataforge.operators.treatment import Treating, Treatment
from dataforge.schemas.label import TRIPLE
from dataforge.schemas.verdict import DROPPED
from dataforge.visible import is_blank

NAMES = ("instruction", "input", "output")
QUESTION = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # what was asked: the pair's own instruction
        pa.field("instruct", TRIPLE, nullable=False),
        pa.field("priority", pa.int32(), nullable=False),
        pa.field("random", pa.bool_(), nullable=False),
        pa.field("p_selected", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PairSample(Fold):
    """Input: pairs. Gives QUESTION rows sorted by id: a uniform draw that depends on the ids alone."""

    rows: int = 50
    seed: str = "pairs"

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "source", *NAMES),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return QUESTION

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        lot = pa.array(lots(batch.column("id"), self.seed, "pairs"), pa.uint64())
        drawn = pa.Table.from_batches([batch]).append_column("lot", lot)
        return self._smallest(drawn.append_column("n", pa.repeat(pa.scalar(1), batch.num_rows)))

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        return self._smallest(pa.concat_tables([left, right]))

    def _smallest(self, drawn: pa.Table) -> pa.Table:
        """The first row carries how many there were."""
        drawn = drawn.sort_by([("lot", "ascending"), ("id", "ascending")])
        total = np.zeros(drawn.num_rows, np.int64)
        total[:1] = pc.sum(drawn["n"]).as_py()
        counted = drawn.set_column(drawn.schema.get_field_index("n"), "n", pa.array(total))
        return counted.slice(0, self.rows).combine_chunks()

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table:
        if state is None or state.num_rows == 0:
            return QUESTION.empty_table()
        n = state.num_rows
        triple = pa.StructArray.from_arrays([state[x].combine_chunks() for x in NAMES], fields=list(TRIPLE))
        given = {"id": state["id"], "source": state["source"], "text": state["instruction"], "instruct": triple}
        given |= {"priority": pa.array(np.arange(n, dtype=np.int32)), "random": pa.repeat(pa.scalar(True), n)}
        given["p_selected"] = pa.repeat(pa.scalar(n / state["n"][0].as_py()), n)
        return pa.table([given[field.name] for field in QUESTION], schema=QUESTION).sort_by("id")


@dataclass(frozen=True)
class ReviewedPairs(Map):
    """Inputs: pairs, the labels of some of them, and files of known names. `template` renders an edited pair anew, `text`
    says how an edit is cleaned, `pii` and `treatment` what becomes of personal data in it. Members and channels of the
    `workspaces` are hidden in it as in their messages, which the pairs' own id already stands for.
    """

    template: str = "book"
    text: TextRules = field(default_factory=TextRules)
    pii: FindPii = field(default_factory=FindPii)
    treatment: Treatment = field(default_factory=Treatment)
    workspaces: tuple[SlackSource, ...] = field(default=(), metadata={"identity": False})
    VERSION: ClassVar[int] = 3
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("id", "label", "rejected", "instruct"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0].append(pa.field("reviewed", pa.string()))

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        wash = _Wash(self.text, tuple(x.private() for x in self.workspaces), self.pii.start(files), self.treatment.start())
        return lambda pairs, labels: self._apply(pairs, labels, wash)

    def _apply(self, pairs: pa.RecordBatch, labels: pa.RecordBatch, wash: _Wash) -> Rows:
        """A loop over what people were asked about, some hundred rows; the others pass as columns."""
        said, schema = labels.to_pylist(), self.gives([pairs.schema])
        unfit = [bool(row["rejected"]) or row["label"] == "unfit" for row in said]
        verdict = ["edited" if row["instruct"] else row["label"] for row in said]
        if not any(verdict) and not any(unfit):
            return Rows(pa.RecordBatch.from_arrays([*pairs.columns, pa.nulls(len(said), pa.string())], schema=schema))
        rows = pairs.to_pylist()
        edits = {k: row["instruct"] for k, row in enumerate(said) if row["instruct"] and not unfit[k]}
        gone = wash(edits, rows) | {k: {"reason": "rejected_in_review"} for k, no in enumerate(unfit) if no}
        for k, triple in edits.items():
            rows[k] |= self._rendered(rows[k], triple)
        for row, word in zip(rows, verdict, strict=True):
            row["reviewed"] = word
            if word:
                row["meta"] = _noted(row["meta"], word)
        kept = pa.RecordBatch.from_pylist(rows, schema=schema)
        if "text_hash" in schema.names:
            from dataforge.identity import text_hashes

            kept = kept.set_column(schema.get_field_index("text_hash"), "text_hash", text_hashes(kept.column("text")))
        dropped = [{"id": rows[k]["id"], **why} for k, why in sorted(gone.items())]
        kept = kept.cast(schema).filter(pa.array([k not in gone for k in range(len(rows))], pa.bool_()))
        edited = sum(word == "edited" for word in kept.column("reviewed").to_pylist())
        return Rows(kept, pa.Table.from_pylist(dropped, schema=DROPPED), notes={"edited": edited} if edited else None)

    def _rendered(self, row: dict[str, Any], triple: dict[str, str]) -> dict[str, Any]:
        prompt, completion = render(self.template, triple["instruction"], triple["input"], triple["output"])
        return {
            **triple,
            "text": prompt + completion,
            "spans_trained": [{"start": len(prompt), "end": len(prompt) + len(completion)}],
            "prompt": prompt,
            "completion": completion,
            "messages": _turns(row, triple),
        }


def _noted(meta: str, word: str) -> str:
    return orjson.dumps(orjson.loads(meta) | {"reviewed": word}, option=orjson.OPT_SORT_KEYS).decode()


def _turns(row: dict[str, Any], triple: dict[str, str]) -> list[dict[str, str]]:
    """The chat with its last turn edited; a new question or history is one turn, for nobody knows who said what."""
    *before, last = row["messages"]
    asked = all(row[name] == triple[name] for name in ("instruction", "input"))
    if asked and last["content"].endswith(row["output"]):
        content = last["content"].removesuffix(row["output"]) + triple["output"]
        return [*before, {"role": last["role"], "content": content}]
    question = "\n".join(filter(None, (triple["input"], triple["instruction"])))
    return chat([{"user": "", "text": question}], "", triple["output"], ())


@dataclass(frozen=True)
class _Wash:
    """People type and paste freely: what they wrote passes the same repairs and finders as what they read."""

    rules: TextRules
    hide: tuple[Callable[[str], str], ...]
    find: Callable[..., Rows]
    treat: Treating

    def __call__(self, edits: dict[int, dict[str, str]], rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """Rewrites the triples of `edits` (by row) in place; why some cannot be published, by row, as DROPPED has it."""
        places = [(k, name) for k, triple in edits.items() for name in NAMES if triple[name] != rows[k][name]]
        gone = self._treated(edits, places) if places else {}
        empty = [k for k, triple in edits.items() if is_blank(triple["instruction"]) or is_blank(triple["output"])]
        return gone | {k: {"reason": "empty_edit"} for k in empty}

    def _treated(self, edits: dict[int, dict[str, str]], places: list[tuple[int, str]]) -> dict[int, dict[str, Any]]:
        texts = pa.array([self._hidden(edits[k][name]) for k, name in places], pa.string())
        batch = pa.RecordBatch.from_arrays([pa.array([str(n) for n in range(len(texts))]), texts], names=["id", "text"])
        spans = self.find(batch).kept.column("spans")
        treated, personal, _ = self.treat(texts, spans, pa.array(np.ones(len(texts), bool)))
        for (k, name), text in zip(places, treated.to_pylist(), strict=True):
            edits[k] = edits[k] | {name: text}
        most, counts = float(self.treat.treatment.drop_above), spans_a_row(spans).tolist()
        return {
            k: {"reason": "personal_data", "score": float(count), "threshold": most}
            for (k, _), count, much in zip(places, counts, personal.to_pylist(), strict=True)
            if much
        }

    def _hidden(self, text: str) -> str:
        text, _ = clean_text(text, self.rules)
        for hide in self.hide:
            text = hide(text)
        return text
