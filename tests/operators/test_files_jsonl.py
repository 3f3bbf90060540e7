"""JSONL: bad rows are named and set aside, good rows next to them are kept, damaged files give nothing."""

import base64
import gzip
import io
import json
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import CorruptError, InputError
from dataforge.identity import row_id
from dataforge.operators.decode import decode_object
from dataforge.operators.files_jsonl import JsonlFiles
from dataforge.operators.files_rows import RowFault, seconds_of
from dataforge.operators.files_stream import ByteStream
from tests.operators.reading import read_all


def source_of(tmp_path: Path, data: bytes, name: str = "rows.jsonl", **settings_) -> JsonlFiles:
    (tmp_path / name).write_bytes(data)
    return JsonlFiles("s", str(tmp_path / name), **settings_)


def test_a_row_becomes_a_document(tmp_path):
    line = b'{"body": "hi", "n": 7, "url": "http://e.org/", "at": "2024-02-03T04:05:06Z", "x": [1]}\n'
    source = source_of(tmp_path, line, text="body", key="n", uri="url", created="at", licence="CC0-1.0")
    kept, bad, notes, counted = read_all(source)
    assert kept == [
        {
            "id": row_id("s", "7"),
            "source": "s",
            "key": "7",
            "text": "hi",
            "uri": "http://e.org/",
            "created_s": 1706933106,
            "licence": "CC0-1.0",
        }
    ]
    assert (bad, notes, counted) == ([], {"unread_column:x": 1}, 1)


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b'{"text": "a\xff"}', "ENCODING", "the row is not UTF-8 at byte 11 of 14"),
        (b'{"text": "\\ud800"}', "ENCODING", "lone surrogate escape"),
        ('{"text": "a"}'.encode("utf-16"), "ENCODING", "UTF-16; convert the file"),
        ('{"text": "a"}'.encode("utf-16-le"), "ENCODING", "UTF-16; convert the file"),
        (b'\xef\xbb\xbf{"text": "a"}', "ENCODING", "byte order mark inside the file"),
        (b'{"text": "a"', "SCHEMA", "not JSON at character 12"),
        (b'{"text": NaN}', "SCHEMA", "not JSON"),
        (b'{"text": "a", "text": "b"}', "SCHEMA", "$..text: expected unique keys, found the key twice"),
        (b'{"text": "a", "\\u0074ext": "b"}', "SCHEMA", "$..text: expected unique keys"),
        (b'{"text": "\\u003a", "a": 1, "a": 2}', "SCHEMA", "$..a: expected unique keys"),
        (b'{"text": "a", "m": {"k": 1, "k": 2}}', "SCHEMA", "$..k: expected unique keys"),
        (b'{"text": "a", "n": 18446744073709551616}', "SCHEMA", "expected an integer of 64 bits"),
        (b'{"text": "a", "n": ' + b"[" * 70 + b"]" * 70 + b"}", "SCHEMA", "nested deeper than 64"),
        (b'{"text": "a", "n": ' + b"[" * 2000 + b"]" * 2000 + b"}", "SCHEMA", "nested deeper than 64"),
        (b'{"text": 5}', "SCHEMA", "$.text: expected string, found integer"),
        (b'{"text": null}', "SCHEMA", "$.text: expected string, found null"),
        (b"{}", "SCHEMA", "$.text: no such key, the row has none; `text:` of the source names it"),
        (b'{"body": "x", "Anna B": 1}', "SCHEMA", "$.text: no such key, the row has body, (others); "),
        (b'["a"]', "SCHEMA", "$: expected object, found array"),
    ],
)
def test_a_bad_row_is_set_aside_and_its_neighbours_are_kept(tmp_path, line, code, reason):
    kept, bad, _, counted = read_all(source_of(tmp_path, b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n'))
    assert [row["text"] for row in kept] == ["before", "after"]
    assert [(row["line"], row["offset"], row["code"]) for row in bad] == [(2, 19, code)]
    assert reason in bad[0]["reason"]
    assert counted == 3


def test_escaped_colons_and_large_floats_are_no_faults():
    assert decode_object(b'{"a": "\\u003a:", "b": 1e300, "c": 18446744073709551615}') == {
        "a": "::",
        "b": 1e300,
        "c": 2**64 - 1,
    }


@given(st.dictionaries(st.text(), st.recursive(st.text() | st.integers(-(2**63), 2**64 - 1), st.lists, max_leaves=5)))
def test_whatever_json_writes_is_read_back(row):
    text = json.dumps(row)
    try:
        raw = text.encode()
        row_utf8 = json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    if "\\ud" not in text:
        assert decode_object(raw) == row
    assert decode_object(row_utf8) == row


def test_a_byte_order_mark_at_the_start_and_blank_lines_are_tolerated(tmp_path):
    kept, bad, _, counted = read_all(source_of(tmp_path, b'\xef\xbb\xbf{"text": "a"}\r\n\n  \n{"text": "b"}'))
    assert ([row["text"] for row in kept], bad, counted) == (["a", "b"], [], 2)


def test_a_line_over_the_limit_costs_only_itself(tmp_path):
    long = b'{"text": "' + b"x" * 3_000_000 + b'"}'
    data = b'{"text": "before"}\n' + long + b'\n{"text": "after"}\n' + long
    kept, bad, _, counted = read_all(source_of(tmp_path, data, max_row_bytes=1000))
    assert [row["text"] for row in kept] == ["before", "after"]
    assert [(row["line"], row["offset"], row["code"]) for row in bad] == [
        (2, 19, "ROWSIZE"),
        (4, 19 + len(long) + 1 + 18, "ROWSIZE"),
    ]
    assert f"found {len(long)}" in bad[0]["reason"]
    assert counted == 4


def test_equal_texts_without_a_key_share_an_id_until_they_are_numbered(tmp_path):
    kept, *_ = read_all(source_of(tmp_path, b'{"text": "thanks"}\n' * 2))
    assert kept[0] == kept[1]
    assert kept[0]["key"] == ""


def test_a_missing_key_is_a_fault(tmp_path):
    _, bad, *_ = read_all(source_of(tmp_path, b'{"text": "a"}\n', key="id"))
    assert bad[0]["reason"] == "$.id: no such key, the row has text; `key:` of the source names it"
    _, bad, *_ = read_all(source_of(tmp_path, b'{"text": "a", "id": null}\n', key="id"))
    assert bad[0]["reason"] == "$.id: expected a non-empty string or an integer, found null"


def test_nested_columns_are_named_by_path(tmp_path):
    kept, *_ = read_all(source_of(tmp_path, b'{"a": {"b": "deep"}, "a.c": "k"}', text="a.b", key="a.c"))
    assert (kept[0]["text"], kept[0]["key"]) == ("deep", "k")


ROWS = b"".join(b'{"text": "row %d"}\n' % i for i in range(1000))
PACKED = {".gz": gzip.compress(ROWS, mtime=0), ".zst": zstandard.ZstdCompressor(write_checksum=True).compress(ROWS)}


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_members_one_after_another_are_one_file(tmp_path, suffix):
    source = source_of(tmp_path, PACKED[suffix] * 2, "rows.jsonl" + suffix)
    kept, _, _, counted = read_all(source)
    assert (len(kept), counted, source.decompressed_bytes()) == (2000, 2000, 2 * len(ROWS))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda data: data[:-3], "cut off at byte"),
        (lambda data: data[:-2] + bytes([data[-2] ^ 1]) + data[-1:], "corrupt at byte"),
        (lambda data: data + b"tail", "no member at byte"),
        (lambda data: b"", "is empty"),
        (lambda data: ROWS, "does not begin as"),
    ],
)
def test_damaged_archives_name_the_byte(tmp_path, suffix, damage, what):
    source = source_of(tmp_path, damage(PACKED[suffix]), "rows.jsonl" + suffix)
    with pytest.raises(CorruptError, match=what) as caught:
        read_all(source)
    assert (caught.value.code, caught.value.exit_code, caught.value.file) == ("CORRUPT", 3, "rows.jsonl" + suffix)


