"""The shipped table holds the reference engine's classes."""

import pytest

from dataforge.kernels import unicode


def test_classes_of_some_characters():
    bits = unicode.classes()
    assert bits[ord("a")] == unicode.LETTER
    assert bits[ord("É")] == unicode.LETTER | unicode.UPPER
    assert bits[0x301] == unicode.MARK
    assert bits[0x3000] == unicode.BLANK
    assert bits[ord("漢")] == unicode.LETTER | unicode.SINGLE


def test_lower_case_is_one_to_one():
    table = unicode.lower()
    assert [chr(table[ord(c)]) for c in "AÉΣİßǅ"] == ["a", "é", "σ", "i", "ß", "ǆ"]
    assert (table[table] == table).all()


@pytest.mark.parametrize("name", list(unicode.PATTERNS))
def test_classes_match_engine(name):
    found = [point for start, stop in unicode.engine_ranges(unicode.PATTERNS[name]) for point in range(start, stop + 1)]
    assert found == [int(i) for i in (unicode.classes() & unicode.NAMES[name]).nonzero()[0]]
