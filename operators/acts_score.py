"""Features of a message and its scores: fixed-point integers throughout, so that scores are bit-equal on every machine.

Features: cue and shape bits and the rule of each segment (dense); words, word pairs, function-word skeletons and
character n-grams (hashed). A segment's features are weighted by its say in the message, so the message's evidence is
the weighted mean of its segments' evidence. Compiled by numba; imported lazily.
"""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import helper, kernel
from dataforge.operators import acts_scan as sc
from dataforge.operators import acts_tokens as tk
from dataforge.operators.acts_lexicon import BITS, WORDS
from dataforge.schemas.act import ACTS

CLASSES = len(ACTS)
UNIT = 4096  # a feature's value 1
RULE, SEGMENT_ACT, MESSAGE_ACT, SEGMENTS, BIAS, PAIR, DENSE = 320, 448, 457, 466, 470, 480, 560
BUCKETS = 1 << 17
MAX_FEATURES = 24576
ONE = 1 << 20  # probability 1
STEPS = 256  # the exponential is tabulated in steps of 1/256

OTHER_ACT = BITS["before_other_expressives"]  # the first of the bits that say which act the other's message before is


def exponentials() -> np.ndarray:
    """int64: exp(-k / 256) in units of 2^-30, by repeated integer multiplication: the same on every machine."""
    ratio, value, table = 1069555689, 1 << 30, []  # ratio = round(exp(-1/256) * 2^30)
    while value > 0:
        table.append(value)
        value = (value * ratio) >> 30
    return np.array(table, np.int64)


