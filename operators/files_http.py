"""The payload of a recorded HTTP response: headers parsed, chunking and compression undone, characters decoded.

Crawlers store what servers sent, and servers send much that is wrong: a body that claims to be chunked and is not is
taken as it is, as browsers do. What cannot be undone is a RowFault, which costs one record.
"""

from __future__ import annotations

import codecs
import re
import zlib
from dataclasses import dataclass
from typing import Any

from dataforge.operators.files_rows import RowFault

_CHUNK = re.compile(rb"\s*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_META = re.compile(rb"""<meta[^>]{0,500}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:-]{1,40})""", re.I)
_META_BYTES = 4096
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# The labels of the web name supersets: what calls itself latin-1 is nearly always windows-1252 (WHATWG Encoding).
_WEB_CODECS = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932"}
_WEB_CODECS |= {"euc_kr": "cp949", "iso8859-9": "cp1254", "tis-620": "cp874"}


@dataclass(frozen=True)
class HttpMessage:
    status: int
    headers: dict[str, str]  # names in lower case; the last of equal ones
    body: bytes


def parse_http(block: bytes) -> HttpMessage:
    """Splits a response into status, headers and body, chunking and compression still on."""
    head, _, body = _split_head(block)
    lines = head.decode("latin-1").split("\n")
    first = re.match(r"HTTP/\d(?:\.\d)?\s+(\d{3})\b", lines[0])
    if not first:
        raise RowFault("SCHEMA", "the record holds no HTTP response")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return HttpMessage(int(first.group(1)), headers, body)


def _split_head(block: bytes) -> tuple[bytes, bytes, bytes]:
    at = min((i for i in (block.find(b"\r\n\r\n"), block.find(b"\n\n")) if i >= 0), default=-1)
    if at < 0:
        return block, b"", b""
    width = 4 if block.startswith(b"\r\n\r\n", at) else 2
    return block[:at], block[at : at + width], block[at + width :]


def payload(message: HttpMessage, limit: int) -> bytes:
    """The body as the page's author wrote it. Raises RowFault beyond `limit` bytes or where it is damaged."""
    body = message.body
    if "chunked" in message.headers.get("transfer-encoding", "").lower():
        body = dechunk(body)
    codings = [name.strip() for name in message.headers.get("content-encoding", "").lower().split(",") if name.strip()]
    for coding in reversed(codings):
        body = _decompress(body, coding, limit)
    return body


def dechunk(body: bytes) -> bytes:
    """Joins the chunks of a chunked body; a body that does not begin with a chunk is returned as it is."""
    pieces: list[bytes] = []
    at = 0
    while match := _CHUNK.match(body, at):
        size = int(match.group(1), 16)
        if size == 0:
            return b"".join(pieces)
        pieces.append(body[match.end() : match.end() + size])
        at = match.end() + size
    if not pieces:
        return body
    if body[at:].strip(b"\r\n"):
        raise RowFault("CORRUPT", f"chunked body is damaged at byte {at} of {len(body)}")
    return b"".join(pieces)  # the closing chunk is missing: the capture stopped at a chunk's end


def _decompress(body: bytes, coding: str, limit: int) -> bytes:
    if coding in ("identity", "none", "utf-8") or not body:
        return body
    if coding in ("gzip", "x-gzip", "deflate"):
        return _inflate(body, limit)
    if coding == "br":
        return _unbrotli(body, limit)
    if coding == "zstd":
        return _unzstd(body, limit)
    raise RowFault("SCHEMA", "the body has a content encoding that is not known")


def _inflate(body: bytes, limit: int) -> bytes:
    """gzip, zlib or raw deflate, told apart by the first bytes; a body that is not compressed at all is kept."""
    gzip, zlib_header = body[:2] == b"\x1f\x8b", body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    if not gzip and not zlib_header and body.lstrip()[:1] == b"<":
        return body
    inflater = zlib.decompressobj(31 if gzip else 15 if zlib_header else -15)
    try:
        data = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise RowFault("CORRUPT", "compressed body is damaged") from None
    return _checked(data, inflater.eof or len(data) > limit, limit)


def _unbrotli(body: bytes, limit: int) -> bytes:
    import brotli  # type: ignore[import-untyped, unused-ignore]

    decompressor: Any = brotli.Decompressor()
    pieces, size = [], 0
    try:
        for at in range(0, len(body), 1024):  # small steps, so that a bomb is stopped near the limit
            pieces.append(decompressor.process(body[at : at + 1024]))
            size += len(pieces[-1])
            if size > limit:
                break
    except brotli.error:
        raise RowFault("CORRUPT", "compressed body is damaged") from None
    return _checked(b"".join(pieces), decompressor.is_finished() or size > limit, limit)


def _unzstd(body: bytes, limit: int) -> bytes:
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            data = reader.read(limit + 1)
    except zstandard.ZstdError:
        raise RowFault("CORRUPT", "compressed body is damaged") from None
    return _checked(data, True, limit)


def _checked(data: bytes, finished: bool, limit: int) -> bytes:
    if len(data) > limit:
        raise RowFault("ROWSIZE", f"expected at most {limit} bytes, found more in a compressed body")
    if not finished:
        raise RowFault("CORRUPT", "compressed body is cut off")
    return data


def page_text(body: bytes, content_type: str) -> str:
    """Characters of a page, by: byte order mark, valid UTF-8, the header's charset, <meta>, and last windows-1252.

    What a label's encoding cannot read becomes U+FFFD, so a wrong label shows in the text instead of losing the page.
    """
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    try:
        return body.decode()  # valid UTF-8 is UTF-8, whatever the page says: others hardly ever look so
    except UnicodeDecodeError:
        pass
    label = re.search(r"charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]{1,40})", content_type, re.I)
    meta = _META.search(body[:_META_BYTES])
    for said in (label.group(1) if label else None, meta.group(1).decode("ascii") if meta else None):
        if known := _web_codec(said):
            return body.decode(known, "replace")
    return body.decode("cp1252", "replace")


def _web_codec(label: str | None) -> str | None:
    try:
        name = codecs.lookup(label or "").name
    except LookupError:
        return None
    if name.startswith("utf-16") or not getattr(codecs.lookup(name), "_is_text_encoding", True):
        return None  # <meta charset=utf-16> in a page whose tags are ASCII is a mistake (WHATWG)
    return _WEB_CODECS.get(name, name)
