# mypy: ignore-errors
"""The RefinedWeb recipe's counters compiled, on a text given as code points and their kinds. Twin of `dclm_rules`."""

from __future__ import annotations

import numpy as np

from dataforge.kernels import dclm_rules as rule
from dataforge.kernels.cpu.compiled import helper
from dataforge.kernels.cpu.line_rules import split_words, strip
from dataforge.kernels.cpu.repetition import count_copies, equal_pieces, repeated_runs
from dataforge.kernels.cpu.text_words import BLANK, LETTER, UPPER

STOP, ALPHA, NUMERIC, KATA, JOIN, ALONE, EXTEND = range(7)
MID_LETTER, MID_DIGIT, MID_EITHER = rule.MID_LETTER, rule.MID_DIGIT, rule.MID_EITHER
MOST_UPPER, SHORT_LINE_WORDS = rule.MOST_UPPER, rule.SHORT_LINE_WORDS
_PHRASES = [rule.CUT_ANYWHERE, rule.CUT_BEHIND, rule.CUT_BEFORE, *rule.COUNTED]
BOUNDS = np.cumsum([0, *map(len, _PHRASES)], dtype=np.int64)
LETTERS = np.array([ord(char) for phrase in _PHRASES for char in phrase], np.int32)


@helper
def cut_words(chars, last, classes, starts, stops):
    """Places of the words; their number."""
    count, at = 0, 0
    while at < last:
        first = classes[chars[at]]
        stop = _word_end(chars, at, last, classes)
        if ALPHA <= first <= ALONE and first != JOIN:
            starts[count], stops[count] = at, stop
            count += 1
        at = stop
    return count


@helper
def _past_marks(chars, at, last, classes):
    while at < last and classes[chars[at]] == EXTEND:
        at += 1
    return at


@helper
def _word_end(chars, at, last, classes):
    before, at = classes[chars[at]], _past_marks(chars, at + 1, last, classes)
    while at < last:
        here, after = classes[chars[at]], _past_marks(chars, at + 1, last, classes)
        runs = before in (ALPHA, NUMERIC, JOIN) and here in (ALPHA, NUMERIC, JOIN)
        if runs or (before in (KATA, JOIN) and here in (KATA, JOIN)):
            before, at = here, after
            continue
        behind = classes[chars[after]] if after < last else STOP
        letters = before == ALPHA and behind == ALPHA and here in (MID_LETTER, MID_EITHER)
        digits = before == NUMERIC and behind == NUMERIC and here in (MID_DIGIT, MID_EITHER)
        if not (letters or digits):
            return at
        before, at = behind, _past_marks(chars, after + 1, last, classes)
    return at


@helper
def pieces(chars, kinds, last, run, starts, stops):
    """Places of the stripped, filled pieces between newlines (run 1) or pairs of them (run 2); their number."""
    count, begin, at = 0, 0, 0
    while begin <= last:
        cut = at + run <= last and chars[at] == 10 and (run == 1 or chars[at + 1] == 10)
        if cut or at >= last:
            first, stop = strip(kinds, begin, min(at, last))
            if stop > first:
                starts[count], stops[count] = first, stop
                count += 1
            at += run
            begin = at
        else:
            at += 1
    return count


@helper
def count_repetition(chars, kinds, last, classes, work, out):
    """out[0:19]: four counters of lines, four of paragraphs, words, their characters, top and repeated n-grams."""
    words, runs, ends, copies, scratch = work
    starts, stops, places = words.starts, words.stops, runs.places
    for run in (1, 2):
        count = pieces(chars, kinds, last, run, starts, stops)
        _sum_sizes(starts, stops, count, ends)
        some = equal_pieces(chars, words, count, runs, scratch)
        at = 4 * run - 4
        out[at], out[at + 1], out[at + 2] = count, ends[count], some
        out[at + 3] = _covered(places, some, 1, ends)
    count = cut_words(chars, last, classes, starts, stops)
    _sum_sizes(starts, stops, count, ends)
    some = equal_pieces(chars, words, count, runs, scratch)
    out[8], out[9] = count, ends[count]
    for n in range(2, 11):
        some = repeated_runs(n, some, runs, scratch)
        out[n + 8] = _top(n, some, runs, ends, copies) if n < 5 else _covered(places, some, n, ends)


@helper
def _sum_sizes(starts, stops, count, ends):
    """ends[i] = characters of the pieces before i."""
    ends[0] = 0
    for i in range(count):
        ends[i + 1] = ends[i] + stops[i] - starts[i]