def roots() -> np.ndarray:
    """int32[n]: UNIT / sqrt(n) for a group of n features, exact integer roots."""
    import math

    return np.array([UNIT] + [math.isqrt((UNIT * UNIT) // n) for n in range(1, MAX_FEATURES)], np.int32)


@helper
def say(bench: sc.Bench, table: sc.Table, row: int) -> int:
    """Weight of a segment in its message: little for noises, more for a strong rule."""
    bits = bench.bits[row]
    if bits[0] & (sc.EMPTY | sc.ALL_SKIP) != 0:
        return 1
    rule = bench.rule[row, 0]
    return 4 + (0 if rule < 0 else table.verdicts[rule, 2])


@helper
def put(index: np.ndarray, value: np.ndarray, at: int, feature: int, amount: int) -> int:
    if at < index.size:
        index[at], value[at] = feature, amount
        return at + 1
    return at


@helper
def bucket(state: int) -> int:
    return DENSE + np.int64(np.uint64(state) & np.uint64(BUCKETS - 1))


@helper
def put_dense(bench: sc.Bench, row: int, index: np.ndarray, value: np.ndarray, at: int, amount: int) -> int:
    for word in range(WORDS):
        left = bench.bits[row, word]
        bit = word * 64
        while left != 0:
            if left & np.uint64(1):
                at = put(index, value, at, bit, amount)
            left >>= np.uint64(1)
            bit += 1
    rule = bench.rule[row, 0]
    if rule >= 0:
        at = put(index, value, at, RULE + rule, amount)
        at = put(index, value, at, SEGMENT_ACT + bench.rule[row, 1], amount)
    return at


@helper
def shape_class(bench: sc.Bench, data: np.ndarray, token: int, stop: int) -> int:
    """What stands for a word outside the closed classes in a skeleton: its kind and its last two letters if ASCII."""
    if bench.kinds[token] != tk.WORD:
        return 7000 + bench.kinds[token]
    end = bench.begins[token]
    while end < stop and (data[end] >= 97 and data[end] <= 122):
        end += 1
    if end - bench.begins[token] < 4:
        return 1
    tail = np.int64(data[end - 2]) << 8 | np.int64(data[end - 1])
    for ending in (0x6E67, 0x6564, 0x6C79):  # -ng, -ed, -ly
        if tail == ending:
            return tail
    return 3 if data[end - 1] == 115 else 2


@helper
def put_words(
    bench: sc.Bench,
    row: int,
    data: np.ndarray,
    stop: int,
    index: np.ndarray,
    value: np.ndarray,
    at: int,
    amount: int,
    root: np.ndarray,
) -> int:
    """Words, word pairs (group 1) and skeletons of 1-4 places, with the sentence's edges (group 2)."""
    first, last = bench.segments[row, 0], bench.segments[row, 1]
    begin = at
    for i in range(first, last):
        here = bench.hashes[bench.content[i]]
        at = put(index, value, at, bucket(tk.mix(here + np.uint64(11))), 1)
        if i > first:
            at = put(index, value, at, bucket(sc.fold(bench.hashes[bench.content[i - 1]], here + np.uint64(12))), 1)
    at = settle(value, begin, at, amount, root)
    begin = at
    for i in range(first, last + 1):
        state = np.uint64(29) if i == first else np.uint64(31)
        for j in range(i, min(i + 4, last + 1)):
            token = bench.content[j] if j < last else -1
            if token < 0:
                part = np.uint64(99)
            elif bench.steer[token] & (1 << sc.FUNCTION):
                part = bench.hashes[token]
            else:
                part = np.uint64(shape_class(bench, data, token, stop))
            state = sc.fold(state, part)
            if j > i or i == first:
                at = put(index, value, at, bucket(state), 1)
    return settle(value, begin, at, amount, root)


@helper
def settle(value: np.ndarray, begin: int, at: int, amount: int, root: np.ndarray) -> int:
    """A group of n features weighs as one vector of length 1."""
    each = (amount * np.int64(root[min(at - begin, root.size - 1)])) // UNIT
    for i in range(begin, at):
        value[i] = each
    return at


@helper
def put_characters(
    bench: sc.Bench,
    row: int,
    data: np.ndarray,
    stop: int,
    index: np.ndarray,
    value: np.ndarray,
    at: int,
    amount: int,
    root: np.ndarray,
) -> int:
    """Character (byte) 3- and 4-grams of words with their edges: spelling variants, endings, other languages."""
    begin = at
    for i in range(bench.segments[row, 0], bench.segments[row, 1]):
        token = bench.content[i]
        start = bench.begins[token]
        end = start
        while end < stop and data[end] > 44 and end - start < 40:
            end += 1
        for size in (3, 4):
            for left in range(start - 1, end - size + 2):
                state = np.uint64(size)
                for k in range(left, left + size):
                    byte = 32 if k < start or k >= end else data[k]
                    state = tk.feed(state, byte)
                at = put(index, value, at, bucket(tk.mix(state + np.uint64(57))), 1)
    return settle(value, begin, at, amount, root)


@helper
def features(
    table: sc.Table,
    bench: sc.Bench,
    count: int,
    data: np.ndarray,
    stop: int,
    index: np.ndarray,
    value: np.ndarray,
    root: np.ndarray,
    plain: bool,
) -> int:
    """Fills index and value; returns their number. `plain` leaves out cues, rules and skeletons: the baseline."""
    at, total = 0, 0
    for row in range(count):
        total += say(bench, table, row)
    for row in range(count):
        amount = UNIT * say(bench, table, row) // total
        at = put_characters(bench, row, data, stop, index, value, at, amount, root)
        at = put_words(bench, row, data, stop, index, value, at, amount, root)
        if not plain:
            at = put_dense(bench, row, index, value, at, amount)
    at = put(index, value, at, BIAS, UNIT)
    if plain:
        return at
    speaker = sc.strongest(table, bench, count)
    act = bench.rule[speaker, 1] if speaker >= 0 and bench.rule[speaker, 0] >= 0 else CLASSES
    at = put(index, value, at, MESSAGE_ACT + act, UNIT)
    at = put(index, value, at, SEGMENTS + min(count, 4) - 1 if count else SEGMENTS, UNIT)
    if count and act < CLASSES:
        for other in range(CLASSES):
            if (bench.bits[0, 0] >> np.uint64(OTHER_ACT + other)) & np.uint64(1):
                at = put(index, value, at, PAIR + act * CLASSES + other, UNIT)
    return at


@kernel
def shouted(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """bool[n]: at least six ASCII letters, more than 60 % of them capitals (on the text as written)."""
    out = np.zeros(offsets.size - 1, np.bool_)
    for i in range(offsets.size - 1):
        upper, letters = 0, 0
        for k in range(offsets[i], offsets[i + 1]):
            upper += 1 if 65 <= data[k] <= 90 else 0
            letters += 1 if 97 <= (data[k] | 32) <= 122 else 0
        out[i] = letters >= 6 and 10 * upper > 6 * letters
    return out


@helper
def message_form(table: sc.Table, bench: sc.Bench, count: int) -> int:
    """The form of the segment that speaks for the message; a message of nothing is a fragment (4)."""
    best = sc.strongest(table, bench, count)
    return bench.rule[best, 2] if best >= 0 and bench.rule[best, 2] >= 0 else 4


@helper
def softmax(logits: np.ndarray, power: np.ndarray, out: np.ndarray) -> int:
    """Integer probabilities of logits in units of 1/256: out sums to ONE. Returns the best class."""
    best = 0
    for c in range(CLASSES):
        if logits[c] > logits[best]:
            best = c
    total = np.int64(0)
    for c in range(CLASSES):
        k = logits[best] - logits[c]
        out[c] = power[k] if k < power.size else 0
        total += out[c]
    rest = ONE
    for c in range(CLASSES):
        out[c] = (np.int64(out[c]) * ONE) // total
        rest -= out[c]
    out[best] += rest
    return best


@kernel
def score_rows(
    table: sc.Table,
    bench: sc.Bench,
    data: np.ndarray,
    offsets: np.ndarray,
    around: np.ndarray,
    weights: np.ndarray,
    scale: np.ndarray,
    power: np.ndarray,
    root: np.ndarray,
    plain: bool,
    acts: np.ndarray,
    forms: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Act, form and integer probabilities of each row. `scale`: logits to units of 1/256, as a fraction."""
    index, value = np.zeros(MAX_FEATURES, np.int32), np.zeros(MAX_FEATURES, np.int32)
    logits, shares = np.zeros(CLASSES, np.int64), np.zeros(CLASSES, np.int64)
    for i in range(offsets.size - 1):
        count = sc.read_message(table, bench, data, offsets[i], offsets[i + 1], around[i])
        found = features(table, bench, count, data, offsets[i + 1], index, value, root, plain)
        logits[:] = 0
        for k in range(found):
            for c in range(CLASSES):
                logits[c] += np.int64(weights[index[k], c]) * value[k]
        for c in range(CLASSES):
            logits[c] = (logits[c] * scale[0]) // scale[1]
        acts[i] = softmax(logits, power, shares)
        forms[i] = message_form(table, bench, count)
        for c in range(CLASSES):
            scores[i, c] = shares[c]


@kernel
def rule_rows(
    table: sc.Table,
    bench: sc.Bench,
    data: np.ndarray,
    offsets: np.ndarray,
    around: np.ndarray,
    marks: np.ndarray,
    out: np.ndarray,
) -> None:
    """int16[n, 5], the rule layer's view of each text: its act and the strength of the deciding rule (-1: none), the
    form, whether it begins with a bit of marks[0], and whether a segment has one of marks[1] (uint64[2, WORDS])."""
    for i in range(offsets.size - 1):
        count = sc.read_message(table, bench, data, offsets[i], offsets[i + 1], around[i])
        best = sc.strongest(table, bench, count)
        rule = bench.rule[best, 0] if best >= 0 else -1
        out[i, 0] = bench.rule[best, 1] if rule >= 0 else -1
        out[i, 1] = table.verdicts[rule, 2] if rule >= 0 else -1
        out[i, 2] = message_form(table, bench, count)
        out[i, 3:] = 0
        for row in range(count):
            for word in range(WORDS):
                out[i, 3] |= row == 0 and bench.bits[row, word] & marks[0, word] != 0
                out[i, 4] |= bench.bits[row, word] & marks[1, word] != 0


@kernel
def extract_rows(
    table: sc.Table,
    bench: sc.Bench,
    data: np.ndarray,
    offsets: np.ndarray,
    around: np.ndarray,
    root: np.ndarray,
    plain: bool,
    index: np.ndarray,
    value: np.ndarray,
    starts: np.ndarray,
    room: int,
) -> int:
    """CSR of the rows' features for training. Returns the number written; stops before `room` would be passed."""
    at = 0
    for i in range(offsets.size - 1):
        count = sc.read_message(table, bench, data, offsets[i], offsets[i + 1], around[i])
        if at + MAX_FEATURES > room:
            return -1
        window = slice(at, at + MAX_FEATURES)
        at += features(table, bench, count, data, offsets[i + 1], index[window], value[window], root, plain)
        starts[i + 1] = at
    return at
