"""What is done with personal data that was found: mask it, give it keyed pseudonyms, or leave the row out.

The parameters travel to workers; the key does not: a worker reads it from `env:` or `file:` when it starts, and only its
fingerprint enters a step's id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.operators.mask import apply_spans
from dataforge.operators.slack_users import read_key

Texts = pa.Array


@dataclass(frozen=True)
class Treatment:
    """`action`: mask, pseudonym or drop. With drop, a row with at most `drop_above` spans is masked instead."""

    action: str = "mask"
    key_place: str = field(default="", metadata={"identity": False})  # env:NAME or file:PATH
    key_fingerprint: str = ""
    drop_above: int = 0

    def start(self) -> Treating:
        """Reads the key; raises SecretError if it is not there."""
        return Treating(self, read_key(self.key_place) if self.key_place else b"", _line_finder())


@dataclass(frozen=True)
class Treating:
    """A Treatment in a worker, key in memory."""

    treatment: Treatment
    key: bytes
    find: Callable[[Texts], pa.Array]

    def __call__(self, texts: Texts, spans: pa.Array, among: pa.Array) -> tuple[Texts, pa.Array, dict[str, int]]:
        """(rewritten texts, bool[n] rows to leave out, counts by kind). Only rows where `among` is true are counted."""
        wanted = pc.if_else(among, spans, pa.scalar([], spans.type)) if not pc.all(among).as_py() else spans
        done = apply_spans(texts, wanted, self.treatment.action, self.key, drop_above=self.treatment.drop_above)
        return done.texts, pa.array(done.drop), {f"pii_{kind}": count for kind, count in done.counts.items()}

    def line(self, texts: Texts) -> tuple[Texts, int]:
        """Short texts such as a URI or a path with personal data masked, and how many spans that were. Nulls stay."""
        filled = pc.fill_null(texts, "")
        spans = self.find(filled)
        count = int(np.sum(pc.list_value_length(spans).to_numpy(zero_copy_only=False)))
        if not count:
            return texts, 0
        return pc.if_else(pc.is_valid(texts), apply_spans(filled, spans, "mask").texts, None), count


def _line_finder() -> Callable[[Texts], pa.Array]:
    from dataforge.operators.pii import FindPii

    return FindPii().scanner().spans
