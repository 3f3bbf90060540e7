"""Texts too large for one table: their repeated pieces and n-grams are those of the definition, however they are cut."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataforge.kernels.buffers import strings_of
from dataforge.kernels.cpu.text_stats import measure_rows
from dataforge.kernels.dclm_rules import word_classes
from dataforge.kernels.text_stats import COUNTERS, measure
from dataforge.kernels.text_stats_reference import counters
from dataforge.kernels.text_words import kinds

AT_ONCE = [1, 3, 16, 1 << 15]  # keys of one table; a text of few tokens has many tables with 1, one with 32,768
FEW = st.sampled_from(["a", "b", "ab", "ba", "c", "é", "漢", "a", "a b", "b a c a b", "ab\n", "\n", "\n\n", "a.\n\nb"])
TEXTS = st.lists(FEW, max_size=90).map(" ".join) | st.lists(FEW, max_size=40).map(lambda some: " ".join(some * 3))


def measured(text, at_once):
    strings = strings_of(pa.array([text], pa.large_string()))
    counts = np.zeros((1, len(COUNTERS)), np.int64)
    assert measure_rows(strings.offsets, strings.data, kinds(), word_classes(), at_once, counts) == -1
    return dict(zip(COUNTERS, counts[0].tolist(), strict=True))


def balanced(power, first="a", second="b"):
    """The Thue-Morse word of 2^power letters. From 2^10 on it and its opposite have one hash, whatever the base of the
    polynomial: the difference is a product of base^(2^k) - 1, each divisible by a higher power of two, here by 2^64."""
    return "".join(first if i.bit_count() % 2 == 0 else second for i in range(1 << power))


A, B = balanced(10), balanced(10, "b", "a")


def test_the_opposite_words_have_one_hash():
    base, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    found = set()
    for word in (A, B):
        value = 0
        for char in word:
            value = value * base + ord(char) + 1 & mask
        found.add(value)
    assert A != B and len(found) == 1


@settings(max_examples=150)
@given(TEXTS, st.sampled_from(AT_ONCE))
@example("ab c d e f a bc d e f ab c d e f ab c d e f a bc d e f", 1)
@example("a " * 60, 1)
@example("a b " * 40, 3)
def test_a_text_in_many_tables_has_the_counters_of_the_definition(text, at_once):
    assert measured(text, at_once) == counters(text)


@pytest.mark.parametrize("at_once", AT_ONCE)
@pytest.mark.parametrize(
    "text",
    [
        " ".join(f"w{i}" for i in range(400)),  # no token comes twice
        " ".join(f"w{i}" for i in range(150)) + " " + " ".join(f"w{i}" for i in range(150)),  # all do, far apart
        "a " * 400,  # one table gets all
        "!" * 300,  # a token for each character
        "a\n" * 200,
        "".join(f"{i}\n" for i in range(100)) * 2,
        "ab c " * 50 + "a bc " * 50 + "abc " * 20 + "a b c " * 30,  # equal without blanks
        "a b c d e f g " * 3 + "b c d e f g h " * 3,  # grams that are skipped over
        "abcdefghi abcdefghij abcdefgh\u0131 \x00a a abcdefghi abcdefghij abcdefgh\u0131 \x00a a",  # nine characters, ten
    ],
    ids=["distinct", "twice", "equal", "marks", "lines", "numbers", "joined", "skipped", "lengths"],
)
def test_extremes(text, at_once):
    assert measured(text, at_once) == counters(text)


@pytest.mark.parametrize("at_once", AT_ONCE)
@pytest.mark.parametrize(
    "text",
    [
        f"{A} x {B} x {A} y {B}",  # tokens of DCLM's rule and of the other
        f"{A}\n{B}\n\n{B}\n\n{A}\n{A}",  # lines and paragraphs
        f"{A} c d e f g {B} c d e f g {A} c d e f g " * 2,  # n-grams
        " ".join(f"{A[i : i + 128]} {B[i : i + 128]}" for i in range(0, 1024, 128)),  # pieces of them, all unlike
        " ".join([A[i : i + 128] for i in range(0, 1024, 128)] + [B[i : i + 128] for i in range(0, 1024, 128)]) + " x" * 9,
        " ".join([A[i : i + 205] for i in range(0, 1024, 205)] + [B[i : i + 205] for i in range(0, 1024, 205)] + [A, B, A]),
    ],
    ids=["tokens", "lines", "grams", "mixed", "eight", "five"],
)
def test_unlike_pieces_of_equal_hash_are_told_apart(text, at_once):
    assert measured(text, at_once) == counters(text)


def test_the_size_of_a_table_is_invisible():
    rng = np.random.default_rng(5)
    words = np.array([f"w{i}" if i % 7 else f"w{i}.\n" for i in range(3000)])
    text = " ".join(words[(rng.pareto(0.7, 60_000) * 5).astype(int) % 3000])  # more tokens than one table takes
    found = dict(zip(COUNTERS, measure(pa.array([text]))[0].tolist(), strict=True))
    assert found["tokens"] > 60_000
    for at_once in (1, 50, 5_000, 1 << 20):
        assert measured(text, at_once) == found
