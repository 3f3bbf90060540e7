# mypy: ignore-errors
"""Which of many 64-bit keys are equal: one hash table, or one after another where they are too many for the caches.

A key costs several times as much in a table that has left the caches. So very many keys are first sorted by their high
bits into parts whose tables stay there. Equal keys meet in one part, in their order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dataforge.kernels.cpu.compiled import helper

AT_ONCE = 1 << 15  # keys of a part: they, their places and their table take 0.6 MB
MOST_BITS = 11  # 2,048 parts are written side by side: more places than that leave the caches themselves


class Scratch(NamedTuple):
    keys: Any  # uint64, sorted by their high bits
    places: Any  # int32, theirs
    table: Any  # int32, for `at_once` keys
    at_once: int


@helper(inline="always")
def mix(key):
    """One to one; the high bits depend on all others."""
    return (key ^ key >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)


@helper(inline="always")
def slot_of(key, shift):
    return np.int64(mix(key) >> shift)


@helper
def roomy(table, count):
    """(the table or, where it is too small for `count` entries, a new one; its shift: slots are the high bits)."""
    bits = 3
    while (1 << bits) < 2 * count:
        bits += 1
    return table if len(table) >= 1 << bits else np.empty(1 << bits, np.int32), np.uint64(64 - bits)


@helper
def cleared(table, count):
    """As `roomy`, and empty."""
    table, shift = roomy(table, count)
    for i in range(1 << np.int64(64 - shift)):
        table[i] = -1
    return table, shift


@helper
def first_equal(keys, places, count, first_of, scratch):
    """first_of[places[j]] = the first place whose key equals keys[j], -1 where no other does. Places rise."""
    for j in range(count):
        first_of[places[j]] = -1
    bits = 0
    while count >> bits > scratch.at_once and bits < MOST_BITS:
        bits += 1
    if bits == 0:
        _match(keys, places, 0, count, first_of, scratch.table)
        return
    ends = _spread(keys, places, count, bits, scratch)
    begin, most = 0, 0
    for part in range(1 << bits):
        begin, most = ends[part], max(most, ends[part] - begin)
    table, begin = roomy(scratch.table, most)[0], 0
    for part in range(1 << bits):
        _match(scratch.keys, scratch.places, begin, ends[part], first_of, table)
        begin = ends[part]


@helper
def _spread(keys, places, count, bits, scratch):
    """Mixed keys and their places, sorted by the high bits alone; the end of each part."""
    shift = np.uint64(64 - bits)
    nexts = np.zeros(1 << bits, np.int64)
    for j in range(count):
        nexts[slot_of(keys[j], shift)] += 1
    begin = 0
    for part in range(1 << bits):
        begin, nexts[part] = begin + nexts[part], begin
    for j in range(count):
        key = mix(keys[j])
        part = np.int64(key >> shift)
        scratch.keys[nexts[part]], scratch.places[nexts[part]] = key, places[j]
        nexts[part] += 1
    return nexts


@helper
def _match(keys, places, begin, end, first_of, table):
    table, shift = cleared(table, end - begin)
    last = (1 << np.int64(64 - shift)) - 1
    for j in range(begin, end):
        slot = slot_of(keys[j], shift)
        while table[slot] >= 0 and keys[begin + table[slot]] != keys[j]:
            slot = (slot + 1) & last
        if table[slot] < 0:
            table[slot] = j - begin
        else:
            first = places[begin + table[slot]]
            first_of[first], first_of[places[j]] = first, first
