# mypy: ignore-errors
"""C4's line rules compiled, on a text given as code points and their kinds."""

from __future__ import annotations

import numpy as np

from dataforge.kernels import line_rules as rule
from dataforge.kernels import text_words
from dataforge.kernels.cpu.compiled import helper, kernel
from dataforge.kernels.cpu.text_words import BLANK, tokenize
from dataforge.kernels.cpu.words import decode, encode

TERMINAL, MARK, BREAK = int(text_words.TERMINAL), int(text_words.MARK), int(text_words.BREAK)
KEEP, STOP_LOREM, STOP_CURLY = rule.KEEP, rule.STOP_LOREM, rule.STOP_CURLY
LONG_WORD, NO_END, FEW_WORDS, SCRIPT, POLICY = rule.LONG_WORD, rule.NO_END, rule.FEW_WORDS, rule.SCRIPT, rule.POLICY
MOST_WORD, FEWEST_WORDS = rule.MOST_WORD, rule.FEWEST_WORDS


_WORDS = ["lorem ipsum", "javascript", *rule.POLICIES, "[edit]", "[citation needed]"]
BOUNDS = np.cumsum([0, *map(len, _WORDS)], dtype=np.int64)
PHRASES = np.array([ord(char) for phrase in _WORDS for char in phrase], np.int32)
INITIALS = sum(1 << letter for letter in {ord(phrase[0]) - 97 for phrase in _WORDS[:8]})  # a bit for each letter from a on


@helper
def next_line(chars, kinds, at, last):
    """(end of the line that begins at `at`, begin of the next), as str.splitlines cuts."""
    stop = at
    while stop < last and not kinds[stop] & BREAK:
        stop += 1
    after = stop + 1
    if stop + 1 < last and chars[stop] == 13 and chars[stop + 1] == 10:
        after += 1
    return stop, after


@helper
def strip(kinds, first, last):
    while first < last and kinds[first] & BLANK:
        first += 1
    while last > first and kinds[last - 1] & BLANK:
        last -= 1
    return first, last


@helper
def _begins(chars, at, last, phrase, small):
    """Whether the phrase of this number stands at `at`, with ASCII capitals taken as small letters if `small`."""
    first, size = BOUNDS[phrase], BOUNDS[phrase + 1] - BOUNDS[phrase]
    if at + size > last:
        return False
    for i in range(size):
        char = chars[at + i]
        if small and 65 <= char <= 90:
            char += 32
        if char != PHRASES[first + i]:
            return False
    return True


@helper
def _citation(chars, at, last):
    """Length of the citation mark at `at`, or 0."""
    for phrase in range(8, 10):
        if _begins(chars, at, last, phrase, False):
            return BOUNDS[phrase + 1] - BOUNDS[phrase]
    stop = at + 1
    while stop < last and 48 <= chars[stop] <= 57:
        stop += 1
    return stop + 1 - at if stop < last and chars[stop] == 93 else 0


@helper
def clean_line(chars, kinds, first, last, line, line_kinds):
    """Copies the line without citation marks; its new length."""
    count, at = 0, first
    while at < last:
        skip = _citation(chars, at, last) if chars[at] == 91 else 0
        if skip == 0:
            line[count], line_kinds[count] = chars[at], kinds[at]
            count += 1
        at += max(skip, 1)
    return count


@helper
def split_words(kinds, first, last):
    """(words between blanks, characters of the longest)."""
    words, longest, begin = 0, 0, first
    for i in range(first, last + 1):
        if i == last or kinds[i] & BLANK:
            if i > begin:
                words, longest = words + 1, max(longest, i - begin)
            begin = i + 1
    return words, longest


@helper
def ends_well(line, count):
    if count == 0:
        return False
    final = line[count - 1]
    if final == 46:
        return not (count > 2 and line[count - 2] == 46 and line[count - 3] == 46)
    return final == 63 or final == 33 or final == 34 or final == 39


@helper
def judge(line, count, words):
    """The rules after the end marks."""
    if words < FEWEST_WORDS:
        return FEW_WORDS
    lorem, script, curly, policy = False, False, False, False
    for i in range(count):
        curly = curly or line[i] == 123
        letter = line[i] | 32
        if not 97 <= letter <= 122 or not INITIALS >> (letter - 97) & 1:  # most: the eight phrases begin with six letters
            continue
        for phrase in range(8):
            if letter == PHRASES[BOUNDS[phrase]] and _begins(line, i, count, phrase, True):
                lorem, script = lorem or phrase == 0, script or phrase == 1
                policy = policy or phrase > 1
    if lorem:
        return STOP_LOREM
    if script:
        return SCRIPT
    if curly:
        return STOP_CURLY
    return POLICY if policy else KEEP


