"""The quality presets against datatrove's filters, verdict by verdict, then by speed.

Oracle: datatrove's own verdicts; `exact` means equal first reasons on at least 99 % of the documents (words come from a
rule here and from a tokenizer there), and the share stands in the variant.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from dataforge.operators.quality import count_batch, rules_of, verdicts
from tests.benchmarks import growth
from tests.benchmarks.frame import Row, Setup, best, compare, speed

PRESETS = ("gopher_quality", "gopher_repetition", "c4", "fineweb")
ENOUGH, THEIR_BYTES, OUR_BYTES = 0.99, 1_200_000, 6_000_000


def rows(setup: Setup) -> Iterator[Row]:
    """One row: all four presets, ours from one read of the text."""
    texts = setup.texts("english", THEIR_BYTES)
    answer = setup.peer("quality_peer.py", "datatrove", texts)
    shares = {preset: agreement(texts, preset, answer["reasons"][preset]) for preset in PRESETS}
    more = setup.texts("english", OUR_BYTES)
    ours = speed(more, best(lambda: judge(more), at_least=setup.seconds))
    variant = "four filters; same reason " + ", ".join(f"{name} {100 * share:.2f} %" for name, share in shares.items())
    yield from growth.rows("quality")
    yield compare("quality", "english", ours, min(shares.values()) >= ENOUGH, "datatrove", variant, answer)


def judge(texts: list[str]) -> list[pa.Array]:
    """The reasons of every preset, from one read."""
    batch = pa.RecordBatch.from_pydict({"id": [""] * len(texts), "text": texts})
    stats = count_batch(batch).kept
    return [verdicts(stats, rules_of(preset))[0] for preset in PRESETS]


def agreement(texts: list[str], preset: str, expected: list[str | None]) -> float:
    """Share of documents with datatrove's first reason (null = kept)."""
    names = {rule.reason: rule.reference for rule in rules_of(preset).rules} | {"empty": "empty", None: None}
    found = [names[reason] for reason in judge(texts)[PRESETS.index(preset)].to_pylist()]
    return sum(a == b for a, b in zip(found, expected, strict=True)) / len(texts)
