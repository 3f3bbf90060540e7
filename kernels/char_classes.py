"""What kind of character each code point is, asked of the reference engine: never of Python, whose Unicode differs.

Two tables of 0x110000 bytes: `kind` (letter, digit, blank, other) and `case` (what o200k looks at). They are read from
the installed `tokenizers` and kept beside its version, so a new engine is asked anew. Needs `tokenizers` when called.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from dataforge.kernels.cache import cache_folder, write_beside

OTHER, LETTER, DIGIT, SPACE = 0, 1, 2, 3  # everything else, \p{L}, \p{N}, \s: every character has exactly one
CASELESS, UPPER, LOWER, UNCASED, MARK = 0, 1, 2, 3, 4  # Lu|Lt, Ll, Lm|Lo, and \p{M} (whose kind is OTHER)
KINDS = {LETTER: r"\p{L}", DIGIT: r"\p{N}", SPACE: r"\s"}
CASES = {UPPER: r"[\p{Lu}\p{Lt}]", LOWER: r"\p{Ll}", UNCASED: r"[\p{Lm}\p{Lo}]", MARK: r"\p{M}"}
CODE_POINTS = 0x110000

Table = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Classes:
    """uint8[0x110000] each; surrogates are OTHER and CASELESS."""

    kind: Table
    case: Table

    def packed(self) -> Table:
        """kind | case << 2, the one byte that the compiled faces look up."""
        packed: Table = (self.kind | self.case << 2).astype(np.uint8)
        return packed


@functools.cache
def classes() -> Classes:
    """The tables of the installed engine: read from the cache folder, or asked for (two seconds) and kept there."""
    kept = cache_folder() / f"classes-tokenizers-{version('tokenizers')}.npy"
    try:
        table = np.load(kept, allow_pickle=False)
        if table.shape == (2, CODE_POINTS) and table.dtype == np.uint8:
            return Classes(table[0], table[1])
    except (OSError, ValueError):
        pass  # absent or cut short: ask again
    found = Classes(_table(KINDS), _table(CASES))
    write_beside(kept, lambda path: np.save(path, np.stack([found.kind, found.case])))
    return found


def _table(patterns: dict[int, str]) -> Table:
    table = np.zeros(CODE_POINTS, np.uint8)
    for value, pattern in patterns.items():
        table[members(pattern)] = value
    return table


def members(char_class: str) -> npt.NDArray[np.int64]:
    """Code points that the engine puts in `char_class`, for example r"\\p{L}"."""
    from tokenizers import Regex, pre_tokenizers

    others = pre_tokenizers.Split(Regex(f"(?:{char_class})+"), behavior="removed", invert=True)
    scalars = [*range(0xD800), *range(0xE000, CODE_POINTS)]
    found: list[int] = []
    for at in range(0, len(scalars), 65536):  # 17 calls; runs of members come back as one piece
        for piece, _ in others.pre_tokenize_str("".join(map(chr, scalars[at : at + 65536]))):
            found.extend(map(ord, piece))
    return np.array(found, np.int64)
