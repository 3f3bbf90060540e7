"""A few random drops of every filter, for people to judge: Draw → AuditSample → AuditTexts → the review queue.

    Draw         Keyed ASIDE  the dropped rows of steps, part by part: of each filter the `rows` with the smallest lots
    AuditSample  Fold         the same over all parts: AUDIT rows, still without text
    AuditTexts   Keyed ASIDE  their texts and those of the rows kept instead, personal data masked

A filter is a step and a reason. Rows dropped for personal data or by wish are never drawn, whoever asks for them. Draws
go by hash of the id, so they depend on nothing but the rows; `p_selected` is the chance of each row of its filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import part_of
from dataforge.operator import Contract, Fold, Keyed, Rows
from dataforge.operators.sample import lots, ranks
from dataforge.operators.treatment import Treatment

PERSONAL = re.compile(r"pii|personal|secret|opt_?out|eras|forg[eo]t|private")
CERTAIN = frozenset({"exact_duplicate", "repeated_key", "superseded", "empty", "rejected_in_review"})  # nothing to judge
CHARACTERS = 20_000  # of a text that people are shown

DRAWN = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("step", pa.string(), nullable=False),  # that dropped the row
        pa.field("reason", pa.string(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("into", pa.string()),  # the row kept instead
        pa.field("lot", pa.uint64(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),  # rows that the filter dropped; they stand on its smallest lot
    ]
)
AUDIT = pa.schema(
    [
        *[DRAWN.field(name) for name in ("id", "step", "reason", "score", "threshold", "into")],
        pa.field("filter", pa.string(), nullable=False),  # "step: reason", as in the report
        pa.field("n_dropped", pa.int64(), nullable=False),  # of this filter
        pa.field("p_selected", pa.float64(), nullable=False),
        pa.field("priority", pa.int32(), nullable=False),  # filters mixed, by lot
    ]
)
TEXTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # the audited row
        pa.field("role", pa.string(), nullable=False),  # row: its own text; kept: that of the row kept instead
        pa.field("text", pa.string(), nullable=False),  # masked, cut
    ]
)


@dataclass(frozen=True)
class Draw(Keyed):
    """Inputs: `tables` steps that drop rows, all with the same parts. `reasons`: only these; empty: all there are."""

    parts: int
    tables: int = 1
    rows: int = 50
    reasons: tuple[str, ...] = ()
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id",),) * self.tables

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return DRAWN

    def local(self) -> Sequence[int]:
        return range(self.tables)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        drawn = DRAWN.empty_table()
        for reader in tables:
            for batch in reader.dropped():
                drawn = smallest_lots(pa.concat_tables([drawn, self._lots(batch, reader.table.step)]), self.rows)
        yield Rows(drawn)

    def _lots(self, batch: pa.RecordBatch, step: str) -> pa.Table:
        batch = batch.filter(pa.array([self._wanted(reason) for reason in batch.column("reason").to_pylist()], pa.bool_()))
        given = {name: batch.column(name) for name in ("id", "reason", "score", "threshold", "into")}
        given |= {"step": pa.repeat(pa.scalar(step), batch.num_rows), "n": pa.repeat(pa.scalar(1), batch.num_rows)}
        given["lot"] = pa.array(lots(batch.column("id"), "audit", step), pa.uint64())
        return pa.table([given[field.name] for field in DRAWN], schema=DRAWN)

    def _wanted(self, reason: str) -> bool:
        asked = reason in self.reasons if self.reasons else reason not in CERTAIN
        return asked and not PERSONAL.search(reason)


def smallest_lots(drawn: pa.Table, rows: int) -> pa.Table:
    """Of each filter the `rows` with the smallest lots; the first of them carries how many rows the filter dropped."""
    order = [(name, "ascending") for name in ("step", "reason", "lot", "id")]
    drawn = drawn.sort_by(order)
    place = ranks(filters(drawn), np.arange(drawn.num_rows))
    groups = drawn.group_by(["step", "reason"], use_threads=False).aggregate([("n", "sum")])  # in the order of the rows
    total = np.zeros(drawn.num_rows, np.int64)
    total[place == 0] = groups["n_sum"].to_numpy()
    counted = drawn.set_column(DRAWN.get_field_index("n"), DRAWN.field("n"), pa.array(total))
    return counted.filter(pa.array(place < rows)).combine_chunks()


def filters(drawn: pa.Table) -> np.ndarray:
    """int64[n]: which filter dropped the row."""
    named = pc.binary_join_element_wise(drawn["step"], drawn["reason"], ": ").combine_chunks()
    return named.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)


@dataclass(frozen=True)
class AuditSample(Fold):
    """Input: what Draw gives. Gives AUDIT rows sorted by id."""

    rows: int = 50

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return AUDIT

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        return smallest_lots(pa.Table.from_batches([batch]), self.rows)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        return smallest_lots(pa.concat_tables([left, right]), self.rows)

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table:
        if state is None or state.num_rows == 0:
            return AUDIT.empty_table()
        code = filters(state)
        dropped = np.bincount(code, weights=state["n"].to_numpy()).astype(np.int64)[code]
        drawn = np.bincount(code)[code]
        given = {name: state[name] for name in state.schema.names}
        given["filter"] = pc.binary_join_element_wise(state["step"], state["reason"], ": ")
        given |= {"n_dropped": pa.array(dropped), "p_selected": pa.array(drawn / dropped)}
        given["priority"] = pa.array(ranks(np.zeros(len(code), np.int64), state["lot"].to_numpy()).astype(np.int32))
        return pa.table([given[field.name] for field in AUDIT], schema=AUDIT).sort_by("id")


@dataclass(frozen=True)
class AuditTexts(Keyed):
    """Inputs: AUDIT rows, the rows that `step` read (local), and with `spans` the personal data found in them (local)."""

    parts: int
    step: str
    spans: bool = False
    contract: ClassVar[Contract] = Contract.ASIDE

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "step", "into"), ("id", "text"), *((("id", "spans"),) if self.spans else ()))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return TEXTS

    def local(self) -> Sequence[int]:
        return (1, 2)

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        """Each row goes where its text is, and where the text of the row kept instead is."""
        own = batch.filter(pc.equal(batch.column("step"), self.step))
        replaced = own.filter(pc.is_valid(own.column("into")))
        wanted = pa.concat_arrays([own.column("id"), replaced.column("into")])
        roles = pa.array(["row"] * own.num_rows + ["kept"] * replaced.num_rows, pa.string())
        ids = pa.concat_arrays([own.column("id"), replaced.column("id")])
        rows = pa.RecordBatch.from_arrays([ids, wanted, roles], names=["id", "wanted", "role"])
        return rows, part_of(wanted, self.parts)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        wanted, base, *finders = tables
        if wanted is None:
            return
        asked = wanted["wanted"].combine_chunks().unique()
        found = found_rows(base, asked, ["id", "text"])
        texts = found["text"].combine_chunks()
        if finders:
            spans = found_rows(finders[0], found["id"].combine_chunks(), ["id", "spans"])["spans"].combine_chunks()
            texts, _, _ = Treatment().start()(texts, spans, pa.array(np.ones(len(texts), bool)))
        places = pc.index_in(wanted["wanted"].combine_chunks(), value_set=found["id"].combine_chunks())
        shown = pc.utf8_slice_codeunits(texts.take(places), 0, CHARACTERS)
        table = pa.table([wanted["id"], wanted["role"], shown], names=TEXTS.names)
        there = table.filter(pc.is_valid(table["text"])).cast(TEXTS)
        yield Rows(there.sort_by([("id", "ascending"), ("role", "ascending")]))


def found_rows(reader: Any, ids: pa.Array, columns: Sequence[str]) -> pa.Table:
    """Rows of a part with these ids, sorted by id: the part is read once, a handful of rows is kept."""
    kept = [batch.filter(pc.is_in(batch.column("id"), value_set=ids)) for batch in reader.read(columns)]
    schema = pa.schema([reader.table.schema.field(name) for name in columns])
    return pa.Table.from_batches(kept, schema=kept[0].schema if kept else schema)


def questions_of(audit: pa.Table, texts: Sequence[pa.Table]) -> pa.Table:
    """What the review queue asks: AUDIT rows with `text`, and the row kept instead as `context`. Some hundred rows."""
    shown: dict[tuple[str, str], str] = {}
    for table in texts:
        shown |= {(row["id"], row["role"]): row["text"] for row in table.to_pylist()}
    names = ["id", "filter", "score", "threshold", "p_selected", "priority"]
    rows = []
    for row in audit.select(names).to_pylist():
        if (row["id"], "row") in shown:
            kept = shown.get((row["id"], "kept"))
            context = [{"speaker": "kept instead", "text": kept, "after": False}] if kept else []
            rows.append({**row, "text": shown[row["id"], "row"], "context": context, "random": True})
    context_type = pa.list_(pa.struct({"speaker": pa.string(), "text": pa.string(), "after": pa.bool_()}))
    more = [pa.field("text", pa.string()), pa.field("context", context_type), pa.field("random", pa.bool_())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*(AUDIT.field(name) for name in names), *more]))
