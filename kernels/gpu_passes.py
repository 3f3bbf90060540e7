"""The exact encoder on a GPU, pass by pass: a batch of texts in device memory to ids in device memory.

Split: bits for places where pieces surely begin, and for bytes of which that is not known (`heads` for words of ASCII,
`wide` for the others), walks over the latter from one head to the next (`walk`), compaction to offsets. Look up: every
piece of at most 15 bytes in the word table (`probe`), a merge for each distinct new one (`fill`), merges for what the
table cannot hold (`merge_left`, `merge_long`). Write: counts, sums, ids (`settle`, `emit`, `edges`). The kernels are in
`cuda/encode.cu`, what they do in `cuda/*.cuh`; scans between them are the array library's. The host waits three times:
for the number of pieces, for the numbers of new and of left ones, for the number of ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dataforge.kernels.encoder_tables import LARGEST_ID
from dataforge.kernels.gpu import Gpu

SOURCES = ("common.cuh", "split.cuh", "heads.cuh", "bpe.cuh", "table.cuh", "passes.cuh", "encode.cu")
SHORT = 64  # bytes of a piece that one thread merges (bpe.cuh)
WARP = 32  # threads that merge a longer one
MOST_WARPS = 4096  # that do so at a time: what a GPU has room for
LOOPING = 1 << 19  # threads that share a list whose length the host does not know: somewhat more than it has room for
LONG = 16 << 10  # a text with a longer piece is refused; bpe.cuh has room for less than 32 KB
SEGMENT = 64 << 10  # so is one in which a thread would read about so much without a sure beginning of a piece
TILE = 4096  # passes.cuh
SPARE = 32  # bytes behind the text that may be read (table.cuh)
SLOTS = 1 << 21  # of the word table: 144 MiB; 256 MiB of text hold about 600,000 distinct pieces
SLOT_WORDS = 8

I64 = npt.NDArray[np.int64]


class Refused(Exception):
    """Texts that threads would take too long over: `rows` of the batch. Nothing else was done."""

    def __init__(self, rows: I64) -> None:
        super().__init__(f"{len(rows)} texts are not for the GPU")
        self.rows = rows


class Broken(Exception):
    """A text of the batch is not UTF-8."""


@dataclass(frozen=True)
class Model:
    """A tokenizer's tables on the device, and what the host must know of them."""

    blob: Any
    narrow: bool  # every id fits 16 bits

    @classmethod
    def of(cls, gpu: Gpu, blob: npt.NDArray[np.uint8]) -> Model:
        header = blob[: 8 * (LARGEST_ID + 1)].view(np.int64)
        with gpu.stream:
            return cls(gpu.xp.asarray(blob), int(header[LARGEST_ID]) <= 0xFFFF)


class WordTable:
    """Pieces and their ids, kept from batch to batch and emptied before a batch when half full."""

    def __init__(self, gpu: Gpu, capacity: int = SLOTS) -> None:
        with gpu.stream:
            self.slots = gpu.xp.zeros(capacity * SLOT_WORDS, np.uint64)
            self.claims = gpu.xp.zeros(capacity, np.uint64)
        self.capacity, self.used, self._open = capacity, 0, False

    def open(self) -> None:
        """Before a batch claims slots. One that failed between claiming and filling leaves nothing behind."""
        if self._open or 2 * self.used > self.capacity:
            self.slots.fill(0)
            self.claims.fill(0)
            self.used = 0
        self._open = True

    def close(self, filled: int) -> None:
        """Every claimed slot is filled."""
        self.used += filled
        self._open = False


