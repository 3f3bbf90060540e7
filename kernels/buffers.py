"""`Strings`: the one input of every kernel, made here from any Arrow string array.

Arrow hides three traps that no kernel shall know: `buffers()` ignores slices, offsets are 32 or 64 bits wide, a null
row may own bytes. After `strings_of` there are only offsets and bytes. Kernels that do not decode every text call
`refuse_broken`: bytes that are not UTF-8 are an error everywhere, with the number of the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Strings:
    """n texts: text i is `data[offsets[i]:offsets[i + 1]]`. `offsets[0]` may be above 0; `data` is never None."""

    offsets: Offsets  # int64[n + 1], not decreasing
    data: Bytes  # uint8, C-contiguous, read-only where Arrow owns it

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def size_bytes(self) -> int:
        """Bytes of all texts together."""
        return int(self.offsets[-1] - self.offsets[0])

    def text(self, row: int) -> bytes:
        """The bytes of one text; for reference faces and messages, not for loops over many rows."""
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def texts(self) -> Iterator[bytes]:
        """Every text as bytes, for reference faces."""
        return (self.text(row) for row in range(len(self)))

    def slice(self, start: int, stop: int) -> Strings:
        """Rows start..stop without a copy."""
        return Strings(self.offsets[start : stop + 1], self.data)


def strings_of(texts: pa.Array | pa.ChunkedArray) -> Strings:
    """Offsets and bytes of a string, large_string, binary or large_binary array; a null row becomes an empty text.

    A single chunk is not copied (32-bit offsets are widened), several are joined.
    Raises TypeError for arrays of another type.
    """
    if isinstance(texts, pa.ChunkedArray):
        _check_type(texts.type)
        return _join([_strings_of_chunk(chunk) for chunk in texts.chunks])
    return _strings_of_chunk(texts)


def _check_type(kind: pa.DataType) -> bool:
    """True for 64-bit offsets."""
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return True
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return False
    raise TypeError(f"texts must be string or large_string, not {kind}")


def _strings_of_chunk(chunk: pa.Array) -> Strings:
    width = np.int64 if _check_type(chunk.type) else np.int32
    if chunk.null_count:
        empty = b"" if chunk.type in (pa.binary(), pa.large_binary()) else ""
        chunk = pc.fill_null(chunk, empty)
    _, offsets, data = chunk.buffers()
    if offsets is None or len(chunk) == 0:  # Arrow may leave out the offsets of an empty array
        return Strings(np.zeros(1, np.int64), np.zeros(0, np.uint8))
    bounds = np.frombuffer(offsets, width)[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
    return Strings(bounds, np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8))


def _join(parts: list[Strings]) -> Strings:
    if len(parts) == 1:
        return parts[0]
    lengths = [np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)]
    data = [part.data[part.offsets[0] : part.offsets[-1]] for part in parts]
    return Strings(np.cumsum(np.concatenate(lengths), dtype=np.int64), np.concatenate([np.zeros(0, np.uint8), *data]))


def arrow_of(strings: Strings, nulls: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """The large_string array of `strings`, without a copy; rows where `nulls` is true become null."""
    offsets = np.ascontiguousarray(strings.offsets)
    mask = None
    if nulls is not None and nulls.any():
        mask = pa.py_buffer(np.packbits(~nulls, bitorder="little"))
    buffers = [mask, pa.py_buffer(offsets), pa.py_buffer(strings.data)]
    return pa.Array.from_buffers(pa.large_string(), len(strings), buffers)


def null_mask(texts: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """bool[n], true for null rows: to put the nulls back on a result."""
    mask = texts.is_null()
    mask = mask.combine_chunks() if isinstance(mask, pa.ChunkedArray) else mask
    found: npt.NDArray[np.bool_] = mask.to_numpy(zero_copy_only=False)
    return found


def first_broken(strings: Strings) -> int:
    """The first text that is not valid UTF-8, -1 where all are."""
    return _first_invalid(strings) if _is_broken(strings) else -1


def _is_broken(strings: Strings) -> bool:
    try:
        from dataforge.kernels.cpu.utf8 import is_broken
    except ImportError:  # no numba: a tenth of the speed
        return bool(_first_invalid(strings) >= 0)
    return bool(is_broken(strings.offsets, strings.data))


def refuse_broken(strings: Strings) -> None:
    """Raises ValueError with the number of the first text that is not valid UTF-8."""
    row = first_broken(strings)
    if row >= 0:
        raise ValueError(f"row {row} is not valid UTF-8")


def _first_invalid(strings: Strings) -> int:
    for row in range(len(strings)):  # only on the way to an error, or without numba
        try:
            strings.text(row).decode()
        except UnicodeDecodeError:
            return row
    return -1
