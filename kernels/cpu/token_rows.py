# mypy: ignore-errors
"""Rows of ids with BOS and EOS, written past the caches: for batches that no cache holds until somebody reads them."""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import helper, kernel
from dataforge.kernels.cpu.vectors import stream64, streamed

LINE = np.uintp(16)  # numbers in 64 bytes


@helper
def _copy(values, begin, count, out, at):
    """out[at : at + count] = values[begin : begin + count]: one by one up to a line of memory, lines, the rest."""
    to, source = np.uintp(out.ctypes.data), np.uintp(values.ctypes.data)
    done = np.uintp(0)
    while done < count and (to + np.uintp(4) * (at + done)) & np.uintp(63):
        out[at + done] = values[begin + done]
        done += np.uintp(1)
    while done + LINE <= count:
        stream64(to + np.uintp(4) * (at + done), source + np.uintp(4) * (begin + done))
        done += LINE
    while done < count:
        out[at + done] = values[begin + done]
        done += np.uintp(1)


@kernel
def copy_rows(source, values, kept, cut, target, ends, has, out):
    """The same as `token_rows._copy_rows`, for contiguous int32."""
    for row in range(len(kept)):
        at, count = np.uintp(target[row]), np.uintp(kept[row])
        if has[0]:
            out[at] = ends[0]
            at += np.uintp(1)
        _copy(values, np.uintp(source[row]), count, out, at)
        if has[1] and not cut[row]:
            out[at + count] = ends[1]
    streamed()
