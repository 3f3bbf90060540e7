# mypy: ignore-errors
"""Repeated pieces and n-grams of one text, exactly: whatever has equal hashes is compared.

A piece (line, token, word) is known by the first place of an equal one, a run of n pieces by that of the run of n - 1 and
of its last piece: two numbers are one key, so runs need no comparison of characters. `words` = (starts, stops, hashes,
powers) of the pieces; `runs` = (ids, first_of, keys, places): ids[i] = the first piece equal to piece i, first_of[i] = the
first run equal to that at i, both -1 where there is no other. The hash of a piece is a polynomial over its code points
modulo 2^64, so that of n tokens without blanks between them comes from theirs.
"""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import helper
from dataforge.kernels.cpu.equal_keys import cleared, first_equal, slot_of

BASE = np.uint64(0x9E3779B97F4A7C15)
SEEN = -2


@helper
def hash_pieces(chars, starts, stops, count, hashes, powers):
    """Polynomial hash of each piece, and BASE to the power of its length."""
    for i in range(count):
        value, power = np.uint64(0), np.uint64(1)
        for j in range(starts[i], stops[i]):
            value = value * BASE + np.uint64(chars[j]) + np.uint64(1)
            power *= BASE
        hashes[i], powers[i] = value, power


@helper
def equal_pieces(chars, words, count, runs, scratch):
    """Fills ids, and places with those that are there twice; their number. Pieces may be empty."""
    starts, stops, hashes, powers = words
    ids, first_of, keys, places = runs
    hash_pieces(chars, starts, stops, count, hashes, powers)
    for i in range(count):
        places[i] = i
    first_equal(hashes, places, count, ids, scratch)
    if not _are_equal(chars, starts, stops, count, ids):
        _compare_all(chars, starts, stops, count, hashes, ids, scratch[2])
    return _keep_repeated(places, count, ids)


@helper
def _are_equal(chars, starts, stops, count, ids):
    """Whether equal hashes were equal pieces."""
    for i in range(count):
        if ids[i] >= 0 and not same_piece(chars, starts, stops, ids[i], i):
            return False
    return True


@helper
def same_piece(chars, starts, stops, i, j):
    length = stops[i] - starts[i]
    if length != stops[j] - starts[j]:
        return False
    for at in range(length):
        if chars[starts[i] + at] != chars[starts[j] + at]:
            return False
    return True


@helper
def _compare_all(chars, starts, stops, count, hashes, ids, table):
    """As `first_equal`, for the text in which unlike pieces have equal hashes: made on purpose, so it need not be fast."""
    table, shift = cleared(table, count)
    last = (1 << np.int64(64 - shift)) - 1
    for i in range(count):
        ids[i] = -1
        slot = slot_of(hashes[i], shift)
        while table[slot] >= 0 and not same_piece(chars, starts, stops, table[slot], i):
            slot = (slot + 1) & last
        if table[slot] < 0:
            table[slot] = i
        else:
            ids[table[slot]], ids[i] = table[slot], table[slot]


@helper
def _keep_repeated(places, count, first_of):
    some = 0
    for j in range(count):
        if first_of[places[j]] >= 0:
            places[some] = places[j]
            some += 1
    return some


@helper
def repeats(chars, words, count, runs, scratch):
    """(second and later copies, their characters) of pieces."""
    starts, stops, hashes, powers = words
    ids, first_of, keys, places = runs
    copies, characters = 0, 0
    for j in range(equal_pieces(chars, words, count, runs, scratch)):
        i = places[j]
        if ids[i] < i:
            copies, characters = copies + 1, characters + stops[i] - starts[i]
    return copies, characters


@helper
def repeated_runs(n, some, runs, scratch):
    """Of the `some` places (rising) of repeated runs of n - 1 pieces those of n, n > 1; their number.

    Only where the shorter runs at i and i + 1 are both repeated can the longer one be: in most texts almost nowhere.
    """
    ids, first_of, keys, places = runs
    shorter = ids if n == 2 else first_of
    found = 0
    for j in range(some - 1):
        i = places[j]
        if places[j + 1] == i + 1:
            keys[found] = np.uint64(shorter[i]) << np.uint64(32) | np.uint64(ids[i + n - 1])
            places[found] = i
            found += 1
    first_equal(keys, places, found, first_of, scratch)
    return _keep_repeated(places, found, first_of)


