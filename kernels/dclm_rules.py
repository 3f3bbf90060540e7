"""What the RefinedWeb recipe of DCLM counts: words, repetition where every copy counts, and its line edits.

Words are those of UAX 29 without a dictionary that begin with a letter or a digit: "don't" and "3.5" are one word each,
each Han or Thai character is one. The functions are the definition; `cpu/dclm.py` is its compiled twin.
"""

from __future__ import annotations

import functools
from collections import Counter

import numpy as np
import numpy.typing as npt

from dataforge.kernels import unicode
from dataforge.kernels.text_words import BLANK, UPPER, kind
from dataforge.kernels.unicode import DIGIT, LETTER, MARK, NUMBER, SINGLE

BETWEEN_LETTERS = ":·\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a"
BETWEEN_DIGITS = ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b"
BETWEEN_EITHER = "'.\u2018\u2019\u2024\ufe52\uff07\uff0e"
JOINS_ALL = "_\u203f\u2040\u2054\ufe33\ufe34\ufe4d\ufe4e\ufe4f\uff3f"
KATAKANA = ((0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9D))  # run together, unlike other kana

# Classes of code points for words: letter, digit, katakana and '_' run on; a mark stays with what stands before it
(STOP, ALPHA, NUMERIC, KATA, JOIN, ALONE, EXTEND, MID_LETTER, MID_DIGIT, MID_EITHER) = range(10)
MOST_UPPER, MOST_REMOVED, SHORT_LINE_WORDS = 0.5, 0.05, 10
COUNTED = (
    *("like", "share", "comment", "retweet", "repost", "quote", "bookmark", "upvote", "downvote", "download", "view"),
    "follower",
)
CUT_ANYWHERE, CUT_BEHIND, CUT_BEFORE = "items in cart", "read more...", "sign-in"


@functools.cache
def word_classes() -> npt.NDArray[np.uint8]:
    """uint8[0x110000]: STOP … MID_EITHER of each code point."""
    theirs = unicode.classes()
    found = np.full(unicode.CODE_POINTS, STOP, np.uint8)
    found[(theirs & LETTER) != 0] = ALPHA
    found[(theirs & NUMBER) != 0] = ALONE  # fractions, circled numbers: words of their own
    found[(theirs & SINGLE) != 0] = ALONE
    found[(theirs & DIGIT) != 0] = NUMERIC
    for start, stop in KATAKANA:
        found[start : stop + 1] = KATA
    found[(theirs & MARK) != 0] = EXTEND
    found[[0x200C, 0x200D, 0xAD]] = EXTEND
    signs = {MID_LETTER: BETWEEN_LETTERS, MID_DIGIT: BETWEEN_DIGITS, MID_EITHER: BETWEEN_EITHER, JOIN: JOINS_ALL}
    for number, chars in signs.items():
        found[[ord(char) for char in chars]] = number
    found.flags.writeable = False
    return found


@functools.cache
def _class_of(char: str) -> int:
    return int(word_classes()[ord(char)])


def words_of(text: str) -> list[str]:
    """ "I don't _pay_ 3.5 € 漢字" -> ["I", "don't", "3.5", "漢", "字"]."""
    found, at = [], 0
    while at < len(text):
        stop = _word_end(text, at)
        if _class(text, at) in (ALPHA, NUMERIC, KATA, ALONE):
            found.append(text[at:stop])
        at = stop
    return found


def _class(text: str, at: int) -> int:
    return _class_of(text[at]) if at < len(text) else STOP


def _past_marks(text: str, at: int) -> int:
    while _class(text, at) == EXTEND:
        at += 1
    return at


def _word_end(text: str, at: int) -> int:
    """Where the piece that begins at `at` ends: a word with the marks on it, or one other character."""
    last, at = _class(text, at), _past_marks(text, at + 1)
    while at < len(text):
        here, after = _class(text, at), _past_marks(text, at + 1)
        if joined(last, here):
            last, at = here, after
        elif bridged(last, here, _class(text, after)):
            last, at = _class(text, after), _past_marks(text, after + 1)
        else:
            return at
    return at


def joined(last: int, here: int) -> bool:
    """Whether two characters next to each other belong to one word."""
    runs = (ALPHA, NUMERIC, JOIN)
    return (last in runs and here in runs) or (last in (KATA, JOIN) and here in (KATA, JOIN))