@helper
def count_sentences(chars, kinds, last, starts, stops):
    tokens = tokenize(chars, kinds, 0, last, starts, stops, 0)
    count, ended = 0, False
    for i in range(tokens):
        terminal = stops[i] - starts[i] == 1 and kinds[starts[i]] & TERMINAL != 0
        marks = True
        for j in range(starts[i], stops[i]):
            marks = marks and kinds[j] & MARK != 0
        if count == 0 or (ended and not marks and not terminal):
            count, ended = count + 1, terminal
        ended = ended or terminal
    return count


@helper
def c4_rows(chars, kinds, last, work, out):
    """out[0:3] = stop, sentences, lines with the rule on end marks; out[3:6] without."""
    line, line_kinds, starts, stops = work
    at = 0
    while at < last and (out[0] == 0 or out[3] == 0):
        stop, after = next_line(chars, kinds, at, last)
        first, end = strip(kinds, at, stop)
        at = after
        words, longest = split_words(kinds, first, end)
        if longest > MOST_WORD:
            continue
        count = clean_line(chars, kinds, first, end, line, line_kinds)
        verdict = judge(line, count, words)
        found = count_sentences(line, line_kinds, count, starts, stops) if verdict == KEEP else 0
        for variant in range(2):
            if out[3 * variant] == 0 and (variant == 1 or ends_well(line, count)):
                if verdict in (STOP_LOREM, STOP_CURLY):
                    out[3 * variant] = verdict
                out[3 * variant + 1] += found
                out[3 * variant + 2] += verdict == KEEP


@helper
def decode_all(data, at, stop, kinds_of, chars, kinds):
    """Code points and kinds of a text; their number, or -1 where it is not UTF-8."""
    count = 0
    while at < stop:
        point, size = decode(data, at, stop)
        if size == 0:
            return -1
        chars[count], kinds[count] = point, kinds_of[point]
        at, count = at + size, count + 1
    return count


@kernel
def edit_c4_rows(offsets, data, kinds_of, any_end, fewest, out, out_offsets, removed, reasons):
    """Writes each text after C4's line rules; gives the first row that is not UTF-8, or -1."""
    room = 2
    for row in range(len(removed)):
        room = max(room, offsets[row + 1] - offsets[row] + 2)
    chars, kinds, kept = np.empty(room, np.int32), np.empty(room, np.uint16), np.empty(room, np.int32)
    work = (np.empty(room, np.int32), np.empty(room, np.uint16), np.empty(room, np.int32), np.empty(room, np.int32))
    for row in range(len(removed)):
        last = decode_all(data, offsets[row], offsets[row + 1], kinds_of, chars, kinds)
        if last < 0:
            return row
        count, lines, verdict = _keep_lines(chars, kinds, last, any_end, fewest, work, kept, kinds_of)
        reasons[row], removed[row] = verdict, 0 if verdict else lines
        at = out_offsets[row]
        source = chars if verdict else kept
        for i in range(last if verdict else count):
            at = encode(source[i], out, at)
        out_offsets[row + 1] = at
    return -1


@helper
def _keep_lines(chars, kinds, last, any_end, fewest, work, kept, kinds_of):
    """(characters kept, stripped and joined by newlines; lines removed; 0 or the number of the reason)."""
    line, line_kinds, starts, stops = work
    at, count, removed, found, first = 0, 0, 0, 0, True
    while at < last:
        stop, after = next_line(chars, kinds, at, last)
        begin, end = strip(kinds, at, stop)
        at = after
        words, longest = split_words(kinds, begin, end)
        size = clean_line(chars, kinds, begin, end, line, line_kinds) if longest <= MOST_WORD else 0
        verdict = LONG_WORD if longest > MOST_WORD else NO_END
        if longest <= MOST_WORD and (any_end or ends_well(line, size)):
            verdict = judge(line, size, words)
        if verdict in (STOP_LOREM, STOP_CURLY):
            return 0, 0, verdict
        if verdict != KEEP:
            removed += 1
            continue
        found += count_sentences(line, line_kinds, size, starts, stops)
        begin, end = strip(line_kinds, 0, size) if first else (0, size)  # the text begins with no blank
        if not first or end > begin:
            if not first:
                kept[count] = 10
                count += 1
            for i in range(begin, size):
                kept[count] = line[i]
                count += 1
            first = False
    return _trim(kept, count, kinds_of), removed, 0 if found >= fewest else POLICY + 1


@helper
def _trim(kept, count, kinds_of):
    """Length without blanks at the end: only marks of a removed citation or an empty line can leave some."""
    while count > 0 and kinds_of[kept[count - 1]] & BLANK:
        count -= 1
    return count
