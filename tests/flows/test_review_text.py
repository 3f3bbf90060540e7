"""What the review commands print: a stranger can read it, and it says what to do next."""

from __future__ import annotations

from typing import Any

import pytest

from dataforge.flows.review_text import batches_text, closing_text, columns, interval, stats_text, users_text
from dataforge.review.leases import claim
from dataforge.review.queue import Answer, submit
from dataforge.review.stats import stats
from tests.review.conftest import clock, label_file, make_batch, sqlite  # noqa: F401 (fixtures)
from tests.review.invented import make_people


def stats_of(database: Any, batch: int) -> str:
    return stats_text(stats(database, batch), config="CONFIG", min_alpha=0.667)


def test_a_new_batch_says_what_is_missing(sqlite: Any, make_batch: Any) -> None:  # noqa: F811
    assert stats_of(sqlite, make_batch(sqlite, 3)).splitlines() == [
        "batch 1, acts: open",
        "  progress    0 of 3 rows have the 2 answers they need (0 answers, 0 skips)",
        "  decided     unresolved 3",
        "  answers     none yet",
        "  agreement   not defined: no overlap",
        "  next        6 answers are missing: dataforge review serve CONFIG",
    ]


def test_disagreement_is_named_and_a_lead_is_asked(sqlite: Any, make_batch: Any) -> None:  # noqa: F811
    people, batch = make_people(sqlite), make_batch(sqlite, 2)
    for name, words in (("ana", ("other", "questions")), ("bo", ("other", "directives"))):
        for item, word in zip(claim(sqlite, batch, people[name], 2).item_ids, words, strict=True):
            submit(sqlite, item, people[name], Answer(f"{name}-key-{item}", labels=(word,), seconds=2.0))
    lines = stats_of(sqlite, batch).splitlines()
    assert lines[4].startswith("  agreement   alpha 0.") and "below review.min_alpha 0.667" in lines[4]
    assert "              mixed up: directives / questions 1" in lines
    assert lines[-4:] == [
        "    name  answers  median s  too fast  unsure  flagged  gold right  mean kappa",
        "    ana         2       2.0         0       0        0           –        0.33",
        "    bo          2       2.0         0       0        0           –        0.33",
        "  next        a lead decides 1 row on the page (Adjudicate), then closes",
    ]


def test_batches_and_people_are_tables() -> None:
    batch = {"id": 1, "title": "acts", "kind": "act", "state": "open", "done": 1, "items": 20, "deadline": 0.0}
    assert batches_text([batch], config="my.yaml").splitlines() == [
        "batch  title  kind  state  labelled  until",
        "    1  acts   act   open   1 of 20   1970-01-01 00:00 UTC",
    ]
    assert batches_text([], config="my.yaml").startswith("no batch yet: `dataforge run my.yaml`")
    (_, ana) = users_text([{"name": "ana", "role": "lead", "active": False}], config="my.yaml").splitlines()
    assert ana == "ana   lead  cannot log in (answers stay)"


@pytest.mark.parametrize(
    ("state", "said"),
    [("closed", "closed: 3 agreed"), ("closing", "closing: 3 agreed; 2 rows are being worked on. Close again")],
)
def test_closing_says_what_it_did_and_what_is_next(state: str, said: str) -> None:
    closing = {"state": state, "sentence": "3 agreed", "leased": 2, "counts": {"unresolved": 0}}
    assert closing_text(closing, config="CONFIG").startswith(said)


def test_undefined_numbers_say_why() -> None:
    assert interval({"value": None, "why": "not defined: no overlap"}) == "not defined: no overlap"
    assert interval({"value": 0.5, "low": 0.25, "high": 0.75}, percent=True) == "50.0 % (25.0 % to 75.0 %)"
    assert columns([("a", "n"), ("x", 5), ("yy", 10)]) == "a    n\nx    5\nyy  10"
