"""The columns of the benchmark of invented sentences: each value is found whole, in part or not at all."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.benchmarks.fresh_pii import counted


def find(start: int, end: int, kind: str = "PHONE_NUMBER") -> dict[str, object]:
    return {"start": start, "end": end, "kind": kind}


@pytest.mark.parametrize(
    ("found", "columns"),
    [
        (find(10, 20), {"whole": 1}),
        (find(8, 21), {"whole": 1}),
        (find(10, 19), {"partly": 1}),
        (find(10, 20, "US_SSN"), {"partly": 1}),
        (find(20, 25), {"missed": 1, "false": 1}),
    ],
    ids=["covers", "more", "cut", "other-kind", "beside"],
)
def test_a_value_is_counted_by_how_much_of_it_is_found(found: dict[str, object], columns: dict[str, int]) -> None:
    assert +counted("PHONE_NUMBER", [(10, 20)], [found]) == Counter(values=1, finds=1, **columns)


def test_of_harmless_texts_every_find_is_false() -> None:
    assert +counted("HARMLESS", [], [find(0, 4), find(6, 9)]) == Counter(finds=2, false=2)
