"""Which texts look like HTML, and when a source is worth a word about it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataforge.report.markup import is_html, markup_text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<p>One.</p><p>Two.</p>", True),
        ("<!DOCTYPE html><html lang='de'><body>Text</body></html>", True),
        ('<DIV class="a">One<BR/>two</DIV>', True),
        ("plain words about kites", False),
        ("1 < 2 and b > a, <3 and <none of these> too", False),
        ("<p>two tags are too few</p>", False),
        ("<xml><row>1</row><row>2</row></xml>", False),
        ("List<String> a; Map<K, V> b; vector<int> c;", False),
        ("The tags <b>, <i> and <p> are old. " + "Long prose follows. " * 100, False),
        ("", False),
        ("x" * 30_000 + "<p></p><p></p>", False),
    ],
)
def test_html_is_told_from_texts_about_it(text: str, html: bool) -> None:
    assert is_html(pa.array([text])).to_pylist() == [html]


def test_a_word_is_said_from_a_tenth_of_enough_rows_on() -> None:
    assert markup_text({"source": "web", "rows": 40, "html": 3}) == ""
    assert markup_text({"source": "web", "rows": 4, "html": 4}) == ""
    assert markup_text({"source": "web", "rows": 40, "html": 30}).startswith(
        "75% of the rows of source web look like HTML (40 looked at)"
    )
