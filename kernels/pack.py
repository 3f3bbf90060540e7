"""Which rows of tokens share a sequence of N: best-fit decreasing, or one text after another. Lengths in, a plan out.

A plan says, for every *piece* (a row, or a cut of it), which sequence it goes to and which tokens of the row it is.
Equal lengths keep the order of the rows (callers sort by id), so a plan is a function of the rows alone. Best fit takes
the fullest sequence that still has room, the oldest among equals, found by one descent of a tree over the free space:
O(n log N). `gathered` copies the tokens, for as many sequences at a time as the caller likes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataforge.kernels.loops import compiled

IGNORED = -100  # the label that every trainer leaves out of the loss
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """Piece j is tokens `starts[j]:starts[j] + lengths[j]` of row `rows[j]`, and lies in sequence `sequences[j]`.

    Sorted by sequence, and inside one in the order in which pieces went in. Every sequence 0..count-1 has a piece.
    """

    rows: Longs
    starts: Longs
    lengths: Longs
    sequences: Longs
    count: int

    def within(self, first: int, last: int) -> Plan:
        """The pieces of sequences first..last-1, numbered from 0."""
        a, b = np.searchsorted(self.sequences, [first, last])
        part = slice(int(a), int(b))
        rest = (self.rows[part], self.starts[part], self.lengths[part], self.sequences[part] - first)
        return Plan(*rest, last - first)

    def tokens(self) -> Longs:
        """int64[count]: tokens of each sequence."""
        return np.bincount(self.sequences, weights=self.lengths, minlength=self.count).astype(np.int64)


def empty() -> Plan:
    none = np.zeros(0, np.int64)
    return Plan(none, none, none, none, 0)


def best_fit(lengths: Longs, size: int, *, rows: Longs | None = None, starts: Longs | None = None) -> Plan:
    """Best-fit decreasing. Every length must be 1..size. `rows` and `starts` say what each length is a piece of."""
    order = np.argsort(-lengths, kind="stable")
    sequences = np.empty(len(lengths), np.int64)
    count = int(compiled(_fill)(lengths[order], size, sequences))
    by_sequence = np.argsort(sequences, kind="stable")
    chosen = order[by_sequence]
    first = np.zeros(len(lengths), np.int64) if starts is None else starts
    number = np.arange(len(lengths)) if rows is None else rows
    return Plan(number[chosen], first[chosen], lengths[chosen], sequences[by_sequence], count)


def cut(lengths: Longs, size: int) -> tuple[Longs, Longs, Longs]:
    """(rows, starts, lengths) of pieces of at most `size` tokens: nothing is lost. [5] by 2 -> 2, 2, 1"""
    pieces = -(-lengths // size)
    rows = np.repeat(np.arange(len(lengths)), pieces)
    index = np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = index * size
    return rows, starts, np.minimum(lengths[rows] - starts, size)


def best_fit_split(lengths: Longs, size: int) -> Plan:
    """Rows longer than `size` are cut first; then best-fit decreasing."""
    rows, starts, parts = cut(lengths, size)
    return best_fit(parts, size, rows=rows, starts=starts)


def wrapped(lengths: Longs, size: int) -> Plan:
    """One row after another, cut wherever a sequence is full: only the last sequence may be shorter."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    edges = np.union1d(np.concatenate([np.zeros(1, np.int64), ends]), np.arange(0, total, size))
    begin, length = edges[:-1], np.diff(edges)
    rows = np.searchsorted(ends, begin, side="right")
    return Plan(rows, begin - (ends[rows] - lengths[rows]), length, begin // size, -(-total // size))


def _fill(lengths: Longs, size: int, sequences: Longs) -> int:
    """Puts each length (in this order) into a sequence; returns their number.

    `oldest[f]` and `next_one` are queues of sequences with f free tokens; `tree` says, as a binary tree over f, where
    a queue is not empty. The smallest f that is large enough is found by going up, then down.
    """
    leaves = 1
    while leaves < size + 1:
        leaves *= 2
    tree = np.zeros(2 * leaves, np.bool_)
    oldest = np.full(size + 1, -1, np.int64)
    newest = np.full(size + 1, -1, np.int64)
    next_one = np.full(len(lengths), -1, np.int64)
    count = 0
    for j in range(len(lengths)):
        need = lengths[j]
        node = leaves + need
        if not tree[node]:
            while node > 1 and (node % 2 == 1 or not tree[node + 1]):
                node //= 2
            if node > 1:
                node += 1
                while node < leaves:
                    node = 2 * node if tree[2 * node] else 2 * node + 1
        if node <= 1:
            chosen, free = count, size
            count += 1
        else:
            free = node - leaves
            chosen = oldest[free]
            oldest[free] = next_one[chosen]
            if oldest[free] == -1:
                newest[free] = -1
                tree[node] = False
                while node > 1 and not tree[node ^ 1]:
                    node //= 2
                    tree[node] = False
        sequences[j] = chosen
        left = free - need
        if left > 0:
            next_one[chosen] = -1
            if newest[left] == -1:
                oldest[left] = chosen
                node = leaves + left
                while node >= 1 and not tree[node]:
                    tree[node] = True
                    node //= 2
            else:
                next_one[newest[left]] = chosen
            newest[left] = chosen
    return count


def gathered(begins: Longs, lengths: Longs, targets: Longs, values: Ints, out: Ints) -> None:
    """Copies runs of tokens: `out[targets[j]:][:lengths[j]] = values[begins[j]:][:lengths[j]]`."""
    compiled(_gather)(begins, lengths, targets, values, out)


def _gather(begins: Longs, lengths: Longs, targets: Longs, values: Ints, out: Ints) -> None:
    for j in range(len(begins)):
        for i in range(lengths[j]):
            out[targets[j] + i] = values[begins[j] + i]


def learned(offsets: Longs, labels: Ints, limit: int) -> Longs:
    """How many labels of each row count once its first is ignored, within the first `limit` tokens (0: all)."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    compiled(_count)(offsets, labels, limit or 2**62, counts)
    return counts


def _count(offsets: Longs, labels: Ints, limit: int, counts: Longs) -> None:
    for row in range(len(counts)):
        for i in range(offsets[row] + 1, min(offsets[row + 1], offsets[row] + limit)):
            if labels[i] != IGNORED:
                counts[row] += 1


def positions(lengths: Longs) -> Ints:
    """Place of each token in its piece: [2, 3] -> 0 1 0 1 2"""
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return (np.arange(len(starts)) - starts).astype(np.int32)
