"""A text as names and ids are compared with it, and the way back: what is found there is replaced in the text itself.

Apostrophes of any kind are `'`, percent codes of URLs what they stand for (`Anna%20Berg`), full-width and mathematical
letters plain ones; soft hyphens and characters without width are gone. Nothing of a text changes but what is replaced.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dataforge.operators.slack_name_words import CODE

APOSTROPHES = "’ʼ‘`´"
FOLDED = re.compile(
    r"(?P<coded>(?:%[0-9A-Fa-f]{2})+)"
    "|[\u00ad\u200b-\u200f\u2060\ufeff]"  # soft hyphen, no width
    "|[\ufb00-\ufb06\uff01-\uff5e\U0001d400-\U0001d7ff]"  # ligatures, full-width forms, mathematical letters
)
ODD = re.compile("[%\u00ad\u200b-\u200f\u2060\ufeff\ufb00-\ufb06\uff01-\uff5e\U0001d400-\U0001d7ff]")  # a quick look
Span = tuple[int, int, str]  # start, end, what takes its place


@dataclass(slots=True)
class Folded:
    """`plain` is compared; `places[i]` is where its character `i` begins in `text`, None if everywhere the same."""

    text: str
    plain: str
    places: list[int] | None

    def replaced(self, spans: Iterable[Span]) -> str:
        """The text with each span of `plain` replaced; of two that overlap the first stands for both."""
        pieces, end, places = list[str](), 0, self.places
        for start, stop, shown in sorted(spans, key=lambda span: (span[0], -span[1])):
            if places is not None:
                start, stop = places[start], places[stop]
            if start >= end:
                pieces += [self.text[end:start], shown]
            end = max(end, stop)
        return "".join([*pieces, self.text[end:]])


def folded(text: str) -> Folded:
    """`"O’Bri\u00aden%20"` -> plain `"O'Brien "`; most texts are their own."""
    plain = text
    if "`" in text or not text.isascii():
        for sign in APOSTROPHES:
            plain = plain.replace(sign, "'")
    elif "%" not in text:
        return Folded(text, text, None)
    if not ODD.search(plain):
        return Folded(text, plain, None)
    pieces, places, end = list[str](), list[int](), 0
    for match in FOLDED.finditer(plain):
        pieces.append(plain[end : match.start()])
        places += range(end, match.start())
        for character, place in _read(match):
            pieces.append(character)
            places += [place] * len(character)
        end = match.end()
    places += range(end, len(plain) + 1)
    return Folded(text, "".join([*pieces, plain[end:]]), places)


def _read(match: re.Match[str]) -> list[tuple[str, int]]:
    """What is read there, each character with its place; a code that is no UTF-8 is read as it stands."""
    start, written = match.span()[0], match[0]
    if not match["coded"]:
        return [(unicodedata.normalize("NFKC", written) if written > "\ufaff" and written != "\ufeff" else "", start)]
    try:
        decoded = bytes.fromhex(written.replace("%", "")).decode()
    except UnicodeDecodeError:
        return [(character, start + at) for at, character in enumerate(written)]
    read: list[tuple[str, int]] = []
    for character in decoded:
        read.append((character, start))
        start += 3 * len(character.encode())
    return read


def composed(text: str) -> str:
    """`"u" + U+0308` -> `"ü"`: names and texts are compared in this form, NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def learned(name: str) -> str:
    """A name in the form in which texts are compared with it; a percent sign in a name is one."""
    return folded(composed(name)).plain if "%" not in name else composed(name)


def hide_in_pieces(text: str, prose: Callable[[str], str], code: Callable[[str], str]) -> str:
    """Prose composed and hidden; code hidden as if composed, but left byte for byte where nothing in it is hidden."""
    if "`" not in text:
        return prose(composed(text))
    pieces = CODE.split(text)
    for at, piece in enumerate(pieces):
        plain = composed(piece)
        hidden = code(plain) if at % 2 else prose(plain)
        pieces[at] = piece if at % 2 and hidden == plain else hidden
    return "".join(pieces)


def replace_folded(pattern: re.Pattern[str], shown: Callable[[re.Match[str]], str], text: str) -> str:
    """`pattern.sub(shown, text)`, found in the folded text."""
    if not ODD.search(text):
        return pattern.sub(shown, text)
    view = folded(text)
    found = ((match, shown(match)) for match in pattern.finditer(view.plain))
    return view.replaced((*match.span(), new) for match, new in found if new != match[0])
