# mypy: ignore-errors
"""xxHash64 compiled: one string, and thousands of short strings at a time.

Shingles overlap and have some 30 bytes; hashing them one by one costs two mispredicted branches each. `hash_many` sorts
them by length (no result depends on the order), so that every loop over a group is free of branches and the compiler
turns it into vector instructions: groups of length / 8 for the words of 8 bytes, of one length for the bytes after them.
"""

from __future__ import annotations

import numpy as np

from dataforge.kernels import hash as definition
from dataforge.kernels.cpu.compiled import helper
from dataforge.kernels.cpu.vectors import load64

P1, P2, P3, P4, P5 = (np.uint64(p) for p in (definition.P1, definition.P2, definition.P3, definition.P4, definition.P5))
LONG = 64  # groups of 8 bytes; strings of 512 bytes and more are hashed one by one
LENGTHS = 8 * LONG
PADDING = 8  # bytes that may be read (never used) after the last string


@helper(inline="always")
def rotate(value, turn):
    return value << np.uint64(turn) | value >> np.uint64(64 - turn)


@helper(inline="always")
def mix(lane, word):
    return rotate(lane + word * P2, 31) * P1


@helper(inline="always")
def join(value, lane):
    return (value ^ mix(np.uint64(0), lane)) * P1 + P4


@helper(inline="always")
def finish(value, word, length):
    """The last length % 8 bytes, which are the low ones of `word`, and the avalanche; selects instead of branches."""
    half = (length & 4) != 0
    with_half = rotate(value ^ (word & np.uint64(0xFFFFFFFF)) * P1, 23) * P2 + P3
    value = with_half if half else value
    word = word >> np.uint64(32) if half else word
    for i in range(3):
        byte = word >> np.uint64(8 * i) & np.uint64(0xFF)
        value = rotate(value ^ byte * P5, 11) * P1 if (length & 3) > i else value
    value = (value ^ value >> np.uint64(33)) * P2
    value = (value ^ value >> np.uint64(29)) * P3
    return value ^ value >> np.uint64(32)


@helper
def hash_one(address, length, seed):
    """xxh64 of `length` bytes at `address`, of which PADDING more must be readable."""
    at, stop = address, address + np.uintp(length)
    value = seed + P5
    if length >= 32:
        one, two, three, four = seed + P1 + P2, seed + P2, seed, seed - P1
        while at + np.uintp(32) <= stop:
            one, two = mix(one, load64(at)), mix(two, load64(at + np.uintp(8)))
            three, four = mix(three, load64(at + np.uintp(16))), mix(four, load64(at + np.uintp(24)))
            at += np.uintp(32)
        value = rotate(one, 1) + rotate(two, 7) + rotate(three, 12) + rotate(four, 18)
        value = join(join(join(join(value, one), two), three), four)
    value += np.uint64(length)
    while at + np.uintp(8) <= stop:
        value = rotate(value ^ mix(np.uint64(0), load64(at)), 27) * P1 + P4
        at += np.uintp(8)
    return finish(value, load64(at), np.uint64(length))


@helper
def hash_many(base, places, lengths, count, scratch, out):
    """xxh64, seed 0, of `count` strings at base + places[i] into out[i]. `scratch` is `scratch_for(len(out))`."""
    order, place, value, word, lanes, bounds = scratch
    _sort_by_length(base, places, lengths, count, order, place, bounds)
    for group in range(LONG):
        first, last = bounds[8 * group], bounds[8 * group + 8]
        if first < last:
            part = slice(first, last)
            _hash_group(group, place[part], value[part], word[part], bounds[8 * group : 8 * group + 9], lanes)
    for i in range(bounds[LENGTHS], count):
        value[i] = hash_one(place[i], lengths[order[i]], np.uint64(0))
    for i in range(count):
        out[order[i]] = value[i]


