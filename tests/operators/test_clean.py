"""Cleaning: what happens to each code point, and that the fast path changes nothing."""

import sys
import time
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError
from dataforge.identity import text_hashes
from dataforge.operators.clean import Clean
from dataforge.operators.clean_code import clean_code, drop_licence, is_code
from dataforge.operators.clean_text import (
    MARKS_LIE_IN,
    TextRules,
    _fix_encoding,
    _ftfy,
    _looked_through,
    clean_text,
    suspicious,
)
from dataforge.schemas.document import CLEAN, DOCUMENT

RULES = TextRules()


def test_no_mark_lies_outside_the_range_that_is_searched():
    marks = {point for point in range(sys.maxunicode + 1) if unicodedata.combining(chr(point))}
    assert marks <= set(range(*MARKS_LIE_IN))


# Letters and signs that mojibake is made of, beside hidden characters, marks, spaces and plain text of several scripts.
ALPHABET = (
    "aZ 1.,\t\n\r\x00\x07\x0b\x0c\x1b\x7f\x80\x85\x99\x9d\xa0\xad°´·ÃÂÎÐàâéïöØÙÜßœŒŸžŠš€£¥¢§¶©®™«»¿¡“”‘’„‚‹›•–—…"
    "²³¹¼½±×÷√∂∞≈≠†‡‰ˆ˜¨¬¯¸ƒÄāÅìîïòôûúùæ│┐═█вЂВГРСўβ€ΒΓΞΟДж漢あ한\u0301\u0307\u0323\u0e48\u200b\u200c\u200d\u202e\u2028\u2066"
    "\ufeff\ufffd\ufffe\U000e0041\U0001f600\U0001d165ﬁＡ"
)


@pytest.mark.parametrize(
    ("text", "cleaned", "names"),
    [
        ("plain\n\n  indented", "plain\n\n  indented", []),
        ("schÃ¶n", "schön", ["encoding"]),
        ("Itâ€™s", "It’s", ["encoding"]),
        ("a\r\nb\rc\x0bd\u2028f\u2029g", "a\nb\nc\nd\nf\n\ng", ["newlines"]),
        ("wait\x85", "wait…", ["encoding"]),
        ("a\x00b\x08\x7fc\x1b[31md", "abcd", ["controls"]),
        ("\ufeffa\u200bb\u202ec\u2066d\xade\U000e0041", "abcde", ["hidden"]),
        ("pass\u200dword \u200cx", "password x", ["joiners"]),
        ("\xa0\u200ca \u212a\u200db", " a Kb", ["nfc", "joiners", "whitespace"]),
        ("می\u200cخواهم \U0001f468\u200d\U0001f469", "می\u200cخواهم \U0001f468\u200d\U0001f469", []),
        ("e\u0301", "é", ["nfc"]),
        ("a" + "\u0301\u0323" * 500_000, "", ["marks", "nfc"]),
        ("a  \n\n\n\n b\t\n", "a\n\n b", ["whitespace"]),
        ("a\xa0b\u2009c", "a b c", ["whitespace"]),
        ("\n\n", "", ["whitespace"]),
        ("", "", []),
    ],
)
def test_what_happens_to_code_points(text, cleaned, names):
    got, why = clean_text(text, RULES)
    if "marks" in names:
        assert len(got) <= 9
    else:
        assert got == cleaned
    assert why == names


def test_composed_and_decomposed_twins_become_equal():
    assert clean_text("Ame\u0301lie", RULES)[0] == clean_text("Amélie", RULES)[0]


def test_nfkc_and_collapse_are_choices():
    assert clean_text("ﬁ  Ａ²", TextRules(normalize="NFKC", whitespace="collapse"))[0] == "fi A2"
    assert clean_text("ﬁ  Ａ² ", TextRules(normalize="none", whitespace="keep", encoding=False)) == ("ﬁ  Ａ² ", [])
    for wrong in ({"normalize": "NFD"}, {"whitespace": "some"}):
        with pytest.raises(ConfigError):
            TextRules(**wrong)


