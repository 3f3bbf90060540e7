"""The counters of `text_stats` on a GPU, pass by pass: a batch of texts in device memory to counters in device memory.

Texts become code points with their bits, a thread for each kilobyte. Chunks between blanks, lines, paragraphs, tokens
and words are lists of pieces, a thread for each piece; what is there again is found by a hash table for each text. Only
what goes from left to right (n-grams that skip, C4's end of a text) has a thread for each text, over lists made before.
The kernels are in `cuda/text_*.cu`, what they do in `cuda/text_*.cuh`; scans between them are the array library's.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dataforge.kernels import dclm_rules, line_rules, text_words
from dataforge.kernels.buffers import Strings
from dataforge.kernels.encoder_tables import Blob, packed_tables, two_stage
from dataforge.kernels.gpu import Gpu
from dataforge.kernels.gpu_batches import stretches_of
from dataforge.kernels.text_stats import COUNTERS

HEADERS = ("common.cuh", "stretch.cuh", "text_words.cuh", "text_lines.cuh", "text_grams.cuh")
SOURCES = (*HEADERS, "text_stats.cu", "text_repeats.cu")
AT_CHUNK, AT_LINE, AT_PIECE = (np.uint8(1 << bit) for bit in range(3))  # text_stats.cu
IS_PIECE, IS_FILLED = np.int64(1), np.int64(2)


class Broken(Exception):
    """A text of the batch is not UTF-8."""


@functools.cache
def word_tables() -> Blob:
    """Bits of all code points and the lists of words, as `text_words.cuh` reads them."""
    bits = text_words.kinds().astype(np.uint32) | dclm_rules.word_classes().astype(np.uint32) << np.uint32(16)
    lists = (text_words.KEPT, text_words.UNITS, text_words.CONTRACTIONS, text_words.STOP_WORDS)
    signs = np.array(sorted(ord(char) for char in text_words.CURRENCY), np.uint64)
    phrases = ["lorem ipsum", "javascript", *line_rules.POLICIES, "[edit]", "[citation needed]"]
    phrases += [dclm_rules.CUT_ANYWHERE, dclm_rules.CUT_BEHIND, dclm_rules.CUT_BEFORE, *dclm_rules.COUNTED]
    bounds = np.cumsum([0, *map(len, phrases)]).astype(np.int32)
    letters = np.frombuffer("".join(phrases).encode("ascii"), np.uint8)
    words = [_counted(_packed(words)) for words in lists]
    return packed_tables([*two_stage(bits), *words, _counted(signs), bounds, letters])


def _packed(words: list[str]) -> npt.NDArray[np.uint64]:
    """Each ASCII word of at most 8 bytes as one number, its first character highest."""
    return np.array(sorted(int.from_bytes(word.encode("ascii"), "big") for word in words), np.uint64)


def _counted(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return np.concatenate([np.array([len(numbers)], np.uint64), numbers])


@dataclass(frozen=True)
class Batch:
    """Decoded texts: code points, their bits, where each text begins among them, and the counters so far."""

    gpu: Gpu
    tables: Any
    chars: Any  # uint32
    bits: Any  # uint32
    places: Any  # int64[texts + 1]
    texts: int
    counts: Any  # uint64[texts, len(COUNTERS)]

    @property
    def text(self) -> tuple[Any, ...]:
        """The arguments of every kernel that reads characters with their bits."""
        return self.tables, self.chars, self.bits

    @property
    def rows(self) -> tuple[Any, np.int64]:
        return self.places, np.int64(self.texts)

    def each(self, kernel: str, count: int, *arguments: Any) -> None:
        self.gpu.launch(kernel, count, *arguments)

    def empty(self, count: int, *kinds: Any) -> list[Any]:
        return [self.gpu.xp.empty(count, kind) for kind in kinds]

    def edges_of(self, starts: Any) -> Any:
        """int64[texts + 1]: where in a list of pieces those of each text begin."""
        found = self.gpu.xp.empty(self.texts + 1, np.int64)
        self.each("edges", self.texts + 1, starts, np.int64(len(starts)), self.places, found)
        return found

    def sums(self, numbers: Any) -> Any:
        """int64: each number and all before it. Of no numbers none, which the array library need not know."""
        xp = self.gpu.xp
        return xp.cumsum(numbers, dtype=np.int64) if len(numbers) else xp.empty(0, np.int64)

    def starts_of(self, flags: Any) -> Any:
        """int32: the characters that have a flag."""
        return self.gpu.xp.flatnonzero(flags).astype(np.int32)


@dataclass(frozen=True)
class Pieces:
    """Chunks, lines, paragraphs, tokens or words of all texts, in order."""

    starts: Any  # int32, as are stops and rows
    stops: Any
    rows: Any
    edges: Any

    def __len__(self) -> int:
        return len(self.starts)


def count_batch(gpu: Gpu, tables: Any, texts: Strings, text: Any, offsets: Any) -> Any:
    """The counters of a batch of at least one byte, on the computing stream. Raises Broken."""
    batch = _decoded(gpu, tables, texts, text, offsets)
    flags = gpu.xp.empty(len(batch.chars), np.uint8)
    batch.each("begins", len(batch.chars), *batch.text, *batch.rows, flags, batch.counts)
    _lines(batch, batch.starts_of(flags & AT_LINE))
    _pieces(batch, batch.starts_of(flags & AT_PIECE))
    starts = batch.starts_of(flags & AT_CHUNK)
    del flags
    chunks, tokens, words = _chunks(batch, starts)
    _paragraphs(batch, chunks)
    _tokens(batch, _cut(batch, chunks, tokens, dclm=False))
    _words(batch, _cut(batch, chunks, words, dclm=True))
    return batch.counts


def _decoded(gpu: Gpu, tables: Any, texts: Strings, text: Any, offsets: Any) -> Batch:
    xp, count = gpu.xp, len(texts)
    firsts, rows, stretches = stretches_of(gpu, texts)
    sizes, broken = xp.empty(stretches, np.int32), xp.zeros(1, np.uint32)
    gpu.launch("measure", stretches, text, offsets, firsts, rows, sizes, broken)
    if int(broken.get()[0]):
        raise Broken
    sums, places = xp.cumsum(sizes, dtype=np.int64), xp.empty(count + 1, np.int64)
    gpu.launch("places", count + 1, firsts, sums, places)
    characters = int(sums[-1])
    chars, bits = xp.empty(characters, np.uint32), xp.empty(characters, np.uint32)
    counts = xp.zeros((count, len(COUNTERS)), np.uint64)
    gpu.launch("decoded", stretches, tables, text, offsets, firsts, rows, sums, chars, bits, counts)
    return Batch(gpu, tables, chars, bits, places, count, counts)


# --- lines and paragraphs ---------------------------------------------------------------------------------------------


def _lines(batch: Batch, starts: Any) -> None:
    """Lines as str.splitlines cuts them, by their own counters and by C4's rules."""
    size, count = len(batch.chars), len(starts)
    room = batch.empty(size, np.uint32, np.uint32, np.int32, np.int32)
    verdicts, found = batch.empty(count, np.int32, np.int32)
    given = (*batch.text, np.int64(size), starts, *batch.rows, *room)
    batch.each("lines", count, *given, verdicts, found, batch.counts)
    batch.each("c4", batch.texts, batch.edges_of(starts), verdicts, found, batch.counts)


