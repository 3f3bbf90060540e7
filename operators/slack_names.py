"""Names, handles and e-mails of members in running text → what stands for them. One pass over the words of a text.

Full names count everywhere, single names outside code; a name that is a plain word too (`Will`) counts only with a
capital right after a word such as "ask" or "thanks". A display name counts bare where its letters give it away
(`CanaryDisp`), a plain one (`Sparky`) only with a capital inside a sentence. A full name is one however it is joined
(`Anna_Berg_2024`, `anna.berg`, `AnnaBerg`), a name with a capital also in the plural (`the Bergs`). One that several
people share becomes `<PERSON>`. Letters count composed (NFC), however they were typed; code changes only where a name
stands in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PERSON = "<PERSON>"
EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
WORD = re.compile(r"@?[^\W_](?:[\w.'’-]*\w)?")
JOINED = re.compile(r"(?<![@\w.])[^\W_]+(?:[_.-][^\W_]+)+")  # `Anna_Berg_2024` or `anna-berg.pdf`
JOINT = re.compile(r"[_.-][^\W_]")
JOINTS = re.compile(r"([_.-])")
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


POSSESSIVE = ("'s", "’s")
GLUED_LETTERS = 10  # a full name without joints is one in any case from here on; shorter, `markdown` might be Mark Down
PLURAL_OF = 4  # letters of a name that may stand in the plural
TO_SPACES = bytes(byte if chr(byte).isalnum() or byte > 127 else 32 for byte in range(256))


def composed(text: str) -> str:
    """`"u" + U+0308` -> `"ü"`: names and texts are compared in this form, NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


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


