"""CSV by RFC 4180: quoting is exact, a bad row costs only itself."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError, InputError, SchemaError
from dataforge.operators.files_csv import CsvFiles
from tests.operators.reading import read_all


def source_of(tmp_path, data: bytes, name: str = "rows.csv", **settings_) -> CsvFiles:
    (tmp_path / name).write_bytes(data)
    return CsvFiles("s", str(tmp_path / name), **settings_)


def test_quotes_newlines_and_a_byte_order_mark(tmp_path):
    data = b'\xef\xbb\xbfid,text\r\n1,"say ""hi"", now\r\nand here"\r\n2,plain\r\n\r\n'
    kept, bad, _, counted = read_all(source_of(tmp_path, data, key="id"))
    assert [(row["key"], row["text"]) for row in kept] == [("1", 'say "hi", now\r\nand here'), ("2", "plain")]
    assert (bad, counted) == ([], 2)


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b'5" pipe,x', "SCHEMA", "RFC 4180"),
        (b'"a"b,x', "SCHEMA", "RFC 4180"),
        (b"a\rb,x", "SCHEMA", "rows end with LF or CRLF"),
        (b'"never closed,x', "SCHEMA", "never closed"),
        (b"a,b,c", "SCHEMA", "expected 2 fields, found 3"),
        (b"a", "SCHEMA", "expected 2 fields, found 1"),
        (b"a\xff,b", "ENCODING", "not UTF-8 at byte 1"),
        (b'"' + b"x" * 200 + b'",b', "ROWSIZE", "expected at most 100 bytes"),
    ],
)
def test_a_bad_row_is_set_aside_and_its_neighbours_are_kept(tmp_path, line, code, reason):
    data = b"text,other\nbefore,1\n" + line + b"\nafter,2\n"
    kept, bad, *_ = read_all(source_of(tmp_path, data, max_row_bytes=100))
    assert [row["text"] for row in kept] == ["before", "after"]
    assert [(row["line"], row["offset"], row["code"]) for row in bad] == [(3, 20, code)]
    assert reason in bad[0]["reason"]


@settings(max_examples=60)
@given(rows=st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), max_size=8))
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, rows):
    rows = [[text, f"k{i}{other}"] for i, (text, other) in enumerate(rows)]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["text", "key"], *rows])
    source = source_of(tmp_path_factory.mktemp("csv"), out.getvalue().encode(), key="key")
    kept, bad, _, counted = read_all(source)
    assert [[row["text"], row["key"]] for row in kept] == rows
    assert (bad, counted) == ([], len(rows))


def test_tabs_by_name_and_by_setting(tmp_path):
    for name, delimiter in (("rows.tsv", "auto"), ("rows.csv", "\t")):
        kept, *_ = read_all(source_of(tmp_path, b"text\tn\na,b\t1\n", name, delimiter=delimiter))
        assert [row["text"] for row in kept] == ["a,b"]
    with pytest.raises(ConfigError):
        CsvFiles("s", "x", delimiter='"')


def test_headers_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(SchemaError, match="expected column 'text', there are a, b"):
        read_all(source_of(tmp_path, b"a,b\n1,2\n"))
    with pytest.raises(SchemaError, match="names a column twice"):
        read_all(source_of(tmp_path, b"text,text\n1,2\n"))


def test_every_unclosed_quote_is_its_own_fault(tmp_path):
    kept, bad, *_ = read_all(source_of(tmp_path, b'text,n\n"open,1\n"open\nfine,1\n"open'))
    assert ([row["text"] for row in kept], [row["line"] for row in bad]) == (["fine"], [2, 3, 5])
    kept, bad, *_ = read_all(source_of(tmp_path, b"text,n\n" + b'"open,1\n"open\n' * 3_000))
    assert (len(kept), len(bad)) == (0, 6_000)


@settings(max_examples=100)
@given(raw=st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"\xff", b"\xc3\xa9"]), max_size=60).map(b"".join))
def test_any_bytes_give_rows_or_typed_errors(tmp_path_factory, raw):
    source = source_of(tmp_path_factory.mktemp("csv"), b"text,n\n" + raw)
    try:
        kept, bad, _, counted = read_all(source)
    except InputError:
        return
    assert bad or len(kept) == counted


def test_another_encoding_is_named_and_strict(tmp_path):
    data = "text,n\nGrüße,1\n€uro,2\n".encode("cp1252") + b"\x81,3\n"
    kept, bad, *_ = read_all(source_of(tmp_path, data, encoding="cp1252"))
    assert [row["text"] for row in kept] == ["Grüße", "€uro"]
    assert [(row["code"], row["reason"]) for row in bad] == [("ENCODING", "the row is not cp1252")]


@pytest.mark.parametrize("encoding", ["utf-16", "auto", "rot13", "klingon"])
def test_an_encoding_in_which_lines_cannot_be_found_is_refused(tmp_path, encoding):
    with pytest.raises(ConfigError, match="extends ASCII"):
        source_of(tmp_path, b"text\n", encoding=encoding)


def test_columns_that_no_setting_reads_are_told(tmp_path):
    (tmp_path / "a.csv").write_text("text,Größe,Anna B\none,1,x\ntwo,2,y\n", encoding="utf-8")
    source = CsvFiles("s", str(tmp_path / "a.csv"))
    batches = list(source.read_file(source.files()[0].name).rows)
    notes = {name: count for rows in batches for name, count in (rows.notes or {}).items()}
    assert notes == {"unread_column:Größe": 2, "unread_column:(others)": 2}