@helper
def count_copies(some, runs, copies):
    """copies[first_of[i]] = how often the run at i is there."""
    ids, first_of, keys, places = runs
    for j in range(some):
        copies[places[j]] = 0
    for j in range(some):
        copies[first_of[places[j]]] += 1


@helper
def top_gram(count, n, some, runs, ends, copies):
    """Copies of the most frequent n-gram, the first of ties, times its characters with blanks; 0 without one."""
    ids, first_of, keys, places = runs
    if count < n:
        return 0
    count_copies(some, runs, copies)
    best, most = 0, 1
    for j in range(some):
        i = places[j]
        if copies[first_of[i]] > most:
            best, most = i, copies[first_of[i]]
    return most * (ends[best + n] - ends[best] + n - 1)


@helper
def join_hashes(words, count, n, grams):
    """Hashes of n pieces without blanks between them."""
    starts, stops, hashes, powers = words
    for i in range(count - n + 1):
        value = hashes[i]
        for k in range(i + 1, i + n):
            value = value * powers[k] + hashes[k]
        grams[i] = value


@helper
def extend(words, count, n, grams):
    """Hashes of n - 1 pieces become those of n."""
    starts, stops, hashes, powers = words
    for i in range(count - n + 1):
        grams[i] = grams[i] * powers[i + n - 1] + hashes[i + n - 1]


@helper
def repeated_grams(chars, words, count, n, runs, ends, scratch):
    """Characters of n-grams without blanks (hashes: keys) that were seen before; after a hit n tokens are skipped."""
    ids, first_of, keys, places = runs
    if count > scratch[3]:
        for i in range(count - n + 1):
            places[i] = i
        first_equal(keys, places, count - n + 1, first_of, scratch)
        total = _walk(chars, words, count, n, runs, ends)
        if total >= 0:
            return total
    return _insert(chars, words, count, n, runs, ends, scratch[2])


@helper
def _walk(chars, words, count, n, runs, ends):
    """The sum, -1 where unlike n-grams have equal hashes. Which gram equals which is known, so no table is needed."""
    starts, stops, hashes, powers = words
    ids, first_of, keys, places = runs
    at, total = 0, 0
    while at <= count - n:
        first = first_of[at]
        step = 1
        if first >= 0:
            if first < at and not same_joined(chars, starts, stops, ids, first, at, n):
                return -1
            if first_of[first] == SEEN:
                step = n
                total += ends[at + n] - ends[at]
            first_of[first] = SEEN  # only now: a gram that was skipped over has not been seen
        at += step
    return total


@helper
def _insert(chars, words, count, n, runs, ends, table):
    """The sum by a table of the grams seen so far: for few grams, and for equal hashes of unlike ones."""
    starts, stops, hashes, powers = words
    ids, first_of, keys, places = runs
    table, shift = cleared(table, count)
    last = (1 << np.int64(64 - shift)) - 1
    at, total = 0, 0
    while at <= count - n:
        slot = slot_of(keys[at], shift)
        hit = False
        while table[slot] >= 0 and not hit:
            other = table[slot]
            hit = keys[other] == keys[at] and same_joined(chars, starts, stops, ids, other, at, n)
            if not hit:
                slot = (slot + 1) & last
        if hit:
            total += ends[at + n] - ends[at]
            at += n
        else:
            table[slot] = at
            at += 1
    return total


@helper
def same_joined(chars, starts, stops, ids, i, j, n):
    """Whether the characters of the pieces i … i + n - 1 in a row equal those from j on: "ab" "c" equals "a" "bc"."""
    same = 0
    while same < n and ids[i + same] == ids[j + same] >= 0:
        same += 1
    if same == n:
        return True
    left, right, last_left, last_right = starts[i], starts[j], i + n, j + n
    while i < last_left and j < last_right:
        if chars[left] != chars[right]:
            return False
        left, right = left + 1, right + 1
        if left == stops[i]:
            i += 1
            left = starts[i] if i < last_left else 0
        if right == stops[j]:
            j += 1
            right = starts[j] if j < last_right else 0
    return i == last_left and j == last_right
