# mypy: ignore-errors
"""The word rule compiled: places of the tokens in a text given as code points and their kinds."""

from __future__ import annotations

import numpy as np

from dataforge.kernels import text_words as rule
from dataforge.kernels.cpu.compiled import helper

LETTER, DIGIT, UPPER, BLANK, FRONT, BACK, ICON, QUOTE = (
    int(bit)
    for bit in (rule.LETTER, rule.DIGIT, rule.UPPER, rule.BLANK, rule.FRONT, rule.BACK, rule.ICON, rule.QUOTE)
)
HYPHEN, JOINT, STOP_AFTER = int(rule.HYPHEN), int(rule.JOINT), int(rule.STOP_AFTER)
APOSTROPHE, CURLY, DOT, ELLIPSIS = ord("'"), ord("’"), ord("."), ord("…")


def packed(words):
    """uint64, sorted: each ASCII word of at most 8 bytes as one number, its first character highest."""
    return np.array(sorted(int.from_bytes(word.encode("ascii"), "big") for word in words), np.uint64)


# Globals are compiled in as constants; as arguments they would be copied at each call
KEPT, UNITS, CONTRACTIONS = packed(rule.KEPT), packed(rule.UNITS), packed(rule.CONTRACTIONS)
STOP_WORDS, SIGNS = packed(rule.STOP_WORDS), np.array(sorted(ord(char) for char in rule.CURRENCY), np.uint64)


