# mypy: ignore-errors
"""Are texts UTF-8? At the speed of memory for ASCII, and without a branch on what the characters are for all else.

Texts lie one behind the other, so they are looked at as one: that must be UTF-8, and no text may begin inside one of
its characters. 64 bytes are judged at once by themselves and the three bytes before each; blocks of ASCII are skipped.
The definition is `bytes.decode`.
"""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import helper, kernel
from dataforge.kernels.cpu.vectors import high_bits, utf8_errors

BEFORE = 3  # bytes before a byte that decide whether it may stand there


@helper
def _errors_at_edge(data, begin, at, stop, room):
    """Errors of the 64 bytes at `at`, where what is outside of data[begin:stop] counts as ASCII."""
    for i in range(BEFORE + 64):
        place = at - BEFORE + i
        room[i] = data[place] if begin <= place < stop else 0
    return utf8_errors(np.uintp(room.ctypes.data) + np.uintp(BEFORE))


@helper
def _errors(data, begin, stop):
    """Not 0 where data[begin:stop] as one text is not UTF-8."""
    room, base = np.empty(BEFORE + 64, np.uint8), np.uintp(data.ctypes.data)
    found, at = _errors_at_edge(data, begin, begin, stop, room), begin + 64
    while at + 256 <= stop:
        address = base + np.uintp(at)
        if high_bits(address) != 0 or data[at - 1] >= 0x80:
            for _ in range(4):
                found |= utf8_errors(address)
                address += np.uintp(64)
        at += 256
    while at <= stop:  # the last round sees a character that is cut off, be it by nothing at all
        found |= _errors_at_edge(data, begin, at, stop, room)
        at += 64
    return found


@kernel
def is_broken(offsets, data):
    """Whether one of the texts is not UTF-8 by itself."""
    begin, stop = offsets[0], offsets[len(offsets) - 1]
    if _errors(data, begin, stop) != 0:
        return True
    for row in range(1, len(offsets) - 1):
        place = offsets[row]
        if place < stop and data[place] & 0xC0 == 0x80:
            return True
    return False
