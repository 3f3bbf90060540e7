"""YAML text → plain values with the place of every key: strict, bounded, no objects.

Limits: 1 MiB, 64 aliases, depth 32. Duplicate keys, tags and non-mappings are errors with line and column.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataforge.errors import ConfigError
from dataforge.yaml_words import in_words

MAX_BYTES, MAX_ALIASES, MAX_DEPTH, MAX_VALUES = 1 << 20, 64, 32, 100_000


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a config: 1-based line and column, the key's path, what was found, what is allowed."""

    line: int
    column: int
    key: str
    found: str
    rule: str

    def text(self, file: str) -> str:
        """`configs/a.yaml:14:18  dedupe.threshold = 1.4   must be between 0 and 1`"""
        shown = f"{self.key} = {self.found}" if self.found else self.key
        return f"{file}:{self.line}:{self.column}  {shown}   {self.rule}"


@dataclass(frozen=True)
class Document:
    """Parsed YAML: plain dicts, lists and scalars, and where each key path (a tuple) stands."""

    values: dict[str, Any]
    places: dict[tuple[str | int, ...], tuple[int, int]] = field(default_factory=dict)

    def place(self, path: tuple[str | int, ...]) -> tuple[int, int]:
        """Line and column of a key path, or of the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def read_yaml(path: Path) -> Document:
    """Reads a config file; raises ConfigError naming line and column."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError as error:
        raise ConfigError("is a folder", file=str(path), hint=f"name the file, e.g. {path}/dataforge.yaml") from error
    except OSError as error:
        hint = "make one with: dataforge init DIR --input PATH"
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path), hint=hint) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES} bytes", file=str(path), hint="a config holds parameters only")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 at byte {error.start}", file=str(path), hint="save it as UTF-8") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Document:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        _check_events(text, name)
        tree = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        raise _at(error, name, "a key stands twice", "keep one of them") from error
    except MarkedYAMLError as error:
        raise _at(error, name, *in_words(error)) from error
    except ReaderError as error:
        what = f"holds a control character (code {error.character}) as its character {error.position + 1}"
        raise ConfigError(what, file=name, hint="remove it: a config is plain text") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"is not YAML: {type(error).__name__}", file=name) from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        what = f"must be a mapping of sections, found {'a list' if isinstance(tree, list) else 'a single value'}"
        raise ConfigError(what, file=f"{name}:1:1", hint="write lines like `name: mydata`")
    places: dict[tuple[str | int, ...], tuple[int, int]] = {}
    return Document(_plain(tree, (), places), places)


def _at(error: Any, name: str, what: str, hint: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    return ConfigError(what, file=place, hint=hint)


def _check_events(text: str, name: str) -> None:
    """Refuses alias bombs, tags and deep nesting before anything is built."""
    from ruamel.yaml import YAML

    aliases = depth = 0
    for event in YAML(typ="rt").parse(text):
        kind, mark = type(event).__name__, getattr(event, "start_mark", None)
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        aliases += kind == "AliasEvent"
        depth += kind.endswith("StartEvent") and ("Mapping" in kind or "Sequence" in kind)
        depth -= kind in ("MappingEndEvent", "SequenceEndEvent")
        if aliases > MAX_ALIASES or depth > MAX_DEPTH:
            what = f"more than {MAX_ALIASES} aliases" if aliases > MAX_ALIASES else f"nested deeper than {MAX_DEPTH}"
            raise ConfigError(what, file=place, hint="write the values out")
        if getattr(event, "tag", None) is not None and kind != "DocumentStartEvent":
            raise ConfigError("tags are not allowed", file=place, hint="write plain values")


def _plain(value: Any, path: tuple[str | int, ...], places: dict[Any, tuple[int, int]]) -> Any:
    if len(places) > MAX_VALUES:  # aliases of aliases multiply: few events, billions of values
        raise ConfigError(f"has more than {MAX_VALUES} values", hint="write lists without aliases of aliases")
    marks: Any = getattr(value, "lc", None)
    if isinstance(value, dict):
        out = {}
        for key, child in value.items():
            if key not in (marks.data or {}):
                raise ConfigError("merge keys (<<) are not allowed", hint="write the values out")
            line, column = marks.key(key)
            places[(*path, str(key))] = (line + 1, column + 1)
            out[str(key)] = _plain(child, (*path, str(key)), places)
        return out
    if isinstance(value, list):
        for index in range(len(value)):
            line, column = marks.item(index)
            places[(*path, index)] = (line + 1, column + 1)
        return [_plain(child, (*path, i), places) for i, child in enumerate(value)]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float):  # ruamel's own subclasses of these remember quotes and width: drop that
        if isinstance(value, kind):
            return kind(value)
    return _text(str(value))


def _text(value: str) -> str:
    """A string that paths and UTF-8 can hold. JSON writes "\\ud83d\\ude00" for one character, which YAML reads as two."""
    if "\0" in value:
        raise ConfigError("holds a NUL character", hint="remove it")
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ConfigError("holds half of a character (a lone surrogate)", hint="write the character itself") from None
