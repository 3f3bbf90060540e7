"""Texts on which two encoders of one tokenizer must agree before the fast one is used.

A fixed function of the vocabulary: hostile strings over the characters that split patterns look at, one character of
every class, every token alone and after a space, random joins of tokens, the special tokens inside text, and the edges
(empty, U+0000, one long word). About 2 MB for a vocabulary of 50,000.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np

from dataforge.kernels.char_classes import classes

MIXED = (
    " \t\n\r\u00a0\u3000\x0b'''sdmtSDMTlLvVrReE aAbB09\u0663.,!-/\u3042\u4e2d\u0301\u02b0\u01c5\u017f"
    "\U0001f600\u00e9\u00c9"
)
ALPHABETS = (
    MIXED,
    "  \n\r\t'x.1\u3000",  # blanks
    "'sStTlLvVeErR a1. \u017f\n",  # contractions
    "aAbB\u0301\u4e2d'./ \n\u02b0\u01c5sS1\u3000",  # case and marks
    "//\n\r.a\u0301' \u3042A",  # slashes
    "\t\n\x0b\x0c\r\x1c\x85\u00a0\u1680\u2000\u2003\u2007\u200a\u2028\u2029\u202f\u205f\u3000 a1.",  # all sizes
)
SEED = 20260


def probe_texts(tokens: Sequence[bytes | None], special: Sequence[str], *, hostile: int = 20_000) -> list[str]:
    """`tokens` as `tokenizer_folder.spelled` gives them. The same list for the same arguments, everywhere."""
    rng = random.Random(SEED)
    words = [text for text in map(_text, tokens) if text]
    texts = ["", "\0", "a\0b", "x" * 20_000, "ab" * 4_000 + " " + "\u4e2d" * 2_000, " " * 3_000, "\n" * 300]
    texts += [hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]) for i in range(hostile)]
    texts += [
        around for char in _one_of_each() for around in (f"a{char}b 1{char}2", f"A{char}B", f"{char} {char}{char}x")
    ]
    texts += words
    texts += [" " + word for word in words]
    texts += ["".join(rng.choice(words) for _ in range(rng.randint(2, 6))) for _ in range(hostile if words else 0)]
    texts += [around for token in special for around in (token, f"a{token} b", f" {token}{token}.")]
    return texts


def _text(token: bytes | None) -> str:
    """The token as text; empty where its bytes are only a part of a character."""
    try:
        return (token or b"").decode()
    except UnicodeDecodeError:
        return ""


def hostile_text(rng: random.Random, alphabet: str) -> str:
    """Mostly short; one in four has long runs of one character, one in eight random code points mixed in."""
    parts = [rng.choice(alphabet) for _ in range(rng.randint(1, 14))]
    shape = rng.random()
    if shape < 0.25:
        parts = [part * rng.choice((1, 1, 2, 3, 4, 9, 40)) for part in parts]
    elif shape < 0.375:
        parts = [chr(rng.randrange(0x20, 0xD800)) if rng.random() < 0.5 else part for part in parts]
    return "".join(parts)


def _one_of_each() -> Iterator[str]:
    """First and last character of every (class, case, UTF-8 length) that occurs."""
    table = classes().packed().astype(np.int64)
    code = np.arange(len(table))
    groups = table * 4 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)
    groups[0xD800:0xE000] = -1
    for group in np.unique(groups[groups >= 0]):
        found = np.flatnonzero(groups == group)
        yield from (chr(found[0]), chr(found[-1]))