@dataclass
class Names:
    """Names by their first word, longest first; COMMON_WORDS alone only where CONTEXT makes them a name."""

    replies: dict[tuple[str, ...], str]
    emails: dict[str, str] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    telling: set[str] = field(default_factory=set)  # handles made of a name (`zvantongeren`): hidden in code too
    capital: set[str] = field(default_factory=set)  # display names like any word: only `Sparky`, inside a sentence
    camel: set[str] = field(default_factory=set)  # short full names without a joint: only `AnnaBerg`
    _longest: dict[str, int] = field(default_factory=dict)
    _first_runs: set[bytes] = field(default_factory=set)  # what first words begin with, up to a point or a hyphen

    def learn(self, user: dict[str, Any], hidden: str) -> None:
        found = user.get("profile")
        profile: dict[str, Any] = found if isinstance(found, dict) else {}
        for name in _strings(user, profile, ("real_name", "real_name_normalized")) + _past(profile):
            self._add(name, hidden)
        for name in _strings({}, profile, ("first_name", "last_name")):
            self._add(name, hidden)
        parts = {word.lower() for name in _strings(user, profile, ("real_name",)) for word in WORD.findall(name)}
        for name in _strings(user, profile, ("name", "display_name", "display_name_normalized")):
            self._handle(name, hidden, parts)
        if not user.get("is_bot"):  # bots are called like products: `GitHub`
            for name in _strings(user, profile, ("display_name", "display_name_normalized")):
                self._display(name.strip(), hidden)
        for mail in _strings(user, profile, ("email",)):
            self.emails[mail.lower()] = hidden

    def _add(self, name: str, hidden: str) -> None:
        words = tuple(word.lower() for word in WORD.findall(name))
        if not words or (len(words) == 1 and len(words[0]) < 3):
            return
        self._put(words, hidden)
        self._glue(words, hidden)
        if len(words) > 1 and len(words[0]) > 2:
            self._put(words[:1], hidden)

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

    def _put(self, words: tuple[str, ...], hidden: str) -> None:
        self.capital.discard(words[0] if len(words) == 1 else "")
        self.replies[words] = hidden if self.replies.get(words, hidden) == hidden else PERSON
        self._longest[words[0]] = max(self._longest.get(words[0], 0), len(words))
        run = words[0].lstrip("@").encode().translate(TO_SPACES).split()[0]
        self._first_runs |= {run, run + b"s", run + b"es"}

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
        longest = self._longest
        if self._cannot_hold(text):
            return text
        if not is_code and JOINT.search(text):
            text = JOINED.sub(self._joined, text)
        begins = [
            at
            for at, word in enumerate(WORD.findall(text))
            if word[0] == "@" or (low := word.lower()) in longest or (low[-1] == "s" and self._base(word, low))
        ]
        if not begins:
            return text
        found = list(WORD.finditer(text))
        pieces, end, after = [], 0, 0
        for at in begins:
            count, hidden, stop = self._match(text, found, at, is_code) if at >= after else (0, "", 0)
            if count:
                pieces += [text[end : found[at].start()], hidden]
                end, after = stop, at + count
        return "".join([*pieces, text[end:]]) if pieces else text

    def _cannot_hold(self, text: str) -> bool:
        """A quick look at ASCII text, cut at all that is no letter or digit: no first word of any name stands in it."""
        if not text.isascii() or "@" in text:
            return False
        return self._first_runs.isdisjoint(text.lower().encode().translate(TO_SPACES).split())

    def _joined(self, match: re.Match[str]) -> str:
        """Full names among the parts of `Anna_Berg_2024`; one part alone is left, it may be any word."""
        parts = JOINTS.split(match[0])  # a part, a joint, a part…: `at` is even
        low = [part.lower() for part in parts]
        at = 0
        while at < len(parts):
            for count in range(min(self._longest.get(low[at], 0), len(parts) // 2 + 1), 1, -1):
                words, end = low[at : at + 2 * count : 2], at + 2 * count - 1
                hidden = self.replies.get(tuple(words))
                if hidden and not COMMON_WORDS.issuperset(words):
                    parts[at:end], low[at:end] = [hidden], [hidden]
                    break
            at += 2
        return "".join(parts)

    def _match(self, text: str, found: list[re.Match[str]], at: int, is_code: bool) -> tuple[int, str, int]:
        """(words matched, replacement, where the name ends); (0, "", 0) where no name begins."""
        word = found[at][0].lower()
        if word.startswith("@"):
            hidden = self.handles.get(word[1:]) or self.replies.get((word[1:],))
            return (1, "@" + hidden.strip("<>").lower(), found[at].end()) if hidden else (0, "", 0)
        first = word if word in self._longest else self._base(found[at][0], word)
        for count in range(min(self._longest.get(first, 0), len(found) - at), 0, -1):
            words = [m[0].lower() for m in found[at : at + count]]
            for last in self._bases(found[at + count - 1][0], words[-1]):
                hidden = self.replies.get((*words[:-1], last))
                if hidden and (count > 1 or self._single(text, found, at, last, is_code)):
                    return count, hidden, self._end(found[at + count - 1])
        return 0, "", 0

    def _base(self, word: str, low: str) -> str:
        """The first word of a name under which `Berg's` or `Bergs` is known; "" if under none."""
        return next((base for base in self._bases(word, low) if base in self._longest), "")

    @staticmethod
    def _bases(word: str, low: str) -> list[str]:
        """What a word may be a form of, the word itself first."""
        if low.endswith(POSSESSIVE):
            return [low[:-2], low]
        if low[-1] != "s" or not word[0].isupper():
            return [low]
        return [low, *(low[:-n] for n in (1, 2) if len(low) - n >= PLURAL_OF and (n == 1 or low[-2] == "e"))]

    @staticmethod
    def _end(match: re.Match[str]) -> int:
        """Where the name ends: before `'s`, after the letters of a plural."""
        return match.end() - 2 * match[0].endswith(POSSESSIVE)

    def _single(self, text: str, found: list[re.Match[str]], at: int, word: str, is_code: bool) -> bool:
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
    return [composed(value) for value in values if isinstance(value, str) and value.strip()]


def _past(profile: dict[str, Any]) -> list[str]:
    past = profile.get("past_names") or []
    return [composed(name) for name in past if isinstance(name, str)] if isinstance(past, list) else []