@dataclass(frozen=True)
class Batch:
    """Texts on the device, one behind another; `offsets` from 0 to `size`, there and here. No Batch is empty."""

    text: Any  # uint8, 8-byte aligned, SPARE bytes behind it
    offsets: Any  # int64[n + 1]
    host_offsets: I64

    @property
    def size(self) -> int:
        return int(self.host_offsets[-1])

    @property
    def words(self) -> int:
        """32-bit words that hold a bit for each byte."""
        return -(-self.size // 32)

    def __len__(self) -> int:
        return len(self.host_offsets) - 1


@dataclass(frozen=True)
class Pieces:
    firsts: Any  # a bit for each first byte of a text
    starts: Any  # a bit for each first byte of a piece
    before: Any  # int32[words]: pieces that begin in the words up to this one
    begins: Any  # uint32[count + 1]
    count: int


@dataclass(frozen=True)
class Encoded:
    """In device memory."""

    offsets: Any  # int64[n + 1]
    ids: Any  # uint16 or int32


def encode_batch(gpu: Gpu, model: Model, table: WordTable, batch: Batch) -> Encoded:
    """Ids of a batch of at least one byte, on the computing stream. Raises Broken, or Refused."""
    pieces = split(gpu, model, batch)
    found = look_up(gpu, model, table, batch, pieces)
    xp, count = gpu.xp, pieces.count
    ends = xp.cumsum(found.counts, dtype=np.int32)
    ids = xp.empty(int(ends[-1]), np.uint16 if model.narrow else np.int32)
    written = (pieces.begins, found.scratch, found.counts, ends, np.int64(model.narrow), ids)
    gpu.launch("emit", count, found.where, table.slots, *written)
    edges = xp.empty(len(batch) + 1, np.int64)
    sizes = (batch.offsets, np.int64(batch.size), pieces.starts, pieces.before, ends, np.int64(count))
    gpu.launch("edges", len(batch) + 1, *sizes, edges)
    return Encoded(edges, ids)


def split(gpu: Gpu, model: Model, batch: Batch) -> Pieces:
    """Where pieces begin. Raises Broken, or Refused."""
    xp, words, size = gpu.xp, batch.words, np.int64(batch.size)
    tiles = -(-words // (TILE // 32))
    firsts, status = xp.zeros(words, np.uint32), xp.zeros(3, np.uint64)
    heads = xp.zeros(tiles * (TILE // 32), np.uint32)
    odd, tile_rows = xp.empty(words, np.uint32), xp.empty(tiles + 1, np.int32)
    wide = (xp.empty(words, np.uint32), xp.zeros(1, np.uint32))
    gpu.launch("firsts", len(batch), batch.offsets, firsts)
    gpu.launch("heads", words, model.blob, batch.text, size, firsts, heads, odd, *wide)
    gpu.launch("check", min(words, LOOPING), batch.text, size, firsts, *wide, status)
    gpu.launch("wide", min(words, LOOPING), model.blob, batch.text, size, firsts, heads, odd, *wide)
    gpu.launch("tiles", tiles + 1, batch.offsets, np.int64(len(batch)), tile_rows)
    starts, tally = heads.copy(), xp.empty(words, np.int32)
    walked = (heads, odd, starts, np.int64(SEGMENT + 2 * TILE), status)
    gpu.launch("walk", words, model.blob, batch.text, batch.offsets, tile_rows, *walked)
    gpu.launch("tally", words, starts, tally)
    before = xp.cumsum(tally, dtype=np.int32)
    gpu.launch("limits", words, starts, before, size, np.int64(LONG), status)
    is_broken, is_long, count = (int(number) for number in status.get())
    if is_broken:
        raise Broken
    begins = xp.empty(count + 1, np.uint32)
    gpu.launch("begins", words, starts, before, size, begins)
    if is_long:
        has_head = heads.reshape(tiles, -1).any(axis=1).get()
        raise Refused(np.union1d(_long_segments(batch, has_head), _long_pieces(batch, xp, begins)))
    return Pieces(firsts, starts, before, begins, count)


def _long_segments(batch: Batch, has_head: npt.NDArray[np.bool_]) -> I64:
    """Texts, by tiles without a head: a text begins with one, so each run of them lies in one text."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], has_head, [True]])))
    begins, ends = edges[::2], edges[1::2]
    long = begins[(ends - begins) * TILE >= SEGMENT]
    return _texts_at(batch, long * TILE)


def _long_pieces(batch: Batch, xp: Any, begins: Any) -> I64:
    sizes = begins[1:] - begins[:-1]
    return _texts_at(batch, begins[xp.flatnonzero(sizes > LONG)].get().astype(np.int64))


def _texts_at(batch: Batch, places: I64) -> I64:
    return np.searchsorted(batch.host_offsets, places, side="right") - 1


@dataclass(frozen=True)
class Found:
    """The slot of each piece, or that it is left; the number of its ids; the ids of those left (passes.cuh)."""

    where: Any
    counts: Any
    scratch: Any


def look_up(gpu: Gpu, model: Model, table: WordTable, batch: Batch, pieces: Pieces) -> Found:
    """Where the ids of each piece are: in the table, or merged for it alone."""
    xp, count = gpu.xp, pieces.count
    where, counts, left = xp.empty(count, np.uint32), xp.empty(count, np.int32), xp.empty(count, np.uint32)
    fresh, lists = xp.empty(min(count, table.capacity), np.uint32), xp.zeros(4, np.uint32)
    long_left = xp.empty(batch.size // SHORT + 1, np.uint32)
    table.open()
    mask = np.uint64(table.capacity - 1)
    texts = (model.blob, batch.text, pieces.begins, pieces.firsts)
    found = (where, counts, fresh, left, long_left, lists)
    gpu.launch("probe", count, *texts, table.slots, table.claims, mask, *found)
    filled, short, long, longest = (int(number) for number in lists.get())
    gpu.launch("fill", filled, model.blob, batch.text, table.claims, fresh, table.slots)
    table.close(filled)
    if filled:
        gpu.launch("settle", count, where, table.slots, counts)
    scratch = xp.empty(batch.size + count if short or long else 1, np.int32)  # passes.cuh says where in it
    gpu.launch("merge_left", short, *texts, left, scratch, counts)
    warps = min(MOST_WARPS, batch.size // max(longest, 1))  # their lists take no more than a batch of long pieces does
    memory = xp.empty(4 * (longest + 1) * min(long, warps), np.int32)
    merged = (long_left, np.int64(longest + 1), memory, scratch, counts)
    gpu.launch("merge_long", long, *texts, *merged, blocks=warps, threads=WARP)
    return Found(where, counts, scratch)
