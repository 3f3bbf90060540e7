"""Patterns of the act lexicons → hashes of all phrases that they stand for, without writing the phrases out.

`(can|could) you (please|) go` stands for four phrases, `(give|take|…) (me|it|…)` for thousands. A phrase's hash is folded
word by word, so the alternatives of each place are folded into all the states reached so far at once. What is not plain
words between blanks (endings glued to a bracket, signs, ideographs) is written out and hashed by the scanner.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

import numpy as np

from dataforge.errors import ConfigError

LONGEST = 8  # tokens of a phrase; longer ones are left out
PLAIN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
WIDE = re.compile(r"[぀-ヿ㐀-鿿]")
BRACKET = re.compile(r"\(([^()]*)\)")
BACK = tuple(np.uint64(pow(factor, -1, 1 << 64)) for factor in (0x94D049BB133111EB, 0xBF58476D1CE4E5B9))
CLASH = {"ill", "well", "were", "shell", "hell", "id", "wed", "shed", "whore"}  # other words than "I'll", "we'll" …


def expand(pattern: str) -> list[str]:
    """`(can|could) you (please|) go` -> can you please go, can you go, could you please go, could you go."""
    if pattern.count("(") != pattern.count(")") or "|" not in pattern:
        return [pattern]  # a bracket of its own is a sign, as in ":)"
    if re.search(r"\([^()]*\(", pattern):
        raise ConfigError(f"nested brackets in the phrase {pattern}", hint="write two phrases")
    pieces = [piece.split("|") for piece in BRACKET.split(pattern)]
    return [" ".join("".join(choice).split()) for choice in itertools.product(*pieces)]


def without_apostrophe(word: str) -> list[str]:
    """Chat leaves apostrophes out: "don't" -> "dont". Not where another word results: "i'll" -> "ill"."""
    bare = word.replace("'", "").replace("’", "")
    return [word] if bare == word or bare in CLASH or not bare else [word, bare]


def hashes(patterns: Iterable[str]) -> np.ndarray:
    """uint64[n], sorted, each once."""
    plain, rest = [], []
    for pattern in patterns:
        places = plain_places(pattern.lower()) if "(" in pattern else None
        if places is not None:
            plain.append(places)
            continue
        for phrase in expand(pattern):
            rest += [" ".join(words) for words in itertools.product(*map(without_apostrophe, phrase.split()))]
    words = tuple(sorted({word for places in plain for place in places for choice in place for word in choice}))
    token = dict(zip(words, unmixed(scanned(words)), strict=True))
    out = np.unique(np.concatenate([scanned(tuple(rest)), *(folded(places, token) for places in plain)]))
    return out[out != 0]


def plain_places(pattern: str) -> list[list[tuple[str, ...]]] | None:
    """The alternatives of each place, as words; None for what is not plain words between blanks."""
    pieces, places = BRACKET.split(pattern), []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            glued = (number > 0 and piece[:1] not in ("", " ")) or (number + 1 < len(pieces) and piece[-1:] not in ("", " "))
            between = piece == "" and 0 < number < len(pieces) - 1
            if glued or between or "|" in piece:
                return None
        choices = [tuple(choice.split()) for choice in piece.split("|")]
        if not all(PLAIN.fullmatch(word) and not WIDE.search(word) for choice in choices for word in choice):
            return None
        places.append([bare for choice in choices for bare in itertools.product(*map(without_apostrophe, choice))])
    return places


def folded(places: list[list[tuple[str, ...]]], token: dict[str, np.uint64]) -> np.ndarray:
    """uint64[n]: hashes of all choices of one alternative per place; a word that repeats the one before counts once."""
    state, last, length = np.zeros(1, np.uint64), np.zeros(1, np.uint64), np.zeros(1, np.int64)
    for place in places:
        reached = [(state, last, length)] if () in place else []
        for size in sorted({len(choice) for choice in place} - {0}):
            tokens = np.array([[token[word] for word in choice] for choice in place if len(choice) == size], np.uint64)
            here, before, count = (np.repeat(column, len(tokens)) for column in (state, last, length))
            for step in np.tile(tokens, (len(state), 1)).T:
                new = (count == 0) | (before != step)
                here = np.where(new, mixed(here * np.uint64(3) + step), here)
                before, count = step, count + new
            reached.append((here, before, count))
        state, last, length = (np.concatenate(column) for column in zip(*reached, strict=True))
    return state[(length > 0) & (length <= LONGEST)]


def scanned(phrases: tuple[str, ...]) -> np.ndarray:
    """uint64[n]: hashes as the scanner folds them, 0 for a phrase without tokens or with more than LONGEST."""
    from dataforge.operators import acts_scan

    parts = [phrase.lower().encode() for phrase in phrases]
    offsets = np.cumsum([0, *map(len, parts)])
    return acts_scan.hash_phrases(frozen(np.frombuffer(b"".join(parts) or b"\0", np.uint8)), frozen(offsets))


def mixed(value: np.ndarray) -> np.ndarray:
    """`acts_tokens.mix` of an array."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def unmixed(value: np.ndarray) -> np.ndarray:
    """The array of which `mixed` is given: a phrase of one word hashes to its token, mixed."""
    value = value ^ (value >> np.uint64(31)) ^ (value >> np.uint64(62))
    value = value * BACK[0]
    value = value ^ (value >> np.uint64(27)) ^ (value >> np.uint64(54))
    value = value * BACK[1]
    return value ^ (value >> np.uint64(30)) ^ (value >> np.uint64(60))


def frozen(array: np.ndarray) -> np.ndarray:
    """A read-only view: numba compiles for read-only and for writable arrays apart."""
    view = array.view()
    view.flags.writeable = False
    return view
