"""Clean: repaired text under the same ids, with the hash of what came out and the names of the repairs.

Takes rows with `id` and `text` (documents, messages); gives them back with `text` rewritten and, beside it,
`text_hash` and `rewrites`. Nothing is dropped here: a text that cleaning leaves empty is "", and Select decides.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError
from dataforge.identity import text_hashes
from dataforge.operator import Contract, Map, Rows
from dataforge.operators.clean_code import clean_code, is_code
from dataforge.operators.clean_text import TextRules, clean_text, suspicious
from dataforge.schemas.document import CLEAN

LINE_RULES = ("none", "c4", "c4_any_end", "dclm")
OVER_CAP = "line_rules_over_cap"


@dataclass(frozen=True)
class Clean(Map):
    """`line_rules` names the line edits of a preset; a text that would lose more than `max_removed` of its characters
    to them stays as it was and says so. `code`: off, auto (by the suffix of key or URI) or on (all rows).
    """

    VERSION: ClassVar[int] = 2  # joiners beside spaces, and beside letters that only normalisation makes ASCII, are loose

    text: TextRules = field(default_factory=TextRules)
    line_rules: str = "none"
    max_removed: float = 0.5
    code: str = "off"
    contract: ClassVar[Contract] = Contract.SAME

    def __post_init__(self) -> None:
        if self.line_rules not in LINE_RULES:
            raise ConfigError(f"expected one of {', '.join(LINE_RULES)}", key="clean.line_rules")
        if self.code not in ("off", "auto", "on"):
            raise ConfigError("expected off, auto or on", key="clean.code")
        if not 0 <= self.max_removed <= 1:
            raise ConfigError("expected a share from 0 to 1", key="clean.max_removed")

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (None,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        schema = inputs[0]
        for name in ("text_hash", "rewrites"):
            schema = schema.append(CLEAN.field(name))
        return schema

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        return self._clean

    def _clean(self, batch: pa.RecordBatch) -> Rows:
        texts, rewrites = batch.column("text"), Rewrites(batch.num_rows)
        code = self._code_rows(batch)
        if code.any():
            texts = rewrites.replace(texts, code, clean_code)
        odd = suspicious(texts, self.text).to_numpy(zero_copy_only=False)
        if odd.any():
            texts = rewrites.replace(texts, odd, functools.partial(clean_text, rules=self.text))
        if self.line_rules != "none":
            texts = self._edit_lines(texts, code, rewrites)
        schema = self.gives([batch.schema])
        columns = [texts if name == "text" else batch.column(name) for name in batch.schema.names]
        kept = pa.RecordBatch.from_arrays([*columns, text_hashes(texts), rewrites.column()], schema=schema)
        return Rows(kept, notes=rewrites.notes())

    def _code_rows(self, batch: pa.RecordBatch) -> np.ndarray:
        """bool[n]: rows that are cleaned as code."""
        found = np.full(batch.num_rows, self.code == "on")
        if self.code == "auto":
            for column in {"key", "uri"} & set(batch.schema.names):
                names = batch.column(column).to_pylist()
                found |= np.fromiter((is_code(name or "") for name in names), bool, len(names))
        return found

    def _edit_lines(self, texts: pa.Array, code: np.ndarray, rewrites: Rewrites) -> pa.Array:
        """The preset's line edits on prose. Whether a text should be dropped by these rules is for Quality to say."""
        from dataforge.kernels.line_edits import edit_lines

        edited = edit_lines(texts, self.line_rules)
        changed = pc.not_equal(edited.texts, texts).to_numpy(zero_copy_only=False) & ~code
        before, after = pc.binary_length(texts).to_numpy(), pc.binary_length(edited.texts).to_numpy()
        over = changed & (before - after > self.max_removed * before)
        rewrites.name(over, OVER_CAP)
        rewrites.name(changed & ~over, f"line_rules:{self.line_rules}")
        return pc.if_else(pa.array(changed & ~over), edited.texts, texts)


class Rewrites:
    """Which repairs changed which rows of a batch."""

    def __init__(self, rows: int) -> None:
        self._names: dict[int, list[str]] = {}
        self._rows = rows

    def replace(self, texts: pa.Array, where: np.ndarray, repair: Callable[[str], tuple[str, list[str]]]) -> pa.Array:
        """The texts with `repair` applied to some rows: a loop over those rows only, most batches have few."""
        values: list[Any] = []
        for row, text in zip(np.flatnonzero(where).tolist(), texts.filter(pa.array(where)).to_pylist(), strict=True):
            repaired, names = repair(text)
            values.append(repaired)
            if names:
                self._names.setdefault(row, []).extend(names)
        return pc.replace_with_mask(texts, pa.array(where), pa.array(values, texts.type))

    def name(self, where: np.ndarray, name: str) -> None:
        for row in np.flatnonzero(where).tolist():
            self._names.setdefault(row, []).append(name)

    def column(self) -> pa.Array:
        if not self._names:  # most batches
            ends = pa.array(np.zeros(self._rows + 1, np.int32))
            return pa.ListArray.from_arrays(ends, pa.array([], pa.string()), type=CLEAN.field("rewrites").type)
        return pa.array([self._names.get(row, []) for row in range(self._rows)], CLEAN.field("rewrites").type)

    def notes(self) -> dict[str, int] | None:
        counts = Counter(f"rewrite:{name}" for names in self._names.values() for name in names)
        return dict(sorted(counts.items())) or None
