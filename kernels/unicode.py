"""Classes and simple lower case of every code point, from a table shipped with the package.

Never from `unicodedata`, whose version follows the Python in use. The table holds the classes of the reference engine
(`tokenizers`); `python -m dataforge.kernels.unicode` writes it again and `test_unicode` compares it with the installed
engine. `VERSION` is part of every MinHash spec, because another table gives other words.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

VERSION = 1  # raise with every change of the table
TABLE = Path(__file__).with_name("unicode_table.txt")
CODE_POINTS = 0x110000

LETTER, NUMBER, MARK, BLANK, UPPER, DIGIT, PUNCTUATION, SYMBOL, SINGLE = (np.uint16(1 << bit) for bit in range(9))
WORD = LETTER | NUMBER | MARK
NAMES = {"L": LETTER, "N": NUMBER, "M": MARK, "S": BLANK, "Lu": UPPER, "Nd": DIGIT, "P": PUNCTUATION, "Sy": SYMBOL}
PATTERNS = {"L": r"\p{L}", "N": r"\p{N}", "M": r"\p{M}", "S": r"\s", "Lu": r"\p{Lu}", "Nd": r"\p{Nd}", "P": r"\p{P}"}
PATTERNS["Sy"] = r"\p{S}"

# Scripts without blanks between words: each of their word characters is a word. Thai, Lao, Myanmar, Khmer, kana, Han.
SINGLE_RANGES = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0x1780, 0x17FF)),
    *((0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF65, 0xFF9F), (0x1AFF0, 0x1B16F)),
    *((0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)),
    (0x20000, 0x3FFFF),
)


@functools.cache
def classes() -> npt.NDArray[np.uint16]:
    """uint16[0x110000]: the bits LETTER … SINGLE of each code point."""
    bits = np.zeros(CODE_POINTS, np.uint16)
    for name, ranges in _lines():
        if name in NAMES:
            for start, stop in ranges:
                bits[start : stop + 1] |= NAMES[name]
    for start, stop in SINGLE_RANGES:
        span = bits[start : stop + 1]
        span[(span & WORD) != 0] |= SINGLE
    bits.flags.writeable = False
    return bits


@functools.cache
def lower() -> npt.NDArray[np.int32]:
    """int32[0x110000]: simple (one-to-one) lower case of each code point, itself where there is none."""
    table = np.arange(CODE_POINTS, dtype=np.int32)
    for name, ranges in _lines():
        if name.startswith("lower"):
            step, delta = (int(part) for part in name.split(":")[1:])
            for start, stop in ranges:
                table[start : stop + 1 : step] += delta
    table.flags.writeable = False
    return table


def _lines() -> Iterable[tuple[str, list[tuple[int, int]]]]:
    """(name, ranges) of each line `name 41-5a aa …`, hexadecimal, both ends included."""
    for line in TABLE.read_text("ascii").splitlines():
        name, *words = line.split()
        if not name.startswith("#"):
            ends = [[int(end, 16) for end in word.split("-")] for word in words]
            yield name, [(end[0], end[-1]) for end in ends]


def engine_ranges(pattern: str) -> list[tuple[int, int]]:
    """Ranges of code points that the reference engine's regular expression class matches."""
    from tokenizers import Regex, pre_tokenizers

    points = [c for c in range(CODE_POINTS) if not 0xD800 <= c < 0xE000]
    split = pre_tokenizers.Split(Regex(f"{pattern}+"), "removed")
    edges = [0, *(edge for _, span in split.pre_tokenize_str("".join(map(chr, points))) for edge in span), len(points)]
    found = [(points[a], points[b - 1]) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
    return [part for a, b in found for part in _without_surrogates(a, b)]


def _without_surrogates(start: int, stop: int) -> list[tuple[int, int]]:
    return [(start, 0xD7FF), (0xE000, stop)] if start < 0xD800 <= stop else [(start, stop)]


def lower_ranges() -> dict[str, list[tuple[int, int]]]:
    """"lower:STEP:DELTA" -> ranges; neighbours with one delta, one or two apart, share a range."""
    pairs = [(c, ord(chr(c).lower()[0])) for c in range(CODE_POINTS) if chr(c).lower()[0] != chr(c)]
    runs: list[list[int]] = []  # start, stop, step, delta
    for point, small in pairs:
        last = runs[-1] if runs else [0, -9, 0, 0]
        gap = point - last[1]
        if last[3] == small - point and gap in (1, 2) and last[2] in (0, gap):
            last[1:3] = [point, gap]
        else:
            runs.append([point, point, 0, small - point])
    named: dict[str, list[tuple[int, int]]] = {}
    for start, stop, step, delta in runs:
        named.setdefault(f"lower:{step or 1}:{delta}", []).append((start, stop))
    return named


def write_table() -> None:
    """Writes the table anew from the installed engine and Python's simple lower case (U+0130 becomes i)."""
    from tokenizers import __version__

    named = {name: engine_ranges(pattern) for name, pattern in PATTERNS.items()} | lower_ranges()
    lines = [f"# tokenizers {__version__}: classes; lower:STEP:DELTA: simple lower case; code points in hexadecimal"]
    for name, ranges in named.items():
        lines.append(" ".join([name, *(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in ranges)]))
    TABLE.write_text("\n".join(lines) + "\n", "ascii")


if __name__ == "__main__":
    write_table()
