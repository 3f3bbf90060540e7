"""MinHash signatures (scheme affine32) from raw text: equal bit for bit to datasketch 2.0 fed with the same shingles.

Words are maximal runs of letters, numbers and marks in simple lower case; each word character of scripts without blanks
(Han, kana, Thai, Lao, Khmer, Myanmar) is a word. The normalised text is the words joined by one blank. A word shingle
is n words of it, a character shingle n characters; a text with fewer is one shingle. A text without a word has none:
its signature is all 0xffffffff, and it must never be banded (`Signatures.words` tells).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataforge.kernels import unicode
from dataforge.kernels.buffers import Strings, strings_of
from dataforge.kernels.hash import MASK32, fmix32, xxh64

EMPTY = np.uint32(0xFFFFFFFF)
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MinHashSpec:
    """All that a signature depends on besides the text; store `metadata()` with every signature."""

    k: int = 128
    seed: int = 1
    shingle: Literal["words", "characters"] = "words"
    n: int = 5
    scheme: str = "affine32"

    def __post_init__(self) -> None:
        if self.scheme != "affine32":
            raise ValueError(f"scheme must be affine32, not {self.scheme!r}")
        if self.shingle not in ("words", "characters"):
            raise ValueError(f"shingle must be words or characters, not {self.shingle!r}")
        if not (1 <= self.k <= 4096 and 1 <= self.n <= 1000):
            raise ValueError(f"k must be from 1 to 4096 and n from 1 to 1000, not {self.k} and {self.n}")

    def metadata(self) -> dict[str, str]:
        """For the schema of a table of signatures."""
        fields = {name: str(value) for name, value in asdict(self).items()}
        return fields | {"base_hash": "xxh64/0 low 32", "normaliser": f"words-{unicode.VERSION}"}


@dataclass(frozen=True)
class Signatures:
    """values uint32[n, k], and words int64[n]: rows with 0 words are empty and take no part in banding."""

    values: U32
    words: I64

    @property
    def empty(self) -> npt.NDArray[np.bool_]:
        mask: npt.NDArray[np.bool_] = self.words == 0
        return mask


def permutations(spec: MinHashSpec) -> tuple[U32, U32]:
    """(factors, shifts), uint32[k] each, drawn as datasketch draws them: all odd factors, then all shifts."""
    draw = np.random.RandomState(spec.seed)
    factors = draw.randint(0, 1 << 31, spec.k, np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, draw.randint(0, 1 << 32, spec.k, np.uint32)


def signatures(texts: pa.Array | pa.ChunkedArray | Strings, spec: MinHashSpec) -> Signatures:
    """Signatures of raw texts; a null row counts as empty. Raises ValueError where a text is not UTF-8."""
    from dataforge.kernels.cpu.shingles import shingle_rows
    from dataforge.kernels.cpu.words import tables

    strings = texts if isinstance(texts, Strings) else strings_of(texts)
    values, words = np.full((len(strings), spec.k), EMPTY), np.zeros(len(strings), np.int64)
    sink = (*permutations(spec), values, np.zeros(0, np.uint64), np.zeros(0, np.int64))
    refuse(shingle_rows(strings.offsets, strings.data, tables(), spec.n, spec.shingle == "characters", sink, words))
    return Signatures(values, words)


def shingle_hashes(texts: pa.Array | pa.ChunkedArray | Strings, spec: MinHashSpec) -> tuple[I64, U64]:
    """(offsets int64[n + 1], hashes): the 64-bit shingle hashes of each text, sorted, each once."""
    from dataforge.kernels.cpu.jaccard import unique_rows
    from dataforge.kernels.cpu.shingles import shingle_rows
    from dataforge.kernels.cpu.words import tables

    strings = texts if isinstance(texts, Strings) else strings_of(texts)
    # No more shingles than bytes; the pages that stay untouched cost nothing
    hashes, ends = np.empty(strings.size_bytes + len(strings), np.uint64), np.zeros(len(strings), np.int64)
    sink = (np.zeros(0, np.uint32), np.zeros(0, np.uint32), np.zeros((0, 0), np.uint32), hashes, ends)
    words = np.zeros(len(strings), np.int64)
    refuse(shingle_rows(strings.offsets, strings.data, tables(), spec.n, spec.shingle == "characters", sink, words))
    offsets = unique_rows(ends, hashes)
    return offsets, hashes[: offsets[-1]].copy()


def refuse(row: int) -> None:
    """Raises for the row that a compiled face found not to be UTF-8."""
    if row >= 0:
        raise ValueError(f"row {row} is not valid UTF-8")


# The reference face: the definition, slow on purpose.


def words_of(text: str) -> list[str]:
    """"Don't  漢字 PANIC" -> ["don", "t", "漢", "字", "panic"]."""
    classes, lower = unicode.classes(), unicode.lower()
    words, inside = [""], False
    for char in text:
        kind = int(classes[ord(char)])
        if kind & unicode.WORD:
            alone = bool(kind & unicode.SINGLE)
            if alone or not inside:
                words.append("")
            words[-1] += chr(lower[ord(char)])
        inside = bool(kind & unicode.WORD) and not kind & unicode.SINGLE
    return words[1:]


def shingles_of(text: str, spec: MinHashSpec) -> list[bytes]:
    """All shingles of a text in order; one of all where it is shorter; none without a word."""
    words = words_of(text)
    units, joint = (words, " ") if spec.shingle == "words" else (list(" ".join(words)), "")
    last = max(len(units) - spec.n, 0)
    return [joint.join(units[i : i + spec.n]).encode() for i in range(last + 1)] if words else []


def reference_signatures(texts: list[str], spec: MinHashSpec) -> Signatures:
    """The definition of `signatures`."""
    pairs = [(int(a), int(b)) for a, b in zip(*permutations(spec), strict=True)]
    values = np.full((len(texts), spec.k), EMPTY)
    for row, text in enumerate(texts):
        mixed = [fmix32(xxh64(shingle) & MASK32) for shingle in shingles_of(text, spec)]
        if mixed:
            values[row] = [min((a * h + b) & MASK32 for h in mixed) for a, b in pairs]
    return Signatures(values, np.array([len(words_of(text)) for text in texts], np.int64))


def reference_shingle_hashes(texts: list[str], spec: MinHashSpec) -> tuple[I64, U64]:
    """The definition of `shingle_hashes`."""
    rows = [sorted({xxh64(shingle) for shingle in shingles_of(text, spec)}) for text in texts]
    ends = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return ends, np.array([value for row in rows for value in row], np.uint64)
