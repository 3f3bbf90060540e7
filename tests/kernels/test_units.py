"""Lines, paragraphs, spans of sentences, windows of words: compiled faces equal definitions; anchors lose nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.kernels.units import (
    UNITS,
    reference_units,
    reference_windows,
    text_units,
    without,
    word_anchors,
    word_windows,
)

TEXTS = st.lists(st.text(st.sampled_from("ab .!?\"')\n\t。！…ü漢"), max_size=40), max_size=5)
WORDY = st.lists(st.lists(st.sampled_from(["a", "b", "c", "ü,", "漢字", ". "]), max_size=40).map(" ".join), max_size=5)


def spans(text: str, unit: str, **more: int) -> list[str]:
    units = text_units(pa.array([text]), unit, **more)
    places = zip(units.starts.tolist(), units.ends.tolist(), strict=True)
    return [text.encode()[start:end].decode() for start, end in places]


def test_lines_and_paragraphs_go_without_the_blanks_around_them() -> None:
    text = "  one \n\n two\nthree  \n \t\n\nfour"
    assert spans(text, "line") == ["one", "two", "three", "four"]
    assert spans(text, "paragraph") == ["one", "two\nthree", "four"]
    assert spans(text, "line", shortest=4) == ["three", "four"]


def test_spans_of_three_sentences_slide_over_line_ends() -> None:
    text = 'He left. "Why?" she asked.\nNobody knew! 3.5 km on'
    assert spans(text, "sentences") == [
        'He left. "Why?" she asked.',
        '"Why?" she asked.\nNobody knew!',
        "she asked.\nNobody knew! 3.5 km on",
    ]
    assert spans("一。二！三？", "sentences") == ["一。二！三？"]


def test_white_space_between_sentences_does_not_count() -> None:
    units = text_units(pa.array(["A b. C d. E f.", "A b.\nC d.  E f."]), "sentences")
    assert units.rows.tolist() == [0, 1] and len(set(units.keys.tolist())) == len(set(units.checks.tolist())) == 1


@settings(max_examples=150)
@given(TEXTS, st.sampled_from(UNITS), st.integers(1, 5))
def test_faces_of_units_agree(texts: list[str], unit: str, shortest: int) -> None:
    units = text_units(pa.array(texts, pa.string()), unit, shortest=shortest)
    columns = [column.tolist() for column in (units.rows, units.starts, units.ends, units.keys, units.checks)]
    assert list(zip(*columns, strict=True)) == reference_units(texts, unit, shortest=shortest)


@settings(max_examples=100)
@given(WORDY, st.integers(2, 9))
def test_with_all_anchors_all_windows_are_found(texts: list[str], words: int) -> None:
    column = pa.array(texts, pa.string())
    rows, starts, _ = word_anchors(column, words)
    ends = np.searchsorted(rows, np.arange(len(texts)), side="right")
    units = word_windows(column, words, ends, starts)
    found = list(zip(units.rows.tolist(), units.starts.tolist(), units.ends.tolist(), strict=True))
    assert found == [(row, *window[:2]) for row, text in enumerate(texts) for window in reference_windows(text, words)]


@settings(max_examples=150)
@given(WORDY, st.integers(2, 9))
def test_windows_that_repeat_have_anchors_that_repeat(texts: list[str], words: int) -> None:
    column = pa.array(texts, pa.string())
    rows, starts, keys = word_anchors(column, words)
    again = np.isin(keys, [key for key in keys.tolist() if keys.tolist().count(key) > 1])
    rows, starts = rows[again], starts[again]
    ends = np.searchsorted(rows, np.arange(len(texts)), side="right")
    units = word_windows(column, words, ends, starts)
    found = set(zip(units.rows.tolist(), units.starts.tolist(), strict=True))
    every = [(row, start, raw) for row, text in enumerate(texts) for start, _, raw in reference_windows(text, words)]
    raws = [raw for _, _, raw in every]
    assert {(row, start) for row, start, raw in every if raws.count(raw) > 1} <= found


def test_anchors_are_few() -> None:
    text = " ".join(f"w{i * i % 1009}" for i in range(1000))
    rows, _, _ = word_anchors(pa.array([text]), 50)
    assert 50 <= len(rows) <= 120


@pytest.mark.parametrize(
    ("text", "gaps", "left"),
    [
        ("a\n\nDUP\nb", [(3, 6)], "a\n\nb"),
        ("a\nDUP\n\nb", [(2, 5)], "a\n\nb"),
        ("a\n  DUP\nb", [(4, 7)], "a\nb"),
        ("a\nDUP\n  b", [(2, 5)], "a\n  b"),
        ("a\n\nDUP\nDUP\nb", [(3, 6), (7, 10)], "a\n\nb"),
        ("DUP\nb", [(0, 3)], "b"),
        ("a\nDUP", [(2, 5)], "a"),
        ("a DUP, b", [(2, 5)], "a , b"),
        ("aDUPb", [(1, 4)], "ab"),
        ("DUP\nDUP\n", [(0, 3), (4, 7)], ""),
        ("  a b\n", [], "  a b\n"),
        ("  a DUP b \n", [(4, 7)], "  a b \n"),
    ],
)
def test_a_gap_closes_by_the_stronger_of_the_two_white_spaces(text: str, gaps: list[tuple[int, int]], left: str) -> None:
    assert without(text.encode(), gaps).decode() == left


def test_another_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'page'"):
        text_units(pa.array(["a"]), "page")
