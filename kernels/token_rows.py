"""From ids to training rows: BOS and EOS, a limit of length, and which tokens are learned.

Labels follow the characters of the text, never a second encoding of a part of it: the whole text is encoded once, each
token covers some bytes of it, and a token is learned if all of its bytes lie in spans to be learned. A token across
the edge of a span is not learned (and is counted). BOS is never learned, EOS always is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa

from dataforge.kernels import sentencepiece_model as spm
from dataforge.kernels.buffers import Bytes, Strings
from dataforge.kernels.encode import Encoder, Ids
from dataforge.kernels.loops import compiled
from dataforge.kernels.pack import IGNORED, Flags, Ints, Longs

STREAMED_BYTES = 4 << 20  # more than the caches of a core


@dataclass(frozen=True)
class Covered:
    """Bytes of its text that each token covers, counted from the text's first byte; end exclusive."""

    starts: Longs
    ends: Longs


def covered(encoder: Encoder, lengths: Ints, texts: Strings, found: Ids) -> Covered:
    """Where each token lies. `lengths` is `tokenizer_folder.byte_lengths`.

    The tokens of a text spell it, one after another, so their lengths are enough. Where they do not add up to the text
    (a literal U+2581, an unknown character), the reference library is asked for that text.
    """
    spelled = lengths[found.ids].astype(np.int64)
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(spelled, 0))])
    count = np.diff(found.offsets)
    first = total[found.offsets[:-1]]
    extra = total[found.offsets[1:]] - first - np.diff(texts.offsets)  # 1 with a dummy prefix, else 0
    unknown = np.concatenate([np.zeros(1, np.int64), np.cumsum(spelled < 0)])
    odd = (extra < 0) | (extra > int(_dummy_prefix(encoder))) | (np.diff(unknown[found.offsets]) > 0)
    ends = total[1:] - np.repeat(first + extra, count)
    where = Covered(np.maximum(ends - np.maximum(spelled, 0), 0), np.maximum(ends, 0))
    for row in np.flatnonzero(odd & (count > 0)).tolist():  # rare: see above
        part = slice(int(found.offsets[row]), int(found.offsets[row + 1]))
        where.starts[part], where.ends[part] = _asked(encoder, texts.text(row).decode())
    return where


def _dummy_prefix(encoder: Encoder) -> bool:
    if encoder.folder.format == "sentencepiece":
        return encoder.folder.model.dummy_prefix
    return encoder.folder.format == "json" and "'Prepend'" in str(encoder.folder.json.get("normalizer"))


def _asked(encoder: Encoder, text: str) -> tuple[Longs, Longs]:
    """Byte positions of each token by the reference library."""
    if encoder.folder.format == "sentencepiece":
        import sentencepiece

        processor = sentencepiece.SentencePieceProcessor(model_proto=encoder.folder.data)
        return _columns(spm.positions(processor.encode(text, out_type="serialized_proto")))
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(encoder.folder.data.decode())
    tokenizer.encode_special_tokens = True
    starts, ends = _columns(tokenizer.encode(text, add_special_tokens=False).offsets)
    bytes_before = np.cumsum([0, *(len(char.encode()) for char in text)])
    return bytes_before[starts], bytes_before[ends]


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[Longs, Longs]:
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


# --- characters and bytes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Characters:
    """Places of characters in a batch of texts. ASCII text costs one pass and no table."""

    texts: Strings
    leads: Longs | None  # positions of first bytes in `data`; None: every byte is one

    @classmethod
    def of(cls, texts: Strings) -> Characters:
        begin, end = int(texts.offsets[0]), int(texts.offsets[-1])
        first = (texts.data[begin:end] & 0xC0) != 0x80
        return cls(texts, None if first.all() else np.flatnonzero(first) + begin)

    def to_byte(self, rows: Longs, characters: Longs) -> Longs:
        """Byte in its text of each character; a text's length in characters gives its length in bytes.

        Raises IndexError for a place beyond the text.
        """
        begin, end = self.texts.offsets[rows], self.texts.offsets[rows + 1]
        if self.leads is None:
            place = begin + characters
        else:
            index = np.searchsorted(self.leads, begin) + characters
            place = np.append(self.leads, self.texts.offsets[-1])[np.clip(index, 0, len(self.leads))]
            place = np.where(index > np.searchsorted(self.leads, end), end + 1, place)
        if ((characters < 0) | (place > end)).any():
            raise IndexError("a span lies outside its text")
        found: Longs = np.minimum(place, end) - begin
        return found

    def to_characters(self, rows: Longs, where: Covered) -> tuple[Longs, Longs]:
        """First character that each token touches, and the one after its last: half a character counts as one."""
        if self.leads is None:
            return where.starts, where.ends
        begin = self.texts.offsets[rows]
        before = np.searchsorted(self.leads, begin)
        ends: Longs = np.searchsorted(self.leads, begin + where.ends, side="left") - before
        starts = np.searchsorted(self.leads, begin + where.starts, side="right") - 1 - before
        return np.maximum(starts, 0), ends


@dataclass(frozen=True)
class Spans:
    """Spans of characters: span j lies in text `rows[j]`. `all_rows` are texts that are learned whole."""

    rows: Longs
    starts: Longs
    ends: Longs
    all_rows: Flags


