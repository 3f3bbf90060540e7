"""What an input is, and which of its columns are which: for `dataforge init`, which writes it down for people to check.

Looks at names and first bytes, and at the first rows for columns. It never decides anything in a run.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from dataforge.errors import DataforgeError, InputError
from dataforge.operators.decode import decode_object
from dataforge.operators.files import PACKED, InputFile, list_files, split_root
from dataforge.operators.files_columns import suggest, unread
from dataforge.operators.files_csv import keeps_ascii
from dataforge.operators.files_html import HtmlFiles
from dataforge.operators.files_rows import RowFault, utf8
from dataforge.operators.files_sample import csv_rows, jsonl_rows, parquet_rows, stream_of
from dataforge.operators.files_text import not_plain
from dataforge.operators.files_words import Words, words_of
from dataforge.report.markup import ENOUGH_ROWS, MUCH, is_html

_HEAD_BYTES = 1 << 16
_SAMPLE_FILES = 20  # of a folder, spread over it: their encodings
_SUFFIX_KIND = {
    **dict.fromkeys((".jsonl", ".ndjson", ".jsonlines"), "jsonl"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".warc", ".wet", ".arc"), "warc"),
    **dict.fromkeys(HtmlFiles.suffixes, "html"),
    **dict.fromkeys((".txt", ".text", ".md", ".markdown", ".rst", ".adoc", ".org", ".tex"), "text"),
}
_BEGIN_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html[\s>])", re.I)
_DAY_FILE = re.compile(r"(?:^|/)[^/]+/\d{4}-\d{2}-\d{2}\.json$")


@dataclass(frozen=True)
class Sniffed:
    """One source to write into a config: its kind, where it is, and settings such as {"text": "body", "key": "id"}."""

    kind: str
    path: str
    files: int
    size_bytes: int
    settings: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what people should know of it
    words: Words | None = None  # of the first rows, where the texts were looked at


Settings = tuple[dict[str, str], tuple[str, ...]]
Seen = tuple[dict[str, str], tuple[str, ...], Words | None]


def sniff(path: str) -> tuple[Sniffed, ...]:
    """What lies at a path (file, folder, glob, URL): one entry per kind of file found there, sorted by kind.

    Raises InputError where nothing is found or nothing is known.
    """
    if _is_slack_export(path):
        return (_export(path),)
    exports = [str(place) for place in _children(path) if _is_slack_export(str(place))]
    groups: dict[str, list[InputFile]] = {}
    found = [file for file in list_files(path, ("",)) if not file.location.startswith(tuple(f"{e}/" for e in exports))]
    alone = len(found) == 1 and split_root(path)[1] != ""  # a file, not a folder that holds one
    for file in found:
        kind = _kind_of(file, by_bytes=alone)
        if kind:
            groups.setdefault(kind, []).append(file)
    lines = {} if alone else _json_lines(path, found)
    described = [_describe(kind, path, files) for kind, files in sorted(groups.items())]
    described += [_describe("jsonl", glob, files) for glob, files in lines.items()]
    if not described and not exports:
        hint = "dataforge reads Slack exports, WARC, HTML, JSONL, Parquet, CSV and text files"
        raise InputError(f"{len(found)} files, none of a known kind", file=path, hint=hint)
    read = {file.location for files in (*groups.values(), *lines.values()) for file in files}.union(exports)
    sources = [*described, *map(_export, exports)]
    sources[-1] = replace(sources[-1], notes=(*sources[-1].notes, *_left_out([f for f in found if f.location not in read])))
    return tuple(sources)


def _json_lines(path: str, found: Sequence[InputFile]) -> dict[str, list[InputFile]]:
    """Files named .json that hold an object a line, as dolma and C4 ship them; a glob names those of a folder."""
    lines = {}
    for suffix in (".json", *(f".json{packed}" for packed in PACKED)):
        files = [file for file in found if file.name.lower().endswith(suffix)]
        if files and _is_object(stream_of(files[0]).read(_HEAD_BYTES).split(b"\n", 1)[0]):
            lines[path if split_root(path)[1] else f"{path.rstrip('/')}/**/*{suffix}"] = files
    return lines


def _left_out(files: Sequence[InputFile]) -> tuple[str, ...]:
    """What lies beside the sources and no source reads, by suffix: nobody should find out from the figures."""
    suffixes = Counter(PurePosixPath(file.name.lower()).suffix or "no suffix" for file in files)
    told = ", ".join(f"{suffix} {count}" for suffix, count in sorted(suffixes.items())[:8])
    return (f"{len(files)} file(s) here are of no known kind and are not read: {told}",) if files else ()


def _export(path: str) -> Sniffed:
    return Sniffed("slack_export", path, 1, Path(path).stat().st_size if Path(path).is_file() else 0)


def _children(path: str) -> list[Path]:
    """What may be a Slack export inside a folder: its folders and archives, in order; none for a file, glob or URL."""
    place = Path(path)
    if "://" in path or not place.is_dir():
        return []
    return sorted(child for child in islice(place.iterdir(), 10_000) if child.is_dir() or child.suffix.lower() == ".zip")


def _describe(kind: str, path: str, files: list[InputFile]) -> Sniffed:
    try:
        settings, notes, words = _COLUMNS[kind](files[0]) if kind in _COLUMNS else ({}, (), None)
    except DataforgeError:  # a damaged first file: the run will name it; init must not stop at it
        settings, notes, words = {}, (), None
    if kind in ("text", "csv"):
        found, more = _encodings(kind, files)
        marked = not_plain(file.name for file in files) if kind == "text" else ()
        settings, notes = {**settings, **found}, (*notes, *more, *marked)
    return Sniffed(kind, path, len(files), sum(file.size_bytes for file in files), settings, notes, words)


def _encodings(kind: str, files: list[InputFile]) -> Settings:
    """The encoding of sampled files where it is not UTF-8: text files may differ, CSV files of one source may not."""
    heads = [head for file in files[:: -(-len(files) // _SAMPLE_FILES)] if (head := _head(file)) and not head.isascii()]
    if kind == "text":
        return ({"encoding": "auto"}, ()) if any(_encoding(head) != "utf-8" for head in heads) else ({}, ())
    found = sorted({_encoding(head) for head in heads})
    if len(found) > 1:
        return {}, (f"files differ in their encoding ({', '.join(found)}): make a source of each, with `encoding:`",)
    return ({"encoding": found[0]}, ()) if found not in ([], ["utf-8"]) else ({}, ())


def _head(file: InputFile) -> bytes:
    try:
        with stream_of(file) as stream:
            return stream.read(_HEAD_BYTES)
    except DataforgeError:  # damaged: the run will name it
        return b""


def _kind_of(file: InputFile, *, by_bytes: bool) -> str | None:
    name = file.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    known = next((kind for suffix, kind in _SUFFIX_KIND.items() if name.endswith(suffix)), None)
    if known or not by_bytes:
        return known
    head = stream_of(file).read(_HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"WARC/", b"filedesc:")):
        return "warc"
    if _BEGIN_PAGE.match(head):
        return "html"
    if head.startswith(b"PK\x03\x04") or b"\0" in head:
        return None
    return "jsonl" if _is_object(head.split(b"\n", 1)[0]) else _text_or_nothing(head)


def _text_or_nothing(head: bytes) -> str | None:
    if head.lstrip()[:1] in (b"[", b"{"):
        return None  # JSON, but not one object per line
    try:
        utf8(head[: -3 if len(head) == _HEAD_BYTES else None], "the head")
    except RowFault:
        return None
    return "text"


def _is_object(line: bytes) -> bool:
    try:
        decode_object(line.removeprefix(b"\xef\xbb\xbf"))
    except RowFault:
        return False
    return True


def _is_slack_export(path: str) -> bool:
    place = Path(path)
    if place.is_file() and zipfile.is_zipfile(place):
        try:
            with zipfile.ZipFile(place) as archive:
                return _names_an_export(list(islice((entry.filename for entry in archive.infolist()), 200_000)))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            return False
    if place.is_dir():
        return _names_an_export([p.relative_to(place).as_posix() for p in islice(place.glob("*/*.json"), 100)]) or (
            (place / "channels.json").is_file() and (place / "users.json").is_file()
        )
    return False


def _names_an_export(names: Sequence[str]) -> bool:
    """Day files in folders of their own ("general/2024-01-31.json"), as no other export has them."""
    return any(_DAY_FILE.search(name) for name in names)


def _read_as(rows: list[dict[str, Any]], *, nested: bool = False) -> Seen:
    chosen = suggest(rows)
    texts = [text for row in rows if isinstance(text := row.get(chosen.get("text", "")), str)]
    return chosen, (*unread(rows, chosen, nested=nested), *_markup(texts)), words_of(texts)


def _markup(texts: list[str]) -> tuple[str, ...]:
    """What to say of texts that are HTML inside of rows: a run keeps the tags."""
    found = sum(is_html(pa.array(texts, pa.string())).to_pylist()) if len(texts) >= ENOUGH_ROWS else 0
    if not found or found < MUCH * len(texts):
        return ()
    way = "tags are kept, unless a mapper under `own` (`at: after_clean`) takes them out"
    return (f"{found} of the first {len(texts)} texts look like HTML: {way}",)


def _jsonl_columns(file: InputFile) -> Seen:
    return _read_as(jsonl_rows(file), nested=True)


def _csv_columns(file: InputFile) -> Seen:
    with stream_of(file) as stream:
        head = stream.read(_HEAD_BYTES)
    delimiter = likely_delimiter(head)
    _, rows = csv_rows(file, delimiter, _encoding(head))
    usual = "\t" if ".tsv" in file.name.lower() else ","
    found, notes, words = _read_as(rows)
    return found if delimiter == usual else {**found, "delimiter": delimiter}, notes, words


def likely_delimiter(head: bytes) -> str:
    """The mark that stands most often in the first line of a CSV file."""
    first = head.split(b"\n", 1)[0]
    return max(",\t;|", key=lambda mark: first.count(mark.encode()))


def _encoding(head: bytes) -> str:
    """UTF-8, else what the first bytes look like; for Latin letters cp1252, the usual encoding of spreadsheets. A guess,
    which the config shows."""
    from charset_normalizer import from_bytes

    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < _HEAD_BYTES)
        return "utf-8"
    except UnicodeDecodeError:
        best = from_bytes(head[: head.rfind(b"\n") + 1] or head).best()
        if best is None or not keeps_ascii(best.encoding):
            return "cp1252"
        letters = [char for char in str(best) if char.isalpha()]
        foreign = sum(not unicodedata.name(char, "").startswith("LATIN") for char in letters)
        return best.encoding if foreign * 4 > len(letters) else "cp1252"


def _parquet_columns(file: InputFile) -> Seen:
    return _read_as(parquet_rows(file)[1])


_COLUMNS: dict[str, Callable[[InputFile], Seen]] = {
    "jsonl": _jsonl_columns,
    "csv": _csv_columns,
    "parquet": _parquet_columns,
}
