"""Phrases of the act lexicons: a pattern's hashes are those of the phrases that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.errors import ConfigError
from dataforge.operators.acts_phrases import expand, hashes, mixed, scanned, unmixed, without_apostrophe

WORDS = st.sampled_from(["go", "i'll", "don't", "so", "stop", "grün", "well-known", "you"])
PLACES = st.lists(st.lists(WORDS | st.just("go on") | st.just(""), min_size=1, max_size=3), min_size=1, max_size=4)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    scanned(("go",))  # on a new machine the first call waits for the compiler, longer than an example may take


def written_out(phrases: list[str]) -> set[int]:
    return set(map(int, scanned(tuple(phrases)))) - {0}


@given(PLACES)
def test_folding_places_equals_hashing_each_phrase(places: list[list[str]]) -> None:
    pattern = " ".join(f"({'|'.join(choices)})" for choices in places)
    phrases = [""]
    for choices in places:
        spelled = [words for choice in choices for words in spellings(choice)]
        phrases = [" ".join([*phrase.split(), *words.split()]) for phrase in phrases for words in spelled]
    assert set(map(int, hashes([pattern]))) == written_out(phrases)


def spellings(choice: str) -> list[str]:
    out = [""]
    for word in choice.split():
        out = [f"{phrase} {form}" for phrase in out for form in without_apostrophe(word)]
    return out


@pytest.mark.parametrize(
    ("pattern", "phrases"),
    [
        ("gut(e|er|)", ["gute", "guter", "gut"]),
        (":)", [":)"]),
        ("(お願い|ください)", ["お願い", "ください"]),
        ("(that|it) ('s) fine", ["that's fine", "it's fine", "that s fine", "it s fine"]),
        ("please", ["please"]),
        ("(a|b) c d e f g h i j", []),
    ],
)
def test_what_is_not_plain_words_is_written_out(pattern: str, phrases: list[str]) -> None:
    assert set(map(int, hashes([pattern]))) == written_out(phrases)


def test_alternatives_and_brackets() -> None:
    assert expand("(can|could) you (please|) go") == [
        "can you please go",
        "can you go",
        "could you please go",
        "could you go",
    ]
    with pytest.raises(ConfigError, match="nested brackets"):
        expand("(a (b|c)|d)")


def test_an_apostrophe_stays_where_another_word_would_result() -> None:
    spelled = [without_apostrophe(word) for word in ("don't", "i'll", "'s", "go")]
    assert spelled == [["don't", "dont"], ["i'll"], ["'s", "s"], ["go"]]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=5))
def test_unmixing_undoes_mixing(values: list[int]) -> None:
    array = np.array(values, np.uint64)
    assert unmixed(mixed(array)).tolist() == values
