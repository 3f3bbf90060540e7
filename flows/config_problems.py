"""What is wrong with a config: every problem at once, each with its place, the value, the rule and "did you mean".

Keys and types are checked by the sections of `config`; here their findings get words and places, and names are checked
that only operators know.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from dataforge.config_file import Document, Problem
from dataforge.errors import ConfigError
from dataforge.flows.config import Config
from dataforge.flows.config_filters import QualityConfig
from dataforge.flows.config_own import OwnConfig
from dataforge.flows.config_sources import SourceConfig
from dataforge.flows.config_types import NAME
from dataforge.operators.language import iso639_3
from dataforge.reasons import reasons

LITERAL_TOKEN = re.compile(
    r"xox[abeprs]-\d|xapp-\d|gh[opsu]_\w{30}|github_pat_\w{20}|AKIA[0-9A-Z]{16}|sk-[\w-]{20}|hf_\w{30}"
)
LISTS = {"sources": SourceConfig, "own": OwnConfig}  # top-level keys that hold a list of sections
TOKEN = re.compile(r"xox[a-z]-|xapp-|ghp_|sk-|AKIA[0-9A-Z]")


def config_error(problems: list[Problem], file: str) -> ConfigError:
    lines = [problem.text(file) for problem in sorted(problems, key=lambda p: (p.line, p.column, p.key))]
    count = f"{len(lines)} problem{'s' if len(lines) != 1 else ''}"
    error = ConfigError(f"{count} in the config", file=file, hint="Schema: dataforge config schema")
    error.details = lines
    return error


def problems(document: Document) -> Iterator[Problem]:
    """Everything wrong with a config: keys and types first, then names that only the operators know."""
    if "folder" in document.values:
        yield Problem(*document.place(("folder",)), "folder", "", "unknown key")
    try:
        Config.model_validate({k: v for k, v in document.values.items() if k != "folder"})
    except ValidationError as error:
        found = {(tuple(p for p in e["loc"] if not _is_branch(p)), e["type"]): e for e in error.errors()}
        for (path, kind), entry in found.items():
            inside = any(len(other) > len(path) and other[: len(path)] == path for other, _ in found)
            if not (kind == "too_short" and inside):  # a list whose items are all wrong counts as empty
                yield _problem(document, path, entry)
    yield from _quality_problems(document)
    yield from _unknown_names(document)
    yield from _literal_tokens(document)


def _is_branch(part: Any) -> bool:
    """pydantic adds the name of the union's branch to the place of an error: that is no key of the file."""
    return isinstance(part, str) and (
        part.startswith(("literal[", "function-", "constrained-", "tuple[")) or part in ("int", "str")
    )


def _problem(document: Document, path: tuple[str | int, ...], entry: Any) -> Problem:
    key, (line, column), kind = named(document, path) or "config", document.place(path), entry["type"]
    if kind == "extra_forbidden":
        return Problem(line, column, key, "", f"unknown key{_cut_number(document, path) or _did_you_mean(path)}")
    if kind == "missing":
        return Problem(line, column, key, "", "is missing")
    rule = _rule(entry)
    hidden = "a secret" in rule
    found = "…" if hidden else "" if isinstance(entry["input"], dict) or entry["input"] == [] else _shown(entry["input"])
    return Problem(line, column, key, found, rule)


def named(document: Document, path: tuple[str | int, ...]) -> str:
    """`sources.help.kind`: a source by its name where it has one."""
    sources = document.values.get("sources")
    if len(path) > 1 and path[0] == "sources" and isinstance(path[1], int) and isinstance(sources, list):
        source = sources[path[1]]
        name = source.get("name") if isinstance(source, dict) else None
        path = ("sources", name if isinstance(name, str) and NAME.fullmatch(name) else path[1], *path[2:])
    return ".".join(map(str, path))


def _rule(entry: Any) -> str:
    context = entry.get("ctx") or {}
    known = {
        "greater_than_equal": "must be at least {ge}",
        "greater_than": "must be greater than {gt}",
        "less_than_equal": "must be at most {le}",
        "literal_error": "must be one of {expected}",
        "tuple_type": "must be a list, e.g. [a, b]",
        "model_type": "must be a mapping of keys to values",
        "dict_type": "must be a mapping of keys to values",
        "string_type": "must be a text; put it in quotes",
        **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "must be a whole number"),
        **dict.fromkeys(("float_parsing", "float_type"), "must be a number"),
        **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    }
    if entry["type"] in known:
        numbers = {k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()}
        return known[entry["type"]].format(**numbers) + _meant(entry["input"], str(context.get("expected", "")))
    text = str(entry["msg"])
    return text.removeprefix("Value error, ").replace("Input should be", "must be")


def _meant(value: Any, expected: str) -> str:
    """The closest of the allowed words, which pydantic gives as "'a', 'b' or 'c'"."""
    known = re.findall(r"'([^']+)'", expected) if isinstance(value, str) else []
    close = difflib.get_close_matches(value.lower(), known, n=1, cutoff=0.5) if known else []
    return f"; did you mean '{close[0]}'?" if close else ""