def test_garbage_tail_is_named_by_its_first_byte(tmp_path):
    data = PACKED[".gz"]
    with pytest.raises(CorruptError, match=f"at byte {len(data)} "):
        read_all(source_of(tmp_path, data + b"tail", "rows.jsonl.gz"))


@settings(max_examples=150)
@given(st.data())
def test_mutated_files_raise_only_typed_errors(tmp_path_factory, data):
    suffix = data.draw(st.sampled_from(["", ".gz", ".zst"]))
    base = PACKED[suffix] if suffix else ROWS[:2000]
    raw = bytearray(base)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    source = source_of(tmp_path_factory.mktemp("fuzz"), bytes(raw), "rows.jsonl" + suffix)
    try:
        kept, bad, _, counted = read_all(source)
    except InputError:
        return
    assert len(kept) + len(bad) == counted


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1706933106, 1706933106),
        (1706933106.9, 1706933106),
        (1706933106123, 1706933106),
        (1706933106123456, 1706933106),
        (1706933106123456789, 1706933106),
        ("1706933106", 1706933106),
        ("2024-02-03", 1706918400),
        ("2024-02-03 04:05:06", 1706933106),
        ("2024-02-03T06:05:06+02:00", 1706933106),
        ("Sat, 03 Feb 2024 04:05:06 GMT", 1706933106),
        ("1969-12-31T23:59:59Z", -1),
        (None, None),
        ("", None),
    ],
)
def test_dates_in_the_usual_forms(value, seconds):
    assert seconds_of(value, "$.at") == seconds


