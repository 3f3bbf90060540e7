"""Where rows are judged, masked and dropped. Scores are made elsewhere; a changed threshold re-runs only these steps.

Judge   Map SAME    stored scores (counters, language, lists, models) → the first rule a document fails
Select  Map SUBSET  drops by verdict, duplicate and personal data; masks what stays
DropContaminated    drops what shares n-grams with evaluation texts
Mask    Map SUBSET  the same treatment of personal data for messages, before people or taggers see them
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.operator import Contract, Map, Rows
from dataforge.operators.mask import spans_a_row
from dataforge.operators.quality import QualityRules, verdicts
from dataforge.operators.treatment import Treatment
from dataforge.schemas.act import ACTS
from dataforge.schemas.document import SELECTED
from dataforge.schemas.verdict import DROPPED, VERDICT


@dataclass(frozen=True)
class LanguageRule:
    """`keep`: ISO 639-3 codes, empty for all. Texts with fewer than `min_letters` letters are never judged."""

    keep: tuple[str, ...] = ()
    min_score: float = 0.65
    min_letters: int = 20


@dataclass(frozen=True)
class Judge(Map):
    """Inputs: quality counters, languages, further scores. Order: empty, language, then the rules."""

    rules: QualityRules
    language: LanguageRule = field(default_factory=LanguageRule)

    scores: int = 0  # how many tables of further scores stand beside these two

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("id", "language", "language_score"), *[None] * self.scores)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return VERDICT

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        return lambda counters, languages, *scores: Rows(self.verdicts(counters, languages, scores))

    def counters(self) -> tuple[str, ...]:
        """The counter columns that the verdict needs."""
        return tuple(dict.fromkeys((*self.rules.counters(), "characters", "letters")))

    def verdicts(
        self, counters: pa.RecordBatch, languages: pa.RecordBatch, scores: Sequence[pa.RecordBatch] = ()
    ) -> pa.Table:
        """VERDICT rows; `whatif` asks for them with other thresholds on the stored scores."""
        columns = {name: batch.column(name) for batch in (counters, *scores) for name in batch.schema.names}
        reason, score, threshold = verdicts(pa.RecordBatch.from_pydict(columns), self.rules)
        empty = pc.equal(counters.column("characters"), 0)
        foreign = _foreign(counters, languages, self.language)
        for mask, name, value, limit in (
            (foreign, "language", languages.column("language_score").cast(pa.float64()), self.language.min_score),
            (empty, "empty", pa.nulls(len(reason), pa.float64()), None),
        ):
            reason = pc.if_else(mask, pa.scalar(name), reason)
            score = pc.if_else(mask, value, score)
            threshold = pc.if_else(mask, pa.scalar(limit, pa.float64()), threshold)
        return pa.table([counters.column("id"), reason, score, threshold], schema=VERDICT)


def _foreign(counters: pa.RecordBatch, languages: pa.RecordBatch, rule: LanguageRule) -> pa.Array:
    if not rule.keep:
        return pa.array(np.zeros(counters.num_rows, bool))
    wanted = pc.is_in(languages.column("language"), value_set=pa.array(rule.keep, pa.string()))
    sure = pc.greater_equal(languages.column("language_score"), rule.min_score)
    long = pc.greater_equal(counters.column("letters"), rule.min_letters)
    return pc.and_(long, pc.invert(pc.and_(wanted, sure)))


@dataclass(frozen=True)
class Select(Map):
    """Inputs: documents, verdicts, twins, spans, splits, languages. Gives SELECTED rows.

    Order of reasons: the verdict's, exact_duplicate, near_duplicate, personal_data.
    """

    treatment: Treatment
    near: float = 0.0  # Jaccard from which rows were near-duplicates, for the record
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        twins = ("id", "duplicate", "into", "jaccard")
        documents = ("id", "text", "source", "key", "uri", "licence")
        return (documents, None, twins, ("id", "spans"), ("id", "split"), ("id", "language"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return SELECTED

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        treat = self.treatment.start()

        def select(*batches: pa.RecordBatch) -> Rows:
            documents, verdict, twins, spans, splits, languages = batches
            dropped = _judged(documents, verdict, twins, self.near)
            stays = pc.is_null(dropped["reason"]).combine_chunks()
            text, personal, counts = treat(documents.column("text"), spans.column("spans"), stays)
            provenance, hidden = treat.line(pc.coalesce(documents.column("uri"), documents.column("key")))
            keep = pc.and_(stays, pc.invert(personal))
            languages_ = languages.column("language")
            columns = [documents.column("id"), text, documents.column("source"), languages_, documents.column("licence")]
            rows = pa.table([*columns, provenance, splits.column("split")], schema=SELECTED).filter(keep)
            dropped = self._with_personal(dropped, pc.and_(stays, personal), spans.column("spans")).filter(pc.invert(keep))
            return Rows(rows, dropped, notes=counts | ({"masked_provenance": hidden} if hidden else {}))

        return select

    def _with_personal(self, dropped: pa.Table, personal: pa.Array, spans: pa.Array) -> pa.Table:
        """The score is the number of spans in the text."""
        count, most = spans_a_row(spans).astype(np.float64), pa.scalar(float(self.treatment.drop_above))
        for name, value in (("reason", "personal_data"), ("score", pa.array(count)), ("threshold", most)):
            place = dropped.schema.get_field_index(name)
            dropped = dropped.set_column(place, name, pc.if_else(personal, value, dropped[name]))
        return dropped


def _judged(documents: pa.RecordBatch, verdict: pa.RecordBatch, twins: pa.RecordBatch, near: float) -> pa.Table:
    """DROPPED rows, one per document; null reason where it stays so far (the schema's non-null holds after filtering)."""
    twin = _duplicates(twins, near)
    failed = pc.is_valid(verdict.column("reason"))
    earlier = verdict.column("into") if "into" in verdict.schema.names else pa.nulls(documents.num_rows, pa.string())
    columns = twin | {
        "id": documents.column("id"),
        "reason": pc.coalesce(verdict.column("reason"), twin["reason"]),
        "score": pc.if_else(failed, verdict.column("score"), twin["score"]),
        "threshold": pc.if_else(failed, verdict.column("threshold"), twin["threshold"]),
        "into": pc.if_else(failed, earlier, twin["into"]),
    }
    return pa.table(columns)


def _duplicates(twins: pa.RecordBatch, near: float) -> dict[str, pa.Array]:
    """DROPPED columns of every row; null reason where it is nobody's duplicate."""
    kind = twins.column("duplicate")
    return {
        "id": twins.column("id"),
        "reason": pc.if_else(pc.is_valid(kind), pc.binary_join_element_wise(kind, "duplicate", "_"), None),
        "score": twins.column("jaccard"),
        "threshold": pc.if_else(pc.equal(kind, "exact"), 1.0, pc.if_else(pc.equal(kind, "near"), near, None)),
        "detail": pa.nulls(twins.num_rows, pa.string()),
        "into": twins.column("into"),
    }


@dataclass(frozen=True)
class DropContaminated(Map):
    """Inputs: selected documents, contamination marks. The evidence stays in the marks; the reason names the set.

    `fewest`: shared n-grams that made a hit, for the record.
    """

    fewest: int = 1
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("id", "contaminated_by", "contaminated_row", "contaminated_ngrams"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0]

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def drop(rows: pa.RecordBatch, marks: pa.RecordBatch) -> Rows:
            hit = pc.is_valid(marks.column("contaminated_by"))
            columns = (marks.column(name).filter(hit).to_pylist() for name in marks.schema.names)
            dropped = [
                (i, "contaminated", float(count), float(self.fewest), by, row)
                for i, by, row, count in zip(*columns, strict=True)
            ]
            dropped = [dict(zip(DROPPED.names, entry, strict=True)) for entry in dropped]
            return Rows(rows.filter(pc.invert(hit)), pa.Table.from_pylist(dropped, schema=DROPPED))

        return drop


@dataclass(frozen=True)
class Mask(Map):
    """Inputs: messages, spans. The same rows with masked text; rows dropped for personal data are named."""

    treatment: Treatment
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("id", "spans"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0]

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        treat = self.treatment.start()

        def mask(messages: pa.RecordBatch, spans: pa.RecordBatch) -> Rows:
            every = pa.array(np.ones(messages.num_rows, bool))
            text, personal, counts = treat(messages.column("text"), spans.column("spans"), every)
            place = messages.schema.get_field_index("text")
            rows = messages.set_column(place, messages.schema.field("text"), text)
            gone, most = messages.column("id").filter(personal).to_pylist(), float(self.treatment.drop_above)
            counts_ = spans_a_row(spans.column("spans"))[personal.to_numpy(zero_copy_only=False)].tolist()
            dropped = [
                {"id": i, "reason": "personal_data", "score": float(count), "threshold": most}
                for i, count in zip(gone, counts_, strict=True)
            ]
            return Rows(rows.filter(pc.invert(personal)), pa.Table.from_pylist(dropped, schema=DROPPED), notes=counts)

        return mask


@dataclass(frozen=True)
class WithActs(Map):
    """Inputs: messages, tagged acts, and with `labelled` what people decided. People win over the tagger.

    Gives the messages with `act`, `form`, `act_score`, `act_by`; those that people found unfit are dropped.
    """

    labelled: bool = False
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        tagged = ("id", "act", "form", "act_score", "act_by")
        return (None, tagged, ("id", "label", "rejected")) if self.labelled else (None, tagged)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        names = ("act", "form", "act_score", "act_by")
        return pa.schema([*inputs[0], *(inputs[1].field(name) for name in names)])

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        return self._join

    def _join(self, messages: pa.RecordBatch, acts: pa.RecordBatch, labels: pa.RecordBatch | None = None) -> Rows:
        columns: dict[str, Any] = {name: acts.column(name) for name in ("act", "form", "act_score", "act_by")}
        rejected = pa.array(np.zeros(messages.num_rows, bool))
        if labels is not None:
            label = labels.column("label")  # of another label set than the acts: rejections count, labels do not
            label = pc.if_else(pc.is_in(label, value_set=pa.array(ACTS)), label, None)
            said = pc.is_valid(label)
            rejected = pc.fill_null(labels.column("rejected"), False)
            columns["act"] = pc.coalesce(label, columns["act"])
            columns["act_score"] = pc.if_else(said, pa.scalar(1.0, pa.float32()), columns["act_score"])
            columns["act_by"] = pc.if_else(said, "label", columns["act_by"])
        schema = self.gives([messages.schema, acts.schema])
        rows = pa.RecordBatch.from_arrays([*messages.columns, *columns.values()], schema=schema)
        gone = messages.column("id").filter(rejected).to_pylist()
        dropped = pa.Table.from_pylist([{"id": i, "reason": "rejected_in_review"} for i in gone], schema=DROPPED)
        return Rows(rows.filter(pc.invert(rejected)), dropped)


@dataclass(frozen=True)
class Hashed(Map):
    """The same rows with the hash of their text: what finding duplicates needs."""

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0].append(pa.field("text_hash", pa.string(), nullable=False))

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        from dataforge.identity import text_hashes

        def add(rows: pa.RecordBatch) -> Rows:
            columns = [*rows.columns, text_hashes(rows.column("text"))]
            return Rows(pa.RecordBatch.from_arrays(columns, schema=self.gives([rows.schema])))

        return add


