"""From tokens to bits: segments of a message, its language, the cues of each segment and the rule that fits first.

`Bench` holds the arrays that one message is worked on; `read_message` fills them. Compiled by numba, integers only;
imported lazily. The rule layer alone is a tagger: `first_rule` on each segment, the strongest segment decides.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from dataforge.kernels.cpu.compiled import helper, kernel
from dataforge.operators import acts_tokens as tk
from dataforge.operators.acts_lexicon import BITS, COMMON, LANGUAGES, LONGEST, STEERING, WORDS

MAX_SEGMENTS = 32
MAX_HITS = 2048
DROP, SKIP, JOINT, MARKER, FUNCTION = range(len(STEERING))  # cues.yaml lists these first
ANY, START, CLAUSE, END, WHOLE = range(5)
EN, DE, ES, FR, JA, ZH = range(6)

Bench = namedtuple(
    "Bench",
    "hashes kinds flags begins steer content bits segments rule words",
)
Table = namedtuple("Table", "keys slots entries bit_of need some bar verdicts")
# Masks of the shape bits, all in word 0: or-ing masks compiles once, a call with a constant bit once per constant.
ASKS, CRIES, TRAILS, COMMA_END, NO_STOP, DASH_END, QUOTE = (
    np.uint64(1 << BITS[n]) for n in ("asks", "cries", "trails", "comma_end", "no_stop", "dash_end", "quote")
)
URL, MENTION, TAG, NUMBER, EMOJI = (np.uint64(1 << BITS[n]) for n in ("url", "mention", "tag", "number", "emoji"))
EMPTY, ALL_SKIP = np.uint64(1 << BITS["empty"]), np.uint64(1 << BITS["all_skip"])
ONLY, FIRST, LAST, IDEOGRAPHS = (np.uint64(1 << BITS[n]) for n in ("only", "first", "last", "ideographs"))
ASKS_SOMEWHERE, NOT_ENGLISH = (np.uint64(1 << BITS[n]) for n in ("asks_somewhere", "not_english"))
LENGTHS = np.array([1 << BITS[n] for n in ("one_word", "two_words", "short", "medium", "long")], np.uint64)
NOTHING = np.uint64(0)


def new_bench() -> Bench:
    """Arrays for one message at a time."""
    n = tk.MAX_TOKENS + 2
    return Bench(
        np.zeros(n, np.uint64),  # hashes of tokens
        np.zeros(n, np.int8),  # kinds
        np.zeros(n, np.int16),  # flags
        np.zeros(n, np.int64),  # first byte
        np.zeros(n, np.int16),  # steering cues of the token, one bit each
        np.zeros(n, np.int32),  # content tokens of the segments, one after another
        np.zeros((MAX_SEGMENTS, WORDS), np.uint64),  # bits of each segment
        np.zeros((MAX_SEGMENTS, 5), np.int32),  # content from, to, first real word, first byte, end byte
        np.zeros((MAX_SEGMENTS, 3), np.int32),  # rule that fits first (-1: none), its act, the form
        np.zeros(MAX_HITS, np.int32),  # scratch: hits of a segment
    )


@helper
def fold(state: int, token: int) -> int:
    return tk.mix(np.uint64(state) * np.uint64(3) + np.uint64(token))


@helper
def find(keys: np.ndarray, key: int) -> int:
    """Slot of a phrase hash, or -1."""
    last = keys.size - 1
    at = np.int64(np.uint64(key) & np.uint64(last))
    while keys[at] != 0:
        if keys[at] == np.uint64(key):
            return at
        at = (at + 1) & last
    return -1


@helper
def is_content(kind: int) -> bool:
    return kind <= tk.MARK


@kernel
def hash_phrases(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Folded hashes of phrases' content tokens (repetitions count once); one sign alone is hashed as that sign."""
    n = tk.MAX_TOKENS + 2
    hashes, kinds = np.zeros(n, np.uint64), np.zeros(n, np.int8)
    flags, begins = np.zeros(n, np.int16), np.zeros(n, np.int64)
    out = np.zeros(offsets.size - 1, np.uint64)
    for k in range(offsets.size - 1):
        count = tk.tokenize(data, offsets[k], offsets[k + 1], hashes, kinds, flags, begins)
        state, length, before = np.uint64(0), 0, np.uint64(0)
        for i in range(count):
            if (is_content(kinds[i]) or count == 1) and not (length and hashes[i] == before and kinds[i] == tk.WORD):
                state = fold(state, hashes[i])
                length += 1
                before = hashes[i]
        out[k] = state if 0 < length <= LONGEST else np.uint64(0)
    return out