@pytest.mark.parametrize("value", ["yesterday", True, [1], float("nan"), 1e30, "99999-99-99"])
def test_other_dates_are_faults(value):
    with pytest.raises(RowFault):
        seconds_of(value, "$.at")


def test_secrets_in_quarantined_rows_are_masked(tmp_path):
    token = ("ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8").encode()
    lines = [b'{"text": "my token is %s, keep it"' % token, b"\xff " + token, b"x" * 4080 + b" " + token]
    _, bad, *_ = read_all(source_of(tmp_path, b"\n".join(lines)))
    raw = [base64.b64decode(row["raw"]) for row in bad]
    assert len(raw) == 3
    assert raw[0] == b'{"text": "my token is <SECRET>, keep it"'
    assert all(b"ghp_" not in shown and len(shown) <= 4096 for shown in raw)


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from([b'{"text": "a"', b'"b"', b"{", b"}", b":", b",", b"\\", b"\n", b"\xff", b"1e999", b"[", b" "])
    )
)
def test_any_bytes_give_rows_or_quarantined_rows(tmp_path_factory, pieces):
    kept, bad, _, counted = read_all(source_of(tmp_path_factory.mktemp("fuzz"), b"".join(pieces)))
    assert len(kept) + len(bad) == counted


def test_keys_that_are_data_are_counted_and_not_told(tmp_path):
    rows = [b'{"text": "a", "x": 1, "ann@example.org": 2}', b'{"text": "b", "bo b": 1}']
    _, _, notes, _ = read_all(source_of(tmp_path, b"\n".join(rows)))
    assert notes == {"unread_column:x": 1, "unread_column:(others)": 2}


def test_a_medium_that_fails_under_plain_bytes_is_no_damage():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if size == 4:
                return b"text"
            raise OSError(5, "Input/output error")

    with ByteStream(Failing, "a.jsonl") as stream, pytest.raises(OSError, match="Input/output error"):
        stream.read()
