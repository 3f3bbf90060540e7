"""Runs finders over texts: triggers first, overlaps resolved, spans in characters.

A slice of texts is searched as one byte string, so that text without candidates costs a few passes of RE2 and no
Python per row. Linear in the text for any input: RE2, and bounded looks to the left and right of each candidate.
"""

from __future__ import annotations

import bisect
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.operators.pii_finder import Found
from dataforge.operators.pii_rules import KINDS, any_of
from dataforge.operators.pii_text import Folded, characters, folded, slices
from dataforge.schemas.verdict import SPAN

_FIELDS = ("start", "end", "kind", "rule", "score")  # of a Found, as of SPAN
_PRIORITY = {kind: place for place, kind in enumerate(KINDS)}


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
    """The longest wins, then the kind that stands first in KINDS (a user's own last), the score, the place, the rule."""
    kept: list[Found] = []
    group: list[Found] = []  # candidates that overlap in a chain
    reach = -1
    for one in sorted(found):
        if one[0] >= reach:
            kept += group if len(group) < 2 else _best(group)
            group, reach = [one], one[1]
        else:
            group.append(one)
            reach = max(reach, one[1])
    return kept + (group if len(group) < 2 else _best(group))


def _rank(one: Found) -> tuple[int, int, float, int, str]:
    start, end, kind, rule, score = one
    return start - end, _PRIORITY.get(kind, len(KINDS)), -score, start, rule


def _best(group: Sequence[Found]) -> list[Found]:
    """Mostly two rules at one place; a chain may be as long as a text, so each looks at its neighbours alone."""
    taken: list[Found] = []
    for one in sorted(group, key=_rank):
        at = bisect.bisect_right(taken, one[0], key=_start)
        if (at == 0 or taken[at - 1][1] <= one[0]) and (at == len(taken) or taken[at][0] >= one[1]):
            taken.insert(at, one)
    return taken


_start = operator.itemgetter(0)


def spans_array(text: Folded, found: Sequence[Found], rows: int) -> pa.Array:
    """list<SPAN>[rows] of what was found in a slice, in order, in characters of each row."""
    if not found:
        return pa.array([[]] * rows, pa.list_(SPAN)) if rows else pa.array([], pa.list_(SPAN))
    begins, stops, kinds, rules, scores = zip(*found, strict=True)
    starts, ends = text.unfold(np.array(begins), np.array(stops))
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
            pa.array(kinds, pa.string()),
            pa.array(rules, pa.string()),
            pa.array(scores, pa.float32()),
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
            found = [tuple(span[name] for name in _FIELDS) for span in ours + theirs]
            ours = [dict(zip(_FIELDS, one, strict=True)) for one in without_overlaps(found)]
        rows.append(ours)
    return pa.array(rows, pa.list_(SPAN))
