"""Text files: one document a file, or one a paragraph or line; no encoding is guessed unless asked."""

import gzip

import pytest

from dataforge.errors import ConfigError
from dataforge.operators.files_text import TextFiles
from tests.operators.reading import read_all

LATIN = "Die Straße führt über den Fluß, und die Bäume grünen schön. Größere Häuser stehen dort.".encode("latin-1")


def source_of(tmp_path, data: bytes, name: str = "a.txt", **settings) -> TextFiles:
    (tmp_path / name).write_bytes(data)
    return TextFiles("s", str(tmp_path / name), **settings)


def test_a_file_is_a_document_and_its_path_is_the_key(tmp_path):
    kept, bad, _, counted = read_all(source_of(tmp_path, gzip.compress("é\r\nb\n".encode()), "a.txt.gz"))
    assert [(row["key"], row["uri"], row["text"]) for row in kept] == [("a.txt.gz", "a.txt.gz", "é\r\nb\n")]
    assert (bad, counted) == ([], 1)


def test_paragraphs_and_lines(tmp_path):
    data = b"one\ntwo\r\n \r\n\n\nthree\n"
    for split, texts in (("paragraphs", ["one\ntwo", "three"]), ("lines", ["one", "two", "three"])):
        kept, *_ = read_all(source_of(tmp_path, data, split=split))
        assert [row["text"] for row in kept] == texts
        assert {row["key"] for row in kept} == {""}


def test_another_encoding_is_set_aside_named_or_guessed(tmp_path):
    kept, bad, *_ = read_all(source_of(tmp_path, LATIN))
    assert (kept, bad[0]["code"]) == ([], "ENCODING")
    for encoding in ("latin-1", "auto"):
        kept, *_ = read_all(source_of(tmp_path, LATIN, encoding=encoding))
        assert kept[0]["text"] == LATIN.decode("latin-1")
    kept, *_ = read_all(source_of(tmp_path, "mark".encode("utf-16")))
    assert kept[0]["text"] == "mark"


def test_a_file_over_the_limit_is_set_aside(tmp_path):
    kept, bad, *_ = read_all(source_of(tmp_path, b"x" * 3_000_000, max_row_bytes=100))
    assert (kept, bad[0]["code"], bad[0]["reason"]) == ([], "ROWSIZE", "expected at most 100 bytes, found 3000000")


def test_an_empty_file_is_an_empty_document(tmp_path):
    assert read_all(source_of(tmp_path, b""))[0][0]["text"] == ""


def test_settings_are_checked():
    with pytest.raises(ConfigError):
        TextFiles("s", "x", split="words")
    with pytest.raises(ConfigError):
        TextFiles("s", "x", encoding="utf-99")