@dataclass(frozen=True)
class SelectPairs(Map):
    """Inputs: instruct rows, twins, splits. Drops duplicates; adds `split`."""

    near: float = 0.0  # Jaccard from which rows were near-duplicates, for the record
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("id", "duplicate", "into", "jaccard"), ("id", "split"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0].append(pa.field("split", pa.string(), nullable=False))

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def select(rows: pa.RecordBatch, twins: pa.RecordBatch, splits: pa.RecordBatch) -> Rows:
            columns = [*rows.columns, splits.column("split")]
            return _without_twins(pa.RecordBatch.from_arrays(columns, schema=self.gives([rows.schema])), twins, self.near)

        return select


@dataclass(frozen=True)
class DropTwins(Map):
    """Inputs: rows, twins. Drops duplicates."""

    near: float = 0.0  # as in SelectPairs
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None, ("id", "duplicate", "into", "jaccard"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0]

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        return lambda rows, twins: _without_twins(rows, twins, self.near)


def _without_twins(rows: pa.RecordBatch, twins: pa.RecordBatch, near: float) -> Rows:
    lost = pc.is_valid(twins.column("duplicate"))
    dropped = pa.table(_duplicates(twins, near)).filter(lost).cast(DROPPED)
    return Rows(rows.filter(pc.invert(lost)), dropped)
