"""Names, handles and e-mails of members in running text → what stands for them. One pass over the words of a text.

Full names count everywhere, single names outside code; a name that is a plain word too (`Will`) counts only with a
capital right after a word such as "ask" or "thanks". A display name counts bare where its letters give it away
(`CanaryDisp`), a plain one (`Sparky`) only with a capital inside a sentence. A full name is one however it is joined
(`Anna_Berg_2024`, `berg.anna`, `AnnaBerg`), a name with a capital also in the plural (`the Bergs`). One that several
people share becomes `<PERSON>`. Letters count composed (NFC) and folded (slack_folding), however they were typed; code
changes only where a name stands in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dataforge.operators.slack_folding import Span, folded, hide_in_pieces, learned
from dataforge.operators.slack_name_words import (
    COMMON_WORDS,
    CONTEXT,
    DIGITS,
    EMAIL,
    IDEOGRAPHS,
    INNER_CAPITAL,
    JOINED,
    JOINT,
    PARTICLES,
    PARTS,
    SENTENCE_START,
    WORD,
)

PERSON = "<PERSON>"
POSSESSIVE = "'s"
GLUED_LETTERS = 10  # a full name without joints is one in any case from here on; shorter, `markdown` might be Mark Down
PLURAL_OF = 4  # letters of a name that may stand in the plural
TO_SPACES = bytes(byte if chr(byte).isalnum() or byte > 127 else 32 for byte in range(256))
TO_LETTERS = bytes(32 if 48 <= byte < 58 else byte for byte in TO_SPACES)


@dataclass
class Names:
    """Names by their first word, longest first; COMMON_WORDS alone only where CONTEXT makes them a name."""

    replies: dict[tuple[str, ...], str]
    emails: dict[str, str] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    telling: set[str] = field(default_factory=set)  # handles made of a name (`zvantongeren`): hidden in code too
    capital: set[str] = field(default_factory=set)  # display names like any word: only `Sparky`, inside a sentence
    camel: set[str] = field(default_factory=set)  # short full names without a joint: only `AnnaBerg`
    apart: set[tuple[str, ...]] = field(default_factory=set)  # names with a hyphen: only `Anne Marie`, in capitals
    turned: dict[tuple[str, ...], str] = field(default_factory=dict)  # full names only where joined: `berg_anna`
    within: dict[str, str] = field(default_factory=dict)  # names of ideographs, found inside words too
    _longest: dict[str, int] = field(default_factory=dict)
    _sizes: tuple[int, ...] = ()  # of `within`, the largest first
    _first_runs: set[bytes] = field(default_factory=set)  # what first words begin with: letters, up to all else
    _coded_runs: set[bytes] = field(default_factory=set)  # the same of words with a digit soon (`b0b`), with digits

    def learn(self, user: dict[str, Any], hidden: str) -> None:
        found = user.get("profile")
        profile: dict[str, Any] = found if isinstance(found, dict) else {}
        is_bot = bool(user.get("is_bot"))
        full = _strings(user, profile, ("real_name", "real_name_normalized")) + _past(profile)
        parts_of = _strings({}, profile, ("first_name", "last_name"))
        for at, name in enumerate(full + parts_of):
            self._add(name, hidden)
            if not is_bot:  # bots are called like products: `On-Call`
                self._add_forms(name, hidden, is_full=at < len(full))
        parts = {word.lower() for name in _strings(user, profile, ("real_name",)) for word in WORD.findall(name)}
        for name in _strings(user, profile, ("name", "display_name", "display_name_normalized")):
            self._handle(name, hidden, parts)
        if not is_bot:  # `GitHub`
            for name in _strings(user, profile, ("display_name", "display_name_normalized")):
                self._display(name.strip(), hidden)
        for mail in _strings(user, profile, ("email",)):
            self.emails[mail.lower()] = hidden

    def _add(self, name: str, hidden: str) -> None:
        words = tuple(word.lower() for word in WORD.findall(name))
        if not words or (len(words) == 1 and len(words[0]) < 3):
            return
        self.apart.discard(words)
        self._put(words, hidden)
        self._glue(words, hidden)
        if len(words) > 1 and len(words[0]) > 2:
            self._put(words[:1], hidden)

    def _add_forms(self, name: str, hidden: str, *, is_full: bool) -> None:
        """Other ways to write it: without particles or apostrophes, hyphens as blanks, the last name first."""
        words = tuple(word.lower() for word in WORD.findall(name))
        short = tuple(word for word in words if word not in PARTICLES)
        if short != words and len(short) > is_full:  # `Al Baker` is not called Baker by every baker
            self._add(" ".join(short), hidden)
        if "'" in name:
            self._add(name.replace("'", ""), hidden)
        parts = tuple(part.lower() for part in PARTS.findall(name))
        if len(parts) > len(words):
            self._part(parts, hidden, is_one=len(words) == 1)
        if len(short) == 2 and not COMMON_WORDS.issuperset(short):
            self._glue(short[::-1], hidden)
            self._put(short[::-1], hidden, self.turned)
        if IDEOGRAPHS.fullmatch(joined := "".join(words)):
            self.within[joined] = hidden if self.within.get(joined, hidden) == hidden else PERSON
            self._sizes = tuple(sorted({*self._sizes, len(joined)}, reverse=True))

    def _part(self, parts: tuple[str, ...], hidden: str, *, is_one: bool) -> None:
        """`Jean-Pierre` as `Jean Pierre` and `JeanPierre`; in a full name in any case."""
        if is_one and parts not in self.replies:
            self.apart.add(parts)
        self._put(parts, hidden)
        glued = "".join(parts)
        if not is_one:
            self._glue(parts, hidden)
        elif len(glued) > 5 and (glued,) not in self.replies:
            self.camel.add(glued)
            self._put((glued,), hidden)

    def _glue(self, words: tuple[str, ...], hidden: str) -> None:
        """`("anna", "berg")` -> `annaberg`: in code too; if short, only as `AnnaBerg`."""
        glued = "".join(words)
        if len(words) < 2 or len(glued) < 6 or COMMON_WORDS.issuperset(words):
            return
        if len(glued) < GLUED_LETTERS and (glued,) not in self.replies:
            self.camel.add(glued)
        elif len(glued) >= GLUED_LETTERS:
            self.telling.add(glued)
        self._put((glued,), hidden)

    def _put(self, words: tuple[str, ...], hidden: str, table: dict[tuple[str, ...], str] | None = None) -> None:
        table = self.replies if table is None else table
        self.capital.discard(words[0] if len(words) == 1 else "")
        table[words] = hidden if table.get(words, hidden) == hidden else PERSON
        self._longest[words[0]] = max(self._longest.get(words[0], 0), len(words))
        encoded = words[0].lstrip("@").encode()
        letters, run = encoded.translate(TO_LETTERS).split()[:1], encoded.translate(TO_SPACES).split()[0]
        if letters == [run] or (letters and len(letters[0]) > 2 and run.startswith(letters[0])):
            self._first_runs |= {letters[0], letters[0] + b"s", letters[0] + b"es"}
        else:
            self._coded_runs |= {run, run + b"s", run + b"es"}

    def _handle(self, name: str, hidden: str, parts: set[str]) -> None:
        """A handle counts after `@`; bare only where it is no plain word (`anna.k`, `b0b`, `zvantongeren`)."""
        words = tuple(word.lower() for word in WORD.findall(name))
        if len(words) == 1:
            self.handles[words[0]] = hidden if self.handles.get(words[0], hidden) == hidden else PERSON
            if words[0] not in parts and any(len(part) > 3 and part in words[0] for part in parts):
                self.telling.add(words[0])
                self._put(words, hidden)
            elif len(words[0]) > 3 and not words[0].isalpha():
                self._put(words, hidden)
        elif words:
            self._put(words, hidden)
            self._glue(words, hidden)

    def _display(self, name: str, hidden: str) -> None:
        """One word of five letters or more, with a capital inside or at least at its start."""
        word = name.lower()
        plain = not INNER_CAPITAL.search(name)
        if not WORD.fullmatch(name) or len(name) < 5 or word in COMMON_WORDS or (plain and not name[0].isupper()):
            return
        is_name = (word,) in self.replies and word not in self.capital  # somebody's real name already
        self._put((word,), hidden)
        if plain and not is_name:
            self.capital.add(word)

    def hide(self, text: str) -> str:
        if "@" in text and self.emails:
            text = EMAIL.sub(lambda m: self.emails.get(m[0].lower(), m[0]), text)
        if not self._longest and not self.handles:
            return text
        return hide_in_pieces(text, self._hide, lambda piece: self._hide(piece, is_code=True))

    def _hide(self, text: str, *, is_code: bool = False) -> str:
        """One pass over the words; most texts hold no first word of any name and come back as they are."""
        if "%" not in text and self._cannot_hold(text):
            return text
        view = folded(text)
        plain = view.plain
        if view.places is not None and self._cannot_hold(plain):
            return text
        spans = [] if is_code or not JOINT.search(plain) else self._joined(plain)
        if self.within and not plain.isascii():
            spans += self._inside(plain)
        spans += self._words(plain, is_code)
        return view.replaced(spans) if spans else text

    def _words(self, text: str, is_code: bool) -> list[Span]:
        """Names that stand as words of their own."""
        begins = [
            at
            for at, word in enumerate(WORD.findall(text))
            if word[0] == "@"
            or (low := word.lower()) in self._longest
            or (low[-1] in "s0123456789" and self._base(word, low))
        ]
        found = list(WORD.finditer(text)) if begins else []
        spans, after = list[Span](), 0
        for at in begins:
            count, hidden, stop = self._match(text, found, at, is_code) if at >= after else (0, "", 0)
            if count:
                spans.append((found[at].start(), stop, hidden))
                after = at + count
        return spans

    def _cannot_hold(self, text: str) -> bool:
        """A quick look at ASCII text, cut at all that is no letter: no first word of any name stands in it."""
        if not text.isascii() or "@" in text:
            return False
        encoded = text.lower().encode()
        if not self._first_runs.isdisjoint(encoded.translate(TO_LETTERS).split()):
            return False
        return not self._coded_runs or self._coded_runs.isdisjoint(encoded.translate(TO_SPACES).split())

    def _joined(self, text: str) -> list[Span]:
        """Full names among the parts of `Anna_Berg_2024`; one part alone is left, it may be any word."""
        spans: list[Span] = []
        for match in JOINED.finditer(text):
            if match[1] and match[2].lower() in self.handles:
                continue
            parts = list(PARTS.finditer(text, match.start(2), match.end(2)))
            low, at = [part[0].lower() for part in parts], 0
            while at < len(parts):
                count, hidden = self._joined_at(low, at)
                if count:
                    shown = hidden.strip("<>").lower() if match[1] and not at else hidden
                    spans.append((parts[at].start(), parts[at + count - 1].end(), shown))
                at += count or 1
        return spans

    def _joined_at(self, low: list[str], at: int) -> tuple[int, str]:
        """(parts, replacement) of the longest full name that begins there, digits after it too: `anna.berg1990`."""
        for count in range(min(self._longest.get(low[at], 0), len(low) - at), 1, -1):
            for last in dict.fromkeys((low[at + count - 1], low[at + count - 1].rstrip(DIGITS))):
                words = (*low[at : at + count - 1], last)
                hidden = self.replies.get(words) or self.turned.get(words)
                if hidden and not COMMON_WORDS.issuperset(words):
                    return count, hidden
        return 0, ""

    def _inside(self, text: str) -> list[Span]:
        """Names of ideographs, anywhere in a run of them: no blanks part words there."""
        spans: list[Span] = []
        for run in IDEOGRAPHS.finditer(text):
            at, end = run.span()
            while at < end:
                fits = (at + size for size in self._sizes if at + size <= end)
                stop = next((stop for stop in fits if text[at:stop] in self.within), 0)
                if stop:
                    spans.append((at, stop, self.within[text[at:stop]]))
                at = stop or at + 1
        return spans

    def _match(self, text: str, found: list[re.Match[str]], at: int, is_code: bool) -> tuple[int, str, int]:
        """(words matched, replacement, where the name ends); (0, "", 0) where no name begins."""
        word = found[at][0].lower()
        if word.startswith("@"):
            hidden = self._called(word[1:]) or self._called(word[1:].rstrip(DIGITS))
            return (1, "@" + hidden.strip("<>").lower(), found[at].end()) if hidden else (0, "", 0)
        first = word if word in self._longest else self._base(found[at][0], word)
        for count in range(min(self._longest.get(first, 0), len(found) - at), 0, -1):
            words = [m[0].lower() for m in found[at : at + count]]
            for last in self._bases(found[at + count - 1][0], words[-1]):
                hidden = self.replies.get((*words[:-1], last))
                if hidden and (self._several if count > 1 else self._single)(text, found, at, (*words[:-1], last), is_code):
                    return count, hidden, self._end(found[at + count - 1])
        return 0, "", 0

    def _called(self, word: str) -> str | None:
        return self.handles.get(word) or self.replies.get((word,))

    def _base(self, word: str, low: str) -> str:
        """The first word of a name under which `Berg's` or `Bergs` is known; "" if under none."""
        return next((base for base in self._bases(word, low) if base in self._longest), "")

    def _bases(self, word: str, low: str) -> list[str]:
        """What a word may be a form of, the word itself first."""
        if low.endswith(POSSESSIVE):
            return [low[:-2], low]
        if low[-1] in DIGITS:
            base = low.rstrip(DIGITS)
            return [low, base] if base in self.telling or base in self.camel else [low]
        if low[-1] != "s" or not word[0].isupper():
            return [low]
        return [low, *(low[:-n] for n in (1, 2) if len(low) - n >= PLURAL_OF and (n == 1 or low[-2] == "e"))]

    @staticmethod
    def _end(match: re.Match[str]) -> int:
        """Where the name ends: before `'s`, after the letters of a plural."""
        return match.end() - 2 * match[0].endswith(POSSESSIVE)

    def _several(self, text: str, found: list[re.Match[str]], at: int, words: tuple[str, ...], is_code: bool) -> bool:
        """A name of several words; of plain ones not at `Mark.Down`, with a hyphen only in capitals."""
        if words in self.apart:
            return all(match[0][0].isupper() for match in found[at : at + len(words)])
        return not COMMON_WORDS.issuperset(words) or text[found[at].end() : found[at + 1].start()] != "."

    def _single(self, text: str, found: list[re.Match[str]], at: int, words: tuple[str, ...], is_code: bool) -> bool:
        (word,) = words
        if word in self.camel and not INNER_CAPITAL.search(found[at][0]):
            return False
        if is_code:
            return word in self.telling or not word.isalpha()
        if word in self.capital:
            before = text[max(found[at].start() - 8, 0) : found[at].start()]
            return found[at][0][0].isupper() and (not SENTENCE_START.search(before) or self._after_call(found, at))
        if word not in COMMON_WORDS:
            return True
        return found[at][0][0].isupper() and self._after_call(found, at)

    @staticmethod
    def _after_call(found: list[re.Match[str]], at: int) -> bool:
        """Right after a word such as "ask"."""
        return at > 0 and found[at - 1][0].lower() in CONTEXT


def _strings(user: dict[str, Any], profile: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    values = [holder.get(name) for name in names for holder in (user, profile)]
    return [learned(value) for value in values if isinstance(value, str) and value.strip()]


def _past(profile: dict[str, Any]) -> list[str]:
    past = profile.get("past_names") or []
    return [learned(name) for name in past if isinstance(name, str)] if isinstance(past, list) else []