def bridged(last: int, here: int, after: int) -> bool:
    """Whether one mark holds two letters or two digits together."""
    letters = last == after == ALPHA and here in (MID_LETTER, MID_EITHER)
    return letters or (last == after == NUMERIC and here in (MID_DIGIT, MID_EITHER))


def repetition(text: str) -> dict[str, int]:
    """The `dclm_` counters of repeated lines, paragraphs and n-grams."""
    found: dict[str, int] = {}
    for name, mark in (("line", "\n"), ("paragraph", "\n\n")):
        pieces = [piece for piece in map(_strip, text.split(mark)) if piece]
        copies = {piece: n for piece, n in Counter(pieces).items() if n > 1}
        found[f"dclm_{name}s"], found[f"dclm_{name}_characters"] = len(pieces), sum(map(len, pieces))
        found[f"dclm_{name}_copies"] = sum(copies.values())
        found[f"dclm_{name}_copy_characters"] = sum(n * len(piece) for piece, n in copies.items())
    words = words_of(text)
    found |= {"dclm_words": len(words), "dclm_word_characters": sum(map(len, words))}
    found |= {f"dclm_top_{n}_gram_characters": _top(words, n) for n in (2, 3, 4)}
    return found | {f"dclm_repeat_{n}_gram_characters": _covered(words, n) for n in range(5, 11)}


def _grams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _top(words: list[str], n: int) -> int:
    """Copies of the most frequent n-gram times its characters, of ties the longest; one that is there once is none."""
    counts = Counter(_grams(words, n))
    best = max(((count, sum(map(len, gram))) for gram, count in counts.items()), default=(0, 0))
    return best[0] * best[1] if best[0] > 1 else 0


def _covered(words: list[str], n: int) -> int:
    """Characters of all words that stand in an n-gram of which there are two or more."""
    grams = _grams(words, n)
    counts = Counter(grams)
    inside = {i + k for i, gram in enumerate(grams) if counts[gram] > 1 for k in range(n)}
    return sum(len(words[i]) for i in inside)


def _strip(text: str) -> str:
    filled = [i for i, char in enumerate(text) if not kind(char) & int(BLANK)]
    return text[filled[0] : filled[-1] + 1] if filled else ""


def split(text: str) -> list[str]:
    """Words between blanks."""
    return "".join(" " if kind(char) & int(BLANK) else char for char in text).split()


def removed_words(text: str) -> int:
    """Words between blanks that the line edits take out of a text."""
    edited = (edit_line(line) for line in text.split("\n"))
    return len(split(text)) - sum(len(split(line)) for line in edited if line is not None)


def edit_line(line: str) -> str | None:
    """The line as it stays, or None: lines of capitals, of digits, of one word, and counters such as "3 likes" go."""
    if not line:
        return line
    words, upper = len(split(line)), sum(bool(kind(char) & int(UPPER)) for char in line)
    digits = all(_class_of(char) == NUMERIC for char in line)
    if words < 2 or upper > MOST_UPPER * len(line) or digits or is_counter(line):
        return None
    return _cut_phrases(line) if words <= SHORT_LINE_WORDS else line


def is_counter(line: str) -> bool:
    """ "3 likes", "1.2k views!": a number and what was counted, and nothing else but signs around them."""
    at, last = 0, len(line)
    while at < last and _is_sign(line[at]):
        at += 1
    while last > at and _is_sign(line[last - 1]):
        last -= 1
    stop = at
    while stop < last and (line[stop] in "0123456789" or (stop > at and line[stop] in ".,")):
        stop += 1
    if stop == at:
        return False
    stop += int(stop < last and line[stop] in "kmKM")
    word = stop
    while word < last and kind(line[word]) & int(BLANK):
        word += 1
    what = _small(line[word:last])
    return word > stop and (what in COUNTED or (what[-1:] == "s" and what[:-1] in COUNTED))


def _is_sign(char: str) -> bool:
    return not unicode.classes()[ord(char)] & (LETTER | NUMBER) and char != "_"


def _small(text: str) -> str:
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text)


def _cut_phrases(line: str) -> str:
    kept: list[str] = []
    small, at = _small(line), 0
    while (found := small.find(CUT_ANYWHERE, at)) >= 0:
        kept, at = [*kept, line[at:found]], found + len(CUT_ANYWHERE)
    line = "".join([*kept, line[at:]])
    line = line[: -len(CUT_BEHIND)] if _small(line).endswith(CUT_BEHIND) else line
    return line[len(CUT_BEFORE) :] if _small(line).startswith(CUT_BEFORE) else line
