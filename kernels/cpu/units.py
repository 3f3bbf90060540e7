# mypy: ignore-errors
"""Compiled: lines, paragraphs, spans of sentences and windows of words of UTF-8 texts, with 128 bits of hash each."""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import helper, kernel
from dataforge.kernels.cpu.words import SINGLE, WORD, decode
from dataforge.kernels.cpu.xxh64 import PADDING, hash_one

LINE, PARAGRAPH, SENTENCES = range(3)
SPAN = 3  # sentences of a span


@helper(inline="always")
def _blank(byte):
    return byte == 32 or 9 <= byte <= 13


@helper
def _end_mark(data, at, stop):
    """(bytes of the mark that ends a sentence here or 0, 1 where no blank need follow)."""
    byte = data[at]
    if byte == 46 or byte == 33 or byte == 63:  # . ! ?
        return 1, 0
    if byte == 0xD8 and at + 2 <= stop and data[at + 1] == 0x9F:  # Arabic question mark
        return 2, 0
    if at + 3 <= stop:
        second, third = data[at + 1], data[at + 2]
        if byte == 0xE3 and second == 0x80 and third == 0x82:  # ideographic full stop
            return 3, 1
        if byte == 0xEF and second == 0xBC and (third == 0x81 or third == 0x9F):  # full-width ! ?
            return 3, 1
        if (byte == 0xE2 and second == 0x80 and third == 0xA6) or (byte == 0xE0 and second == 0xA5 and third == 0xA4):
            return 3, 0  # ellipsis, danda
    return 0, 0


@helper
def _closer(data, at, stop):
    """Bytes of the quotation mark or bracket that closes here, or 0."""
    byte = data[at]
    if byte == 34 or byte == 39 or byte == 41 or byte == 93:  # " ' ) ]
        return 1
    if byte == 0xC2 and at + 2 <= stop and data[at + 1] == 0xBB:  # »
        return 2
    if at + 3 <= stop:
        second, third = data[at + 1], data[at + 2]
        if byte == 0xE2 and second == 0x80 and (third == 0x99 or third == 0x9D):  # ’ ”
            return 3
        if byte == 0xE3 and second == 0x80 and (third == 0x8D or third == 0x8F):  # 」 』
            return 3
        if byte == 0xEF and second == 0xBC and third == 0x89:  # ）
            return 3
    return 0


@helper
def _lines(data, at, stop, paragraphs, starts, ends):
    """Lines without the blanks around them, or runs of lines that are not blank; gives how many."""
    count, first, last = 0, -1, -1
    while at < stop:
        line_end = at
        while line_end < stop and data[line_end] != 10:
            line_end += 1
        start, end = at, line_end
        while start < end and _blank(data[start]):
            start += 1
        while end > start and _blank(data[end - 1]):
            end -= 1
        if end > start and first < 0:
            first = start
        last = end if end > start else last
        if first >= 0 and (not paragraphs or end == start):
            starts[count], ends[count] = first, last
            count, first = count + 1, -1
        at = line_end + 1
    if first >= 0:
        starts[count], ends[count] = first, last
        count += 1
    return count


@helper
def _sentences(data, at, stop, starts, ends):
    count, first, last = 0, -1, -1
    while at < stop:
        byte, over = data[at], False
        if _blank(byte):
            over = byte == 10
            at += 1
        else:
            first = at if first < 0 else first
            size, wide = _end_mark(data, at, stop)
            at += max(size, 1)
            if size > 0:
                while at < stop:
                    size, next_wide = _end_mark(data, at, stop)
                    size = size if size > 0 else _closer(data, at, stop)
                    if size == 0:
                        break
                    at += size
                    wide = max(wide, next_wide)
                over = wide == 1 or at >= stop or _blank(data[at])
            last = at
        if over and first >= 0:
            starts[count], ends[count] = first, last
            count, first = count + 1, -1
    if first >= 0:
        starts[count], ends[count] = first, last
        count += 1
    return count


@helper
def _characters(data, start, end):
    count = 0
    for i in range(start, end):
        count += np.int64(data[i] & 0xC0 != 0x80)
    return count


