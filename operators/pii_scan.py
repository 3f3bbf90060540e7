"""Runs finders over texts: triggers first, overlaps resolved, spans in characters.

A slice of texts is searched as one byte string, so that text without candidates costs a few passes of RE2 and no
Python per row. Linear in the text for any input: RE2, and bounded looks to the left and right of each candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.operators.pii_finder import Found
from dataforge.operators.pii_rules import KINDS, any_of
from dataforge.operators.pii_text import Folded, characters, folded, slices
from dataforge.schemas.verdict import SPAN


class Scanner:
    """Finders with their triggers in one automaton: text that triggers nothing costs one pass."""

    def __init__(self, finders: Sequence[Any]) -> None:
        self.finders = tuple(finders)
        self.triggers = any_of([finder.trigger for finder in finders])

    def scan(self, data: bytes) -> list[Found]:
        """What counts, without overlaps, in order."""
        tried = sorted(self.triggers.Match(data) or ())  # None when there is none
        return without_overlaps(found for index in tried for found in self.finders[index].find(data))

    def spans(self, texts: pa.Array) -> pa.Array:
        """list<SPAN>[n]: what is found in each text."""
        chunks = [self._slice_spans(part) for _, part in slices(texts)]
        return pa.concat_arrays(chunks) if chunks else pa.array([], pa.list_(SPAN))

    def _slice_spans(self, texts: pa.Array) -> pa.Array:
        text = folded(texts)
        return spans_array(text, self.scan(text.data), len(texts))


def without_overlaps(found: Iterable[Found]) -> list[Found]:
    """The longest wins, then the kind that stands first in KINDS, then the score, the place, the rule's name."""
    kept: list[Found] = []
    for group in _touching(_one_a_place(sorted(found))):
        kept += group if len(group) == 1 else _best(group)
    return kept


def _one_a_place(by_place: Sequence[Found]) -> Iterator[Found]:
    """Of equal places the best: most overlaps are two rules that found the same."""
    last: Found | None = None
    for one in by_place:
        if last is not None and one[0] == last[0] and one[1] == last[1]:
            last = min(last, one, key=_rank)
            continue
        if last is not None:
            yield last
        last = one
    if last is not None:
        yield last


def _rank(one: Found) -> tuple[int, int, float, int, str]:
    return one.start - one.end, KINDS.index(one.kind), -one.score, one.start, one.rule


def _touching(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Runs of candidates that overlap in a chain."""
    group: list[Found] = []
    reach = -1
    for one in found:
        if group and one[0] >= reach:
            yield group
            group = []
        group.append(one)
        reach = max(reach, one[1]) if len(group) > 1 else one[1]
    if group:
        yield group


def _best(group: Sequence[Found]) -> list[Found]:
    taken: list[Found] = []
    for one in sorted(group, key=_rank):  # a handful: candidates of different rules at one place
        if all(one.end <= other.start or one.start >= other.end for other in taken):
            taken.append(one)
    return sorted(taken)


def spans_array(text: Folded, found: Sequence[Found], rows: int) -> pa.Array:
    """list<SPAN>[rows] of what was found in a slice, in order, in characters of each row."""
    if not found:
        return pa.array([[]] * rows, pa.list_(SPAN)) if rows else pa.array([], pa.list_(SPAN))
    starts, ends = text.unfold(np.array([f.start for f in found]), np.array([f.end for f in found]))
    row_of = text.rows_of(starts)
    first, last = starts.copy(), ends.copy()
    changes = np.flatnonzero(np.diff(row_of, prepend=-1))
    for begin, stop in zip(changes, [*changes[1:], len(found)], strict=True):  # rows with a span only
        places = np.stack([starts[begin:stop], ends[begin:stop]], axis=1).ravel()
        first[begin:stop], last[begin:stop] = characters(text, int(row_of[begin]), places).reshape(-1, 2).T
    values = pa.StructArray.from_arrays(
        [
            pa.array(first, pa.int32()),
            pa.array(last, pa.int32()),
            pa.array([f.kind for f in found], pa.string()),
            pa.array([f.rule for f in found], pa.string()),
            pa.array([f.score for f in found], pa.float32()),
        ],
        fields=list(SPAN),
    )
    offsets = np.searchsorted(row_of, np.arange(rows + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def merge_spans(first: pa.Array, second: pa.Array) -> pa.Array:
    """list<SPAN>[n] of both, overlaps resolved. A loop over rows: `second` comes from a model slower by far."""
    rows = []
    for ours, theirs in zip(first.to_pylist(), second.to_pylist(), strict=True):
        if theirs:
            found = [Found(s["start"], s["end"], s["kind"], s["rule"], s["score"]) for s in ours + theirs]
            ours = [f._asdict() for f in without_overlaps(found)]
        rows.append(ours)
    return pa.array(rows, pa.list_(SPAN))
