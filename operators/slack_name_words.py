"""The words and patterns that names of members are found with: what is a word, what joins words, what is no name alone."""

from __future__ import annotations

import re

EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_CAPITALS = "A-ZÀ-ÖØ-ÞΑ-ΩЀ-Я"
# A point before a capital ends a word, as in `it.Anna.Then`, and so does the hyphen of `Anna's-mac`.
WORD = re.compile(rf"@?[^\W_][\w']*(?:(?:\.(?![{_CAPITALS}])|(?<!'s)-)[\w']*)*(?<![\W_])")
PART = r"[^\W_]+(?:'(?!s(?:[\W_]|$))[^\W_]+)*"
PARTS = re.compile(PART)
_JOINT = "[_.\u2010-\u2013-]{1,3}"
JOINED = re.compile(rf"(?<![@\w.])(@?)_*({PART}(?:{_JOINT}{PART})+)")  # `Anna_Berg_2024` or `anna-berg.pdf`
JOINT = re.compile(rf"{_JOINT}[^\W_]")
DIGITS = "0123456789"
IDEOGRAPHS = re.compile("[\u3005\u3400-\u9fff\uf900-\ufaff]{3,}")  # no blanks part words of these
_PARTICLES = "van der den de von vom zu zur la le di da del della dos du el al bin ibn ter ten af av y"
PARTICLES = frozenset(_PARTICLES.split())
INNER_CAPITAL = re.compile(r"[a-z][A-Z]")
SENTENCE_START = re.compile(r"(?:^|[.!?:;\n>*•-]\s*|[\"'(\[]\s*)$")
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.S)
# Names that are words of the language too: one alone is a name only with a capital, right after one of CONTEXT.
_WORDS = """
will may mark art bill rich grant hope faith joy grace rose lily daisy iris june april august summer dawn ray jay dean
max pat sue rob chase chance hunter mason cooper carter page penny ruby jade pearl amber crystal gene guy jack frank
earnest buck bob don dot eve ivy jasmine jean jet jewel josh kit lance lee link major miles nick olive paris pierce
poppy queen reed robin rock rod rusty sage sandy sky sol sonny star stone storm sunny ted tom trip van victor violet
wade web west wolf young bell best black brown bush case church cook cross day field fisher ford fox french good gray
green hall hand hill holly king knight lake law little long love lynch marsh mercy miller moon moss noble north park
pope power price reader root sharp short small smith snow son swift tailor temple train wall ward waters white wood
woods admin ops dev test team support help user bot build deploy release prod data api app all none home main sun an
in do so no you the and for with from
"""
COMMON_WORDS = frozenset(_WORDS.split())
_CONTEXT = """
hi hey hello thanks thank thx dear cc ask asked asking ping pinged with from to by and dr mr mrs ms told tell hallo
danke hola gracias merci salut
"""
CONTEXT = frozenset(_CONTEXT.split())
