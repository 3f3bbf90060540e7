"""Ids: of rows, of texts, of steps. Each is a hash of just what it names, never of a rank, a path or a clock."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import itertools
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash


def row_id(source: str, key: str) -> str:
    """32 hex digits: xxh3-128 of the source's name, NUL and the native key."""
    return xxhash.xxh3_128_hexdigest(f"{source}\0{key}".encode())


def row_ids(source: str, keys: Iterable[str]) -> pa.Array:
    """`row_id` of each key, string[n]. A loop over rows is cheap here: 0.4 µs each, all of it in xxhash."""
    prefix, digest = f"{source}\0", xxhash.xxh3_128_hexdigest
    return pa.array([digest((prefix + key).encode()) for key in keys], pa.string())


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array, without a copy where it is one already."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def text_hashes(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """xxh3-128 of each text's UTF-8 bytes as 32 hex digits, string[n]. Null texts are refused upstream."""
    texts = _whole(texts)
    if texts.null_count:
        raise ValueError("a null text has no hash")
    digest, kind = xxhash.xxh3_128_hexdigest, np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, kind)[texts.offset : texts.offset + len(texts) + 1].tolist() if len(texts) else []
    view = memoryview(data or b"")  # sliced as it is: an Arrow scalar for each text takes twice the time of its hash
    return pa.array([digest(view[start:end]) for start, end in itertools.pairwise(ends)], pa.string())


def part_of(ids: pa.Array | pa.ChunkedArray, parts: int) -> np.ndarray:
    """int32[n]: the part each id (hex string) belongs to. The first bits decide, so parts follow each other in id order.

    `parts` is a power of two up to 65,536.
    """
    if parts & (parts - 1) or not 1 <= parts <= 65536:
        raise ValueError(f"parts must be a power of two from 1 to 65536, not {parts}")
    return (hex_prefix(ids) >> np.int32(17 - parts.bit_length())).astype(np.int32)


_NIBBLES = np.zeros(256, np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_DIGITS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


def hex_prefix(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """int32[n]: the value of the first four hex digits of each id."""
    ids = _whole(ids)
    if len(ids) == 0:
        return np.zeros(0, np.int32)
    start = np.frombuffer(ids.buffers()[1], np.int64 if pa.types.is_large_string(ids.type) else np.int32)
    start = start[ids.offset : ids.offset + len(ids)]
    data = np.frombuffer(ids.buffers()[2], np.uint8)
    digits = [_NIBBLES[data[start + i]].astype(np.int32) for i in range(4)]
    prefix: np.ndarray = digits[0] << 12 | digits[1] << 8 | digits[2] << 4 | digits[3]
    return prefix


def pack_ids(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Ids of 32 hex digits as fixed_size_binary(16), half the bytes and in the same order: what shuffles and states hold."""
    column = _whole(ids)
    column = column.cast(pa.large_string())  # of a slice: its offset is another now
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    if len(column) and (column.null_count or (np.diff(ends) != 32).any()):
        raise ValueError("an id is not 32 hex digits")
    raw = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]] if len(column) else np.zeros(0, np.uint8)
    digits = ((raw & 15) + (raw >> 6) * np.uint8(9)).view("<u2")  # 0-9, a-f -> 0-15 without a table: six times as fast
    packed = pa.py_buffer((digits << 4 | digits >> 8).astype(np.uint8))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(column), [None, packed])


def unpack_ids(packed: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The inverse of `pack_ids`: string[n]."""
    digits = _DIGITS[packed_bytes(packed)]
    ends = np.arange(0, 32 * len(packed) + 1, 32, dtype=np.int64 if len(packed) >= 1 << 26 else np.int32)
    kind = pa.large_string() if ends.dtype == np.int64 else pa.string()
    return pa.Array.from_buffers(kind, len(packed), [None, pa.py_buffer(ends), pa.py_buffer(digits)])


def rank_ids(packed: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """(the distinct ids in order, int64[n]: the place of each id among them)."""
    encoded = _whole(packed).dictionary_encode()
    words = packed_bytes(encoded.dictionary).view(">u8").reshape(-1, 2).astype(np.uint64)
    order = np.lexsort((words[:, 1], words[:, 0]))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return encoded.dictionary.take(pa.array(order)), places[encoded.indices.to_numpy()]


def packed_bytes(packed: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """uint8[16 n]: the bytes of packed ids."""
    column = _whole(packed)
    if not len(column):
        return np.zeros(0, np.uint8)
    return np.frombuffer(column.buffers()[1], np.uint8)[16 * column.offset : 16 * (column.offset + len(column))]


def id_sum(ids: pa.Array | pa.ChunkedArray) -> int:
    """Sum of the 128-bit ids modulo 2^128: closes over `in = kept + dropped` only if no id was lost and none doubled."""
    words = packed_bytes(pack_ids(ids)).view(">u2").reshape(-1, 8)  # 16 bits: no overflow in 2^48 rows
    total = 0
    for word in words.sum(axis=0, dtype=np.uint64).tolist():
        total = (total << 16) + word
    return total % (1 << 128)


def canonical(value: Any) -> Any:
    """A parameter as plain JSON values: dataclasses by their identity fields, tuples as lists, enums by value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [f for f in dataclasses.fields(value) if f.metadata.get("identity", True)]
        return {"": type(value).__name__, **{f.name: canonical(getattr(value, f.name)) for f in fields}}
    if isinstance(value, dict):
        return {str(k): canonical(v) for k, v in sorted(value.items(), key=lambda item: str(item[0]))}
    if isinstance(value, (list, tuple)):
        return [canonical(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((canonical(v) for v in value), key=str)
    if isinstance(value, enum.Enum):
        return canonical(value.value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"a parameter of type {type(value).__name__} has no canonical form")


def digest_of(value: Any) -> str:
    """Hex sha256 of the canonical JSON of a value."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
