"""The definition of every counter of `text_stats`, in plain Python; slow on purpose, for tests."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from dataforge.kernels import dclm_rules, unicode
from dataforge.kernels.line_rules import KEEP, STOPS, c4_line, sentences
from dataforge.kernels.text_stats import SHORT_LINE
from dataforge.kernels.text_words import (
    BLANK,
    LETTER,
    MARK,
    STOP_WORDS,
    SYMBOLIC,
    TERMINAL,
    UPPER,
    kind,
    tokens_of,
)


def counters(text: str) -> dict[str, int]:
    """All counters of one text by name."""
    return {**_characters(text), **_words(text), **_lines(text), **_repetition(text), **_c4(text), **_dclm(text)}


def _is(char: str, bits: np.uint16) -> bool:
    return bool(kind(char) & int(bits))


def _strip(text: str) -> str:
    filled = [i for i, char in enumerate(text) if not _is(char, BLANK)]
    return text[filled[0] : filled[-1] + 1] if filled else ""


def _split(text: str) -> list[str]:
    return "".join(" " if _is(char, BLANK) else char for char in text).split(" ")


def _characters(text: str) -> dict[str, int]:
    return {
        "bytes": len(text.encode()),
        "characters": len(text),
        "newlines": text.count("\n"),
        "letters": sum(_is(c, LETTER) for c in text),
        "uppers": sum(_is(c, UPPER) for c in text),
        "digits": sum("0" <= c <= "9" for c in text),
        "blanks": sum(_is(c, BLANK) for c in text),
        "marks": sum(_is(c, MARK) for c in text),
        "non_ascii": sum(c > "\x7f" for c in text),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "spaced_ellipses": text.count(". . ."),
        "braces": text.count("{"),
        "replacements": text.count("\ufffd"),
    }


def _words(text: str) -> dict[str, int]:
    tokens = tokens_of(text)
    words = [token for token in tokens if any(not _is(c, SYMBOLIC) for c in token)]
    split = [word for word in _split(text) if word]
    lower = [re.sub("[A-Z]", lambda m: m[0].lower(), word) for word in split]
    return {
        "tokens": len(tokens),
        "words": len(words),
        "word_characters": sum(map(len, words)),
        "longest_word": max(map(len, words), default=0),
        "alphabetic_tokens": sum(any(_is(c, LETTER) for c in token) for token in tokens),
        "stop_words": len(set(STOP_WORDS) & set(tokens)),
        "split_words": len(split),
        "split_word_characters": sum(map(len, split)),
        "split_alphabetic_words": sum(any(_is(c, LETTER) for c in word) for word in split),
        "split_stop_words": sum(word in STOP_WORDS for word in lower),
    }


def _lines(text: str) -> dict[str, int]:
    lines = [_strip(line) for line in text.splitlines()]
    filled = [line for line in text.split("\n") if _strip(line)]
    copies, characters = _repeats(filled)
    return {
        "lines": len(lines),
        "bullet_lines": sum(line.startswith(("•", "-")) for line in lines),
        "star_bullet_lines": sum(line.startswith(("●", "•", "*", "-")) for line in lines),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines),
        "filled_lines": len(filled),
        "terminal_lines": sum(_is(line[-1], TERMINAL) for line in filled),
        "short_lines": sum(len(line) <= SHORT_LINE for line in filled),
        "filled_repeats": copies,
        "filled_repeat_characters": characters,
    }


def _repeats(pieces: list[str]) -> tuple[int, int]:
    """Second and later copies: their number and their characters."""
    again = [piece for i, piece in enumerate(pieces) if piece in pieces[:i]]
    return len(again), sum(map(len, again))


def _repetition(text: str) -> dict[str, int]:
    runs, paragraphs, tokens = re.split("\n+", text), re.split("\n{2,}", _strip(text)), tokens_of(text)
    found = {"runs": len(runs), "paragraphs": len(paragraphs)}
    found["run_repeats"], found["run_repeat_characters"] = _repeats(runs)
    found["paragraph_repeats"], found["paragraph_repeat_characters"] = _repeats(paragraphs)
    for n in (2, 3, 4):
        found[f"top_{n}_gram_characters"] = _top(tokens, n)
    for n in range(5, 11):
        found[f"repeat_{n}_gram_characters"] = _repeated_grams(tokens, n)
    return found


def _top(tokens: list[str], n: int) -> int:
    grams = Counter(" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
    return max((count, -i, count * len(gram)) for i, (gram, count) in enumerate(grams.items()))[2] if grams else 0


def _repeated_grams(tokens: list[str], n: int) -> int:
    seen: set[str] = set()
    total, at = 0, 0
    while at <= len(tokens) - n:
        gram = "".join(tokens[at : at + n])
        total, at = (total + len(gram), at + n) if gram in seen else (total, at + 1)
        seen.add(gram)
    return total


def _c4(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, any_end in (("c4", False), ("c4_any_end", True)):
        stop, total, kept = 0, 0, 0
        for line in text.splitlines():
            verdict, cleaned = c4_line(line, any_end=any_end)
            if verdict in STOPS:
                stop = verdict
                break
            if verdict == KEEP:
                total, kept = total + sentences(cleaned), kept + 1
        found |= {f"{name}_stop": stop, f"{name}_sentences": total, f"{name}_lines": kept}
    return found


def _dclm(text: str) -> dict[str, int]:
    begins = [unicode.classes()[ord(word[0])] & (unicode.LETTER | unicode.NUMBER) for word in dclm_rules.split(text)]
    lengths = sorted(map(len, text.split("\n")))
    return {
        "third_line_characters": lengths[-3] if len(lengths) > 2 else 0,
        "split_alphanumeric_words": sum(map(bool, begins)),
        "dclm_removed_words": dclm_rules.removed_words(text),
        **dclm_rules.repetition(text),
    }
