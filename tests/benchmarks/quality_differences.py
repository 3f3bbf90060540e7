"""`python -m tests.benchmarks.quality_differences`: every document that a preset and datatrove's filter judge unlike.

A line per document and preset: its place in the corpus, our reason, theirs, and why. The count of words is what both
reasons hang on and where the two may differ: theirs come from a tokenizer, ours from a rule (kernels/text_words.py). A
document whose words are counted alike and is judged unlike all the same would be a fault, and ends the command with 1.
Options: --data FOLDER (else generated texts), --peers FOLDER, --size BYTES of each corpus.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from dataforge.operators.quality import count_batch, rules_of
from tests.benchmarks.bench_quality import PRESETS, judge
from tests.benchmarks.frame import Setup

CORPORA = ("english", "multilingual", "code")


@dataclass(frozen=True)
class Difference:
    corpus: str
    row: int
    preset: str
    ours: str | None  # the first reason; None = kept
    theirs: str | None
    words: tuple[int, int]  # ours, theirs

    @property
    def explained(self) -> bool:
        return self.words[0] != self.words[1]

    def __str__(self) -> str:
        why = f"{self.words[0]} words by our rule, {self.words[1]} by their tokenizer" if self.explained else "UNEXPLAINED"
        return f"{self.corpus}-{self.row}\t{self.preset}\t{self.ours or 'kept'}\t{self.theirs or 'kept'}\t{why}"


def differences(setup: Setup, corpus: str, size_bytes: int) -> Iterator[Difference]:
    texts = setup.texts(corpus, size_bytes)
    answer = setup.peer("quality_peer.py", "datatrove", texts)
    words = zip(count_words(texts), answer["words"], strict=True)
    found = {preset: names(preset, column) for preset, column in zip(PRESETS, judge(texts), strict=True)}
    for row, pair in enumerate(words):
        for preset in PRESETS:
            ours, theirs = found[preset][row], answer["reasons"][preset][row]
            if ours != theirs:
                yield Difference(corpus, row, preset, ours, theirs, pair)


def count_words(texts: list[str]) -> list[int]:
    batch = pa.RecordBatch.from_pydict({"id": [""] * len(texts), "text": texts})
    counted: list[int] = count_batch(batch).kept["tokens"].to_pylist()
    return counted


def names(preset: str, reasons: pa.Array) -> list[str | None]:
    """Our reasons by datatrove's names."""
    known = {rule.reason: rule.reference for rule in rules_of(preset).rules} | {"empty": "empty", None: None}
    return [known[reason] for reason in reasons.to_pylist()]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="List documents judged unlike by a preset and by datatrove.")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peers", type=Path, default=Path(".venv-bench"))
    parser.add_argument("--size", type=int, default=400_000)
    given = parser.parse_args(arguments)
    setup, unexplained = Setup(given.data, given.peers), 0
    for corpus in CORPORA:
        found, compared = list(differences(setup, corpus, given.size)), len(setup.texts(corpus, given.size))
        print(*found, sep="\n")
        unlike = sum((difference.ours is None) != (difference.theirs is None) for difference in found)
        unexplained += sum(not difference.explained for difference in found)
        total = f"{compared} documents × {len(PRESETS)} presets"
        print(f"{corpus}: {total}, {len(found)} other reasons, {unlike} other verdicts")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
