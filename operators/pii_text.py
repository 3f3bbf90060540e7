"""Texts of a batch as one byte string that patterns can be run over, and the way back to characters.

Folded: zero-width and bidi characters vanish, full-width forms and digits of other scripts become ASCII, odd spaces and
hyphens plain ones, so that `４１１１` or a token with a zero-width space inside is found like any other. Rows are
separated by byte 0xFF, which UTF-8 never has. Found spans go back to character positions of the original texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SLICE_BYTES = 1 << 20  # literals are looked for per slice: small slices skip more rules, large ones cost fewer calls


def _fold_table() -> tuple[tuple[int, str], ...]:
    """Code point -> ASCII character, or nothing."""
    gone = [0xAD, 0x34F, 0x61C, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]
    spaces = [0xA0, 0x202F, 0x205F, 0x3000, *range(0x2000, 0x200B)]
    hyphens = [*range(0x2010, 0x2014), 0x2212]
    pairs = [(c, "") for c in gone] + [(c, " ") for c in spaces] + [(c, "-") for c in hyphens]
    pairs += [(c, chr(c - 0xFEE0)) for c in range(0xFF01, 0xFF5F)]
    for zero in (0x660, 0x6F0, 0x966, 0x9E6, 0xE50):  # Arabic, Persian, Devanagari, Bengali, Thai digits
        pairs += [(zero + digit, str(digit)) for digit in range(10)]
    return tuple(pairs)


def _by_bytes() -> tuple[dict[int, int], np.ndarray, frozenset[int]]:
    codes: dict[int, int] = {}
    leads = set()
    for code, ascii_char in _fold_table():
        raw = chr(code).encode()
        leads.add(raw[0])
        codes[int.from_bytes(raw, "big")] = ord(ascii_char) if ascii_char else -1
    keys = np.array(sorted(codes), np.int64)
    return codes, keys, frozenset(leads)


_CODES, _KEYS, _LEADS = _by_bytes()
_VALUES = np.array([_CODES[int(k)] for k in _KEYS], np.int16)
_IS_LEAD = np.isin(np.arange(256), list(_LEADS))


@dataclass(frozen=True)
class Folded:
    """`data`: rows joined by 0xFF and folded. `origin[i]`: byte of `raw` that data[i] came from, None = the same."""

    data: bytes
    raw: np.ndarray  # uint8: rows joined by 0xFF, as they were
    origin: np.ndarray | None
    starts: np.ndarray  # int64[rows + 1]: where each row starts in `raw`; the last is the end plus one

    def rows_of(self, positions: np.ndarray) -> np.ndarray:
        """int64[n]: the row of each byte position of `raw`."""
        return np.searchsorted(self.starts, positions, side="right") - 1

    def unfold(self, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spans of `data` as spans of `raw`; a span's end lies right after its last character, hidden ones included."""
        if self.origin is None:
            return starts, ends
        last = self.origin[ends - 1] + 1
        after = last[:, None] + np.arange(3)  # the rest of a folded multi-byte character
        rest = (after < len(self.raw)) & ((self.raw[np.minimum(after, len(self.raw) - 1)] & 0xC0) == 0x80)
        continues = np.cumprod(rest, axis=1).sum(axis=1)
        return self.origin[starts], last + continues


def characters(folded: Folded, row: int, positions: np.ndarray) -> np.ndarray:
    """int64[n]: byte positions (ascending, within `raw`) as character positions of their row."""
    begin = int(folded.starts[row])
    chunk = folded.raw[begin : int(positions[-1])]
    if len(chunk) == 0 or chunk.max() < 0x80:
        return positions - begin
    leads = np.cumsum((chunk & 0xC0) != 0x80)
    return np.where(positions > begin, leads[np.maximum(positions - begin - 1, 0)], 0)


def fold_bytes(raw: np.ndarray) -> tuple[bytes, np.ndarray | None]:
    """Folded bytes and where each came from; `(raw, None)` where there is nothing to fold."""
    if len(raw) == 0 or raw.max() < 0x80:
        return raw.tobytes(), None
    leads = np.flatnonzero(_IS_LEAD[raw])
    if len(leads) == 0:
        return raw.tobytes(), None
    padded = np.concatenate([raw, np.zeros(2, np.uint8)])
    two = padded[leads].astype(np.int64) << 8 | padded[leads + 1]
    key = np.where(padded[leads] < 0xE0, two, two << 8 | padded[leads + 2])
    at = np.minimum(np.searchsorted(_KEYS, key), len(_KEYS) - 1)
    hits = _KEYS[at] == key
    if not hits.any():
        return raw.tobytes(), None
    return _apply(raw, leads[hits], _VALUES[at[hits]])


def _apply(raw: np.ndarray, leads: np.ndarray, values: np.ndarray) -> tuple[bytes, np.ndarray]:
    out, keep = raw.copy(), np.ones(len(raw), bool)
    keep[leads + 1] = False
    keep[leads[raw[leads] >= 0xE0] + 2] = False
    keep[leads[values < 0]] = False
    out[leads] = np.where(values < 0, 0, values).astype(np.uint8)
    return out[keep].tobytes(), np.flatnonzero(keep)


def folded(texts: pa.Array) -> Folded:
    """All texts (string or large_string, nulls count as empty) as one Folded."""
    texts = pc.fill_null(texts.cast(pa.large_string()), "")
    rows = len(texts)
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + rows + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[int(offsets[0]) : int(offsets[-1])] if rows else _EMPTY
    starts = (offsets - offsets[0]) + np.arange(rows + 1) if rows else np.zeros(1, np.int64)
    raw = np.full(max(int(starts[-1]) - 1, 0), 0xFF, np.uint8)
    is_text = np.ones(len(raw), bool)
    is_text[starts[1:-1] - 1] = False
    raw[is_text] = data
    return Folded(*_in_order(raw), starts)


_EMPTY = np.zeros(0, np.uint8)


def _in_order(raw: np.ndarray) -> tuple[bytes, np.ndarray, np.ndarray | None]:
    data, origin = fold_bytes(raw)
    return data, raw, origin


def slices(texts: pa.Array, size_bytes: int = SLICE_BYTES) -> Iterator[tuple[int, pa.Array]]:
    """Runs of whole rows of about `size_bytes`, each with the number of its first row."""
    lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum(lengths + 1)
    first = 0
    while first < len(texts):
        done = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, done + size_bytes, side="right")), first + 1)
        yield first, texts.slice(first, last - first)
        first = last
