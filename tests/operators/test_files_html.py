"""HTML files: each is a page whose text is taken out; what is no page is set aside or dropped with a reason."""

import gzip

import pytest

from dataforge.errors import ConfigError
from dataforge.operators.extract import Extraction
from dataforge.operators.files_html import HtmlFiles
from tests.operators.reading import read_all
from tests.operators.test_files_warc import HTML, PROSE


def source_of(tmp_path, files: dict[str, bytes], **settings) -> HtmlFiles:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return HtmlFiles("s", str(tmp_path), **settings)


def test_pages_of_a_folder_become_documents_named_by_their_paths(tmp_path):
    files = {"b.htm": HTML, "deep/a.html.gz": gzip.compress(HTML), "notes.txt": b"no page", "style.css": b"p {}"}
    kept, bad, _, counted = read_all(source_of(tmp_path, files))
    assert [(row["key"], row["uri"], row["created_s"]) for row in kept] == [
        ("b.htm", "b.htm", None),
        ("deep/a.html.gz", "deep/a.html.gz", None),
    ]
    assert [row["text"] for row in kept] == [PROSE.strip()] * 2
    assert (bad, counted) == ([], 2)


def test_without_an_extractor_the_page_stays_as_it_is(tmp_path):
    kept, *_ = read_all(source_of(tmp_path, {"a.html": b"<p>x</p>"}, extractor="none"))
    assert [row["text"] for row in kept] == ["<p>x</p>"]


@pytest.mark.parametrize(
    "page",
    [b"<meta charset=iso-8859-1><p>Stra\xdfe</p>", "<p>Stra\xdfe</p>".encode("utf-16"), b"<p>Stra\xdfe</p>"],
    ids=["declared", "utf-16", "nothing-said"],
)
def test_the_encoding_is_found_as_browsers_do(tmp_path, page):
    kept, *_ = read_all(source_of(tmp_path, {"a.html": page}, extractor="none"))
    assert "Stra\xdfe</p>" in kept[0]["text"]


def test_what_is_no_page_costs_itself_alone(tmp_path):
    files = {"binary.html": b"<html>\0\0", "good.html": HTML, "large.html": HTML + b" " * 5000}
    source = source_of(tmp_path, files, max_row_bytes=len(HTML))
    assert [row["key"] for row in read_all(source)[0]] == ["good.html"]
    (fault,) = read_all(source)[1]
    assert (fault["file"], fault["code"]) == ("large.html", "ROWSIZE")
    read = [rows for split in source.splits() for file in source.read(split) for rows in file.rows]
    dropped = [row for rows in read if rows.dropped for row in rows.dropped.to_pylist()]
    assert [row["reason"] for row in dropped] == ["binary"]


def test_a_page_over_the_limits_is_set_aside_with_its_place(tmp_path):
    slow = b"<html><body><article>" + b"<span><b>x</b> y</span>" * 100_000 + b"</article></body></html>"
    kept, bad, *_ = read_all(source_of(tmp_path, {"a.html": HTML, "b.html": slow}, extraction=Extraction(cpu_s=1)))
    assert [row["key"] for row in kept] == ["a.html"]
    assert [(row["file"], row["code"]) for row in bad] == [("b.html", "WORKER")]


def test_an_unknown_extractor_is_an_error():
    with pytest.raises(ConfigError, match="trafilatura, resiliparse, none"):
        HtmlFiles("s", "x", extractor="readability")
