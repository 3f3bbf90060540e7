"""Applies spans to texts: masks, replaces by pseudonyms, or says which rows to leave out. Used once, by Select.

Spans are in characters of the text, as FindPii gives them. A masked span reads `<EMAIL_ADDRESS>`. Pseudonyms are keyed:
the same value has the same one in every text and every run with that key, and without the key nobody can link or undo
them. Nothing is stored but the rewritten text and counts by kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError
from dataforge.operators.pseudonym import pseudonym

ACTIONS = ("mask", "pseudonym", "drop")


@dataclass(frozen=True)
class Masked:
    """`texts`: rewritten, same type and rows. `drop`: bool[n], rows to leave out (only with action "drop")."""

    texts: pa.Array
    counts: dict[str, int]
    drop: np.ndarray


def apply_spans(texts: pa.Array, spans: pa.Array, action: str, key: bytes = b"", *, drop_above: int = 0) -> Masked:
    """`spans`: list<SPAN>[n]. With "drop" a row with more than `drop_above` spans is left out, others are masked."""
    if action not in ACTIONS:
        raise ConfigError(f"action must be one of {', '.join(ACTIONS)}", key="pii.action")
    if action == "pseudonym" and len(key) < 16:
        raise ConfigError("a key of at least 16 bytes is needed for pseudonyms", key="pii.key")
    rows, starts, ends, kinds = _joined(*_flat(spans))
    drop = np.bincount(rows, minlength=len(texts)) > drop_above if action == "drop" else np.zeros(len(texts), bool)
    name = (lambda kind, value: pseudonym(kind, value, key)) if action == "pseudonym" else _mask
    rewritten = _rewrite(texts, rows, starts, ends, kinds, name)
    return Masked(rewritten, dict(sorted(Counter(kinds).items())), drop)


def spans_a_row(spans: pa.Array) -> np.ndarray:
    """int64[n]: what `drop_above` is compared with; overlapping spans count as one."""
    return np.bincount(_joined(*_flat(spans))[0], minlength=len(spans))


def _mask(kind: str, value: str) -> str:
    return f"<{kind}>"


def _flat(spans: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Rows, starts, ends, kinds of all spans, by place."""
    rows = pc.list_parent_indices(spans).to_numpy(zero_copy_only=False).astype(np.int64)
    values = spans.flatten()
    starts = values.field("start").to_numpy(zero_copy_only=False).astype(np.int64)
    ends = values.field("end").to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.lexsort((-ends, starts, rows))
    kinds = values.field("kind").take(pa.array(order)).to_pylist()
    return rows[order], starts[order], ends[order], kinds


def _joined(
    rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, kinds: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Overlapping spans as one, under the kind of the first: finders of several steps may see the same text."""
    if not bool(np.any((rows[1:] == rows[:-1]) & (starts[1:] < ends[:-1]))):
        return rows, starts, ends, kinds
    kept: list[int] = []
    ends = ends.copy()
    for i in range(len(rows)):  # only where two steps found overlapping spans in one batch
        if kept and rows[i] == rows[kept[-1]] and starts[i] < ends[kept[-1]]:
            ends[kept[-1]] = max(ends[kept[-1]], ends[i])
        else:
            kept.append(i)
    return rows[kept], starts[kept], ends[kept], [kinds[i] for i in kept]


def _rewrite(
    texts: pa.Array,
    rows: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    kinds: list[str],
    name: Callable[[str, str], str],
) -> pa.Array:
    """The new texts. Text between spans is copied as bytes."""
    if len(rows) == 0:
        return texts
    wide = texts.cast(pa.large_string())
    offsets = np.frombuffer(wide.buffers()[1], np.int64)[wide.offset : wide.offset + len(wide) + 1]
    data = np.frombuffer(wide.buffers()[2], np.uint8)
    begins, stops = _byte_places(data, offsets, rows, starts), _byte_places(data, offsets, rows, ends)
    raw = memoryview(wide.buffers()[2])
    pieces: list[memoryview | bytes] = []
    done = int(offsets[0])
    grown = np.zeros(len(texts) + 1, np.int64)
    for i, (begin, stop) in enumerate(zip(begins.tolist(), stops.tolist(), strict=True)):  # one turn per span
        encoded = name(kinds[i], bytes(raw[begin:stop]).decode()).encode()
        pieces += [raw[done:begin], encoded]
        done = stop
        grown[rows[i] + 1] += len(encoded) - (stop - begin)
    pieces.append(raw[done : int(offsets[-1])])
    new_offsets = pa.py_buffer((offsets - offsets[0] + np.cumsum(grown)).tobytes())
    validity = pc.is_valid(texts) if texts.null_count else None
    new = pa.Array.from_buffers(pa.large_string(), len(texts), [None, new_offsets, pa.py_buffer(b"".join(pieces))])
    new = pc.if_else(validity, new, None) if validity is not None else new
    return new.cast(texts.type)


def _byte_places(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Byte positions in `data` of character positions in rows. Rows without a span are not looked at."""
    out = offsets[rows] + places
    for row in np.unique(rows):  # rows with a span
        chunk = data[offsets[row] : offsets[row + 1]]
        if len(chunk) and chunk.max() >= 0x80:
            leads = np.append(np.flatnonzero((chunk & 0xC0) != 0x80), len(chunk))
            mine = slice(int(np.searchsorted(rows, row)), int(np.searchsorted(rows, row, side="right")))
            out[mine] = offsets[row] + leads[places[mine]]
    return out
