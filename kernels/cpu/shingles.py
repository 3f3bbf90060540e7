# mypy: ignore-errors
"""Raw text to shingle hashes to MinHash minima, in one pass over the bytes and in bounded memory.

Text is normalised in chunks into a small window; the places of its units (words or characters) give shingles, which lie
contiguously in the window; a block of shingles, of many short documents or a piece of a long one, is hashed together.
A document of 1 GB needs no more memory than one of 100 KB (only a single shingle of that size makes the window grow).
"""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import helper, kernel
from dataforge.kernels.cpu.vectors import AFFINE, affine
from dataforge.kernels.cpu.words import normalise
from dataforge.kernels.cpu.xxh64 import PADDING, hash_many, scratch_for

CHUNK = 4096  # bytes of text normalised at a time; at most 1.5 times as many come out
BLOCK = 2048  # shingles hashed together: their places and hashes stay in the second-level cache
WINDOW = 1 << 16
# The state of a pass, int64[6]: bytes in the window; units not yet first in a shingle; inside a word; bytes of it
# whose characters are units; shingles in the block; hashes given out
FILLED, KNOWN, INSIDE, SCANNED, PENDING, TAKEN = range(6)


@kernel
def shingle_rows(offsets, data, tables, n, characters, sink, words):
    """Hashes the shingles of every row into `sink`; words[row] becomes its number of words.

    Gives -1, or the first row that is not UTF-8. `sink` is (factors, shifts, minima, hashes, ends): with `minima`
    (uint32[rows, K], filled with 0xffffffff) the affine32 minima are taken; else all hashes go to `hashes`
    and ends[row] becomes the end of the row's.
    """
    window, state = np.empty(WINDOW, np.uint8), np.zeros(6, np.int64)
    units, starts = np.empty(2 * CHUNK + n + 2, np.int64), np.empty(CHUNK + 2, np.int64)
    room = BLOCK + 2 * CHUNK
    block = (np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.uint64))
    scratch = scratch_for(room)
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        state[SCANNED], state[KNOWN], state[INSIDE], words[row], emitted = state[FILLED], 0, 0, 0, 0
        while at < end:
            if state[FILLED] + 2 * CHUNK + PADDING > len(window):
                _flush(window, state, block, scratch, sink)
                window = _make_room(window, state, units, characters)
            at, new = _read(data, at, end, tables, window, state, starts)
            if at < 0:
                return row
            words[row] += new
            if characters:
                complete = _units_of_characters(window, state, units)
            else:
                complete = _units_of_words(new, state, starts, units)
            emitted += _emit(complete - n + 1, n, characters, row, state, units, block)
            if state[PENDING] >= BLOCK:
                _flush(window, state, block, scratch, sink)
        if words[row] > 0 and emitted == 0:  # shorter than a shingle: one shingle of all
            _emit(1, state[KNOWN], characters, row, state, units, block)
        if len(sink[4]) > 0:
            sink[4][row] = state[TAKEN] + state[PENDING]
    _flush(window, state, block, scratch, sink)
    return -1


@helper
def _read(data, at, end, tables, window, state, starts):
    """Normalises a chunk of the row into the window; (place after it or -1, new words)."""
    stop = min(at + CHUNK, end)
    filled, inside = state[FILLED], state[INSIDE]
    at, filled, new, inside = normalise(data, at, stop, end, tables, window, filled, starts, 0, inside)
    if at >= end and inside:
        window[filled] = 32
        filled, inside = filled + 1, 0
    state[FILLED], state[INSIDE] = filled, inside
    return at, new


@helper
def _units_of_words(new, state, starts, units):
    """Adds the starts of new words to the units, and the end of the last; gives the number of closed words."""
    known = state[KNOWN]
    for i in range(new):
        units[known + i] = starts[i]
    state[KNOWN] = known + new
    units[known + new] = state[FILLED]
    return known + new - state[INSIDE]


@helper
def _units_of_characters(window, state, units):
    """Adds the characters of the normalised text; a blank after the last word counts only once another word follows."""
    known, limit = state[KNOWN], state[FILLED]
    if state[INSIDE] == 0 and limit > state[SCANNED]:
        limit -= 1
    for i in range(state[SCANNED], limit):
        if window[i] & 0xC0 != 0x80:
            units[known] = i
            known += 1
    units[known] = limit
    state[KNOWN], state[SCANNED] = known, limit
    return known


@helper
def _emit(ready, n, characters, row, state, units, block):
    """Puts the shingles that begin at the first `ready` units into the block and forgets these units."""
    if ready <= 0:
        return 0
    places, lengths, owners, _ = block
    pending, gap = state[PENDING], 0 if characters else 1  # a word ends one blank before the next begins
    for i in range(ready):
        places[pending + i] = units[i]
        lengths[pending + i] = units[i + n] - units[i] - gap
        owners[pending + i] = row
    for i in range(ready, state[KNOWN] + 1):
        units[i - ready] = units[i]
    state[PENDING] += ready
    state[KNOWN] -= ready
    return ready


@helper
def _make_room(window, state, units, characters):
    """Moves what later shingles need to the front of the window, of a larger one if that is not enough."""
    keep = state[SCANNED] if characters else state[FILLED]
    keep = units[0] if state[KNOWN] > 0 else keep
    left = state[FILLED] - keep
    target = window
    if left + 2 * CHUNK + PADDING > len(window) // 2:
        target = np.empty(2 * len(window), np.uint8)
    for i in range(left):
        target[i] = window[keep + i]
    for i in range(state[KNOWN]):
        units[i] -= keep
    state[FILLED] = left
    state[SCANNED] -= keep
    return target


@helper
def _flush(window, state, block, scratch, sink):
    """Hashes the block and hands the hashes on."""
    places, lengths, owners, found = block
    factors, shifts, minima, hashes, _ = sink
    count = state[PENDING]
    hash_many(np.uintp(window.ctypes.data), places, lengths, count, scratch, found)
    if len(minima) > 0:
        _take_minima(found, owners, count, factors, shifts, minima)
    else:
        for i in range(count):
            hashes[state[TAKEN] + i] = found[i]
        state[TAKEN] += count
    state[PENDING] = 0


@helper
def _take_minima(found, owners, count, factors, shifts, minima):
    mixed = np.empty(count, np.uint32)
    for i in range(count):
        value = np.uint32(found[i])
        value = np.uint32((value ^ value >> np.uint32(16)) * np.uint32(0x85EBCA6B))
        value = np.uint32((value ^ value >> np.uint32(13)) * np.uint32(0xC2B2AE35))
        mixed[i] = value ^ value >> np.uint32(16)
    first = 0
    while first < count:
        last = first + 1
        while last < count and owners[last] == owners[first]:
            last += 1
        affine_minima(mixed[first:last], factors, shifts, minima[owners[first]])
        first = last


@helper
def affine_minima(mixed, factors, shifts, row):
    """row[k] = min(row[k], factors[k] * h + shifts[k] mod 2^32) over all h."""
    whole = len(row) - len(row) % AFFINE
    for k in range(0, whole, AFFINE):
        skip = np.uintp(4 * k)
        affine(
            np.uintp(mixed.ctypes.data),
            len(mixed),
            np.uintp(factors.ctypes.data) + skip,
            np.uintp(shifts.ctypes.data) + skip,
            np.uintp(row.ctypes.data) + skip,
        )
    for h in mixed:
        for k in range(whole, len(row)):
            row[k] = min(row[k], np.uint32(factors[k] * h + shifts[k]))
