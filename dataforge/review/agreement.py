"""How far annotators agree: raw share, Cohen's kappa, Krippendorff's alpha (nominal, or MASI for label sets).

Takes (item, annotator, labels) triples; gives numbers or, where a number does not exist, the reason. Never 0, 1 or NaN
for "undefined". Sources: Cohen 1960; Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"; Passonneau 2006.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

DRAWS, SEED, LEVEL = 1000, 20240229, 0.95
MIN_DEFINED = 0.9  # below this share of defined bootstrap draws an interval would mislead
NO_OVERLAP = "not defined: no overlap"


@dataclass(frozen=True)
class Vote:
    item: int
    annotator: str
    labels: frozenset[str]


@dataclass(frozen=True)
class Measure:
    """A number with its base, or None with the reason. `low` and `high` bound the 95 % bootstrap interval over items."""

    value: float | None
    why: str = ""
    n_items: int = 0
    n_answers: int = 0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Agreement:
    raw: Measure  # share of pairs of answers to the same item that are equal
    alpha: Measure
    alpha_of_label: dict[str, Measure]  # one label against the rest
    kappa_of_pair: dict[tuple[str, str], Measure]
    confusion: dict[tuple[str, str], int]  # unordered pairs of answers to the same item, (smaller, larger) name


def agreement(votes: Iterable[Vote], labels: Sequence[str], *, multi: bool = False) -> Agreement:
    by_item = _by_item(votes)
    alphas = {}
    for label in labels:
        yes = [[frozenset({label}) & vote.labels for vote in unit] for unit in by_item]
        alphas[label] = alpha(yes) if any(any(unit) for unit in yes) else Measure(None, "not defined: label never used")
    units = [[vote.labels for vote in unit] for unit in by_item]
    return Agreement(raw(units), alpha(units, multi=multi), alphas, _kappas(by_item), _confusion(units))


def _by_item(votes: Iterable[Vote]) -> list[list[Vote]]:
    units: dict[int, list[Vote]] = defaultdict(list)
    for vote in sorted(votes, key=lambda v: (v.item, v.annotator)):
        units[vote.item].append(vote)
    return list(units.values())


def raw(units: Sequence[Sequence[frozenset[str]]]) -> Measure:
    """Share of equal pairs among all pairs of answers to the same item."""
    pairs = [a == b for unit in units for a, b in combinations(unit, 2)]
    overlapping = sum(len(unit) > 1 for unit in units)
    if not pairs:
        return Measure(None, NO_OVERLAP)
    return Measure(sum(pairs) / len(pairs), "", overlapping, len(pairs))


def alpha(units: Sequence[Sequence[frozenset[str]]], *, multi: bool = False) -> Measure:
    """Krippendorff's alpha: 1 - observed / expected disagreement over items with two or more answers."""
    pairable = [unit for unit in units if len(unit) > 1]
    answers = sum(map(len, pairable))
    if not pairable:
        return Measure(None, NO_OVERLAP)
    values = sorted({labels for unit in pairable for labels in unit}, key=sorted)
    if len(values) == 1:
        return Measure(None, f"undefined: only one label was used, {answers}/{answers} equal", len(pairable), answers)
    distance = np.array([[_masi(a, b) if multi else float(a != b) for b in values] for a in values])
    counts = _counts(pairable, values)
    disagreement = _disagreement_of_items(counts, distance)
    value = _alpha(disagreement.sum()[None], counts.sum(axis=0)[None], distance)[0]
    return Measure(float(value), "", len(pairable), answers, *_interval(counts, disagreement, distance))


def _counts(units: Sequence[Sequence[frozenset[str]]], values: Sequence[frozenset[str]]) -> np.ndarray:
    """float64[items, values]: how often each value was given to each item."""
    column = {value: i for i, value in enumerate(values)}
    counts = np.zeros((len(units), len(values)))
    for row, unit in enumerate(units):  # people answered these: a loop is cheap
        for labels in unit:
            counts[row, column[labels]] += 1
    return counts