@kernel
def text_units(offsets, data, kind, shortest, sink):
    """Fills `sink` (rows, starts, ends, keys, checks) and gives the number of units. `data` has PADDING bytes to spare.

    Places are bytes from the beginning of the row.
    """
    rows, starts, ends, keys, checks = sink
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    first, last = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    lengths, hashes = np.empty(longest + 1, np.int64), np.empty((2, longest + 1 + PADDING // 8), np.uint64)
    base, count = np.uintp(data.ctypes.data), 0
    span = SPAN if kind == SENTENCES else 1
    for row in range(len(offsets) - 1):
        begin, stop = offsets[row], offsets[row + 1]
        if kind == SENTENCES:
            pieces = _sentences(data, begin, stop, first, last)
        else:
            pieces = _lines(data, begin, stop, kind == PARAGRAPH, first, last)
        for i in range(pieces):
            lengths[i] = _characters(data, first[i], last[i])
            for seed in range(2):
                hashes[seed, i] = hash_one(base + np.uintp(first[i]), last[i] - first[i], np.uint64(seed))
        for i in range(pieces - span + 1):
            if lengths[i : i + span].sum() < shortest:
                continue
            rows[count], starts[count], ends[count] = row, first[i] - begin, last[i + span - 1] - begin
            keys[count], checks[count] = hashes[0, i], hashes[1, i]
            if span > 1:
                keys[count] = hash_one(np.uintp(hashes[0, i:].ctypes.data), 8 * span, np.uint64(0))
                checks[count] = hash_one(np.uintp(hashes[1, i:].ctypes.data), 8 * span, np.uint64(1))
            count += 1
    return count


@helper
def words_of_row(data, at, stop, classes, starts, ends):
    """Places of the words of data[at:stop]: runs of word characters, or single ones; -1 where it is not UTF-8."""
    count, inside = 0, False
    while at < stop:
        point, size = decode(data, at, stop)
        if size == 0:
            return -1
        kind = classes[point]
        if kind & WORD and kind & SINGLE == 0:
            if not inside:
                starts[count] = at
                count += 1
            inside = True
            ends[count - 1] = at + size
        else:
            inside = False
            if kind & WORD:
                starts[count], ends[count] = at, at + size
                count += 1
        at += size
    return count


@helper
def _anchors(hashes, width, chosen, queue):
    """chosen[i] = the place of the smallest of hashes[i : i + width], the last of equal ones; linear."""
    head, tail = 0, 0
    for i in range(len(hashes)):
        while tail > head and hashes[queue[tail - 1]] >= hashes[i]:
            tail -= 1
        queue[tail] = i
        tail += 1
        if queue[head] <= i - width:
            head += 1
        if i >= width - 1:
            chosen[i - width + 1] = queue[head]


@kernel
def word_anchors(offsets, data, classes, words, gram, sink):
    """Per row the anchors of its windows of `words` words, each once: (rows, starts, keys). -1 - row where not UTF-8.

    An anchor is the run of `gram` words with the smallest hash inside a window.
    """
    rows, starts, keys = sink
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    first, last = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    chosen, queue = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    hashes = np.empty(longest + 1, np.uint64)
    base, count = np.uintp(data.ctypes.data), 0
    for row in range(len(offsets) - 1):
        found = words_of_row(data, offsets[row], offsets[row + 1], classes, first, last)
        if found < 0:
            return -1 - row
        if found < words:
            continue
        grams, windows = found - gram + 1, found - words + 1
        for i in range(grams):
            hashes[i] = hash_one(base + np.uintp(first[i]), last[i + gram - 1] - first[i], np.uint64(0))
        _anchors(hashes[:grams], words - gram + 1, chosen, queue)
        for i in range(windows):
            if i == 0 or chosen[i] != chosen[i - 1]:
                rows[count], starts[count], keys[count] = row, first[chosen[i]] - offsets[row], hashes[chosen[i]]
                count += 1
    return count


@kernel
def word_windows(offsets, data, classes, words, gram, places, sink):
    """All windows whose anchor stands at one of the `places` (ends int64[n], starts int64[m]: ascending in each row)."""
    place_ends, place_starts = places
    rows, starts, ends, keys, checks = sink
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    first, last = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    chosen, queue = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    hashes = np.empty(longest + 1, np.uint64)
    base, count = np.uintp(data.ctypes.data), 0
    for row in range(len(offsets) - 1):
        at = place_ends[row - 1] if row > 0 else 0
        if at == place_ends[row]:
            continue
        found = words_of_row(data, offsets[row], offsets[row + 1], classes, first, last)
        if found < 0:
            return -1 - row
        grams = found - gram + 1
        for i in range(grams):
            hashes[i] = hash_one(base + np.uintp(first[i]), last[i + gram - 1] - first[i], np.uint64(0))
        _anchors(hashes[: max(grams, 0)], words - gram + 1, chosen, queue)
        for i in range(found - words + 1):
            anchor = first[chosen[i]] - offsets[row]
            while at < place_ends[row] and place_starts[at] < anchor:
                at += 1
            if at < place_ends[row] and place_starts[at] == anchor:
                end = last[i + words - 1]
                rows[count], starts[count], ends[count] = row, first[i] - offsets[row], end - offsets[row]
                keys[count] = hash_one(base + np.uintp(first[i]), end - first[i], np.uint64(0))
                checks[count] = hash_one(base + np.uintp(first[i]), end - first[i], np.uint64(1))
                count += 1
    return count
