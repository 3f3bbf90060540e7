"""`Labels`: a closed review batch as a Source. Until the batch is closed it is not there: digest() raises NotReady.

The flow calls `seed(sample_rows)` first (idempotent). Rows given: schemas.label.LABEL, sorted by id; items on which
people did not agree are dropped as `unresolved` or `unanswered`. With an answers file the batch closes by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from dataforge.errors import DataforgeError, GateError, InputError, NotReady
from dataforge.operator import Rows, Source, SourceFile, Split
from dataforge.schemas.label import LABEL

if TYPE_CHECKING:
    from dataforge.review.database import Database


@dataclass(frozen=True)
class Labels(Source):
    """`title` names the question inside the database: the newest batch of a title is the one that counts.

    `answers`: JSONL `id, label, annotator`, imported at seeding; it closes the batch. `link` is shown to who waits.
    """

    title: str
    kind: str = "act"  # act, instruct, dropped, preference
    need: int = 2
    # Name in configs, or a path; empty: the kind's own. Name and version of both stand in every exported row, so that
    # the digest tells them apart, wherever the files lie.
    label_set: str = field(default="", metadata={"identity": False})
    guideline: str = field(default="", metadata={"identity": False})
    allow_multi: bool = False
    database: str = field(default="review.sqlite", metadata={"identity": False})
    answers: str = field(default="", metadata={"identity": False})
    show_suggestions: str = field(default="always", metadata={"identity": False})
    lease_s: float = field(default=300.0, metadata={"identity": False})
    deadline: float | None = field(default=None, metadata={"identity": False})  # seconds since 1970 UTC
    on_deadline: str = field(default="wait", metadata={"identity": False})  # wait, close_resolved, fail
    link: str = field(default="", metadata={"identity": False})
    VERSION: ClassVar[int] = 2

    def prepare(self, inputs: Sequence[Any]) -> None:
        """Called by a run with the sample's Table: seeds the queue from it. An audit has its texts in further Tables."""
        rows = inputs[0].to_table()
        if len(inputs) > 1:
            from dataforge.operators.audit import questions_of

            rows = questions_of(rows, [table.to_table() for table in inputs[1:]])
        self.seed(rows)

    def seed(self, sample_rows: pa.Table) -> int:
        """Id of the batch that asks about these rows (columns as in review/questions.py). Twice seeds once."""
        from dataforge.review.seed import BatchSpec, seed

        spec = BatchSpec(
            self.title,
            self.kind,
            self.label_set,
            self.guideline,
            self.need,
            self.lease_s,
            self.allow_multi,
            self.show_suggestions,
            self.deadline,
            self.on_deadline,
            salt=self._salt(),
        )
        with _opened(self.database, create=True) as database:
            batch_id = seed(database, sample_rows, spec)
            if self.answers:
                self._import(database, batch_id)
            elif sample_rows.num_rows == 0:  # nothing to ask: nobody has to close it
                self._close(database, batch_id)
        return batch_id

    def _salt(self) -> str:
        """Other answers in the file are another batch, so that a changed file is never mistaken for the closed one."""
        if not self.answers:
            return ""
        try:
            return hashlib.sha256(Path(self.answers).read_bytes()).hexdigest()
        except OSError:
            raise InputError("the answers file cannot be read", file=self.answers, key=self._answers_key()) from None

    def _answers_key(self) -> str:
        return {"dropped": "review.audit.answers", "instruct": "review.pairs.answers"}.get(self.kind, "review.answers")

    def _import(self, database: Database, batch_id: int) -> None:
        from dataforge.review.answers import Batch, import_answers, read_answers
        from dataforge.review.batches import batch_row, labels_of

        with database.read() as c:
            batch = batch_row(c, batch_id)
            label_set = labels_of(c, batch.label_schema_id)
        if batch.state == "closed":
            return
        given = tuple(read_answers(Path(self.answers), label_set))
        import_answers(database, batch_id, Batch(given), file=self.answers)
        self._close(database, batch_id)

    def _close(self, database: Database, batch_id: int) -> None:
        from dataforge.review.closing import close
        from dataforge.review.export import export_sha256

        close(database, batch_id, allow_unresolved=True, now_at_once=True, digest=export_sha256)

    def digest(self) -> str:
        """sha256 of the closed export. Raises NotReady("412 of 500 labelled") while the batch is open."""
        from dataforge.review.commands import sweep
        from dataforge.review.database import is_missing

        if is_missing(self.database):
            raise NotReady("nothing is seeded yet", hint="run the flow: it seeds the review queue")
        with _opened(self.database, create=False) as database:
            batch = self._current(database)
            if batch.state == "closing" or (batch.state == "open" and batch.deadline is not None):
                sweep(database)
                batch = self._current(database)
            if batch.state == "closed":
                return str(batch.export_sha256)
            raise self._pending(database, batch)

    def _pending(self, database: Database, batch: Any) -> DataforgeError:
        from dataforge.review.stats import progress

        done, items = progress(database, batch.id)
        if batch.on_deadline == "fail" and batch.deadline is not None and database.now() >= batch.deadline:
            return GateError(
                f"the review deadline has passed: {done} of {items} labelled",
                key="review.on_deadline",
                hint="close the batch, or move review.deadline",
            )
        said = f"{self.title}: {done} of {items} labelled"
        if done < items:
            alone = f"dataforge review serve CONFIG, or set {self._answers_key()}"
            return NotReady(said, hint=f"label at {self.link}" if self.link else alone)
        open_ = self._undecided(database, batch.id)
        if open_:
            rows = "1 row on which people disagree" if open_ == 1 else f"{open_} rows on which people disagree"
            place = self.link or "dataforge review serve CONFIG"
            return NotReady(f"{said}; a lead has to decide {rows}", hint=f"Adjudicate at {place}, then Close on Stats")
        return NotReady(f"{said}; a lead has to close the batch", hint=f"dataforge review close CONFIG --batch {batch.id}")

    def _undecided(self, database: Database, batch_id: int) -> int:
        from dataforge.review.decisions import decisions_of

        with database.read() as c:
            return sum(decision.source == "unresolved" for decision in decisions_of(c, batch_id).values())

    def _current(self, database: Database) -> Any:
        from dataforge.review.stats import current_batch

        batch = current_batch(database, self.title)
        if batch is None:
            raise NotReady("nothing is seeded yet", hint="run the flow: it seeds the review queue")
        return batch

    def splits(self) -> Sequence[Split]:
        return (Split((f"{self.title}.jsonl",), 0),)

    def gives(self) -> pa.Schema:
        return LABEL

    def read(self, split: Split) -> Iterator[SourceFile]:
        from dataforge.review.export import count_items, label_rows, records

        with _opened(self.database, create=False) as database:
            batch = self._current(database)
            with database.read() as c:
                found, items = list(records(c, batch.id)), count_items(c, batch.id)
        kept, dropped = label_rows(found)
        yield SourceFile(split.files[0], [Rows(kept, dropped=dropped)], lambda: items)


class _opened:
    """The review database for the length of a `with` block."""

    def __init__(self, location: str, *, create: bool) -> None:
        self.location, self.create = location, create

    def __enter__(self) -> Database:
        from dataforge.review.database import open_database

        self.database = open_database(self.location, create=self.create)
        return self.database

    def __exit__(self, *_: object) -> None:
        self.database.dispose()
