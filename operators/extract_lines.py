"""Lines of a web page's text that belong to the site and not to the page: consent, sharing, subscribing, see-also.

A line goes only if all of it is such a phrase, or if it is short and talks about cookies or consent; prose that merely
mentions them stays. The phrases are data: configs/clean/boilerplate_lines.txt.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import dataforge

_LONGEST = 240  # characters: a longer line is prose even when it speaks of cookies

# Sentences that ask for consent, by language.
_CONSENT = re.compile(
    "|".join(
        (
            r"\b(?:we|this (?:web)?site|our (?:web)?site|our partners) (?:also )?uses? (?:third[- ]party )?cookies\b",
            r"\bby (?:continuing|using|browsing)\b.{0,60}\bcookies\b",
            r"\b(?:agree|consent) to (?:the|our) use of cookies\b",
            r"\b(?:wir|diese (?:web)?seite|diese website) (?:verwenden|verwendet|benutzt|nutzen|nutzt) cookies\b",
            r"\bce site utilise des cookies\b|\bnous utilisons des cookies\b|\ben poursuivant votre navigation\b",
            r"\b(?:este sitio|esta web|utilizamos|usamos) (?:web )?(?:utiliza |usa )?cookies\b",
            r"\bquesto sito (?:utilizza|usa) (?:i )?cookie\b|\b(?:deze (?:web)?site gebruikt|wij gebruiken) cookies\b",
            r"\beste site (?:utiliza|usa) cookies\b",
        )
    ),
    re.IGNORECASE,
)
_COPYRIGHT = re.compile(r"^(?:copyright\b.{0,12}|©|\(c\)) ?(?:19|20)\d\d\b.{0,100}$", re.IGNORECASE)
# "Last updated: 14.02.2019" and the like, and no more than that: the page's stamp. A date alone may be content.
_STAMPED = (
    "last updated|last modified|updated|published|posted|posted on|letzte änderung|zuletzt geändert",
    "stand|veröffentlicht|veröffentlicht am|publié le|mis à jour le|publicado|publicado el|actualizado|pubblicato il",
)
_STAMP = re.compile(rf"^(?:{'|'.join(_STAMPED)})\s*:?\s*[\d./:, \-]{{6,20}}(?:uhr|am|pm|h)?\W*$", re.IGNORECASE)
_ENDS = " \t\r\n.:;,!?…»«›‹>→←|·•-–—*#()[]\"'"


@functools.cache
def phrases() -> frozenset[str]:
    """The whole lines that go, read once per process."""
    path = Path(dataforge.__path__[0], "configs", "clean", "boilerplate_lines.txt")
    lines = path.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def is_boilerplate(line: str) -> bool:
    """`"Accept all cookies"` and `"Read more »"` are; `"Accept the terms, he said."` is not."""
    if len(line) > _LONGEST:
        return False
    bare = line.strip(_ENDS).lower()
    if bare in phrases():
        return True
    stripped = line.strip()
    return bool(_CONSENT.search(stripped) or _COPYRIGHT.match(stripped) or _STAMP.match(stripped))


def drop_boilerplate(text: str) -> str:
    """The text without such lines. A text that consists of little else is left to the filters, not emptied here."""
    lines = text.split("\n")
    kept = [line for line in lines if not line or not is_boilerplate(line)]
    if len(kept) == len(lines):
        return text
    return "\n".join(kept).strip("\n")