def _masi(a: frozenset[str], b: frozenset[str]) -> float:
    """1 - Jaccard x monotonicity (1 equal, 2/3 subset, 1/3 overlap, 0 disjoint)."""
    if a == b:
        return 0.0
    shared = len(a & b)
    monotonicity = 2 / 3 if a <= b or b <= a else 1 / 3 if shared else 0.0
    return 1 - shared / len(a | b) * monotonicity


def _disagreement_of_items(counts: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """float64[items]: distances of the item's pairs of answers over (its answers - 1), as in the coincidence matrix."""
    pairs = np.einsum("ic,ck,ik->i", counts, distance, counts)  # equal values have distance 0
    return np.asarray(pairs / (counts.sum(axis=1) - 1))


def _alpha(observed: np.ndarray, totals: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """float64[draws]; NaN where all answers of a draw are one value."""
    n = totals.sum(axis=1)
    expected = np.einsum("dc,ck,dk->d", totals, distance, totals) / (n - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(expected > 0, 1 - observed / expected, np.nan))


def _interval(
    counts: np.ndarray, disagreement: np.ndarray, distance: np.ndarray
) -> tuple[float, float] | tuple[None, None]:
    """Percentile bootstrap over items with a fixed seed: the same answers give the same interval. None where too few
    draws are defined."""
    items = len(counts)
    draws = np.random.Generator(np.random.PCG64(SEED)).multinomial(items, np.full(items, 1 / items), size=DRAWS)
    values = _alpha(draws @ disagreement, draws @ counts, distance)
    defined = values[~np.isnan(values)]
    if len(defined) < MIN_DEFINED * DRAWS:
        return None, None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def kappa(table: np.ndarray) -> Measure:
    """Cohen's kappa of a square table of counts: rows the one annotator, columns the other."""
    n = float(table.sum())
    if n == 0:
        return Measure(None, "not defined: no item in common")
    equal = float(np.trace(table)) / n
    by_chance = float(table.sum(axis=0) @ table.sum(axis=1)) / (n * n)
    if by_chance == 1:
        return Measure(None, f"undefined: only one label was used, {int(n)}/{int(n)} equal", int(n), int(2 * n))
    return Measure((equal - by_chance) / (1 - by_chance), "", int(n), int(2 * n))


def _kappas(by_item: list[list[Vote]]) -> dict[tuple[str, str], Measure]:
    names = sorted({vote.annotator for unit in by_item for vote in unit})
    pairs: dict[tuple[str, str], list[tuple[frozenset[str], frozenset[str]]]] = {p: [] for p in combinations(names, 2)}
    for unit in by_item:
        for a, b in combinations(unit, 2):
            pairs[a.annotator, b.annotator].append((a.labels, b.labels))
    return {names: kappa(_table(answers)) for names, answers in pairs.items()}


def _table(answers: list[tuple[frozenset[str], frozenset[str]]]) -> np.ndarray:
    values = sorted({labels for pair in answers for labels in pair}, key=sorted)
    table = np.zeros((len(values), len(values)))
    for a, b in answers:
        table[values.index(a), values.index(b)] += 1
    return table


def _confusion(units: Sequence[Sequence[frozenset[str]]]) -> dict[tuple[str, str], int]:
    counts: Counter[tuple[str, str]] = Counter()
    for unit in units:
        for a, b in combinations(unit, 2):
            first, second = sorted((" + ".join(sorted(a)), " + ".join(sorted(b))))
            counts[first, second] += 1
    return dict(sorted(counts.items()))


def weighted_share(cases: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """{"value", "low", "high", "n"}: the share of hits, each case with its weight (1 / chance of being drawn).

    The interval is Wilson's at the effective number of cases, (sum w)^2 / sum w^2 (Kish 1965). None without a case.
    """
    total, squares = sum(w for w, _ in cases), sum(w * w for w, _ in cases)
    if not total:
        return {"value": None, "low": None, "high": None, "n": 0}
    value, effective = sum(w for w, hit in cases if hit) / total, total * total / squares
    low, high = wilson(value * effective, effective) or (None, None)
    return {"value": value, "low": low, "high": high, "n": len(cases)}


def wilson(hits: float, n: float) -> tuple[float, float] | None:
    """95 % interval of a share (Wilson 1927); None without any trial."""
    if n == 0:
        return None
    z, p = 1.959963984540054, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
