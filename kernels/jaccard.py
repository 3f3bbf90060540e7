"""Exact Jaccard similarity of candidate pairs, as (intersection, union): the decision is made in integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from dataforge.kernels.minhash import I64, U64


def overlaps(left: tuple[I64, U64], right: tuple[I64, U64], pairs: I64) -> tuple[I64, I64]:
    """(intersection, union), int64[m] each, of row pairs[:, 0] of `left` and row pairs[:, 1] of `right`.

    Both sides are (offsets, hashes) as `minhash.shingle_hashes` gives them: rows sorted, each hash once.
    """
    from dataforge.kernels.cpu.jaccard import intersections

    _check(left, right, pairs)
    common: I64 = intersections(*left, *right, np.ascontiguousarray(pairs))
    sizes = np.diff(left[0])[pairs[:, 0]] + np.diff(right[0])[pairs[:, 1]]
    return common, sizes - common


def reference_overlaps(left: tuple[I64, U64], right: tuple[I64, U64], pairs: I64) -> tuple[I64, I64]:
    """The definition of `overlaps`."""
    _check(left, right, pairs)
    sets = [(_row(left, i), _row(right, j)) for i, j in pairs.tolist()]
    common, union = [len(a & b) for a, b in sets], [len(a | b) for a, b in sets]
    return np.array(common, np.int64), np.array(union, np.int64)


def _row(rows: tuple[I64, U64], index: int) -> set[int]:
    return set(rows[1][rows[0][index] : rows[0][index + 1]].tolist())


def _check(left: tuple[I64, U64], right: tuple[I64, U64], pairs: I64) -> None:
    limits = np.array([len(left[0]) - 1, len(right[0]) - 1])
    if len(pairs) and ((pairs < 0) | (pairs >= limits)).any():
        raise IndexError(f"pairs must lie in 0..{limits[0] - 1} and 0..{limits[1] - 1}")


def at_least(common: I64, union: I64, threshold: float) -> npt.NDArray[np.bool_]:
    """common / union >= threshold without rounding: 0.8 means 4/5. Empty unions never are."""
    ratio = Fraction(str(threshold))
    found: npt.NDArray[np.bool_] = (common * ratio.denominator >= union * ratio.numerator) & (union > 0)
    return found
