# mypy: ignore-errors
"""All counters of `text_stats` compiled: each text is decoded once, then its characters, lines, tokens and n-grams."""

from __future__ import annotations

import numpy as np

from dataforge.kernels import text_words
from dataforge.kernels.cpu.compiled import helper, kernel
from dataforge.kernels.cpu.dclm import count_repetition, count_split_alphanumeric, removed_words
from dataforge.kernels.cpu.equal_keys import Scratch
from dataforge.kernels.cpu.line_rules import MARK, TERMINAL, c4_rows, decode_all, next_line, strip
from dataforge.kernels.cpu.repetition import (
    Pieces,
    Runs,
    equal_pieces,
    extend,
    join_hashes,
    repeated_grams,
    repeated_runs,
    repeats,
    top_gram,
)
from dataforge.kernels.cpu.text_words import BLANK, DIGIT, LETTER, STOP_WORDS, UPPER, found, pack, tokenize
from dataforge.kernels.text_stats import COUNTERS, SHORT_LINE

SYMBOLIC = int(text_words.SYMBOLIC)
SIZES, TOKENS, SPLIT, LINES, FILLED, RUNS, TOP, C4, DCLM = (
    COUNTERS.index(name)
    for name in (
        "bytes",
        "tokens",
        "split_words",
        "lines",
        "filled_lines",
        "runs",
        "top_2_gram_characters",
        "c4_stop",
        "third_line_characters",
    )
)


@kernel
def measure_rows(offsets, data, kinds_of, classes, at_once, counts):
    """Fills counts[row]; gives the first row that is not UTF-8, or -1. at_once: keys of one table, see `equal_keys`."""
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = longest + 2
    chars, kinds = np.empty(room, np.int32), np.empty(room, np.uint16)
    starts, stops, ends = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int64)
    keys, places, copies = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.int32)
    line, line_kinds = np.empty(room, np.int32), np.empty(room, np.uint16)
    words = Pieces(starts, stops, np.empty(room, np.uint64), np.empty(room, np.uint64))
    runs = Runs(np.empty(room, np.int32), np.empty(room, np.int32), keys, places)
    table = np.empty(4 * min(room, at_once) + 8, np.int32)
    scratch = Scratch(np.empty(room, np.uint64), np.empty(room, np.int32), table, at_once)
    for row in range(len(offsets) - 1):
        out = counts[row]
        last = decode_all(data, offsets[row], offsets[row + 1], kinds_of, chars, kinds)
        if last < 0:
            return row
        out[0] = offsets[row + 1] - offsets[row]
        _count_characters(chars, kinds, last, out)
        _count_lines(chars, kinds, last, out)
        _count_split(chars, kinds, last, out)
        c4_rows(chars, kinds, last, (line, line_kinds, starts, stops), out[C4:])
        out[DCLM] = _third_line(chars, last)
        out[DCLM + 1] = count_split_alphanumeric(chars, kinds, last, classes)
        out[DCLM + 2] = removed_words(chars, kinds, last, classes, line, line_kinds)
        count_repetition(chars, kinds, last, classes, (words, runs, ends, copies, scratch), out[DCLM + 3 :])
        pieces = _filled_lines(chars, kinds, last, starts, stops, out)
        out[FILLED + 3], out[FILLED + 4] = repeats(chars, words, pieces, runs, scratch)
        pieces = _cut(chars, 0, last, 1, starts, stops)
        out[RUNS] = pieces
        out[RUNS + 1], out[RUNS + 2] = repeats(chars, words, pieces, runs, scratch)
        first, stop = strip(kinds, 0, last)
        pieces = _cut(chars, first, stop, 2, starts, stops)
        out[RUNS + 3] = pieces
        out[RUNS + 4], out[RUNS + 5] = repeats(chars, words, pieces, runs, scratch)
        count = tokenize(chars, kinds, 0, last, starts, stops, 0)
        _count_tokens(chars, kinds, starts, stops, count, ends, out)
        some = equal_pieces(chars, words, count, runs, scratch)
        for n in range(2, 5):
            some = repeated_runs(n, some, runs, scratch)
            out[TOP + n - 2] = top_gram(count, n, some, runs, ends, copies)
        join_hashes(words, count, 4, keys)
        for n in range(5, 11):
            extend(words, count, n, keys)
            out[TOP + n - 2] = repeated_grams(chars, words, count, n, runs, ends, scratch)
    return -1


@helper
def _count_characters(chars, kinds, last, out):
    newlines, letters, uppers, digits, blanks, marks, wide, hashes, braces, lost = 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    for i in range(last):
        char, kind = chars[i], kinds[i]
        newlines += char == 10
        letters += kind & LETTER != 0
        uppers += kind & UPPER != 0
        digits += kind & DIGIT != 0
        blanks += kind & BLANK != 0
        marks += kind & MARK != 0
        wide += char > 127
        hashes += char == 35
        braces += char == 123
        lost += char == 0xFFFD
    out[1], out[2], out[3], out[4], out[5], out[6], out[7] = last, newlines, letters, uppers, digits, blanks, marks
    out[8], out[9], out[12], out[13] = wide, hashes, braces, lost
    out[10], out[11] = _count_ellipses(chars, last)


