"""Files that a config names and that are not there: what `dataforge config check` says beside the problems of the config.

Works on the file's plain values, so that a wrong key elsewhere hides no missing input. Nothing behind a URL is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataforge.config_file import Document, Problem, read_yaml
from dataforge.errors import ConfigError, InputError
from dataforge.flows.config import Config, absolute
from dataforge.flows.config_columns import absent_columns
from dataforge.flows.config_problems import config_error, named, problems
from dataforge.flows.own import own_problems
from dataforge.operators.files import FileSource, list_files
from dataforge.operators.files_csv import CsvFiles
from dataforge.operators.files_html import HtmlFiles
from dataforge.operators.files_jsonl import JsonlFiles
from dataforge.operators.files_parquet import ParquetFiles
from dataforge.operators.files_text import TextFiles, not_plain
from dataforge.operators.files_warc import WarcFiles
from dataforge.operators.pii_custom import read_rules
from dataforge.operators.slack_export import check_export

Keys = tuple[str | int, ...]
READERS: dict[Any, type[FileSource]] = {
    "jsonl": JsonlFiles,
    "parquet": ParquetFiles,
    "csv": CsvFiles,
    "text": TextFiles,
    "html": HtmlFiles,
    "warc": WarcFiles,
}
FILES = (
    "pii.rules",
    "quality.model",
    "review.gold",
    "review.answers",
    "review.audit.answers",
    "review.pairs.answers",
    "tokenizer.path",
)


def check_config(path: Path) -> None:
    """Raises ConfigError (exit 2) with every problem of a config file, or InputError (exit 3) if all it lacks is files."""
    document = read_yaml(path)
    wrong, lost = list(problems(document)), list(missing_inputs(document, path.parent))
    wrong += own_rules(document, path.parent)
    wrong += own_problems(document, path.parent.absolute())
    wrong += absent_columns(document, path.parent)[0]
    if wrong or lost:
        error: ConfigError | InputError = config_error([*wrong, *lost], str(path))
        if not wrong:
            details = error.details
            error = InputError(error.what, file=error.file, hint="bring the files, or mend their paths")
            error.details = details
        raise error


def read_with_markup(config: Config) -> list[str]:
    """What `not_plain` says of the text sources of a config: no mistake, but seldom what is meant."""
    texts = [source for source in config.sources if source.kind == "text" and "://" not in source.path]
    listed = [(source.name, list_files(str(config.path(source.path)), TextFiles.suffixes)) for source in texts]
    return [f"{name}: {said}" for name, files in listed for said in not_plain(file.name for file in files)]


def own_rules(document: Document, folder: Path) -> Iterator[Problem]:
    """The first thing that is wrong with the user's rules for personal data; a missing file is said elsewhere."""
    place = _at(document.values, ("pii", "rules"))
    if isinstance(place, str) and place and (what := _wrong_rules(place, folder)):
        yield Problem(*document.place(("pii", "rules")), "pii.rules", repr(place), what)


def _wrong_rules(place: str, folder: Path) -> str:
    if "://" in place:
        return "must be a file of this machine, not an address"
    if _what_is_missing("", place, folder):
        return ""
    file = absolute(folder, place)
    try:
        read_rules(file)
    except ConfigError as error:
        what = f"{error.key}: {error.what}" if error.key else error.what
        return f"{what}; {error.hint}" if error.hint and file.is_file() else what
    return ""


def missing_inputs(document: Document, folder: Path) -> Iterator[Problem]:
    """Sources whose files cannot be listed, and other files that are not there."""
    for keys, kind, place in _places(document.values):
        if isinstance(place, str) and place and "://" not in place:
            what = _what_is_missing(kind, place, folder)
            if what:
                yield Problem(*document.place(keys), named(document, keys), repr(place), what)


def _places(values: dict[str, Any]) -> Iterator[tuple[Keys, Any, Any]]:
    """Every (key, kind of source or "", path) of a config, whatever stands there."""
    sources = values.get("sources")
    for at, source in enumerate(sources if isinstance(sources, list) else ()):
        if isinstance(source, dict) and source.get("kind") != "slack_api":
            yield ("sources", at, "path"), source.get("kind"), source.get("path")
    yield ("split", "decontaminate"), "jsonl", _at(values, ("split", "decontaminate"))
    for keys in (tuple(name.split(".")) for name in FILES):
        yield keys, "", _at(values, keys)
    for kind in ("lists", "models"):
        scores = _at(values, ("quality", kind))
        for name in scores if isinstance(scores, dict) else ():
            yield ("quality", kind, name, "path"), "", _at(scores, (name, "path"))


def _at(values: Any, keys: Keys) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _what_is_missing(kind: Any, place: str, folder: Path) -> str:
    """Why a source cannot be listed; "" if it can, or if its kind is none."""
    try:
        path = str(absolute(folder, place))
        if not isinstance(kind, str) or kind not in READERS:
            if kind == "slack_export" and os.path.exists(path):
                check_export(path)
            return "" if os.path.exists(path) else "no such file or folder"
        list_files(path, READERS[kind].suffixes)
    except (ConfigError, InputError) as error:
        return error.what
    return ""