def _pieces(batch: Batch, starts: Any) -> None:
    """Lines between newlines, and what is there again among them."""
    size, count, edges = len(batch.chars), len(starts), batch.edges_of(starts)
    room = batch.empty(size, np.uint32, np.uint32)
    rows, stops, inner, inner_stops, flags = batch.empty(count, *[np.int32] * 4, np.uint8)
    given = (*batch.text, np.int64(size), starts, *batch.rows, *room)
    batch.each("pieces", count, *given, rows, stops, inner, inner_stops, flags, batch.counts)
    batch.each("runs", batch.texts, batch.chars, batch.places, edges, starts, stops, batch.counts)
    del room, given
    again = {"run_repeats": IS_PIECE, "filled_repeats": IS_FILLED}
    _repeats(batch, Pieces(starts, stops, rows, edges), flags, again)
    _copied(batch, Pieces(inner, inner_stops, rows, edges), "dclm_line_copies")


def _paragraphs(batch: Batch, chunks: Pieces) -> None:
    size, texts = len(batch.chars), batch.texts
    firsts, lasts = batch.empty(texts, np.int32, np.int32)
    batch.each("strip", texts, batch.places, chunks.edges, chunks.starts, chunks.stops, firsts, lasts)
    (flags,) = batch.empty(size, np.uint8)
    batch.each("paragraphs", size, batch.chars, batch.bits, *batch.rows, firsts, lasts, flags)
    starts = batch.starts_of(flags)
    rows, stops, inner, inner_stops, flags = batch.empty(len(starts), *[np.int32] * 4, np.uint8)
    given = (*batch.text, starts, *batch.rows, lasts, rows, stops, inner, inner_stops, flags)
    batch.each("paragraph_ends", len(starts), *given, batch.counts)
    edges = batch.edges_of(starts)
    batch.each("blank_texts", texts, edges, batch.counts)
    _repeats(batch, Pieces(starts, stops, rows, edges), flags, {"paragraph_repeats": IS_PIECE})
    _copied(batch, Pieces(inner, inner_stops, rows, edges), "dclm_paragraph_copies")


def _repeats(batch: Batch, pieces: Pieces, flags: Any, names: dict[str, np.int64]) -> None:
    grams = Grams(batch, pieces)
    grams.insert(1)
    for name, flag in names.items():
        given = (pieces.rows, grams.where, grams.claims, grams.sizes, flags, flag, _number(name))
        batch.each("repeats", len(pieces), *given, batch.counts)


def _copied(batch: Batch, pieces: Pieces, name: str) -> None:
    grams = Grams(batch, pieces)
    grams.insert(1)
    given = (pieces.rows, grams.where, grams.copies, grams.sizes, _number(name))
    batch.each("copied", len(pieces), *given, batch.counts)


def _number(name: str) -> np.int64:
    return np.int64(COUNTERS.index(name))