@helper
def _top(n, some, runs, ends, copies):
    count_copies(some, runs, copies)
    most, size = 0, 0
    for j in range(some):
        i = runs.places[j]
        here, times = ends[i + n] - ends[i], copies[runs.first_of[i]]
        if times > most or (times == most and here > size):
            most, size = times, here
    return most * size


@helper
def _covered(places, some, n, ends):
    """Characters of words inside repeated n-grams, each word once."""
    total, done = 0, 0
    for j in range(some):
        i = places[j]
        total += ends[i + n] - ends[max(i, done)]
        done = i + n
    return total


@helper
def count_split_alphanumeric(chars, kinds, last, classes):
    """Words between blanks that begin with a letter or a digit."""
    count, before = 0, True
    for i in range(last):
        blank = kinds[i] & BLANK != 0
        if before and not blank:
            first = classes[chars[i]]
            count += ALPHA <= first <= ALONE and first != JOIN
        before = blank
    return count


@helper
def removed_words(chars, kinds, last, classes, line, line_kinds):
    """Words between blanks that the line edits take out."""
    total, begin = 0, 0
    for at in range(last + 1):
        if at == last or chars[at] == 10:
            if at > begin:
                total += _removed_of_line(chars, kinds, begin, at, classes, line, line_kinds)
            begin = at + 1
    return total


@helper
def _removed_of_line(chars, kinds, first, last, classes, line, line_kinds):
    words, upper, digits = split_words(kinds, first, last)[0], 0, True
    for i in range(first, last):
        upper += kinds[i] & UPPER != 0
        digits = digits and classes[chars[i]] == NUMERIC
    if words < 2 or upper > MOST_UPPER * (last - first) or digits or is_counter(chars, kinds, first, last, classes):
        return words
    if words > SHORT_LINE_WORDS:
        return 0
    count = _cut_phrases(chars, kinds, first, last, line, line_kinds)
    return words - split_words(line_kinds, 0, count)[0] if count >= 0 else 0


@helper
def is_counter(chars, kinds, first, last, classes):
    while first < last and _is_sign(chars[first], kinds[first], classes):
        first += 1
    while last > first and _is_sign(chars[last - 1], kinds[last - 1], classes):
        last -= 1
    stop = first
    while stop < last and (48 <= chars[stop] <= 57 or (stop > first and (chars[stop] == 46 or chars[stop] == 44))):
        stop += 1
    if stop == first:
        return False
    if stop < last and (chars[stop] | 32 == 107 or chars[stop] | 32 == 109):  # k, m
        stop += 1
    word = stop
    while word < last and kinds[word] & BLANK:
        word += 1
    if word == stop:
        return False
    for phrase in range(3, len(BOUNDS) - 1):
        size = BOUNDS[phrase + 1] - BOUNDS[phrase]
        plural = last - word == size + 1 and chars[last - 1] | 32 == 115  # s
        if (last - word == size or plural) and _stands(chars, word, last, phrase):
            return True
    return False


@helper
def _is_sign(char, kind, classes):
    """No letter, no number, no '_'. ALONE are both, EXTEND is a sign; '_' is JOIN, whose other members are signs."""
    known = classes[char]
    return not (kind & LETTER or known in (NUMERIC, ALONE) or char == 95)


@helper
def _stands(chars, at, last, phrase):
    """Whether the phrase of this number stands at `at`, ASCII capitals taken as small letters."""
    first, size = BOUNDS[phrase], BOUNDS[phrase + 1] - BOUNDS[phrase]
    if at < 0 or at + size > last:
        return False
    for i in range(size):
        char = chars[at + i]
        if 65 <= char <= 90:
            char += 32
        if char != LETTERS[first + i]:
            return False
    return True


@helper
def _cut_phrases(chars, kinds, first, last, line, line_kinds):
    """Copies the line without the phrases; its length, or -1 where there is none of them."""
    count, at, cut = 0, first, False
    while at < last:
        if _stands(chars, at, last, 0):
            at, cut = at + BOUNDS[1], True
            continue
        line[count], line_kinds[count] = chars[at], kinds[at]
        count, at = count + 1, at + 1
    behind = BOUNDS[2] - BOUNDS[1]
    if _stands(line, count - behind, count, 1):
        count, cut = count - behind, True
    size = BOUNDS[3] - BOUNDS[2]
    if _stands(line, 0, count, 2):
        for i in range(size, count):
            line[i - size], line_kinds[i - size] = line[i], line_kinds[i]
        count, cut = count - size, True
    return count if cut else -1
