"""Every counter equals its definition; the word rule cuts as it says."""

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataforge.kernels.dclm_rules import words_of
from dataforge.kernels.text_stats import COUNTERS, measure
from dataforge.kernels.text_stats_reference import counters
from dataforge.kernels.text_words import tokens_of

PIECES = [
    "the",
    "The",
    "and",
    "a",
    "ab",
    "bc",
    "c",
    "don't",
    "it’s",
    "U.S.",
    "Mr.",
    "e.g.",
    "x.",
    "end.",
    "Ab.Cd",
    "...",
    "…",
    ". . .",
    "#",
    "##",
    "•",
    "-",
    "--",
    "—",
    "*",
    "[12]",
    "[edit]",
    "{",
    "(",
    ")",
    '"',
    "'",
    "!",
    "?",
    "5km",
    "10%",
    "3-4",
    "well-known",
    "http://a.b/c-d",
    "me@x.org",
    "site.com/a-b",
    "a,b",
    "1,000",
    "$5",
    "5$",
    "É",
    "漢",
    "© 2",
    "\U0001f600",
    "lorem ipsum",
    "JavaScript",
    "use cookies",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    "\x0b",
    "\u2028",
    "\x1f",
    "\x85",
    "\u3000",
    "\u0301",
    "。",
    "one two three four five six seven. ",
    "x" * 1001,
    "9k",
    "+1",
    "3 likes\n",
    "1.2K Views!\n",
    "items in cart",
    "Read More...\n",
    "\nsign-in",
    "3.5",
    "_x_",
    "a:b",
    "カタ",
    "ไทย",
    "٣",
    "½",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
TEXTS |= st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join)
TEXTS |= st.text(max_size=40)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ('He said: "don\'t!"', ["He", "said", ":", '"', "do", "n't", "!", '"']),
        ("Mr. Smith's U.S. dog.", ["Mr.", "Smith", "'s", "U.S.", "dog", "."]),
        ("well-known 3-4 a--b", ["well", "-", "known", "3", "-", "4", "a", "--", "b"]),
        ("see http://a.b/c-d, or a.b@c.de.", ["see", "http://a.b/c-d", ",", "or", "a.b@c.de", "."]),
        ("wait...what? (5km) 10%", ["wait", "...", "what", "?", "(", "5", "km", ")", "10", "%"]),
        ("a  \n b", ["a", "b"]),
        ("", []),
    ],
)
def test_word_rule(text, tokens):
    assert tokens_of(text) == tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't _pay_ 3.5 €", ["I", "don't", "3.5"]),
        ("e.g. 1,000; a_b well-known", ["e.g", "1,000", "a_b", "well", "known"]),
        ("漢字 カタカナ ひら e\u0301a", ["漢", "字", "カタカナ", "ひ", "ら", "e\u0301a"]),
        ("1.a ... ", ["1", "a"]),
    ],
)
def test_words_of_the_refinedweb_recipe(text, words):
    assert words_of(text) == words


def assert_faces_agree(texts):
    found = measure(pa.array(texts, pa.string()))
    for row, text in zip(found.tolist(), texts, strict=True):
        assert dict(zip(COUNTERS, row, strict=True)) == counters(text)


@settings(max_examples=150)
@given(st.lists(TEXTS, max_size=4))
@example(["", "\n", "a", "a\n\na\n\na", "ab c d e f a bc d e f ab c d e f"])
@example([". . . . .", "......", "[edit][12][] [citation needed] a b.", "a b c {", "x lorem ipsum dolor."])
def test_faces_agree(texts):
    assert_faces_agree(texts)


def test_rows_do_not_depend_on_their_neighbours():
    texts = ["the cat sat. " * 30, "", "short", "line one.\nline one.\n" * 5]
    whole = measure(pa.array(texts))
    assert [measure(pa.array([text]))[0].tolist() for text in texts] == whole.tolist()
    assert measure(pa.array(texts)[1:3]).tolist() == whole[1:3].tolist()


def test_null_counts_as_empty_and_bad_bytes_are_refused():
    assert measure(pa.array([None, ""], pa.string())).tolist()[0] == measure(pa.array([""])).tolist()[0]
    with pytest.raises(ValueError, match="row 1"):
        measure(pa.array([b"ok", b"a\xff"]).view(pa.string()))


def test_joined_grams_compare_without_blanks():
    text = "ab c d e f a bc d e f"
    assert measure(pa.array([text]))[0][COUNTERS.index("repeat_5_gram_characters")] == len("abcdef")
