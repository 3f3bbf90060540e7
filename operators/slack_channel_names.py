"""Names of channels typed as plain text → what a reference to a hidden channel shows: `#channel`.

`#name` counts everywhere, in code too. In prose, and where it is all that stands between two backticks, it counts even if
no list holds that name: a pull never hears of private channels that it does not read. Numbers, colours, anchors and
headings stay (`#1234`, `#ff8800`, `page#setup`, `##Setup`), and so do names that may be shown. Without `#` only a known and
telling name counts, outside code: six characters or more with a hyphen, an underscore or a digit (`acme-migration`), alone
or within a longer word (`acme-migration_2024.pdf`); names like `general` or `random` are words. E-mail addresses stay, which
the masking of personal data finds whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from dataforge.operators.slack_names import EMAIL, TO_SPACES, composed, hide_in_pieces

SHOWN = "#channel"
MARKS = "\u0300-\u036f"  # accents that compose with nothing before them
TYPED = re.compile(rf"([#＃]?)([\w{MARKS}-]+)")
TYPED_OR_EMAIL = re.compile(rf"{EMAIL.pattern}|{TYPED.pattern}")
TELLING = re.compile(r"(?=.*[-_\d]).{6,}")
JOINTS = re.compile(r"([-_]+)")
BEFORE = re.compile(r"[\s([{<>\"'*_~,.;:!|«„“‘`-]")  # what may stand before a `#` that begins a name
NO_NAME = re.compile(r"\d+|(?=.*\d)[0-9a-f]{6}|([0-9a-f])\1\1(?:\1\1\1)?|")  # numbers, colours
LABEL = re.compile(r"(<#[A-Z0-9]+)\|[^<>]*>")  # `<#C1|name>` as it stands in a row that could not be read


class ChannelNames:
    """Names that must not be read in a text, whatever their case, and those that may."""

    def __init__(self, names: Iterable[str] = (), shown: Iterable[str] = ()) -> None:
        self._shown = frozenset(composed(name).lower().strip("-_") for name in (*shown, SHOWN[1:]))
        self._names = frozenset(filter(None, (composed(name).lower().strip("-_") for name in names)))
        self._telling = frozenset(name for name in self._names if TELLING.fullmatch(name))
        self._longest = max((len(JOINTS.split(name)) for name in self._telling), default=0)
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
        name = word.strip("-_")
        is_typed = is_prose and self._may_name(match, name.lower())
        if sign and not is_anchor and (is_typed or name.lower() in self._names):
            before, _, after = word.partition(name)
            return f"{before}{SHOWN}{after}"
        hidden = self._within(word)
        return hidden if hidden.startswith("#") and not is_anchor else sign + hidden

    def _may_name(self, match: re.Match[str], name: str) -> bool:
        """Whether a `#name` that nobody lists may still be one of a channel that must not be named."""
        start = match.start()
        begins = start == 0 or bool(BEFORE.match(match.string[start - 1]))
        return begins and name not in self._shown and not NO_NAME.fullmatch(name)

    def _within(self, word: str) -> str:
        """Telling names among the joined parts of a word, the longest first."""
        parts, shown, at = JOINTS.split(word), list[str](), 0  # a part, a joint, a part…: `at` is even
        while at < len(parts):
            for end in range(min(at + self._longest, len(parts)), at, -2):
                if "".join(parts[at:end]).lower() in self._telling:
                    break
            else:
                end = at
            shown += [SHOWN, *parts[end : end + 1]] if end > at else parts[at : at + 2]
            at = max(end, at + 1) + 1
        return "".join(shown)
