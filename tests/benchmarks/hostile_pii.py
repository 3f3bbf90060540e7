"""Seconds a megabyte that the finders of personal data take for hostile texts, at two sizes: `python -m
tests.benchmarks.hostile_pii [BYTES]`. Slowest first; twice the time a byte at ten times the size is not linear.
What a process pays once, for rules that are read and compiled, is left out; what their automata cost while a text is the
first to drive them is in.
"""

from __future__ import annotations

import sys
import time

import pyarrow as pa

from dataforge.operators.pii import FindPii
from dataforge.operators.pii_names import NAME_KINDS
from dataforge.operators.pii_rules import KINDS
from tests.hostile_texts import NAMES, hostile


def main(size: int) -> None:
    scanner = FindPii(kinds=tuple(kind for kind in KINDS if kind not in NAME_KINDS)).scanner()
    scanner.spans(pa.array(["warm a@b.org"]))
    rows = []
    for name in NAMES:
        times = [_seconds_a_megabyte(scanner, hostile(name, characters)) for characters in (size // 10, size)]
        rows.append((times[1], times[0], name))
    for slow, small, name in sorted(rows, reverse=True):
        print(f"{slow:6.2f} s/MB  ({small:.2f} at a tenth of the size)  {name}")


def _seconds_a_megabyte(scanner: object, text: str) -> float:
    column = pa.array([text])
    start = time.process_time()
    scanner.spans(column)  # type: ignore[attr-defined]
    return (time.process_time() - start) / len(text.encode()) * 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
