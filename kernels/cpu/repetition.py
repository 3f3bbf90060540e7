# mypy: ignore-errors
"""Repeated pieces and token n-grams of one text, exactly: equal hashes compare characters.

The hash of a piece is a polynomial over its code points modulo 2^64, so that of n tokens without blanks between them
grows by one multiplication from that of n - 1.
"""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import helper

BASE = np.uint64(0x9E3779B97F4A7C15)


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
def extend(grams, hashes, powers, count, n):
    """Hashes of n - 1 pieces become those of n."""
    for i in range(count - n + 1):
        grams[i] = grams[i] * powers[i + n - 1] + hashes[i + n - 1]


@helper
def clear(table, count):
    """Empties the table for `count` entries; gives its shift: slots are the high bits."""
    bits = 3
    while (1 << bits) < 2 * count:
        bits += 1
    for i in range(1 << bits):
        table[i] = -1
    return np.uint64(64 - bits)


@helper(inline="always")
def slot_of(value, shift):
    return np.int64((value ^ value >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9) >> shift)


@helper
def same_pieces(chars, starts, stops, i, j, n):
    """Whether pieces i … i + n - 1 equal pieces j … j + n - 1 one by one."""
    for k in range(n):
        length = stops[i + k] - starts[i + k]
        if length != stops[j + k] - starts[j + k]:
            return False
        for at in range(length):
            if chars[starts[i + k] + at] != chars[starts[j + k] + at]:
                return False
    return True


@helper
def same_joined(chars, starts, stops, i, j, n):
    """Whether the characters of the pieces i … i + n - 1 in a row equal those from j on: "ab" "c" equals "a" "bc"."""
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


@helper
def repeats(chars, starts, stops, count, hashes, powers, table):
    """(second and later copies, their characters) of pieces, which may be empty."""
    hash_pieces(chars, starts, stops, count, hashes, powers)
    shift = clear(table, count)
    last = (1 << np.int64(64 - shift)) - 1
    copies, characters = 0, 0
    for i in range(count):
        slot = slot_of(hashes[i], shift)
        while table[slot] >= 0:
            other = table[slot]
            if hashes[other] == hashes[i] and same_pieces(chars, starts, stops, other, i, 1):
                copies, characters = copies + 1, characters + stops[i] - starts[i]
                break
            slot = (slot + 1) & last
        if table[slot] < 0:
            table[slot] = i
    return copies, characters


@helper
def top_gram(chars, starts, stops, count, n, grams, ends, copies, table):
    """Copies of the most frequent n-gram, the first of ties, times its characters with blanks; 0 without one."""
    shift = clear(table, count)
    last = (1 << np.int64(64 - shift)) - 1
    for i in range(count - n + 1):
        copies[i] = 0
        slot = slot_of(grams[i], shift)
        while table[slot] >= 0:
            other = table[slot]
            if grams[other] == grams[i] and same_pieces(chars, starts, stops, other, i, n):
                break
            slot = (slot + 1) & last
        if table[slot] < 0:
            table[slot] = i
        copies[table[slot]] += 1
    best, most = -1, 0
    for i in range(count - n + 1):
        if copies[i] > most:
            best, most = i, copies[i]
    return most * (ends[best + n] - ends[best] + n - 1) if best >= 0 else 0


@helper
def repeated_grams(chars, starts, stops, count, n, grams, ends, table):
    """Characters of n-grams without blanks that were seen before; after a hit n tokens are skipped."""
    shift = clear(table, count)
    last = (1 << np.int64(64 - shift)) - 1
    at, total = 0, 0
    while at <= count - n:
        slot = slot_of(grams[at], shift)
        hit = False
        while table[slot] >= 0 and not hit:
            other = table[slot]
            hit = grams[other] == grams[at] and same_joined(chars, starts, stops, other, at, n)
            if not hit:
                slot = (slot + 1) & last
        if hit:
            total += ends[at + n] - ends[at]
            at += n
        else:
            table[slot] = at
            at += 1
    return total
