"""Columns that the sources of a config name and that their first file lacks: what `dataforge config check` says of them.

A column of text or key must be in every row, and any column in the head of a CSV or Parquet file: without it a run fails,
which is a problem. The rows of JSONL may differ in the others: these are warnings. Nothing behind a URL is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dataforge.config_file import Document, Problem
from dataforge.errors import ConfigError, DataforgeError
from dataforge.flows.config import absolute
from dataforge.flows.config_problems import named
from dataforge.operators.files import FileSource, InputFile, list_files
from dataforge.operators.files_csv import CsvFiles, keeps_ascii
from dataforge.operators.files_jsonl import JsonlFiles
from dataforge.operators.files_parquet import ParquetFiles
from dataforge.operators.files_sample import absent, stream_of
from dataforge.operators.files_sniff import likely_delimiter

SETTINGS, NEEDED = ("text", "key", "uri", "created"), ("text", "key")
HEAD_BYTES = 1 << 16
WITH_COLUMNS: dict[Any, type[FileSource]] = {"jsonl": JsonlFiles, "csv": CsvFiles, "parquet": ParquetFiles}


def absent_columns(document: Document, folder: Path) -> tuple[list[Problem], list[str]]:
    """(problems, warnings) of all sources that have columns."""
    wrong: list[Problem] = []
    warnings: list[str] = []
    sources = document.values.get("sources")
    for at, source in enumerate(sources if isinstance(sources, list) else ()):
        for setting, column, what in _of_source(source, folder) if isinstance(source, dict) else ():
            keys = ("sources", at, setting)
            if setting in NEEDED or source["kind"] != "jsonl":
                wrong.append(Problem(*document.place(keys), named(document, keys), repr(column), what))
            else:
                warnings.append(f"{named(document, keys)} = {column!r}: {what}")
    return wrong, warnings


def _of_source(source: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, str, str]]:
    """(setting, column, what is wrong with it)"""
    wanted = {setting: source.get(setting, "text" if setting == "text" else None) for setting in SETTINGS}
    columns = {setting: column for setting, column in wanted.items() if isinstance(column, str) and column}
    file = _first_file(source, folder)
    if file is None:
        return
    delimiter, encoding = _delimiter(source, file), source.get("encoding", "utf-8")
    if not isinstance(encoding, str) or not keeps_ascii(encoding):  # which is said elsewhere
        return
    found = absent(source["kind"], file, columns, delimiter, encoding)
    likely = _likely(file) if found and source["kind"] == "csv" else delimiter
    if likely != delimiter and set(found) == set(columns):
        yield "delimiter", delimiter, f"{file.name} looks as if its delimiter were {likely!r}: set `delimiter:`"
        return
    yield from ((setting, columns[setting], what) for setting, what in found.items())


def _first_file(source: Mapping[str, Any], folder: Path) -> InputFile | None:
    kind, path = source.get("kind"), source.get("path")
    if not isinstance(kind, str) or kind not in WITH_COLUMNS or not isinstance(path, str) or not path or "://" in path:
        return None
    try:
        return next(iter(list_files(str(absolute(folder, path)), WITH_COLUMNS[kind].suffixes)), None)
    except DataforgeError:  # that it is missing is said elsewhere
        return None


def _delimiter(source: Mapping[str, Any], file: InputFile) -> str:
    try:
        return CsvFiles(name="", path="", delimiter=str(source.get("delimiter", "auto"))).delimiter_of(file.name)
    except ConfigError:
        return ","


def _likely(file: InputFile) -> str:
    with stream_of(file) as stream:
        return likely_delimiter(stream.read(HEAD_BYTES))
