"""How many different words a source holds, estimated from its first rows: what bounds a vocabulary that can be trained.

Words grow with the text as a power of its size (Heaps' law). The power is measured on the sample: how many more words all
of its rows hold than every other one. In text that repeats itself it is near 0, and more of it brings nothing new.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Different words of a sample, those of every other row, and the bytes of its texts."""

    every: int
    half: int
    size_bytes: int

    def expected(self, size_bytes: int) -> int:
        """Different words of so many bytes of such text."""
        grows = math.log2(self.every / self.half) if self.half else 1.0
        return round(self.every * max(1.0, size_bytes / self.size_bytes) ** min(1.0, grows))


def words_of(texts: Sequence[str]) -> Words | None:
    """None of a sample that is too small to tell."""
    if len(texts) < 2 or not any(texts):
        return None
    half = {word for text in texts[::2] for word in text.split()}
    every = half | {word for text in texts[1::2] for word in text.split()}
    return Words(len(every), len(half), max(1, sum(len(text.encode("utf-8", "replace")) for text in texts)))
