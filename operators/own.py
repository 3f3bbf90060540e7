"""Own: an operator of the user's own class, named in the config, held to what our own operators keep.

Rows → the same rows or fewer, in order; only columns change that may; what goes has a reason. The class sees the columns
that it needs and gives those that it reads or changes; the others are put back beside them. Each batch is checked, and the
first 16 rows that a worker sees, then the first of every batch, are done once more alone: what a row becomes depends on that
row and nothing else.

What the class raises ends the run (or quarantines the row, where the config says so) with the names of class, row and
line; the text of the exception is never told, because it may hold the text of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import DataforgeError, OperatorError
from dataforge.identity import text_hashes
from dataforge.operator import Contract, Map, Rows
from dataforge.operators.own_code import instance, is_theirs, load, our_place, place_of
from dataforge.part import as_table
from dataforge.schemas.verdict import DROPPED, QUARANTINED

REASON = "^[a-z][a-z0-9_]{0,63}$"
SAMPLE = 16


@dataclass(frozen=True)
class Own(Map):
    """`sha256` is that of the source file. `changes`: columns that may change here. `on_error`: stop or quarantine.

    `parameters` are what counts in the id (of a file its sha256), `given` what the class gets.
    """

    name: str
    sha256: str
    version: int
    parameters: dict[str, Any]
    changes: tuple[str, ...] = ("text",)
    on_error: str = "stop"
    use: str = field(default="", metadata={"identity": False})
    given: dict[str, Any] = field(default_factory=dict, metadata={"identity": False})
    contract: ClassVar[Contract] = Contract.SUBSET

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return inputs[0]

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        code = load(self.use)
        if code.sha256 != self.sha256:
            hint = "run the same command again: what follows it is made anew"
            raise OperatorError("was changed while the run went on", file=str(code.path), hint=hint)
        operator = instance(code, self.given)
        return Guarded(self, operator, started(operator, self.name, code.path), code.path)


def started(operator: Map, name: str, path: Path) -> Callable[..., Rows]:
    try:
        return operator.start([])
    except BaseException as problem:
        if not is_theirs(problem):
            raise
        what = f"{name}.start raised {type(problem).__name__}"
        raise OperatorError(what, file=place_of(problem, path)) from None


@dataclass
class Guarded:
    """The batch function of a user's operator, with everything around it that is checked."""

    own: Own
    operator: Map
    function: Callable[..., Rows]
    path: Path
    tried: bool = False

    def __call__(self, batch: pa.RecordBatch) -> Rows:
        rows = self._outcome(batch)
        self._try_alone(batch.slice(0, 1 if self.tried else SAMPLE), rows)
        self.tried = True
        return rows

    def _outcome(self, batch: pa.RecordBatch) -> Rows:
        """Halves a batch that fails until the rows at fault stand alone."""
        try:
            return self.checked(batch)
        except MemoryError:
            raise
        except BaseException as caught:
            if not is_theirs(caught):
                raise
            problem = caught
        if batch.num_rows == 1:
            return self._failed(batch, problem)
        half = batch.num_rows // 2
        halves = [self._outcome(batch.slice(0, half)), self._outcome(batch.slice(half))]
        if not any(rows.quarantined for rows in halves):
            self.refuse_ours(problem, f"on {batch.num_rows} rows together")
            what = f"{self._what(problem)} on {batch.num_rows} rows together, and on none of them alone"
            raise OperatorError(what, file=place_of(problem, self.path))
        return joined(halves)

    def _failed(self, batch: pa.RecordBatch, problem: BaseException) -> Rows:
        row, place = batch.column("id")[0].as_py(), place_of(problem, self.path)
        self.refuse_ours(problem, f"on row {row}")
        if self.own.on_error == "stop":
            hint = "mend the operator, or set on_error: quarantine and ingest.max_bad_rows"
            raise OperatorError(f"{self._what(problem)} on row {row}", file=place, hint=hint)
        where = Path(place).name
        entry = {"file": batch.column("source")[0].as_py(), "code": "OPERATOR"}
        entry["reason"] = f"{self._what(problem)} on row {row} at {where}"
        return Rows(batch.slice(0, 0), None, pa.Table.from_pylist([entry], schema=QUARANTINED))

    def refuse_ours(self, problem: BaseException, where: str) -> None:
        """Raises where the user's code had returned and ours failed: nothing that they could mend or set aside."""
        if place := our_place(problem, self.path, Guarded._given.__code__):
            what = f"unexpected {type(problem).__name__} in dataforge itself {where}, after {self.own.name} had returned"
            hint = "a bug of dataforge, not of your operator: report it with this line"
            raise DataforgeError(what, file=place, hint=hint, code="UNEXPECTED") from None

    def _what(self, problem: BaseException) -> str:
        if isinstance(problem, OperatorError):  # ours: it holds no text of a row
            return f"{self.own.name}: {problem.what}"
        return f"{self.own.name} raised {type(problem).__name__}"

    def _try_alone(self, sample: pa.RecordBatch, rows: Rows) -> None:
        alone = joined([self._outcome(sample.slice(at, 1)) for at in range(sample.num_rows)])
        for before, after in ((rows.kept, alone.kept), (rows.dropped, alone.dropped)):
            was, now = _by_id(before, sample.column("id")), _by_id(after, sample.column("id"))
            if odd := next((i for i in {**was, **now} if repr(was.get(i)) != repr(now.get(i))), None):
                what = f"{self.own.name} makes something else of row {odd} alone than beside others"
                hint = "no chance, clock, memory of rows seen before or figures over a batch: a row alone decides"
                raise OperatorError(what, file=str(self.path), hint=hint)

    # --- what one call gave -------------------------------------------------------------------------------------------

    def _given(self, batch: pa.RecordBatch) -> tuple[Any, pa.Schema]:
        """All calls of the user's class: what is raised below this frame is theirs, what after it ours."""
        needs = self.operator.needs()[0]
        rows = self.function(batch if needs is None else batch.select(list(dict.fromkeys(["id", *needs]))))
        return rows, self.operator.gives([batch.schema])

    def checked(self, batch: pa.RecordBatch) -> Rows:
        rows, schema = self._given(batch)
        if not isinstance(rows, Rows):
            raise OperatorError(f"start() gave a function that returns {type(rows).__name__}, not Rows")
        if rows.quarantined is not None:
            raise OperatorError("quarantines rows itself: raise an exception instead")
        kept = _of_schema(rows.kept, schema, "kept")
        dropped = _complete(rows.dropped)
        if self.operator.contract is Contract.SAME and dropped.num_rows:
            raise OperatorError("drops rows though its contract is SAME: set contract = Contract.SUBSET")
        places, gone = self._account(batch, kept, dropped)
        dropped = dropped.take(pa.array(np.argsort(gone)))
        table, changed = self._merged(batch, kept, places)
        return Rows(table, dropped, notes=_notes(rows.notes) | ({f"rewrite:{self.own.name}": changed} if changed else {}))

    def _account(self, batch: pa.RecordBatch, kept: pa.Table, dropped: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Where kept and dropped rows stand in the batch. Every row must be kept in its order, or dropped once."""
        places, gone = (_places(table["id"], batch.column("id")) for table in (kept, dropped))
        if (np.diff(places) <= 0).any():
            raise OperatorError("keeps rows in another order, or twice")
        every = np.sort(np.concatenate([places, gone]))
        if len(every) != batch.num_rows or (every != np.arange(batch.num_rows)).any():
            raise OperatorError("a row is neither kept nor dropped with a reason, or both")
        return places, gone

    def _merged(self, batch: pa.RecordBatch, kept: pa.Table, places: np.ndarray) -> tuple[pa.Table, int]:
        """The kept rows with all their columns, and how many texts are new."""
        rows = pa.Table.from_batches([batch]).take(pa.array(places))
        news = np.zeros(len(places), bool)
        for name in kept.column_names:
            old, new = rows[name].combine_chunks(), kept[name].combine_chunks()
            if new.equals(old):
                continue
            if name not in self.own.changes:
                may = f"only {', '.join(self.own.changes)} may" if self.own.changes else "nothing may, here rows only go"
                raise OperatorError(f"changes column '{name}': {may}")
            if name == "text":
                news = pc.not_equal(old, new).to_numpy(zero_copy_only=False)
            rows = rows.set_column(rows.schema.get_field_index(name), batch.schema.field(name), new)
        return _renewed(rows, news, self.own.name), int(news.sum())


def _renewed(rows: pa.Table, news: np.ndarray, name: str) -> pa.Table:
    """New texts with new hashes, and the operator's name among what rewrote them: a loop over those rows alone."""
    if not news.any() or "text_hash" not in rows.column_names:
        return rows
    schema = rows.schema
    rows = rows.set_column(schema.get_field_index("text_hash"), schema.field("text_hash"), text_hashes(rows["text"]))
    if "rewrites" in rows.column_names:
        told = rows["rewrites"].to_pylist()
        told = [[*names, f"own:{name}"] if new else names for names, new in zip(told, news.tolist(), strict=True)]
        field_ = schema.field("rewrites")
        rows = rows.set_column(schema.get_field_index("rewrites"), field_, pa.array(told, field_.type))
    return rows


def _notes(notes: Any) -> dict[str, int]:
    found = {} if notes is None else notes
    if not isinstance(found, dict) or not all(isinstance(count, (int, np.integer)) for count in found.values()):
        raise OperatorError("Rows.notes is no dict of whole numbers by name")
    return {f"own:{name}": int(count) for name, count in found.items()}


def _places(ids: pa.ChunkedArray, known: pa.Array) -> np.ndarray:
    found = pc.index_in(ids, value_set=known)
    if found.null_count:
        raise OperatorError("gives an id that was not in the batch: ids never change")
    return np.asarray(found.to_numpy(), np.int64)


def _of_schema(rows: Any, schema: pa.Schema, what: str) -> pa.Table:
    if not isinstance(rows, (pa.RecordBatch, pa.Table)):
        raise OperatorError(f"Rows.{what} is {type(rows).__name__}, neither a RecordBatch nor a Table")
    found = ", ".join(f"{f.name} {f.type}" for f in rows.schema)
    there = {name: rows.schema.get_field_index(name) for name in schema.names}
    if hollow := [n for n, at in there.items() if at >= 0 and not schema.field(n).nullable and rows.column(at).null_count]:
        raise OperatorError(f"Rows.{what} has null in column '{hollow[0]}'")
    try:
        table = as_table(rows, schema)
    except (KeyError, ValueError, pa.ArrowException):
        wanted = ", ".join(f"{f.name} {f.type}" for f in schema)
        raise OperatorError(f"Rows.{what} has the columns {found}; its schema says {wanted}") from None
    try:
        table.validate(full=True)  # buffers of one's own may hold anything
    except pa.ArrowInvalid:
        raise OperatorError(f"Rows.{what} is no valid table: a text is not UTF-8, or lengths are wrong") from None
    return table


def _complete(dropped: Any) -> pa.Table:
    """DROPPED rows; of the user only id and reason are asked."""
    if dropped is None:
        return DROPPED.empty_table()
    if isinstance(dropped, (pa.RecordBatch, pa.Table)):
        if len(set(dropped.schema.names)) < len(dropped.schema.names):
            raise OperatorError("Rows.dropped has a column twice")
        table = pa.table({name: dropped[name] for name in dropped.schema.names})
        for missing in set(DROPPED.names) - set(table.column_names) - {"id", "reason"}:
            table = table.append_column(DROPPED.field(missing), pa.nulls(table.num_rows, DROPPED.field(missing).type))
        dropped = table
    table = _of_schema(dropped, DROPPED, "dropped")
    if not pc.all(pc.match_substring_regex(table["reason"], REASON), min_count=0).as_py():
        raise OperatorError("gives a reason that is not snake_case (a-z, 0-9, _; up to 64): a reason is no text of a row")
    return table


def joined(outcomes: Sequence[Rows]) -> Rows:
    """Outcomes of the pieces of a batch as that of the batch."""
    notes: dict[str, int] = {}
    for rows in outcomes:
        for name, count in (rows.notes or {}).items():
            notes[name] = notes.get(name, 0) + count
    kept = pa.concat_tables([as_table(rows.kept, rows.kept.schema) for rows in outcomes])
    dropped, quarantined = (
        [table for rows in outcomes if (table := getattr(rows, kind)) is not None] for kind in ("dropped", "quarantined")
    )
    return Rows(
        kept,
        pa.concat_tables(dropped) if dropped else None,
        pa.concat_tables(quarantined) if quarantined else None,
        notes,
    )


def _by_id(rows: Any, ids: pa.Array) -> dict[str, dict[str, Any]]:
    found = rows.filter(pc.is_in(rows["id"], value_set=ids)).to_pylist() if rows is not None else []
    return {row["id"]: row for row in found}


def trial(operator: Map, schema: pa.Schema, changes: Sequence[str], name: str, path: Path) -> None:
    """Two made-up rows through an operator, together and alone, to the end of what a run does with a batch. Raises
    OperatorError if what it gives is wrong; that it cannot work on such rows is no fault, that we cannot is a bug."""
    made = pa.RecordBatch.from_pylist(list(_made_up(schema)), schema=schema)
    guarded = Guarded(Own(name, "", 0, {}, tuple(changes)), operator, started(operator, name, path), path)
    for rows in (made, made.slice(0, 1), made.slice(1)):
        try:
            guarded.checked(rows)
        except OperatorError:
            raise
        except BaseException as problem:
            if not is_theirs(problem):
                raise
            guarded.refuse_ours(problem, f"on {rows.num_rows} made-up rows")


def _made_up(schema: pa.Schema) -> Iterator[dict[str, Any]]:
    first = "A first LINE of  plain words, some of them hy-\nphenated.\n\nSee https://mill.example or ask ada@mill.example. "
    words = (first, "Other words.")  # with a little of all that people rewrite, so that a changed text is tried too
    for at, text in enumerate(words):
        row: dict[str, Any] = {}
        for f in schema:
            if pa.types.is_string(f.type):
                row[f.name] = f"{at:032x}" if f.name in ("id", "text_hash") else text
            elif pa.types.is_list(f.type):
                row[f.name] = []
            else:
                row[f.name] = 0 if pa.types.is_integer(f.type) else None
        yield row
