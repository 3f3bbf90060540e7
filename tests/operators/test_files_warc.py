"""WARC: exact framing, HTTP undone, HTML turned into text; what is no page is dropped with a reason."""

import contextlib
import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError, CorruptError, InputError
from dataforge.operators.files_http import dechunk, page_text
from dataforge.operators.files_rows import RowFault
from dataforge.operators.files_warc import WarcFiles
from tests.operators.reading import read_all

PROSE = "The harbour was quiet, and the two ships lay side by side in the grey light of the morning. " * 6
HTML = (
    f"<html><head><title>t</title></head><body><nav>Menu</nav><article><p>{PROSE}</p></article></body></html>".encode()
)


def record(
    block: bytes, kind: str = "response", content_type: str = "application/http", uri: str = "http://e.org/"
) -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nWARC-Date: 2024-02-03T04:05:06Z\r\n"
    head += f"Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n"
    return head.encode() + block + b"\r\n\r\n"


def http(body: bytes, *headers: str, status: int = 200) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", *headers, "", ""]).encode() + body


def plain(text: bytes, *headers: str) -> bytes:
    return record(http(text, "Content-Type: text/plain", *headers))


def source_of(tmp_path, data: bytes, name: str = "a.warc", **settings_) -> WarcFiles:
    (tmp_path / name).write_bytes(data)
    return WarcFiles("s", str(tmp_path / name), **settings_)


def ledger(source: WarcFiles) -> tuple[list, list, list]:
    texts, drops, faults = [], [], []
    for split in source.splits():
        for file in source.read(split):
            for rows in file.rows:
                texts += rows.kept.column("text").to_pylist()
                drops += [(d["reason"], d["score"]) for d in rows.dropped.to_pylist()] if rows.dropped else []
                faults += [(q["code"], q["reason"]) for q in rows.quarantined.to_pylist()] if rows.quarantined else []
            assert file.counted() == len(texts) + len(drops) + len(faults)
    return texts, drops, faults


def test_a_page_becomes_a_document(tmp_path):
    first = record(b"software: x\r\n", "warcinfo", "application/warc-fields", "")
    source = source_of(tmp_path, first + record(http(HTML, "Content-Type: text/html; charset=utf-8")))
    (row,), bad, notes, counted = read_all(source)
    assert row["text"] == PROSE.strip()
    assert (row["key"], row["uri"]) == (f"a.warc@{len(first)} http://e.org/", "http://e.org/")
    assert (row["created_s"], bad, notes, counted) == (1706933106, [], {"record:warcinfo": 1}, 1)


@pytest.mark.parametrize("packed", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_records_packed_one_by_one_keep_their_keys(tmp_path, packed):
    records = [plain(b"one"), plain(b"two")]
    keys = [row["key"] for row in read_all(source_of(tmp_path, b"".join(map(packed, records))))[0]]
    assert keys == [row["key"] for row in read_all(source_of(tmp_path, b"".join(records)))[0]]


def test_wet_conversions_and_resources_are_read(tmp_path):
    data = record("Grüße".encode(), "conversion", "text/plain") + record(b"note", "resource", "text/plain")
    data += record(b"\xff", "conversion", "text/plain")
    texts, drops, faults = ledger(source_of(tmp_path, data))
    assert (texts, drops) == (["Grüße", "note"], [])
    assert faults == [("ENCODING", "the record is not UTF-8 at byte 0 of 1")]


def test_what_is_no_page_is_dropped_with_a_reason(tmp_path):
    data = record(http(b"gone", "Content-Type: text/html", status=404))
    data += record(http(b"\x89PNG", "Content-Type: image/png")) + plain(b"a\0b") + record(b"x", "resource", "image/png")
    assert ledger(source_of(tmp_path, data)) == (
        [],
        [("http_status", 404.0), ("content_type", None), ("binary", None), ("content_type", None)],
        [],
    )


CHUNKED = b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n"
RAW_DEFLATE = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"hello, world", []),
        (CHUNKED, ["Transfer-Encoding: chunked"]),
        (b"hello, world", ["Transfer-Encoding: chunked"]),
        (b"5\r\nhello\r\n7\r\n, world\r\n", ["transfer-encoding: CHUNKED"]),
        (gzip.compress(b"hello, world"), ["Content-Encoding: gzip"]),
        (zlib.compress(b"hello, world"), ["Content-Encoding: deflate"]),
        (RAW_DEFLATE.compress(b"hello, world") + RAW_DEFLATE.flush(), ["Content-Encoding: deflate"]),
        (brotli.compress(b"hello, world"), ["Content-Encoding: br"]),
        (zstandard.ZstdCompressor().compress(b"hello, world"), ["Content-Encoding: zstd"]),
    ],
    ids=["plain", "chunked", "said chunked", "chunks end early", "gzip", "zlib", "raw deflate", "brotli", "zstd"],
)
def test_transfer_and_content_encodings_are_undone(tmp_path, body, headers):
    assert ledger(source_of(tmp_path, plain(body, *headers)))[0] == ["hello, world"]