@helper
def _count_ellipses(chars, last):
    """('...' without overlap and '…', '. . .' without overlap)."""
    closed, spaced, dots, at = 0, 0, 0, 0
    for i in range(last):
        dots = dots + 1 if chars[i] == 46 else 0
        closed += (dots > 0 and dots % 3 == 0) or chars[i] == 0x2026
    while at + 4 < last:
        if chars[at] == 46 and chars[at + 2] == 46 and chars[at + 4] == 46 and chars[at + 1] == 32 == chars[at + 3]:
            spaced += 1
            at += 4
        at += 1
    return closed, spaced


@helper
def _count_lines(chars, kinds, last, out):
    at = 0
    while at < last:
        stop, after = next_line(chars, kinds, at, last)
        first, end = strip(kinds, at, stop)
        out[LINES] += 1
        if end > first:
            lead, final = chars[first], chars[end - 1]
            out[LINES + 1] += lead == 0x2022 or lead == 45
            out[LINES + 2] += lead == 0x2022 or lead == 45 or lead == 0x25CF or lead == 42
            dots = end - first > 2 and final == 46 and chars[end - 2] == 46 and chars[end - 3] == 46
            out[LINES + 3] += dots or final == 0x2026
        at = after


@helper
def _count_split(chars, kinds, last, out):
    begin, letters = 0, False
    for i in range(last + 1):
        if i == last or kinds[i] & BLANK:
            if i > begin:
                out[SPLIT] += 1
                out[SPLIT + 1] += i - begin
                out[SPLIT + 2] += letters
                out[SPLIT + 3] += i - begin < 5 and found(STOP_WORDS, _small(pack(chars, begin, i))) >= 0
            begin, letters = i + 1, False
        else:
            letters = letters or kinds[i] & LETTER != 0


@helper
def _small(key):
    """ASCII capitals of a packed word as small letters."""
    for place in range(8):
        char = key >> np.uint64(8 * place) & np.uint64(0xFF)
        if np.uint64(65) <= char <= np.uint64(90):
            key |= np.uint64(32) << np.uint64(8 * place)
    return key


@helper
def _filled_lines(chars, kinds, last, starts, stops, out):
    """Lines between newlines that are not blank, and the counters of their ends and lengths."""
    count, begin, filled = 0, 0, False
    for i in range(last + 1):
        if i == last or chars[i] == 10:
            if filled:
                starts[count], stops[count] = begin, i
                count += 1
                out[FILLED] += 1
                final = _last_filled(kinds, begin, i)
                out[FILLED + 1] += final == i - 1 and kinds[final] & TERMINAL != 0
                out[FILLED + 2] += i - begin <= SHORT_LINE
            begin, filled = i + 1, False
        else:
            filled = filled or kinds[i] & BLANK == 0
    return count


@helper
def _last_filled(kinds, first, last):
    return strip(kinds, first, last)[1] - 1


@helper
def _cut(chars, first, last, least, starts, stops):
    """Pieces between runs of at least `least` newlines; one more than there are such runs."""
    count, begin, at = 0, first, first
    while at < last:
        run = at
        while run < last and chars[run] == 10:
            run += 1
        if run - at >= least:
            starts[count], stops[count] = begin, at
            count, begin = count + 1, run
        at = max(run, at + 1)
    starts[count], stops[count] = begin, last
    return count + 1


@helper
def _count_tokens(chars, kinds, starts, stops, count, ends, out):
    """The counters of tokens; ends[i] = characters of the tokens before i."""
    seen, ends[0] = 0, 0
    for i in range(count):
        symbolic, letters = True, False
        for j in range(starts[i], stops[i]):
            symbolic = symbolic and kinds[j] & SYMBOLIC != 0
            letters = letters or kinds[j] & LETTER != 0
        size = stops[i] - starts[i]
        ends[i + 1] = ends[i] + size
        if not symbolic:
            out[TOKENS + 1] += 1
            out[TOKENS + 2] += size
            out[TOKENS + 3] = max(out[TOKENS + 3], size)
        out[TOKENS + 4] += letters
        place = found(STOP_WORDS, pack(chars, starts[i], stops[i])) if size < 5 else -1
        if place >= 0:
            seen |= 1 << place
    out[TOKENS] = count
    while seen:
        out[TOKENS + 5] += seen & 1
        seen >>= 1


@helper
def _third_line(chars, last):
    """Characters of the third-longest line between newlines, 0 where there are fewer than three."""
    first, second, third, lines, begin = 0, 0, 0, 0, 0
    for i in range(last + 1):
        if i == last or chars[i] == 10:
            size, lines, begin = i - begin, lines + 1, i + 1
            if size > first:
                first, second, third = size, first, second
            elif size > second:
                second, third = size, second
            elif size > third:
                third = size
    return third if lines > 2 else 0