@pytest.mark.parametrize(
    "rules", [RULES, TextRules(normalize="NFKC", whitespace="collapse"), TextRules(False, "none", "keep")]
)
@settings(max_examples=400)
@given(st.lists(st.text(st.sampled_from(ALPHABET), max_size=12) | st.text(max_size=8), max_size=6))
@example(["a\nÃ b", "a\nÂ x", "œ", "Œ\n", "ВГ°Р", "\u0301" * 9, "\U0001d165\u0301" * 5])
def test_a_text_that_is_not_suspicious_stays_the_same(rules, texts):
    for text, flag in zip(texts, suspicious(pa.array(texts, pa.string()), rules).to_pylist(), strict=True):
        if not flag:
            assert clean_text(text, rules) == (text, [])


@pytest.mark.parametrize("rules", [RULES, TextRules(whitespace="keep"), TextRules(False, "NFKC", "lines")])
@settings(max_examples=400)
@given(st.lists(st.text(st.sampled_from("aé \t\n\r\x00\x1f\x7f~!\x85"), max_size=5), max_size=8), st.integers(0, 8))
@example(["a", "\n", "\n\n", "a\n\n\na", "", "\nb "], 1)
def test_the_quick_look_at_ascii_says_what_the_pattern_says(rules, texts, skip):
    column = pa.array(texts, pa.string()).slice(min(skip, len(texts)))
    assert suspicious(column, rules).equals(_looked_through(column, rules))


def test_no_two_characters_of_ascii_look_like_broken_encoding():
    rules = TextRules(normalize="none", whitespace="keep")
    pairs = [f"{chr(a)}{chr(b)}x" for a in range(128) for b in range(128)]
    assert suspicious(pa.array(pairs), rules).equals(_looked_through(pa.array(pairs), rules))


@settings(max_examples=400)
@given(st.text(st.sampled_from(ALPHABET), max_size=12))
def test_the_encoding_repair_equals_ftfy_line_by_line(text):
    assert _fix_encoding(text) == "\n".join(_ftfy()(line) for line in text.split("\n"))


@settings(max_examples=200)
@given(
    st.text(st.sampled_from(ALPHABET.replace("\x1b", "") + "\u212a\uff21\u037e\u3000"), max_size=12),
    st.sampled_from(["NFC", "NFKC", "none"]),
    st.sampled_from(["keep", "lines", "collapse"]),
)
@example("\xa0\u200c", "NFC", "lines")
def test_cleaning_twice_changes_nothing_more(text, normalize, whitespace):
    rules = TextRules(encoding=False, normalize=normalize, whitespace=whitespace)
    once, _ = clean_text(text, rules)
    assert clean_text(once, rules) == (once, [])


