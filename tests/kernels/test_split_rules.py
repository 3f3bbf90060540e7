"""Split rules against the pattern run by the reference engine: random, exhaustive, and the traps by name."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.kernels.char_classes import DIGIT, LETTER, OTHER, SPACE, classes, members
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from dataforge.kernels.split_rules import PATTERNS, cut, pieces, starts

PATTERN = pytest.mark.parametrize("pattern", PATTERNS)
REPRESENTATIVES = "a A'./\n中\u0301\t1s"  # one character per behaviour


def by_rules(text, pattern):
    return cut(text, starts(text, pattern))


@PATTERN
def test_hostile_strings(pattern):
    rng = random.Random(7)
    for i in range(1200):
        text = hostile_text(rng, ALPHABETS[i % len(ALPHABETS)])
        assert by_rules(text, pattern) == pieces(text, pattern)


@PATTERN
def test_every_string_of_three_characters(pattern):
    for length in (1, 2, 3):
        for chars in itertools.product(REPRESENTATIVES, repeat=length):
            text = "".join(chars)
            assert by_rules(text, pattern) == pieces(text, pattern)


@given(text=st.text(max_size=12), pattern=st.sampled_from(sorted(PATTERNS)))
def test_any_text(text, pattern):
    assert by_rules(text, pattern) == pieces(text, pattern)
    assert "".join(by_rules(text, pattern)) == text


@PATTERN
def test_four_digits_are_two_pieces_but_for_gpt2_and_qwen2(pattern):
    expected = {"gpt2": ["1111"], "qwen2": ["1"] * 4}.get(pattern, ["111", "1"])
    assert by_rules("1111", pattern) == expected


@PATTERN
def test_long_s_contraction(pattern):
    expected = ["a", "'\u017f"] if pattern not in ("gpt2", "o200k") else None
    expected = expected or (["a", "'", "\u017f"] if pattern == "gpt2" else ["a'\u017f"])
    assert by_rules("a'\u017f", pattern) == expected


@PATTERN
def test_every_blank(pattern):
    for blank in map(chr, members(r"\s").tolist()):
        for text in (f"a{blank}b", f"a{blank}{blank}b", f".{blank}.", f"{blank}", f"a {blank}", f"\n{blank}x"):
            assert by_rules(text, pattern) == pieces(text, pattern)


def test_tail_blanks_per_pattern():
    assert by_rules("a\n \n  ", "cl100k") == ["a", "\n \n  "]
    assert by_rules("a\n \n  ", "llama3") == ["a", "\n \n", "  "]


def test_classes_match_the_installed_engine():
    """The kept tables against the engine asked in another way: each scalar by a split at class borders."""
    table = classes()
    rng = random.Random(3)
    scalars = [c for c in rng.sample(range(0x110000), 4000) if not 0xD800 <= c < 0xE000]
    for kind, name in ((LETTER, r"\p{L}"), (DIGIT, r"\p{N}"), (SPACE, r"\s")):
        from tokenizers import Regex, pre_tokenizers

        split = pre_tokenizers.Split(Regex(name), behavior="removed")
        found = {char for char in scalars if not split.pre_tokenize_str(chr(char))}
        assert found == {char for char in scalars if table.kind[char] == kind}
    assert (table.kind[0xD800:0xE000] == OTHER).all()
    assert int((table.kind == SPACE).sum()) == 25
    assert np.array_equal(table.packed() & 3, table.kind)
