"""Numbers in tables: words near by are looked for beside many at once, and what their form decides, once for each form.
All of it finds what a look at each number by itself finds.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.operators.pii_finder import Finder, finders
from dataforge.operators.pii_near import WordsNear, words_of
from dataforge.operators.pii_numbers import form_of, parts_of
from dataforge.operators.pii_phones import BARE, PHONES
from dataforge.operators.pii_rules import RULE_FILES, load_rules

NUMBERS = next(
    one for one in finders(rule for file in RULE_FILES for rule in load_rules(file)) if "phone-unspaced" in one.name
)
ALL_IN_TURN = Finder([rule for file in RULE_FILES for rule in load_rules(file) if rule.name in NUMBERS.name.split("+")])
ALL_IN_TURN.bare = None  # no number is put off until the others are known


def named(words: list[str], text: bytes) -> list[bytes]:
    places = [match.span() for match in re.finditer(rb"\d+", text)]
    return [text[slice(*place)] for place in WordsNear(words).among(text, places)]


def test_a_word_is_near_for_sixty_bytes_before_and_thirty_behind() -> None:
    assert named(["tel"], b"tel " + b"." * 56 + b"1 " + b"." * 58 + b"2") == [b"1"]
    assert named(["fax"], b"1" + b"." * 27 + b"fax") == [b"1"]
    assert named(["fax"], b"1" + b"." * 28 + b"fax") == []


def test_a_word_that_is_cut_off_by_the_limit_is_what_is_left_of_it() -> None:
    """As where each is looked at by itself."""
    assert named(["tel"], b"hotel" + b"." * 57 + b"1") == [b"1"]
    assert named(["tel"], b"hotel" + b"." * 56 + b"1") == []


def test_words_right_beside_it_and_of_another_row() -> None:
    assert named(["no$"], b"no1 no 2") == [b"1"]
    assert named(["^km"], b"1km 2 km") == [b"1"]
    assert named(["no$"], b"1 no\xff") == [b"1"]  # the row ends there
    assert named(["tel"], b"tel\xff1") == [b"1"]  # not near, but worth a closer look


def test_each_number_is_named_once_however_many_words_are_near() -> None:
    text = (b" " * 40).join(b"tel tel 1%05d" % i + b" " * 90 + b"2" for i in range(5_000))
    assert named(["tel"], text) == [b"1%05d" % i for i in range(5_000)]


def test_rules_whose_words_are_there_by_number() -> None:
    which = words_of([["pesel"], ["cpf", "cic"], ["no$"], ["^km"]])
    assert which(b"CIC no ", b" PESEL") == [0, 1]
    assert which(b"no", b"km") == [2, 3]
    assert which(b"", b"") == []


@pytest.mark.parametrize("name", sorted(BARE))
@given(digits=st.from_regex(rb"(?:0|00|000|011|0[1-9])?[0-9]{6,18}", fullmatch=True))
def test_digits_alone_that_a_rule_accepts_are_those_it_is_known_for(name: str, digits: bytes) -> None:
    if PHONES[name](digits):
        assert PHONES[name](digits) == (0, len(digits))
        assert BARE[name] and re.fullmatch(BARE[name].encode(), digits)


runs = st.lists(st.sampled_from([b"1", b"20", b"345", b"0049", b" ", b"-", b"/", b".", b"(", b")", b"+", b" x5"])).map(
    b"".join
)


@given(runs)
def test_the_parts_of_a_run_depend_on_its_form_alone(run: bytes) -> None:
    assert list(parts_of(run, 3, 7, 21)) == list(parts_of(form_of(run), 3, 7, 21))


pieces = st.one_of(
    st.sampled_from(
        [
            " ",
            ", ",
            "\n",
            "\xff",
            ": ",
            "tel ",
            "call ",
            "pesel ",
            "BSN ",
            "ssn ",
            "order ",
            "nhs ",
            "x",
            "=",
            "€",
            "a. ",
            "(",
            "+",
        ]
    ),
    st.from_regex(r"0?[0-9]{7,13}", fullmatch=True),
    st.sampled_from(["44051401359", "123456782", "02070313616", "4155550132", "0791112345", "030 1234567", "123-45-6789"]),
)


@given(st.lists(pieces, max_size=30))
def test_numbers_together_are_what_each_is_by_itself(parts: list[str]) -> None:
    data = "".join(parts).encode("latin-1", "ignore")
    assert sorted(NUMBERS.find(data)) == sorted(ALL_IN_TURN.find(data))


def test_a_table_of_numbers_has_those_that_a_word_names() -> None:
    data = (
        b"\n".join(b"%09d" % (i * 7_919) for i in range(20_000)) + b"\n" * 60 + b"phone 415555013\n" + b"\n" * 60 + b"7" * 9
    )
    assert [data[start:end] for start, end, *_ in NUMBERS.find(data) if data[start:end] == b"415555013"] == [b"415555013"]
    assert sorted(NUMBERS.find(data)) == sorted(ALL_IN_TURN.find(data))
