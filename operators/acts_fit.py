"""Fits a linear model (of speech acts, of text quality): multinomial logistic regression by AdaGrad over a CSR matrix.

Compiled by numba. A corpus whose scheme lacks a class says little about it: there that class is pushed down with the
weight `absent` only.
"""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import helper, kernel
from dataforge.operators.acts_score import DENSE, UNIT


@kernel
def fit(
    index: np.ndarray,
    value: np.ndarray,
    starts: np.ndarray,
    classes: np.ndarray,
    weight: np.ndarray,
    known: np.ndarray,
    absent: float,
    orders: np.ndarray,
    drops: np.ndarray,
    allowed: np.ndarray,
    prior: np.ndarray,
    rate: float,
    pull: np.ndarray,
    share: np.ndarray,
) -> np.ndarray:
    """Weights float64[features, classes].

    known: bool[n, classes], classes of the row's corpus; the others count `absent`; orders: int32[epochs, n], rows of each
    pass; drops: uint8[epochs, n], 1 = the row's hashed features are left out in this pass, so that rules and cues learn
    to stand alone; allowed: bool[features]; prior: weights the pull goes to; pull: for dense and for hashed features, per
    visit and as strong as the row; share: float[features], a further pull of the same strength at every visit.
    """
    weights, grown = prior.copy(), np.full(prior.shape, 1e-6)
    count = prior.shape[1]
    logits, slope = np.zeros(count), np.zeros(count)
    for epoch in range(orders.shape[0]):
        for step in range(orders.shape[1]):
            row = orders[epoch, step]
            drop = drops[epoch, step] == 1
            logits[:] = 0.0
            for k in range(starts[row], starts[row + 1]):
                f = index[k]
                if allowed[f] and not (drop and f >= DENSE):
                    for c in range(count):
                        logits[c] += weights[f, c] * value[k]
            gradient(logits, known[row], absent, classes[row], weight[row], slope)
            for k in range(starts[row], starts[row + 1]):
                f = index[k]
                if not allowed[f] or (drop and f >= DENSE):
                    continue
                x = value[k] / UNIT
                force = (pull[1] if f >= DENSE else pull[0]) * weight[row] * x * x + share[f]
                for c in range(count):
                    g = slope[c] * x + force * (weights[f, c] - prior[f, c])
                    grown[f, c] += g * g
                    weights[f, c] -= rate * g / np.sqrt(grown[f, c])
    return weights


@helper
def gradient(logits: np.ndarray, known: np.ndarray, absent: float, target: int, weight: float, slope: np.ndarray) -> None:
    """slope = weight * (softmax - target), an unknown class `absent` times that; `logits` come in units of 1/UNIT."""
    top, total = logits.max(), 0.0
    for c in range(logits.size):
        slope[c] = np.exp((logits[c] - top) / UNIT)
        total += slope[c]
    for c in range(logits.size):
        slope[c] = weight * (slope[c] / total - (1.0 if c == target else 0.0)) * (1.0 if known[c] else absent)