@helper
def language_of(table: Table, bench: Bench, n: int, data: np.ndarray, stop: int) -> int:
    """The script decides for Japanese and Chinese, marker words for the rest; a tie is English."""
    counts = np.zeros(8, np.int32)
    kana, han, words = 0, 0, 0
    for i in range(n):
        if bench.kinds[i] == tk.IDEOGRAPH:
            code = tk.decode(data, bench.begins[i], stop)[0]
            kana += 1 if code <= 0x30FF else 0
            han += 1 if code > 0x30FF else 0
        if bench.kinds[i] == tk.WORD:
            words += 1
            slot = find(table.keys, fold(np.uint64(0), bench.hashes[i]))
            if slot >= 0:
                for e in range(table.slots[slot, 0], table.slots[slot, 0] + table.slots[slot, 1]):
                    if table.entries[e, 1] == MARKER:
                        counts[table.entries[e, 0]] += 1
    if kana + han > counts[EN]:
        return JA if kana > 0 else ZH
    if counts.max() == 0:
        return language_by_cues(table, bench, n)
    best = EN
    for language in (DE, ES, FR):
        if counts[language] > counts[best]:
            best = language
    return EN if counts[best] == 1 and words > 4 else best  # one marker may be part of a name


@helper
def language_by_cues(table: Table, bench: Bench, n: int) -> int:
    """Without any marker ("Stimmt!"): the language whose lexicon knows most of the words that the English one lacks."""
    counts, known = np.zeros(8, np.int32), np.zeros(8, np.bool_)
    for i in range(n):
        slot = find(table.keys, fold(np.uint64(0), bench.hashes[i])) if bench.kinds[i] == tk.WORD else -1
        if slot < 0:
            continue
        known[:] = False
        for e in range(table.slots[slot, 0], table.slots[slot, 0] + table.slots[slot, 1]):
            known[table.entries[e, 0]] = True
        if known[EN]:
            return EN
        for language in (DE, ES, FR):
            counts[language] += known[language]
    best = EN
    for language in (DE, ES, FR):
        if counts[language] > counts[best]:
            best = language
    return best


@helper
def mark_steering(table: Table, bench: Bench, n: int, language: int) -> None:
    for i in range(n):
        bench.steer[i] = 0
        if is_content(bench.kinds[i]):
            slot = find(table.keys, fold(np.uint64(0), bench.hashes[i]))
            if slot >= 0:
                for e in range(table.slots[slot, 0], table.slots[slot, 0] + table.slots[slot, 1]):
                    cue = table.entries[e, 1]
                    if cue <= FUNCTION and table.entries[e, 0] == language:
                        bench.steer[i] |= 1 << cue


@helper
def cut_segments(bench: Bench, n: int, stop: int) -> int:
    """Segments end at sentence punctuation and line ends. Fills `content`, `segments` and the bits of shape."""
    count, filled, start, i = 0, 0, 0, 0
    while i < n:
        ends = bench.kinds[i] == tk.STOP or bench.kinds[i] == tk.NEWLINE or i == n - 1
        i += 1
        if not ends and not (count == MAX_SEGMENTS - 1 and i == n):
            continue
        if count == MAX_SEGMENTS - 1 and i < n:
            continue
        while i < n and (bench.kinds[i] == tk.STOP or bench.kinds[i] == tk.NEWLINE):
            i += 1
        kept = fill_segment(bench, start, i, filled, count, stop, n)
        shape = bench.bits[count, 0]
        seen = kept > filled or shape & (EMOJI | URL | MENTION) != 0 or (i == n and count == 0)
        if seen or (shape & ASKS != 0 and count == 0):
            filled, count = kept, count + 1
        start = i
    return count