# --- tokens and words -------------------------------------------------------------------------------------------------


def _chunks(batch: Batch, starts: Any) -> tuple[Pieces, Any, Any]:
    """Chunks between blanks, and sums of the tokens and of the words that they have."""
    count = len(starts)
    rows, stops, tokens, words = batch.empty(count, *[np.int32] * 4)
    given = (*batch.text, np.int64(len(batch.chars)), starts, *batch.rows, rows, stops, tokens, words)
    batch.each("chunks", count, *given, batch.counts)
    return Pieces(starts, stops, rows, batch.edges_of(starts)), batch.sums(tokens), batch.sums(words)


def _cut(batch: Batch, chunks: Pieces, sums: Any, *, dclm: bool) -> Pieces:
    """The tokens of all chunks, or their words of DCLM."""
    count = int(sums[-1]) if len(chunks) else 0
    starts, stops, rows = batch.empty(count, *[np.int32] * 3)
    given = (*batch.text, chunks.starts, chunks.stops, chunks.rows, sums, np.int64(dclm))
    batch.each("cut", len(chunks), *given, starts, stops, rows)
    return Pieces(starts, stops, rows, batch.edges_of(starts))


def _tokens(batch: Batch, tokens: Pieces) -> None:
    seen = batch.gpu.xp.zeros(batch.texts, np.uint32)
    given = (*batch.text, tokens.starts, tokens.stops, tokens.rows, seen)
    batch.each("tokens", len(tokens), *given, batch.counts)
    batch.each("token_totals", batch.texts, tokens.edges, seen, batch.counts)
    grams = Grams(batch, tokens)
    for n in range(2, 5):
        grams.insert(n)
        grams.top(n, f"top_{n}_gram_characters")
    for n in range(5, 11):
        grams.insert(n, joined=True)
        grams.walk(n, f"repeat_{n}_gram_characters")


def _words(batch: Batch, words: Pieces) -> None:
    grams = Grams(batch, words)
    batch.each("word_totals", batch.texts, words.edges, grams.ends, batch.counts)
    for n in range(2, 5):
        grams.insert(n)
        grams.top_of_dclm(n, f"dclm_top_{n}_gram_characters")
    for n in range(5, 11):
        grams.insert(n)
        grams.covered(n, f"dclm_repeat_{n}_gram_characters")


class Grams:
    """n-grams of pieces, and which of them are equal. n grows from one call of `insert` to the next."""

    def __init__(self, batch: Batch, pieces: Pieces) -> None:
        self.batch, self.pieces, count = batch, pieces, len(pieces)
        self.hashes, self.powers, self.sizes = batch.empty(count, np.uint64, np.uint64, np.int32)
        given = (batch.chars, pieces.starts, pieces.stops, self.hashes, self.powers, self.sizes)
        batch.each("hashed", count, *given)
        self.ends = batch.sums(self.sizes)
        self.grams, self.n = self.hashes.copy(), 1
        self.claims, self.copies = (batch.gpu.xp.zeros(2 * count, np.uint32) for _ in range(2))
        (self.where,) = batch.empty(count, np.uint32)

    def insert(self, n: int, *, joined: bool = False) -> None:
        """Finds which n-grams are equal: piece by piece, or `joined` without regard to where they are cut."""
        batch, pieces, count = self.batch, self.pieces, len(self.pieces)
        while self.n < n:
            self.n += 1
            batch.each("extend", count, np.int64(self.n), self.hashes, self.powers, self.grams)
        self.claims.fill(0)
        self.copies.fill(0)
        given = (batch.chars, pieces.starts, pieces.stops, pieces.rows, pieces.edges, self.grams)
        how = (np.int64(n), np.int64(joined))
        batch.each("insert", count, *given, *how, self.claims, self.copies, self.where)

    def top(self, n: int, name: str) -> None:
        batch, best = self.batch, self.batch.gpu.xp.zeros(self.batch.texts, np.uint64)
        batch.each("most_frequent", len(self.pieces), self.pieces.rows, self.where, self.copies, best)
        batch.each("top", batch.texts, best, self.ends, np.int64(n), _number(name), batch.counts)

    def top_of_dclm(self, n: int, name: str) -> None:
        batch, best = self.batch, self.batch.gpu.xp.zeros(self.batch.texts, np.uint64)
        given = (self.pieces.rows, self.where, self.copies, self.ends, np.int64(n), best)
        batch.each("most_frequent_of_dclm", len(self.pieces), *given)
        batch.each("top_of_dclm", batch.texts, best, _number(name), batch.counts)

    def walk(self, n: int, name: str) -> None:
        """Uses up `copies`."""
        batch, pieces = self.batch, self.pieces
        given = (pieces.rows, pieces.edges, self.ends, np.int64(n), self.where, self.copies, _number(name))
        batch.each("walk", batch.texts, *given, batch.counts)

    def covered(self, n: int, name: str) -> None:
        batch, pieces = self.batch, self.pieces
        given = (pieces.rows, pieces.edges, self.sizes, np.int64(n), self.where, self.copies, _number(name))
        batch.each("covered", len(pieces), *given, batch.counts)