@helper
def found(values, key):
    """Place of `key` in sorted `values`, or -1."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low if low < len(values) and values[low] == key else -1


@helper
def pack(chars, first, last):
    """The text as one number, curly apostrophes made straight; 0 where it is longer than 8 or not ASCII."""
    key = np.uint64(0)
    if last - first > 8:
        return key
    for i in range(first, last):
        char = APOSTROPHE if chars[i] == CURLY else chars[i]
        if char >= 128:
            return np.uint64(0)
        key = key << np.uint64(8) | np.uint64(char)
    return key


@helper
def front_size(chars, kinds, first, last):
    if first >= last:
        return 0
    if chars[first] == DOT:
        dots = 1
        while first + dots < last and chars[first + dots] == DOT:
            dots += 1
        return dots if dots > 1 else 0
    if chars[first] == 43:  # plus
        return 0 if first + 1 < last and kinds[first + 1] & DIGIT else 1
    return 1 if kinds[first] & FRONT else 0


@helper
def back_size(chars, kinds, first, last):
    if first >= last:
        return 0
    final = chars[last - 1]
    before = kinds[last - 2] if last - first > 1 else np.uint16(0)
    if final == DOT:
        return _back_dots(chars, kinds, first, last, before)
    if kinds[last - 1] & BACK:
        return 1
    quoted = before & QUOTE or (last - first > 2 and kinds[last - 3] & QUOTE)  # seldom, so the lists are seldom read
    for size in (3, 2):
        letter = quoted and last - first > size and kinds[last - size - 1] & LETTER
        if letter and found(CONTRACTIONS, pack(chars, last - size, last)) >= 0:
            return size
    if final == 43 or (kinds[last - 1] & FRONT and found(SIGNS, np.uint64(final)) >= 0):
        return 1 if before & DIGIT else 0
    for size in (4, 3, 2, 1):
        digit = last - size > first and kinds[last - size - 1] & DIGIT
        if digit and found(UNITS, pack(chars, last - size, last)) >= 0:
            return size
    return 0


@helper
def _back_dots(chars, kinds, first, last, before):
    dots = 1
    while last - dots > first and chars[last - dots - 1] == DOT:
        dots += 1
    if dots > 1:
        return dots
    if found(KEPT, pack(chars, first, last)) >= 0:
        return 0
    if before & STOP_AFTER or (before & LETTER and not before & UPPER):
        return 1
    return 1 if before & UPPER and last - first > 2 and kinds[last - 3] & UPPER else 0


@helper
def infix_size(chars, kinds, at, last):
    char, before = chars[at], kinds[at - 1]
    after = kinds[at + 1] if at + 1 < last else np.uint16(0)
    if kinds[at] & ICON or char == ELLIPSIS:
        return 1
    if char == DOT:
        dots = 1
        while at + dots < last and chars[at + dots] == DOT:
            dots += 1
        small = before & QUOTE or (before & LETTER and not before & UPPER)
        return dots if dots > 1 or (small and after & (UPPER | QUOTE)) else 0
    operator = before & DIGIT and (char == 43 or char == 45 or char == 42 or char == 94)  # + - * ^
    if operator and (after & DIGIT or (at + 1 < last and chars[at + 1] == 45)):
        return 1
    if char == 44:
        return 1 if before & LETTER and after & LETTER else 0
    if not before & (LETTER | DIGIT):
        return 0
    if kinds[at] & JOINT and after & LETTER:
        return 1
    return _hyphens(chars, kinds, at, last) if kinds[at] & HYPHEN else 0


@helper
def _hyphens(chars, kinds, at, last):
    limit = 3 if chars[at] == 45 else 2 if chars[at] == 0x2014 else 1
    same = 1
    while at + same < last and chars[at + same] == chars[at]:
        same += 1
    return same if same <= limit and at + same < last and kinds[at + same] & LETTER else 0


@helper
def is_address(chars, kinds, first, last):
    dotted = False
    for i in range(first, last):
        if chars[i] == 64 and i > first:  # @
            return True
        if chars[i] == 58 and i + 2 < last and chars[i + 1] == 47 and chars[i + 2] == 47:  # ://
            return True
        dotted = dotted or chars[i] == DOT
    return dotted and _is_host(chars, kinds, first, last)


@helper
def _is_host(chars, kinds, first, last):
    labels, start, small, at = 1, first, 0, first
    while at < last and not (chars[at] == 47 or chars[at] == 63 or chars[at] == 35 or chars[at] == 58):  # / ? # :
        if chars[at] == DOT:
            if at == start:
                return False
            labels, start, small = labels + 1, at + 1, 0
        elif kinds[at] & (LETTER | DIGIT) or chars[at] == 45 or chars[at] == 95:
            small += 1 if kinds[at] & LETTER and not kinds[at] & UPPER else 0
        else:
            return False
        at += 1
    return labels > 1 and at - start > 1 and small == at - start


@helper
def tokenize(chars, kinds, first, last, starts, stops, count):
    """Appends the tokens of chars[first:last] to starts/stops (room for one a character); the new count."""
    at = first
    while at < last:
        while at < last and kinds[at] & BLANK:
            at += 1
        begin = at
        plain = True  # letters only: by far the most chunks, with nothing to cut
        while at < last and not kinds[at] & BLANK:
            plain = plain and kinds[at] & (LETTER | FRONT | BACK) == LETTER
            at += 1
        if plain and at > begin:
            starts[count], stops[count] = begin, at
            count += 1
        elif at > begin:
            count = _cut_chunk(chars, kinds, begin, at, starts, stops, count)
    return count


@helper
def _cut_chunk(chars, kinds, first, last, starts, stops, count):
    size = front_size(chars, kinds, first, last)
    while size:
        starts[count], stops[count] = first, first + size
        first, count = first + size, count + 1
        size = front_size(chars, kinds, first, last)
    begin = count
    size = back_size(chars, kinds, first, last)
    while size:
        starts[count], stops[count] = last - size, last
        last, count = last - size, count + 1
        size = back_size(chars, kinds, first, last)
    middle = count
    count = _cut_middle(chars, kinds, first, last, starts, stops, count)
    _reverse(starts, stops, begin, count)  # the back was found from right to left, before the middle
    _reverse(starts, stops, begin, begin + count - middle)
    return count


@helper
def _cut_middle(chars, kinds, first, last, starts, stops, count):
    if first >= last:
        return count
    begin, at = first, first + 1
    if is_address(chars, kinds, first, last):
        at = last
    while at < last:
        size = 0 if kinds[at] & (LETTER | DIGIT) else infix_size(chars, kinds, at, last)
        if size:
            if at > begin:
                starts[count], stops[count] = begin, at
                count += 1
            starts[count], stops[count] = at, at + size
            count, begin = count + 1, at + size
        at += max(size, 1)
    if begin < last:
        starts[count], stops[count] = begin, last
        count += 1
    return count


@helper
def _reverse(starts, stops, first, last):
    for i in range((last - first) // 2):
        other = last - 1 - i
        starts[first + i], starts[other] = starts[other], starts[first + i]
        stops[first + i], stops[other] = stops[other], stops[first + i]