@helper
def fill_segment(bench: Bench, start: int, end: int, filled: int, row: int, stop: int, n: int) -> int:
    """Content tokens without hesitations and direct repetitions, and the shape of tokens start..end."""
    bits = bench.bits[row]
    bits[:] = 0
    first, stopped, at, shape, asked = filled, False, filled, NOTHING, 0
    for i in range(start, end):
        kind = bench.kinds[i]
        if kind == tk.STOP or kind == tk.PUNCT:
            stopped = stopped or kind == tk.STOP
            asked += 1 if bench.flags[i] & tk.ASKS else 0
            shape |= shape_of_sign(bench.flags[i], i == end - 1)
            continue
        shape |= shape_of_kind(kind)
        if not is_content(kind) or bench.steer[i] & (1 << DROP):
            continue
        if at > first and kind == tk.WORD and bench.hashes[bench.content[at - 1]] == bench.hashes[i]:
            continue
        bench.content[at] = i
        at += 1
    if not stopped:
        shape |= NO_STOP
    if asked > 1 and at == first:
        shape &= ~ASKS  # "??? ?? ????": letters that got lost on the way, no question
    segment = bench.segments[row]
    segment[0], segment[1], segment[3] = first, at, bench.begins[start]
    segment[4] = stop if end >= n else bench.begins[end]
    segment[2] = first
    while segment[2] < at and bench.steer[bench.content[segment[2]]] & (1 << SKIP):
        segment[2] += 1
    if segment[2] == at and at > first:
        shape |= ALL_SKIP
    bits[0] = shape | shape_of_length(bench, first, at)
    return at


@helper
def shape_of_kind(kind: int) -> int:
    if kind == tk.URL:
        return URL
    if kind == tk.MENTION:
        return MENTION
    if kind == tk.TAG:
        return TAG
    if kind == tk.NUMBER:
        return NUMBER
    if kind == tk.IDEOGRAPH:
        return IDEOGRAPHS
    return EMOJI if kind == tk.EMOJI else NOTHING


@helper
def shape_of_sign(flag: int, last: bool) -> int:
    shape = NOTHING
    if flag & tk.ASKS:
        shape |= ASKS
    if flag & tk.CRIES:
        shape |= CRIES
    if flag & tk.TRAILS:
        shape |= TRAILS
    if flag & tk.QUOTE:
        shape |= QUOTE
    if last and flag & tk.COMMA:
        shape |= COMMA_END
    if last and flag & tk.DASH:
        shape |= DASH_END
    return shape


@helper
def shape_of_length(bench: Bench, first: int, end: int) -> int:
    count, ideographs = end - first, 0
    for i in range(first, end):
        ideographs += 1 if bench.kinds[bench.content[i]] == tk.IDEOGRAPH else 0
    count -= ideographs // 2  # two characters are about one word
    if count == 0:
        return EMPTY
    return LENGTHS[0 if count == 1 else 1 if count == 2 else 2 if count < 6 else 3 if count < 13 else 4]


@helper
def find_cues(table: Table, bench: Bench, row: int, start: int, end: int, language: int) -> None:
    """Sets the cue bits of segment `row`, whose tokens are start..end."""
    first, last, real = bench.segments[row, 0], bench.segments[row, 1], bench.segments[row, 2]
    noises, tail = real == last, last  # "oh sorry": the last of nothing but skipped words speaks for them
    while not noises and tail > first and bench.steer[bench.content[tail - 1]] & (1 << SKIP):
        tail -= 1
    clause = True
    for i in range(first, last):
        token = bench.content[i]
        opens = clause or i <= real or (token > 0 and is_comma(bench, token - 1))
        state = np.uint64(0)
        for j in range(i, min(last, i + LONGEST)):
            state = fold(state, bench.hashes[bench.content[j]])
            slot = find(table.keys, state)
            if slot >= 0:
                ends = j == last - 1
                starts = i <= real or (noises and ends)
                whole = j >= tail - 1 and starts
                where = 1 << ANY | starts << START | opens << CLAUSE | ends << END | whole << WHOLE
                hit(table, bench.bits[row], slot, language, where)
        clause = bench.steer[token] & (1 << JOINT) != 0 or (clause and bench.steer[token] & (1 << SKIP) != 0)
    for i in range(start, end):
        if bench.kinds[i] == tk.PUNCT or bench.kinds[i] == tk.STOP:
            slot = find(table.keys, fold(np.uint64(0), bench.hashes[i]))
            if slot >= 0:
                hit(table, bench.bits[row], slot, language, 1 << ANY | (i == end - 1) << END)


