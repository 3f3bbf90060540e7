# mypy: ignore-errors
"""Compiled reading of UTF-8: one code point, and text to lower-case words joined by one blank.

Both read only inside the text they are given and say where it is not UTF-8; the caller raises.
"""

from __future__ import annotations

import numpy as np

from dataforge.kernels import unicode
from dataforge.kernels.cpu.compiled import helper

SINGLE = int(unicode.SINGLE)
WORD = int(unicode.WORD)


@helper
def decode(data, at, stop):
    """(code point, length) of the character at `at`; length 0 where data[at:stop] does not begin with valid UTF-8."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, 1
    size = 2 if 0xC2 <= lead < 0xE0 else 3 if 0xE0 <= lead < 0xF0 else 4 if 0xF0 <= lead < 0xF5 else 0
    if size == 0 or at + size > stop:
        return 0, 0
    point = lead & (0x7F >> size)
    for i in range(1, size):
        byte = np.int64(data[at + i])
        if byte & 0xC0 != 0x80:
            return 0, 0
        point = point << 6 | byte & 0x3F
    if (size == 3 and (point < 0x800 or 0xD800 <= point < 0xE000)) or (size == 4 and not 0x10000 <= point < 0x110000):
        return 0, 0
    return point, size


@helper
def encode(point, out, at):
    """Writes a code point as UTF-8 at out[at:] and returns the place after it."""
    if point < 0x80:
        out[at] = point
        return at + 1
    if point < 0x800:
        out[at] = 0xC0 | point >> 6
        out[at + 1] = 0x80 | point & 0x3F
        return at + 2
    if point < 0x10000:
        out[at] = 0xE0 | point >> 12
        out[at + 1] = 0x80 | point >> 6 & 0x3F
        out[at + 2] = 0x80 | point & 0x3F
        return at + 3
    out[at] = 0xF0 | point >> 18
    out[at + 1] = 0x80 | point >> 12 & 0x3F
    out[at + 2] = 0x80 | point >> 6 & 0x3F
    out[at + 3] = 0x80 | point & 0x3F
    return at + 4


@helper
def normalise(data, at, stop, end, tables, out, filled, starts, words, inside):
    """Appends the words of data[at:stop] to out[filled:], each followed by a blank, and their places to starts[words:].

    `inside` tells whether the last word is still open, before and after. A character that begins before `stop` is read
    to its end, at most to `end`. Gives (at, filled, words, inside); at = -1 where the text is not UTF-8.
    """
    small, classes, lower = tables
    while at < stop:
        byte = data[np.uintp(at)]
        if byte < 0x80:  # no branch on word or not: English would mispredict it twice a word
            letter = small[byte]
            is_word = np.int64(letter != 0)
            starts[np.uintp(words)] = filled
            words += is_word & (inside ^ 1)
            out[np.uintp(filled)] = letter | np.uint8((is_word ^ 1) << 5)  # 0x20 where no word
            filled += is_word | inside
            inside = is_word
            at += 1
            continue
        point, size = decode(data, at, end)
        if size == 0:
            return -1, filled, words, inside
        at += size
        kind = classes[point]
        if inside and (kind & WORD == 0 or kind & SINGLE):
            out[filled] = 32
            filled += 1
            inside = 0
        if kind & WORD:
            if not inside:
                starts[words] = filled
                words += 1
            filled = encode(lower[point], out, filled)
            inside = 1
        if kind & SINGLE:
            out[filled] = 32
            filled += 1
            inside = 0
    return at, filled, words, inside


def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `normalise` looks up: uint8[256] lower case of ASCII word bytes (else 0), classes, lower case."""
    classes, lower = unicode.classes(), unicode.lower()
    small = np.zeros(256, np.uint8)
    ascii_words = (classes[:128] & unicode.WORD) != 0
    small[:128] = np.where(ascii_words, lower[:128], 0)
    return small, classes, lower