def _shown(value: Any) -> str:
    """The value, short; anything that looks like a token is not shown."""
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value) if value in (None, True, False) else str(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of thousands of digits"
    return "…" if TOKEN.search(text) else text if len(text) <= 40 else text[:39] + "…"


def _cut_number(document: Document, path: tuple[str | int, ...]) -> str:
    """`{vocab_size: 25,856}` is 25 and a key 856 to YAML."""
    section: Any = document.values
    for part in path[:-1]:
        section = section[part]
    keys = list(section) if isinstance(section, dict) else []
    at = keys.index(path[-1]) if path[-1] in keys else 0
    before = section[keys[at - 1]] if at else None
    if not re.fullmatch(r"\d{3}", str(path[-1])) or not isinstance(before, int) or isinstance(before, bool):
        return ""
    return f": numbers are written without commas, `{keys[at - 1]}: {before}{path[-1]}`"


def _did_you_mean(path: tuple[str | int, ...]) -> str:
    model: Any = Config
    for part in path[:-1]:
        if isinstance(part, int):
            model = LISTS.get(str(path[0]))
        elif part in getattr(model, "model_fields", {}):
            model = model.model_fields[part].annotation
    fields = getattr(model, "model_fields", {})
    known = [field.alias or name for name, field in fields.items() if name != "folder"]
    close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


def _literal_tokens(document: Document) -> Iterator[Problem]:
    """A token anywhere in a config would be published with it: the config is part of the card and the manifest."""
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), document.values)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            pending += [((*path, key), child) for key, child in value.items()]
        elif isinstance(value, list):
            pending += [((*path, index), child) for index, child in enumerate(value)]
        elif isinstance(value, str) and LITERAL_TOKEN.search(value):
            rule = "looks like a token; a secret stands only as env:NAME or file:PATH"
            yield Problem(*document.place(path), named(document, path), "…", rule)


def _section(document: Document, name: str) -> dict[str, Any]:
    """A section as it stands in the file; nothing if it is no mapping, which has been said then."""
    found = document.values.get(name)
    return found if isinstance(found, dict) else {}


def _unknown_names(document: Document) -> Iterator[Problem]:
    """Names that mean nothing to the operators: kinds of personal data, speech acts, languages."""
    from dataforge.operators.pii_rules import KINDS
    from dataforge.schemas.act import ACTS

    kinds = _section(document, "pii").get("kinds")
    for at, kind in enumerate(kinds if isinstance(kinds, list) else ()):
        if kind not in KINDS:
            yield _unknown(document, ("pii", "kinds", at), kind, KINDS)
    expected = _section(document, "acts").get("expect")
    for act in expected if isinstance(expected, dict) else ():
        if act not in ACTS:
            yield _unknown(document, ("acts", "expect", act), act, ACTS)
    languages = _section(document, "language").get("keep")
    for at, code in enumerate(languages if isinstance(languages, list) else ()):
        try:
            iso639_3(str(code))
        except ConfigError as error:
            yield Problem(*document.place(("language", "keep", at)), f"language.keep.{at}", _shown(code), error.what)


def _unknown(document: Document, path: tuple[str | int, ...], value: Any, known: Sequence[str]) -> Problem:
    close = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
    rule = f"unknown; did you mean '{close[0]}'?" if close else f"unknown; known: {', '.join(known)}"
    return Problem(*document.place(path), ".".join(map(str, path)), _shown(value), rule)


def _quality_problems(document: Document) -> Iterator[Problem]:
    """Overrides of the quality preset are checked against the rules it has."""
    from dataforge.operators.quality import presets, rules_of

    section = _section(document, "quality")
    preset, allowed = section.get("preset", "none"), ("none", *presets())
    if preset not in allowed:
        yield _unknown(document, ("quality", "preset"), preset, allowed)
        return
    rules = rules_of(preset).rules if preset != "none" else ()
    known = sorted(rule.key for rule in rules)
    yield from _names_of_scores(document, section, reasons() | {rule.reason for rule in rules})
    for name, value in section.items():
        path = ("quality", name)
        if name in QualityConfig.model_fields:
            continue
        if name not in known and not known:
            yield Problem(*document.place(path), f"quality.{name}", "", "unknown key; set a preset first")
        elif name not in known:
            yield replace(_unknown(document, path, name, [*QualityConfig.model_fields, *known]), found=_shown(value))
        elif value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        ):
            rule = "must be a number, or null to switch the rule off"
            yield Problem(*document.place(path), f"quality.{name}", _shown(value), rule)


def _names_of_scores(document: Document, section: dict[str, Any], taken: frozenset[str]) -> Iterator[Problem]:
    """The name of a list or model is the reason of its drops; languages of lists are those of documents."""
    for kind in ("lists", "models"):
        scores = section.get(kind)
        for name, score in scores.items() if isinstance(scores, dict) else ():
            if name in taken:
                rule = "is a reason of its own already; choose another name"
                yield Problem(*document.place(("quality", kind, name)), f"quality.{kind}.{name}", "", rule)
            files = score.get("path") if isinstance(score, dict) else None
            for code in files if isinstance(files, dict) else ():
                try:
                    iso639_3("eng" if code == "all" else str(code))
                except ConfigError as error:
                    path = ("quality", kind, name, "path", code)
                    yield Problem(*document.place(path), ".".join(map(str, path)), _shown(code), error.what)
