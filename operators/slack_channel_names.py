"""Names of channels typed as plain text → what a reference to a hidden channel shows: `#channel`.

`#name` counts everywhere, in code too. In prose, and where it is all that stands between two backticks, it counts even if
no list holds that name: a pull never hears of private channels that it does not read. Numbers, colours, anchors and
headings stay (`#1234`, `#ff8800`, `page#setup`, `##Setup`), and so do names that may be shown. Without `#` only a known and
telling name counts, outside code: six characters or more with a hyphen, an underscore or a digit (`acme-migration`), alone
or within a longer word (`acme-migration_2024.pdf`); names like `general` or `random` are words. Whatever joins
its parts, a name is the same: hyphens of any kind, dashes, underscores, points (`acme.migration`). E-mail addresses stay:
the masking of personal data finds them whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from dataforge.operators.slack_folding import composed, hide_in_pieces
from dataforge.operators.slack_name_words import EMAIL
from dataforge.operators.slack_names import TO_SPACES

SHOWN = "#channel"
MARKS = "\u0300-\u036f"  # accents that compose with nothing before them
DASHES = "\u2010-\u2015\u2212"
TYPED = re.compile(rf"([#＃]?)([\w{MARKS}-](?:[\w{MARKS}{DASHES}.-]*[\w{MARKS}-])?)")
TYPED_OR_EMAIL = re.compile(rf"{EMAIL.pattern}|{TYPED.pattern}")
TELLING = re.compile(r"(?=.*[-_\d]).{6,}")
JOINTS = re.compile(rf"([-_.{DASHES}]+)")
BREAKS = re.compile(r"[.\u2012-\u2015]")  # joints that may also end a sentence or a clause: `#help.Thanks`
EDGES = "-_."
BEFORE = re.compile(r"[\s([{<>\"'*_~,.;:!|«„“‘`-]")  # what may stand before a `#` that begins a name
NO_NAME = re.compile(r"\d+|(?=.*\d)[0-9a-f]{6}|([0-9a-f])\1\1(?:\1\1\1)?|")  # numbers, colours
LABEL = re.compile(r"(<#[A-Z0-9]+)\|[^<>]*>")  # `<#C1|name>` as it stands in a row that could not be read


def folded(name: str) -> str:
    """`"Acme_Merger."` -> `"acme-merger"`: in this form names are compared."""
    return "-".join(filter(None, JOINTS.split(composed(name).lower())[::2]))


class ChannelNames:
    """Names that must not be read in a text, whatever their case, and those that may."""

    def __init__(self, names: Iterable[str] = (), shown: Iterable[str] = ()) -> None:
        self._shown = frozenset(map(folded, (*shown, SHOWN[1:])))
        listed = [composed(name).lower().strip(EDGES) for name in names]
        self._names = frozenset(filter(None, map(folded, listed))) - self._shown
        self._telling = self._names.intersection(folded(name) for name in listed if TELLING.fullmatch(name))
        self._longest = max((len(JOINTS.split(name)) for name in self._names), default=0)
        runs = (name.encode().translate(TO_SPACES).split() for name in self._telling)
        self._first_runs = frozenset(run[0] for run in runs if run)

    def hide(self, text: str) -> str:
        if self._cannot_hold(text):
            return text
        typed = TYPED_OR_EMAIL if "@" in text else TYPED
        return hide_in_pieces(text, partial(typed.sub, self._prose), partial(typed.sub, self._code))

    def _cannot_hold(self, text: str) -> bool:
        """A quick look: no `#`, and cut at all that is no letter or digit, no beginning of a telling name."""
        if "#" in text:
            return False
        if not text.isascii():
            return not self._telling and "＃" not in text
        return self._first_runs.isdisjoint(text.lower().encode().translate(TO_SPACES).split())

    def _code(self, match: re.Match[str]) -> str:
        alone = match.start() == 1 and match.end() == len(match.string) - 1  # `#name`
        return self._replaced(match, is_prose=alone) if match[1] else match[0]

    def _prose(self, match: re.Match[str]) -> str:
        return self._replaced(match, is_prose=True)

    def _replaced(self, match: re.Match[str], *, is_prose: bool) -> str:
        sign, word = match[1], match[2]
        if not word:
            return match[0]  # an e-mail address
        is_anchor = bool(sign) and match.start() > 0 and match.string[match.start() - 1].isalnum()  # `page#setup`
        if not sign and word.isalpha():
            return word  # as nearly all words: no telling name is one
        name = word.strip(EDGES)
        found = self._known(name) if sign and not is_anchor else ""
        if not found and sign and not is_anchor and is_prose and self._may_name(match, name):
            found = name
        if found:
            before, _, after = word.partition(found)
            return f"{before}{SHOWN}{self._within(after)}"
        hidden = self._within(word)
        return hidden if hidden.startswith("#") and not is_anchor else sign + hidden

    def _may_name(self, match: re.Match[str], name: str) -> bool:
        """Whether a `#name` that nobody lists may still be one of a channel that must not be named."""
        start = match.start()
        begins = start == 0 or bool(BEFORE.match(match.string[start - 1]))
        head = BREAKS.split(name, maxsplit=1)[0].lower()
        return begins and self._shown.isdisjoint((folded(head), folded(name))) and not NO_NAME.fullmatch(head)

    def _known(self, name: str) -> str:
        """The longest beginning of what was typed that is a known name, up to the end or a joint that may end it."""
        parts = JOINTS.split(name)
        for end in range(min(self._longest, len(parts)), 0, -2):
            ends = end == len(parts) or BREAKS.search(parts[end])
            if ends and "-".join(parts[:end:2]).lower() in self._names:
                return "".join(parts[:end])
        return ""

    def _within(self, word: str) -> str:
        """Telling names among the joined parts of a word, the longest first."""
        parts, shown, at = JOINTS.split(word), list[str](), 0  # a part, a joint, a part…: `at` is even
        while at < len(parts):
            for end in range(min(at + self._longest, len(parts)), at, -2):
                if "-".join(parts[at:end:2]).lower() in self._telling:
                    break
            else:
                end = at
            shown += [SHOWN, *parts[end : end + 1]] if end > at else parts[at : at + 2]
            at = max(end, at + 1) + 1
        return "".join(shown)