@helper
def is_comma(bench: Bench, token: int) -> bool:
    return bench.kinds[token] == tk.PUNCT and bench.flags[token] & (tk.COMMA | tk.DASH | tk.QUOTE) != 0


@helper
def hit(table: Table, bits: np.ndarray, slot: int, language: int, where: int) -> None:
    """Sets the bits of all cues of a found phrase, at the positions where it stands (`where`: one bit each)."""
    for e in range(table.slots[slot, 0], table.slots[slot, 0] + table.slots[slot, 1]):
        if table.entries[e, 0] != language and table.entries[e, 0] != COMMON:
            continue
        for position in range(table.bit_of.shape[1]):
            bit = table.bit_of[table.entries[e, 1], position]
            if bit >= 0 and (where >> position) & 1:
                bits[bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)


@kernel
def read_message(table: Table, bench: Bench, data: np.ndarray, start: int, stop: int, around: int) -> int:
    """Reads one message and returns its number of segments. `around` holds the context bits (word 0)."""
    n = tk.tokenize(data, start, stop, bench.hashes, bench.kinds, bench.flags, bench.begins)
    language = language_of(table, bench, n, data, stop)
    mark_steering(table, bench, n, language)
    count = cut_segments(bench, n, stop)
    token, shared = 0, np.uint64(around)
    for row in range(count):
        if bench.bits[row, 0] & ASKS != 0:
            shared |= ASKS_SOMEWHERE
    if language != EN:
        shared |= NOT_ENGLISH
    if count == 1:
        shared |= ONLY
    for row in range(count):
        bits = bench.bits[row]
        bits[0] |= shared
        if row == 0:
            bits[0] |= FIRST
        if row == count - 1:
            bits[0] |= LAST
        while token < n and bench.begins[token] < bench.segments[row, 3]:
            token += 1
        following = token
        while following < n and bench.begins[following] < bench.segments[row, 4]:
            following += 1
        find_cues(table, bench, row, token, following, language)
        first_rule(table, bits, bench.rule[row])
        token = following
    return count


@helper
def holds(table: Table, rule: int, bits: np.ndarray) -> bool:
    wanted, met = False, False
    for w in range(WORDS):
        if bits[w] & table.need[rule, w] != table.need[rule, w] or bits[w] & table.bar[rule, w] != 0:
            return False
        wanted = wanted or table.some[rule, w] != 0
        met = met or bits[w] & table.some[rule, w] != 0
    return met or not wanted


@helper
def first_rule(table: Table, bits: np.ndarray, out: np.ndarray) -> None:
    """out = number of the first rule with an act that holds, its act, and the form of the first with a form."""
    out[0], out[1], out[2] = -1, len(LANGUAGES), -1
    for rule in range(table.verdicts.shape[0]):
        if (out[0] >= 0 or table.verdicts[rule, 0] < 0) and (out[2] >= 0 or table.verdicts[rule, 1] < 0):
            continue
        if holds(table, rule, bits):
            if out[0] < 0 and table.verdicts[rule, 0] >= 0:
                out[0], out[1] = rule, table.verdicts[rule, 0]
            if out[2] < 0:
                out[2] = table.verdicts[rule, 1]
            if out[0] >= 0 and out[2] >= 0:
                return


@helper
def strongest(table: Table, bench: Bench, count: int) -> int:
    """The segment that speaks for the message: the strongest rule, of equals the later. -1 without segments."""
    best, strength = -1, -1
    for row in range(count):
        rule = bench.rule[row, 0]
        weight = 0 if rule < 0 else table.verdicts[rule, 2]
        if weight >= strength:
            best, strength = row, weight
    return best
