"""xxHash64 and MurmurHash3's 32-bit finaliser in plain Python: the definitions of the compiled faces.

xxHash64: Y. Collet, the XXH64 algorithm description (xxhash-doc, 0.1.1). fmix32: A. Appleby, MurmurHash3.
"""

from __future__ import annotations

MASK64 = (1 << 64) - 1
MASK32 = (1 << 32) - 1
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def xxh64(data: bytes, seed: int = 0) -> int:
    """The 64-bit hash of `data`: b"" with seed 0 -> 0xEF46DB3751D8E999."""
    at = 0
    if len(data) >= 32:
        lanes = [(seed + P1 + P2) & MASK64, (seed + P2) & MASK64, seed, (seed - P1) & MASK64]
        for at in range(32, len(data) + 1, 32):
            lanes = [_round(lane, _word(data, at - 32 + 8 * i, 8)) for i, lane in enumerate(lanes)]
        value = sum(_rotate(lane, turn) for lane, turn in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK64
        for lane in lanes:
            value = ((value ^ _round(0, lane)) * P1 + P4) & MASK64
    else:
        value = (seed + P5) & MASK64
    return _avalanche(_tail((value + len(data)) & MASK64, data[at:]))


def _tail(value: int, rest: bytes) -> int:
    at = 0
    while at + 8 <= len(rest):
        value, at = (_rotate(value ^ _round(0, _word(rest, at, 8)), 27) * P1 + P4) & MASK64, at + 8
    if at + 4 <= len(rest):
        value, at = (_rotate(value ^ (_word(rest, at, 4) * P1 & MASK64), 23) * P2 + P3) & MASK64, at + 4
    for byte in rest[at:]:
        value = _rotate(value ^ (byte * P5 & MASK64), 11) * P1 & MASK64
    return value


def _avalanche(value: int) -> int:
    value = (value ^ value >> 33) * P2 & MASK64
    value = (value ^ value >> 29) * P3 & MASK64
    return value ^ value >> 32


def _round(lane: int, word: int) -> int:
    return _rotate((lane + word * P2) & MASK64, 31) * P1 & MASK64


def _rotate(value: int, turn: int) -> int:
    return (value << turn | value >> (64 - turn)) & MASK64


def _word(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def fmix32(value: int) -> int:
    """A fixed bijection on 32 bits that spreads structured hashes."""
    value = (value ^ value >> 16) * 0x85EBCA6B & MASK32
    value = (value ^ value >> 13) * 0xC2B2AE35 & MASK32
    return value ^ value >> 16
