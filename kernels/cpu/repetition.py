# mypy: ignore-errors
"""Repeated pieces and n-grams of one text, exactly: whatever has equal hashes is compared.

A piece (line, token, word) is known by the first place of an equal one, a run of n pieces by that of the run of n - 1 and
of its last piece: two numbers are one key, so runs need no comparison of characters. The hash of a piece is a polynomial
over its code points modulo 2^64, so that of n tokens without blanks between them comes from theirs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dataforge.kernels.cpu.compiled import helper
from dataforge.kernels.cpu.equal_keys import cleared, first_equal, slot_of

BASE = np.uint64(0x9E3779B97F4A7C15)
HASHED = np.uint64(1 << 63)
SEEN = -2


class Pieces(NamedTuple):
    starts: Any  # int32, as stops
    stops: Any
    hashes: Any  # uint64, as powers
    powers: Any


class Runs(NamedTuple):
    ids: Any  # int32: of each piece the first that equals it, -1 where no other does
    first_of: Any  # int32: the same of the run that begins there
    keys: Any  # uint64
    places: Any  # int32, rising: the runs in question


@helper
def equal_pieces(chars, words, count, runs, scratch):
    """Fills the ids, and places with those that are there twice; their number. Pieces may be empty."""
    hash_pieces(chars, words, count, runs.keys)
    for i in range(count):
        runs.places[i] = i
    first_equal(runs.keys, runs.places, count, runs.ids, scratch)
    if _has_unlike(chars, words, count, runs):
        _compare_all(chars, words, count, runs, scratch.table)
    return _keep_repeated(runs.places, count, runs.ids)


@helper
def hash_pieces(chars, words, count, keys):
    """Polynomial hash of each piece, BASE to the power of its length, and its key.

    The key of up to nine ASCII characters is these themselves (no NUL, so their number shows); of others it is the hash
    with the highest bit set. So most words need no look at their first copy, which may be far away.
    """
    for i in range(count):
        value, power, packed, wide = np.uint64(0), np.uint64(1), np.uint64(0), np.uint64(0)
        for j in range(words.starts[i], words.stops[i]):
            char = np.uint64(chars[j])
            value = value * BASE + char + np.uint64(1)
            power *= BASE
            packed = packed << np.uint64(7) | char
            wide |= (char - np.uint64(1)) >> np.uint64(7)
        words.hashes[i], words.powers[i] = value, power
        exact = wide == 0 and words.stops[i] - words.starts[i] <= 9
        keys[i] = packed if exact else value | HASHED


@helper
def _has_unlike(chars, words, count, runs):
    """Whether unlike pieces have equal hashes."""
    i, ids = 0, runs.ids
    while i < count and (ids[i] < 0 or runs.keys[i] < HASHED or same_piece(chars, words, ids[i], i)):
        i += 1
    return i < count


@helper
def same_piece(chars, words, i, j):
    left, right, last = words.starts[i], words.starts[j], words.stops[i]
    if last - left != words.stops[j] - right:
        return False
    while left < last and chars[left] == chars[right]:
        left, right = left + 1, right + 1
    return left == last


@helper
def _compare_all(chars, words, count, runs, table):
    """As `first_equal`, for a text where unlike pieces have equal hashes: made on purpose, so it need not be fast."""
    table, shift = cleared(table, count)
    last, ids = (1 << np.int64(64 - shift)) - 1, runs.ids
    for i in range(count):
        ids[i] = -1
        slot = slot_of(runs.keys[i], shift)
        while table[slot] >= 0 and not same_piece(chars, words, table[slot], i):
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
    copies, characters = 0, 0
    for j in range(equal_pieces(chars, words, count, runs, scratch)):
        i = runs.places[j]
        if runs.ids[i] < i:
            copies, characters = copies + 1, characters + words.stops[i] - words.starts[i]
    return copies, characters


@helper
def repeated_runs(n, some, runs, scratch):
    """Of the `some` places of repeated runs of n - 1 pieces those of n, n > 1; their number.

    Only where the shorter runs at i and i + 1 are both repeated can the longer one be: in most texts almost nowhere.
    """
    places, shorter = runs.places, runs.ids if n == 2 else runs.first_of
    found = 0
    for j in range(some - 1):
        i = places[j]
        if places[j + 1] == i + 1:
            runs.keys[found] = np.uint64(shorter[i]) << np.uint64(32) | np.uint64(runs.ids[i + n - 1])
            places[found] = i
            found += 1
    first_equal(runs.keys, places, found, runs.first_of, scratch)
    return _keep_repeated(places, found, runs.first_of)


@helper
def count_copies(some, runs, copies):
    """copies[first_of[i]] = how often the run at i is there."""
    for j in range(some):
        copies[runs.places[j]] = 0
    for j in range(some):
        copies[runs.first_of[runs.places[j]]] += 1


@helper
def top_gram(count, n, some, runs, ends, copies):
    """Copies of the most frequent n-gram, the first of ties, times its characters with blanks; 0 without one."""
    if count < n:
        return 0
    count_copies(some, runs, copies)
    best, most = 0, 1
    for j in range(some):
        i = runs.places[j]
        if copies[runs.first_of[i]] > most:
            best, most = i, copies[runs.first_of[i]]
    return most * (ends[best + n] - ends[best] + n - 1)


@helper
def join_hashes(words, count, n, keys):
    """Hashes of n pieces without blanks between them."""
    for i in range(count - n + 1):
        value = words.hashes[i]
        for k in range(i + 1, i + n):
            value = value * words.powers[k] + words.hashes[k]
        keys[i] = value


@helper
def extend(words, count, n, keys):
    """Hashes of n - 1 pieces become those of n."""
    for i in range(count - n + 1):
        keys[i] = keys[i] * words.powers[i + n - 1] + words.hashes[i + n - 1]


@helper
def repeated_grams(chars, words, count, n, runs, ends, scratch):
    """Characters of n-grams without blanks (hashes: keys) that were seen before; after a hit n tokens are skipped."""
    if count > scratch.at_once:
        for i in range(count - n + 1):
            runs.places[i] = i
        first_equal(runs.keys, runs.places, count - n + 1, runs.first_of, scratch)
        total = _walk(chars, words, count, n, runs, ends)
        if total >= 0:
            return total
    return _insert(chars, words, count, n, runs, ends, scratch.table)


@helper
def _walk(chars, words, count, n, runs, ends):
    """The sum by which gram equals which, known of all beforehand; -1 where unlike grams have equal hashes."""
    at, total, first_of = 0, 0, runs.first_of
    while at <= count - n:
        first, step = first_of[at], 1
        if first >= 0:
            if first < at and not same_joined(chars, words, runs.ids, first, at, n):
                return -1
            if first_of[first] == SEEN:
                step = n
                total += ends[at + n] - ends[at]
            first_of[first] = SEEN  # only here: a gram that was skipped over has not been seen
        at += step
    return total


@helper
def _insert(chars, words, count, n, runs, ends, table):
    """The sum by a table of the grams seen so far: for few grams, and for unlike ones of equal hashes."""
    table, shift = cleared(table, count)
    last, keys = (1 << np.int64(64 - shift)) - 1, runs.keys
    at, total = 0, 0
    while at <= count - n:
        slot = slot_of(keys[at], shift)
        hit = False
        while table[slot] >= 0 and not hit:
            other = table[slot]
            hit = keys[other] == keys[at] and same_joined(chars, words, runs.ids, other, at, n)
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
def same_joined(chars, words, ids, i, j, n):
    """Whether the characters of the pieces i … i + n - 1 in a row equal those from j on: "ab" "c" equals "a" "bc"."""
    last_left, last_right = i + n, j + n
    while i < last_left and ids[i] == ids[j] >= 0:  # equal pieces, mostly to the end
        i, j = i + 1, j + 1
    return i == last_left or _same_characters(chars, words.starts, words.stops, i, last_left, j, last_right)


@helper
def _same_characters(chars, starts, stops, i, last_left, j, last_right):
    left, right = starts[i], starts[j]
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