@helper
def _sort_by_length(base, places, lengths, count, order, place, bounds):
    """Counting sort by min(length, LENGTHS): fills `order` and `place`; bounds[length] is where its strings begin."""
    bounds[:] = 0
    for i in range(count):
        bounds[np.uintp(min(lengths[i], LENGTHS) + 2)] += 1
    for length in range(LENGTHS + 1):
        bounds[length + 1] += bounds[length]
    for i in range(count):  # bounds[length + 1] is the cursor, and ends where the next length begins
        length = np.uintp(min(lengths[i], LENGTHS) + 1)
        at = np.uintp(bounds[length])
        bounds[length] += 1
        order[at] = i
        place[at] = base + np.uintp(places[i])


@helper
def _hash_group(group, place, value, word, bounds, lanes):
    """Strings of 8 * group … 8 * group + 7 bytes, step by step over all of them; bounds[i] is where 8 * group + i begin."""
    count, at = len(place), 0
    if group >= 4:
        at = _stripes(group // 4, place, value, word, lanes)
    else:
        for i in range(count):
            value[i] = P5
    for rest in range(8):
        for i in range(bounds[rest] - bounds[0], bounds[rest + 1] - bounds[0]):
            value[i] += np.uint64(8 * group + rest)
    for _ in range(group % 4):
        _gather(place, at, word)
        for i in range(count):
            value[i] = rotate(value[i] ^ mix(np.uint64(0), word[i]), 27) * P1 + P4
        at += 8
    _gather(place, at, word)
    for rest in range(1, 8):
        part = slice(bounds[rest] - bounds[0], bounds[rest + 1] - bounds[0])
        _take_bytes(rest, value[part], word[part])
    for i in range(count):
        value[i] = (value[i] ^ value[i] >> np.uint64(33)) * P2
        value[i] = (value[i] ^ value[i] >> np.uint64(29)) * P3
        value[i] ^= value[i] >> np.uint64(32)


@helper
def _take_bytes(rest, value, word):
    """The last `rest` bytes of strings of one length, which are the low ones of `word`."""
    if rest & 4:
        for i in range(len(value)):
            value[i] = rotate(value[i] ^ (word[i] & np.uint64(0xFFFFFFFF)) * P1, 23) * P2 + P3
            word[i] >>= np.uint64(32)
    for _ in range(rest & 3):
        for i in range(len(value)):
            value[i] = rotate(value[i] ^ (word[i] & np.uint64(0xFF)) * P5, 11) * P1
            word[i] >>= np.uint64(8)


@helper
def _stripes(stripes, place, value, word, lanes):
    """The 32-byte stripes of each string; gives the bytes consumed."""
    count = len(place)
    for lane in range(4):
        state = lanes[lane]
        start = P1 + P2 if lane == 0 else P2 if lane == 1 else np.uint64(0) if lane == 2 else np.uint64(0) - P1
        for i in range(count):
            state[i] = start
        for stripe in range(stripes):
            _gather(place, 32 * stripe + 8 * lane, word)
            for i in range(count):
                state[i] = mix(state[i], word[i])
    one, two, three, four = lanes[0], lanes[1], lanes[2], lanes[3]
    for i in range(count):
        value[i] = rotate(one[i], 1) + rotate(two[i], 7) + rotate(three[i], 12) + rotate(four[i], 18)
    for lane in range(4):
        state = lanes[lane]
        for i in range(count):
            value[i] = join(value[i], state[i])
    return 32 * stripes


@helper
def _gather(place, at, word):
    for i in range(len(place)):
        word[i] = load64(place[i] + np.uintp(at))


@helper
def scratch_for(count):
    """Work space of `hash_many` for up to `count` strings."""
    return (
        np.empty(count, np.int64),
        np.empty(count, np.uintp),
        np.empty(count, np.uint64),
        np.empty(count, np.uint64),
        np.empty((4, count), np.uint64),
        np.empty(LENGTHS + 3, np.int64),
    )
