"""Words of a sample tell how many a whole text holds."""

from __future__ import annotations

import pytest

from dataforge.operators.files_words import Words, words_of


def test_words_are_counted_in_all_rows_and_in_every_other_one() -> None:
    assert words_of(["a b", "c", "a"]) == Words(every=3, half=2, size_bytes=5)
    assert words_of(["a"]) is None and words_of(["", ""]) is None


@pytest.mark.parametrize(
    ("every", "half", "size_bytes", "expected"),
    [
        (600, 600, 2_500_000, 600),  # nothing new in the other half, nothing new in the rest
        (1000, 500, 100_000, 10_000),  # all words new: as many as the text is long
        (1000, 250, 100_000, 10_000),  # never more than that
        (1000, 707, 40_000, 2000),  # with the root of its size
        (1000, 900, 100, 1000),  # no less than was seen
    ],
)
def test_words_grow_as_they_did_in_the_sample(every: int, half: int, size_bytes: int, expected: int) -> None:
    assert Words(every, half, 10_000).expected(size_bytes) == pytest.approx(expected, rel=0.01)