@pytest.mark.parametrize(
    "unit", [" ", "\t", "\n", " \n", "\u200d", "\u200b", "Ã", "\u0301\u0323", "a\u0301", "\x1b[", "œ"]
)
def test_no_text_takes_more_than_linear_time(unit):
    text = unit * (300_000 // len(unit.encode()))
    started = time.process_time()
    suspicious(pa.array([text]), RULES)
    clean_text(text, RULES)
    assert time.process_time() - started < 5


def batch_of(*texts: str, **columns) -> pa.RecordBatch:
    names = [f"{i:032x}" for i in range(len(texts))]
    return pa.record_batch({"id": names, "text": pa.array(texts, pa.string()), **columns})


def test_clean_keeps_ids_hashes_the_result_and_counts_rewrites():
    rows = Clean().start([])(batch_of("a \n", "schÃ¶n\r\n", "fine", ""))
    assert rows.kept.column("id").equals(batch_of("", "", "", "").column("id"))
    assert rows.kept.column("text").to_pylist() == ["a", "schön", "fine", ""]
    assert rows.kept.column("rewrites").to_pylist() == [
        ["whitespace"],
        ["encoding", "newlines", "whitespace"],
        [],
        [],
    ]
    assert rows.kept.column("text_hash").equals(text_hashes(pa.array(["a", "schön", "fine", ""])))
    assert rows.notes == {"rewrite:encoding": 1, "rewrite:newlines": 1, "rewrite:whitespace": 2}
    assert rows.kept.schema == Clean().gives([batch_of("").schema])


def test_the_schema_of_documents_becomes_that_of_clean_ones():
    assert Clean().gives([DOCUMENT]) == CLEAN


@settings(max_examples=50)
@given(st.lists(st.text(st.sampled_from(ALPHABET), max_size=12), min_size=1, max_size=6), st.data())
def test_batches_may_be_cut_anywhere(texts, data):
    run = Clean().start([])
    cut = data.draw(st.integers(0, len(texts)))
    whole = batch_of(*texts)
    parts = [run(whole.slice(0, cut)).kept, run(whole.slice(cut)).kept]
    assert (
        pa.Table.from_batches(parts).combine_chunks().equals(pa.Table.from_batches([run(whole).kept]).combine_chunks())
    )


PROSE = "The first line of this page says something whole and ends well.\n" * 6


def test_line_rules_of_a_preset_with_a_cap():
    page = PROSE + "Home\nLog in"
    rows = Clean(line_rules="c4").start([])(batch_of(page, "Short line\n" * 9 + PROSE.strip(), PROSE.strip()))
    assert rows.kept.column("text").to_pylist() == [PROSE.strip(), PROSE.strip(), PROSE.strip()]
    rows = Clean(line_rules="c4", max_removed=0.1).start([])(batch_of(page, "Short line\n" * 9 + PROSE.strip()))
    assert rows.kept.column("rewrites").to_pylist() == [["line_rules:c4"], ["line_rules_over_cap"]]


@pytest.mark.parametrize(
    ("code", "cleaned", "names"),
    [
        ("#!/bin/sh\n# Copyright 2020 A\n# All rights reserved\n\necho 1\n", "#!/bin/sh\necho 1\n", ["licence_header"]),
        ("/* SPDX-License-Identifier: MIT */\nint a;\n", "int a;\n", ["licence_header"]),
        ('"""Licensed under X."""\nimport a\n', "import a\n", ["licence_header"]),
        ("# Reads a file.\nimport a\n", "# Reads a file.\nimport a\n", []),
        ("import a\n# Copyright\n", "import a\n# Copyright\n", []),
        ("// Code generated by protoc. DO NOT EDIT.\npackage a\n", "", ["generated_file"]),
        ("print('generated by me')\n", "print('generated by me')\n", []),
        ("a=1;" * 300, "", ["long_lines"]),
        ("", "", []),
    ],
)
def test_code_has_rules_of_its_own(code, cleaned, names):
    assert clean_code(code) == (cleaned, names)


def test_code_is_known_by_its_name():
    names = ["a/b.py", "x.RS.gz", "https://e.org/a.c?raw=1", "a.txt", "", "py", "a.py/b"]
    assert [is_code(name) for name in names] == [True, True, True, False, False, False, False]
    licence = "# Copyright A\n\nx = 1"
    rows = Clean(code="auto").start([])(batch_of(licence, licence, uri=["a.py", None]))
    assert rows.kept.column("text").to_pylist() == ["x = 1", licence]


@pytest.mark.parametrize("unit", ["#", "# a\n", "/* ", '"""', '"', "*", "//", " \n", "copyright"])
def test_code_rules_are_linear(unit):
    text = unit * (200_000 // len(unit))
    started = time.process_time()
    drop_licence(text)
    assert time.process_time() - started < 2


def test_settings_are_checked():
    for wrong in ({"line_rules": "c5"}, {"code": "yes"}, {"max_removed": 2.0}):
        with pytest.raises(ConfigError):
            Clean(**wrong)
