"""Pieces of texts that repeats are looked for in: lines, paragraphs, spans of three sentences, windows of words.

A unit is known by 128 bits of hash of its bytes, without the white space around it: at 1e10 units a chance of 1e-19 of
a false one. Sentences end at marks that a blank follows (or a wide mark of Chinese and Japanese) and at line ends; a
span is equal to another when its sentences are, whatever white space stands between them. Words are those of `minhash`.

A window of words that occurs twice need not be looked for at every word. Of each window the run of half as many words
with the smallest hash is its anchor: equal windows have equal anchors, so only windows whose anchor repeats can repeat,
and neighbours mostly share theirs: some two anchors stand in the length of a window.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dataforge.kernels.buffers import Strings, refuse_broken, strings_of
from dataforge.kernels.hash import xxh64
from dataforge.kernels.minhash import I64, U64, refuse

UNITS = ("line", "paragraph", "sentences")  # their places are the numbers that the compiled face knows
SPAN = 3  # sentences of a span, as in C4
BLANKS = " \t\n\v\f\r"
END_MARKS, WIDE_MARKS = ".!?؟…।", "。！？"
CLOSERS = "\"')]»’”」』）"


@dataclass(frozen=True)
class Units:
    """m units in order of (row, start): places are bytes from the beginning of the text, int64[m]; uint64[m] hashes."""

    rows: I64
    starts: I64
    ends: I64
    keys: U64
    checks: U64

    def __len__(self) -> int:
        return len(self.rows)


def text_units(texts: pa.Array | Strings, unit: str, *, shortest: int = 1) -> Units:
    """Units of at least `shortest` characters; null texts have none. ValueError for another `unit` and for no UTF-8."""
    from dataforge.kernels.cpu import units as cpu

    if unit not in UNITS:
        raise ValueError(f"a unit is one of {', '.join(UNITS)}, not {unit!r}")
    strings = texts if isinstance(texts, Strings) else strings_of(texts)
    refuse_broken(strings)  # places and hashes are of bytes: nothing is decoded
    offsets, data = _padded(strings)
    sink = _sink(len(data) // 2 + len(offsets))
    count = cpu.text_units(offsets, data, UNITS.index(unit), shortest, sink)
    return Units(*(column[:count].copy() for column in sink))


def word_anchors(texts: pa.Array | Strings, words: int) -> tuple[I64, I64, U64]:
    """(rows, starts in bytes, hashes): the anchors of all windows of `words` words, each once, in order."""
    from dataforge.kernels import unicode
    from dataforge.kernels.cpu import units as cpu

    offsets, data = _padded(texts)
    room = len(data) // 2 + len(offsets)
    sink = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.uint64)
    count = cpu.word_anchors(offsets, data, unicode.classes(), words, gram_of(words), sink)
    refuse(-1 - count)
    return sink[0][:count].copy(), sink[1][:count].copy(), sink[2][:count].copy()


def word_windows(texts: pa.Array | Strings, words: int, ends: I64, places: I64) -> Units:
    """Windows of `words` words whose anchor starts at one of the row's places (row i ends at ends[i])."""
    from dataforge.kernels import unicode
    from dataforge.kernels.cpu import units as cpu

    offsets, data = _padded(texts)
    sink = _sink(len(data) // 2 + len(offsets))
    count = cpu.word_windows(offsets, data, unicode.classes(), words, gram_of(words), (ends, places), sink)
    refuse(-1 - count)
    return Units(*(column[:count].copy() for column in sink))


def gram_of(words: int) -> int:
    """Words of an anchor."""
    return (words + 1) // 2


def _padded(texts: pa.Array | Strings) -> tuple[I64, np.ndarray]:
    """Offsets from 0 and the bytes, with as many behind them as the compiled hash may touch."""
    from dataforge.kernels.cpu.xxh64 import PADDING

    strings = texts if isinstance(texts, Strings) else strings_of(texts)
    first, last = int(strings.offsets[0]), int(strings.offsets[-1])
    return strings.offsets - first, np.concatenate([strings.data[first:last], np.zeros(PADDING, np.uint8)])


def _sink(room: int) -> tuple[np.ndarray, ...]:
    """Room for more units than there can be; pages that stay untouched cost nothing."""
    kinds = (np.int64, np.int64, np.int64, np.uint64, np.uint64)
    return tuple(np.empty(room, kind) for kind in kinds)


def without(text: bytes, spans: list[tuple[int, int]]) -> bytes:
    """`text` without spans of bytes (ascending, apart). Of the white space around a gap that with more line ends stays.

    b"a\\n\\nDUP\\nb", [(3, 6)] -> b"a\\n\\nb"; where nothing stays before or behind a gap, no white space stays either.
    """
    blanks, out, joint, at = BLANKS.encode(), [b""], b"", 0
    for start, end in [*spans, (len(text), len(text))]:
        piece = text[at:start]
        right = piece.lstrip(blanks)
        joint = _stronger(joint, piece[: len(piece) - len(right)])
        if right:
            core = right.rstrip(blanks)
            out += [joint if len(out) > 1 or at == 0 else b"", core]
            joint = right[len(core) :]
        at = end
    return b"".join(out) + (joint if right else b"")


def _stronger(before: bytes, after: bytes) -> bytes:
    """The one with more line ends; of equals the second, which holds the indentation of what follows."""
    return before if before.count(b"\n") > after.count(b"\n") or not after else after


# The reference face: the definition, slow on purpose.


def reference_units(texts: list[str], unit: str, *, shortest: int = 1) -> list[tuple[int, int, int, int, int]]:
    """The definition of `text_units`, as (row, start, end, key, check)."""
    found: list[tuple[int, int, int, int, int]] = []
    for row, text in enumerate(texts):
        pieces = list(_sentences(text) if unit == "sentences" else _blocks(text, unit))
        span = SPAN if unit == "sentences" else 1
        for i in range(len(pieces) - span + 1):
            chosen = pieces[i : i + span]
            if sum(end - start for start, end in chosen) >= shortest:
                raw = [text[a:b].encode() for a, b in chosen]
                start, end = (len(text[:place].encode()) for place in (chosen[0][0], chosen[-1][1]))
                found.append((row, start, end, _hash(raw, 0), _hash(raw, 1)))
    return found


def _hash(pieces: list[bytes], seed: int) -> int:
    if len(pieces) == 1:
        return xxh64(pieces[0], seed)
    return xxh64(b"".join(xxh64(piece, seed).to_bytes(8, "little") for piece in pieces), seed)


def _blocks(text: str, unit: str) -> Iterator[tuple[int, int]]:
    """(start, end) in characters of the lines or paragraphs that hold more than blanks."""
    at, block = 0, ""
    blank = re.compile(r"\n" if unit == "line" else r"\n[ \t\v\f\r]*(?:\n[ \t\v\f\r]*)*\n")
    for gap in [*blank.finditer(text), None]:
        block = text[at : gap.start() if gap else len(text)]
        start = at + len(block) - len(block.lstrip(BLANKS))
        if block.strip(BLANKS):
            yield start, start + len(block.strip(BLANKS))
        at = gap.end() if gap else at


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    closers = f"[{re.escape(CLOSERS)}{END_MARKS}{WIDE_MARKS}]*"
    end = re.compile(f"[{END_MARKS}{WIDE_MARKS}]{closers}|\n")
    first = at = 0
    for mark in end.finditer(text):
        wide = any(char in WIDE_MARKS for char in mark.group())
        over = mark.group() == "\n" or wide or mark.end() == len(text) or text[mark.end()] in BLANKS
        if mark.start() >= at and over:
            yield from _trimmed(text, first, mark.end())
            first = mark.end()
        at = mark.end()
    yield from _trimmed(text, first, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    if piece.strip(BLANKS):
        start += len(piece) - len(piece.lstrip(BLANKS))
        yield start, start + len(piece.strip(BLANKS))


def reference_windows(text: str, words: int) -> list[tuple[int, int, bytes]]:
    """(start, end, bytes) of every window of a text: what `word_windows` gives where every anchor repeats."""
    from dataforge.kernels import unicode

    kinds = [int(unicode.classes()[ord(char)]) for char in text]
    spans: list[list[int]] = []
    for place, kind in enumerate(kinds):
        alone = kind & unicode.SINGLE
        joins = place > 0 and kinds[place - 1] & unicode.WORD and not kinds[place - 1] & unicode.SINGLE
        if kind & unicode.WORD and (alone or not joins):
            spans.append([place, place + 1])
        elif kind & unicode.WORD:
            spans[-1][1] = place + 1
    found = []
    for i in range(len(spans) - words + 1):
        start, end = spans[i][0], spans[i + words - 1][1]
        found.append((len(text[:start].encode()), len(text[:end].encode()), text[start:end].encode()))
    return found