@pytest.mark.parametrize(
    ("body", "headers", "fault"),
    [
        (gzip.compress(b"x" * 99)[:-9], ["Content-Encoding: gzip"], ("CORRUPT", "compressed body is cut off")),
        (b"\x1f\x8bjunk", ["Content-Encoding: gzip"], ("CORRUPT", "compressed body is damaged")),
        (b"5\r\nhellojunk", ["Transfer-Encoding: chunked"], ("CORRUPT", "chunked body is damaged at byte 8 of 12")),
        (b"x", ["Content-Encoding: rot13"], ("SCHEMA", "the body has a content encoding that is not known")),
        (b"x" * 5001, [], ("ROWSIZE", "expected at most 5000 bytes, found 5045")),
    ],
    ids=["cut gzip", "damaged gzip", "damaged chunks", "unknown encoding", "too long"],
)
def test_a_damaged_body_costs_one_record(tmp_path, body, headers, fault):
    data = plain(b"before") + plain(body, *headers) + plain(b"after")
    texts, _, faults = ledger(source_of(tmp_path, data, max_row_bytes=5000))
    assert (texts, faults) == (["before", "after"], [fault])


@pytest.mark.parametrize("pack", ["gzip", "br", "zstd"])
def test_a_bomb_stops_at_the_limit(tmp_path, pack):
    packers = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.ZstdCompressor().compress}
    body = packers[pack](b"\0" * 5_000_000)
    _, _, faults = ledger(source_of(tmp_path, plain(body, f"Content-Encoding: {pack}"), max_row_bytes=100_000))
    assert faults == [("ROWSIZE", "expected at most 100000 bytes, found more in a compressed body")]


def test_lost_framing_is_damage_of_the_whole_file(tmp_path):
    good = plain(b"one") + plain(b"two")
    for damaged in (good[:-10], good.replace(b"Content-Length: 4", b"Content-Length: 1"), b"junk" + good):
        with pytest.raises(CorruptError, match="byte"):
            read_all(source_of(tmp_path, damaged))
    with pytest.raises(CorruptError, match="no valid Content-Length"):
        read_all(source_of(tmp_path, good.replace(b"Content-Length", b"X-Length")))


def test_arc_files_are_refused_with_a_way_out(tmp_path):
    with pytest.raises(InputError, match="warcio recompress"):
        read_all(source_of(tmp_path, b"filedesc://x.arc.gz 127.0.0.1 20120301093000 text/plain 73\n1 0 X\n\n"))


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/html; charset=latin-1", "é"),
        ("é".encode("latin-1"), "text/html; charset=ISO-8859-1", "é"),
        (b"\x80", "text/html; charset=iso-8859-1", "€"),
        (b'<meta charset="windows-1251">\xcf', "text/html", '<meta charset="windows-1251">П'),
        ("漢字".encode("shift_jis"), 'text/html; charset="Shift_JIS"', "漢字"),
        (b"\xef\xbb\xbfa", "text/html", "a"),
        ("a".encode("utf-16"), "text/html", "a"),
        (b"\xe9", "text/html; charset=nonsense", "é"),
        (b"a\xff", "text/html; charset=utf-8", "a\ufffd"),
        (b"\xe9", "text/html; charset=hex", "é"),
    ],
)
def test_characters_of_a_page(body, content_type, text):
    assert page_text(body, content_type) == text


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
def test_chunks_join_to_what_was_cut(pieces):
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    assert dechunk(body) == b"".join(pieces)


def test_unknown_extractors_are_refused():
    with pytest.raises(ConfigError):
        WarcFiles("s", "x", extractor="regex")


@settings(max_examples=150)
@given(st.data())
def test_mutated_files_raise_only_typed_errors(tmp_path_factory, data):
    body = gzip.compress(b"5\r\nhello\r\n0\r\n\r\n", mtime=0)
    raw = bytearray(plain(body, "Content-Encoding: gzip") + plain(CHUNKED, "Transfer-Encoding: chunked") + plain(b"x"))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        ledger(source_of(tmp_path_factory.mktemp("fuzz"), bytes(raw), extractor="none"))


@given(st.binary(max_size=60))
def test_any_body_is_dechunked_or_refused(body):
    with contextlib.suppress(RowFault):
        assert len(dechunk(body)) <= len(body)
