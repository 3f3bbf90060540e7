"""Source code needs other repairs than prose: a licence at the top says nothing about the code below it, and files
that a program wrote, or that have lines no person would write, teach nothing.

Limits of line length are those of The Stack (Kocetkov et al. 2022): mean 100, longest 1,000 characters.
"""

from __future__ import annotations

import re

MEAN_LINE, LONGEST_LINE = 100, 1000
_GENERATED_LINES = 15
_LANGUAGES = """bash c cc clj cpp cs css cu cxx dart erl ex exs f90 go groovy h hh hpp hs java jl js jsx kt lisp lua m
mjs ml mm nim php pl pm proto ps1 py pyi r rb rs sass scala scss sh sql swift tcl ts tsx v vb vhd zig zsh"""
SUFFIXES = frozenset(_LANGUAGES.split())

_MARKER = re.compile(
    r"@generated\b|\bdo not (?:edit|modify)\b|\bauto-?generated\b|\bautomatically generated\b"
    r"|\bgenerated (?:by|from|using) (?!hand)",
    re.IGNORECASE,
)
_LICENCE = re.compile(
    r"\bcopyright\b|\blicen[cs](?:e|ed)\b|\ball rights reserved\b|\bspdx-license-identifier\b|©", re.IGNORECASE
)
_FIRST = re.compile(r"(?:#!.*\n|#.*coding[:=].*\n|<\?php\s*\n|[ \t]*\n)*")
# A comment that stands alone at the top: lines of one line mark, or one block. No alternative can start inside another.
_COMMENT = re.compile(
    r"/\*(?:[^*]|\*(?!/))*+\*/[ \t]*\n?|\"\"\"(?:[^\"]|\"(?!\"\"))*+\"\"\"[ \t]*\n?"
    r"|(?:[ \t]*(?:\#|//|--|;|%)[^\n]*+(?:\n|\Z))++"
)


def is_code(name: str) -> bool:
    """By the suffix of a key, path or URI: "a/b.py.gz", "https://e.org/x.rs?raw" are code."""
    bare = re.split(r"[?#]", name, maxsplit=1)[0].lower().removesuffix(".gz").removesuffix(".zst")
    return "." in bare and bare.rsplit(".", 1)[1] in SUFFIXES


def clean_code(text: str) -> tuple[str, list[str]]:
    """The code without its licence header, or "" for a file not written by people, and the names of what was done."""
    lines = text.split("\n")
    if max(map(len, lines)) > LONGEST_LINE or len(text) > MEAN_LINE * len(lines):
        return "", ["long_lines"]
    if any(_MARKER.search(line) for line in lines[:_GENERATED_LINES] if _is_comment(line)):
        return "", ["generated_file"]
    without = drop_licence(text)
    return without, ["licence_header"] if without != text else []


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(("#", "//", "/*", "*", "--", ";", "%", '"""', "<!--"))


def drop_licence(text: str) -> str:
    """Without the comment at the top, if it speaks of a licence; a shebang and an encoding line stay."""
    start = _FIRST.match(text)
    at = start.end() if start else 0
    comment = _COMMENT.match(text, at)
    if not comment or not _LICENCE.search(comment.group()):
        return text
    return text[:at] + text[comment.end() :].lstrip("\n")