def learned(texts: Strings, found: Ids, where: Covered, spans: Spans) -> tuple[Flags, int]:
    """bool per token, and how many tokens lie across the edge of a span."""
    characters, base = Characters.of(texts), texts.offsets[0]
    begin = texts.offsets[spans.rows] - base
    edges = np.zeros(texts.size_bytes + 1, np.int32)
    np.add.at(edges, begin + characters.to_byte(spans.rows, spans.starts), 1)
    np.add.at(edges, begin + characters.to_byte(spans.rows, spans.ends), -1)
    inside = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.cumsum(edges[:-1]) > 0)])
    row = np.repeat(np.arange(len(texts)), np.diff(found.offsets))
    at = texts.offsets[row] - base
    hit, size = inside[at + where.ends] - inside[at + where.starts], where.ends - where.starts
    whole: Flags = ((hit == size) & (size > 0)) | spans.all_rows[row]
    return whole, int(((hit > 0) & ~whole).sum())


# --- rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenRows:
    """Row i is `ids[offsets[i]:offsets[i + 1]]`; `labels` is `ids` itself where every token is learned."""

    offsets: Longs
    ids: Ints
    labels: Ints
    shape: _Shape

    @property
    def cut(self) -> int:
        """Rows that lost tokens to the limit."""
        return int(self.shape.cut.sum())


def frame(found: Ids, trained: Flags | None, *, bos: int, eos: int, limit: int) -> TokenRows:
    """Rows with BOS before and EOS after (ids, -1 for none), at most `limit` tokens (0: no limit).

    A row that is cut has no EOS: its text does not end there.
    """
    size, room = len(found.offsets) - 1, np.int64(limit or 2**40) - (bos >= 0)
    kept, cut, offsets = np.empty(size, np.int64), np.empty(size, np.bool_), np.zeros(size + 1, np.int64)
    compiled(_fit)(found.offsets, room, bos >= 0, eos >= 0, kept, cut, offsets)
    shape = _Shape(found.offsets, kept, cut, offsets)
    ids = shape.filled(found.ids, first=bos, last=eos, has_first=bos >= 0, has_last=eos >= 0)
    if trained is None and bos < 0:
        return TokenRows(offsets, ids, ids, shape)
    marked = found.ids if trained is None else np.where(trained, found.ids, np.int32(IGNORED))
    labels = shape.filled(marked, first=IGNORED, last=eos, has_first=bos >= 0, has_last=eos >= 0)
    return TokenRows(offsets, ids, labels, shape)


def _fit(source: Longs, room: int, has_first: bool, has_last: bool, kept: Longs, cut: Flags, target: Longs) -> None:
    """What stays of each row, and where it goes: one loop, for rows are many where they are short."""
    for row in range(len(kept)):
        count = source[row + 1] - source[row]
        cut[row] = count + has_last > room
        kept[row] = min(count, room)
        target[row + 1] = target[row] + kept[row] + has_first + (has_last and not cut[row])


@dataclass(frozen=True)
class _Shape:
    """How rows of a batch were cut and where they go, for one more column of the same shape."""

    source: Longs
    kept: Longs
    cut: Flags
    target: Longs

    def filled(self, values: Ints, *, first: int, last: int, has_first: bool, has_last: bool) -> Ints:
        if not (has_first or has_last or self.cut.any()) and len(values) == self.target[-1]:
            return values  # nothing to add and nothing to leave out: the encoder's own buffer
        # Arrow's pool hands out the pages of the batch before; new ones would cost as much as the copy
        out = np.frombuffer(pa.allocate_buffer(4 * int(self.target[-1])), np.int32)
        has, ends = (has_first, has_last), (first, last)
        _copier(values, out)(self.source, values, self.kept, self.cut, self.target, ends, has, out)
        return out


def _copier(values: Ints, out: Ints) -> Callable[..., Any]:
    """Many rows go past the caches, which would read every line of memory before it is overwritten: a third of the time."""
    if out.nbytes >= STREAMED_BYTES and values.dtype == np.int32 and values.flags.c_contiguous:
        with suppress(ImportError):
            from dataforge.kernels.cpu.token_rows import copy_rows

            return cast("Callable[..., Any]", copy_rows)
    return compiled(_copy_rows)


def _copy_rows(
    source: Longs,
    values: Ints,
    kept: Longs,
    cut: Flags,
    target: Longs,
    ends: tuple[int, int],
    has: tuple[bool, bool],
    out: Ints,
) -> None:
    """One row after another, at the speed of memory under numba; a cut row gets no last value.

    Places are unsigned: an index that could be negative would keep the compiler from copying in blocks.
    """
    for row in range(len(kept)):
        at, begin, count = np.uintp(target[row]), np.uintp(source[row]), np.uintp(kept[row])
        if has[0]:
            out[at] = ends[0]
            at += np.uintp(1)
        for i in range(count):
            out[at + i] = values[begin + i]
        if has[1] and not cut[row]:
            out[at + count] = ends[1]


def sampled(ids: Strings, every: int) -> Longs:
    """Rows that the gate checks: one in `every`, chosen by the last four bytes of the row's id, whatever its length."""
    if every <= 0:
        return np.zeros(0, np.int64)
    rows = np.empty(len(ids), np.int64)
    return rows[: compiled(_sampled)(ids.offsets, ids.data, every, rows)].copy()


def _sampled(offsets: Longs, data: Bytes, every: int, rows: Longs) -> int:
    count = 0
    for row in range(len(rows)):
        value = np.int64(0)
        for back in range(1, 5):
            place = offsets[row + 1] - back
            value = value * 257 + (np.int64(data[place]) if place >= offsets[row] else np.int64(0))
        if (value * 2654435761 & 0xFFFFFFFF) % every == 0:
            rows[count] = row
            count += 1
    return count
