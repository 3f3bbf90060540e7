"""Secrets: access keys, tokens, private keys, passwords after their name, credentials in URLs.

The rules are in `configs/pii/secrets.yaml`. Used on raw chat before anything is stored (`mask_secrets`), and as one
part of FindPii. Zero-width characters inside a token and full-width forms do not hide it.
"""

from __future__ import annotations

import functools

import numpy as np

from dataforge.operators.pii_finder import finders
from dataforge.operators.pii_rules import load_rules
from dataforge.operators.pii_scan import Scanner
from dataforge.operators.pii_text import Folded, fold_bytes

MASK = "<SECRET>"


@functools.cache
def secrets_scanner() -> Scanner:
    """The rules of secrets.yaml, compiled once per process."""
    return Scanner(finders(load_rules("secrets")))


def mask_secrets(text: str) -> str:
    """One text with each secret replaced: `"use ghp_…, ok"` -> `"use <SECRET>, ok"`."""
    raw = text.encode("utf-8", "surrogatepass")
    data, origin = (raw, None) if text.isascii() else fold_bytes(np.frombuffer(raw, np.uint8))
    scanner = secrets_scanner()
    if not scanner.triggers.Match(data) or not (found := scanner.scan(data)):
        return text
    whole = Folded(data, np.frombuffer(raw, np.uint8), origin, np.array([0, len(raw) + 1]))
    starts, ends = whole.unfold(np.array([one[0] for one in found]), np.array([one[1] for one in found]))
    pieces, done = [], 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):  # one turn per secret
        pieces += [raw[done:start].decode("utf-8", "surrogatepass"), MASK]
        done = end
    return "".join(pieces) + raw[done:].decode("utf-8", "surrogatepass")
