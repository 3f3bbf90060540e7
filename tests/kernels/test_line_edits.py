"""Line rules rewrite a text as their sources do, and say why a text is dropped."""

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataforge.kernels.line_edits import dclm_edit, edit_lines, reference_c4

FINE = "This is a fine line.\n" * 5
LINES = ["This is a fine line.", "No end mark here", "Too few.", "[1] A cited [edit] line.", "", " "]
LINES += ["x" * 1001 + " a b.", "Enable JavaScript to go on.", "We use cookies to serve you.", "A { bracket."]
LINES += ["Lorem ipsum is here.", "End with... ", 'He said "yes or no"', "One two. Three four! Five?", "a b c [12]"]
LINES += ["…", "Eins zwei drei é漢.", "a b c\u3000[1]"]
TEXTS = st.tuples(st.lists(st.sampled_from(LINES), max_size=12), st.sampled_from(["\n", "\r\n", "\x0b"]))
TEXTS = TEXTS.map(lambda case: case[1].join(case[0])) | st.text(max_size=60)


def edit(preset, text):
    edited = edit_lines(pa.array([text]), preset)
    return edited.texts[0].as_py(), int(edited.removed[0]), edited.reasons[0].as_py()


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("No end mark here", None),
        ("Ends in dots...", None),
        ("Two words.", None),
        ("a " + "x" * 1001 + " b.", None),
        ("a " + "x" * 1000 + " b.", "a " + "x" * 1000 + " b."),
        ("You need JavaScript for this.", None),
        ("See our Privacy Policy for more.", None),
        ("A claim[12] with[citation needed] marks[edit].", "A claim with marks."),
        ('  She said "so it is!"  ', 'She said "so it is!"'),
    ],
)
def test_c4_lines(line, kept):
    text, removed, reason = edit("c4", FINE + line)
    assert (text, removed, reason) == (FINE + kept if kept else FINE.strip(), 0 if kept else 1, None)


@pytest.mark.parametrize("stop", ["Lorem Ipsum dolor it.", "A { b c."])
def test_a_dropped_text_is_given_back_as_it_was(stop):
    reason = "curly_bracket" if "{" in stop else "lorem_ipsum"
    assert edit("c4", FINE + stop) == (FINE + stop, 0, reason)
    assert edit("c4", "Only one sentence here.") == ("Only one sentence here.", 0, "too_few_sentences")


@settings(max_examples=150)
@given(TEXTS, st.booleans())
@example("[1]  a b c.\n[2] d e f.\n" + FINE + "\n[3]a b c [1]", True)
def test_faces_agree_on_c4(text, any_end):
    assert edit("c4_any_end" if any_end else "c4", text) == reference_c4(text, any_end=any_end)


WORDS = "some words that stay here\n" * 20


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("ABCD de", None),
        ("ABC de", "ABC de"),
        ("1.2k views", None),
        ("3 likes", None),
        ("3 likes from us", "3 likes from us"),
        ("word", None),
        ("", ""),
        ("2 items in cart now", "2  now"),
        ("a story. Read more...", "a story. "),
        ("Sign-in or leave", " or leave"),
    ],
)
def test_dclm_lines(line, kept):
    expected = WORDS + (f"{kept}\n" if kept is not None else "") + "the end"
    assert edit("dclm", WORDS + f"{line}\nthe end") == (expected, int(kept is None), None)


def test_dclm_drops_a_text_that_lost_more_than_a_twentieth_of_its_words():
    body = "a b c d e\n"
    assert dclm_edit(body * 19 + "word\n" * 5)[2] is None
    assert dclm_edit(body * 19 + "word\n" * 6)[2] == "too_many_words_removed"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_nulls_and_types_stay(kind):
    edited = edit_lines(pa.array(["x", FINE, None, FINE], kind)[1:], "c4")
    assert edited.texts.type == kind
    assert edited.texts.to_pylist() == [FINE.strip(), None, FINE.strip()]


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="c4, c4_any_end, dclm"):
        edit_lines(pa.array([""]), "c5")
