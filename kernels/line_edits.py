"""Texts rewritten by the line rules of C4 and DCLM, for the clean step: what is left, how many lines went, what drops.

C4 keeps only the lines that pass its rules, cleaned of citation marks. DCLM (RefinedWeb's line edits) removes lines of
capitals, of digits, of counters and of fewer than two words, cuts three phrases in short lines, keeps empty lines, and
drops a text that lost more than 5 % of its words. A dropped text is given back as it was, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataforge.kernels.buffers import Strings, arrow_of, null_mask, refuse_broken, strings_of
from dataforge.kernels.dclm_rules import MOST_REMOVED, edit_line, split
from dataforge.kernels.line_rules import FEWEST_SENTENCES, KEEP, REASONS, STOPS, c4_line, sentences
from dataforge.kernels.minhash import refuse

PRESETS = ("c4", "c4_any_end", "dclm")
TOO_FEW_SENTENCES, TOO_MUCH_REMOVED = "too_few_sentences", "too_many_words_removed"


@dataclass(frozen=True)
class Edited:
    """texts: as the input; removed: int64[n] lines taken out; reasons: string, null = keep the text."""

    texts: pa.Array
    removed: npt.NDArray[np.int64]
    reasons: pa.Array


def edit_lines(texts: pa.Array, preset: str) -> Edited:
    """`texts` (string or large_string, nulls stay null) after the line rules of `c4`, `c4_any_end` or `dclm`."""
    if preset not in PRESETS:
        raise ValueError(f"line rules must be one of {', '.join(PRESETS)}, not {preset!r}")
    if preset == "dclm":
        refuse_broken(strings_of(texts))  # to_pylist would not say which row
        return _collect(texts, [dclm_edit(text or "") for text in texts.to_pylist()])  # a few str calls a line
    return _c4(texts, preset == "c4_any_end")


def _c4(texts: pa.Array, any_end: bool) -> Edited:
    from dataforge.kernels.cpu.line_rules import edit_c4_rows
    from dataforge.kernels.text_words import kinds

    strings = strings_of(texts)
    data, offsets = np.empty(strings.size_bytes, np.uint8), np.zeros(len(strings) + 1, np.int64)
    removed, reasons = np.zeros(len(strings), np.int64), np.zeros(len(strings), np.int64)
    sink = (data, offsets, removed, reasons)
    refuse(edit_c4_rows(strings.offsets, strings.data, kinds(), any_end, FEWEST_SENTENCES, *sink))
    edited = arrow_of(Strings(offsets, data[: offsets[-1]].copy()), null_mask(texts)).cast(texts.type)
    names = pa.array([None, *REASONS[1:], TOO_FEW_SENTENCES], pa.string())
    return Edited(edited, removed, names.take(pa.array(reasons)))


def reference_c4(text: str, *, any_end: bool) -> tuple[str, int, str | None]:
    """(text, lines removed, reason): the definition for C4."""
    kept: list[str] = []
    total, lines = 0, text.splitlines()
    for line in lines:
        verdict, cleaned = c4_line(line, any_end=any_end)
        if verdict in STOPS:
            return text, 0, REASONS[verdict]
        if verdict == KEEP:
            total, kept = total + sentences(cleaned), [*kept, cleaned]
    if total < FEWEST_SENTENCES:
        return text, 0, TOO_FEW_SENTENCES
    return "\n".join(kept).strip(), len(lines) - len(kept), None


def dclm_edit(text: str) -> tuple[str, int, str | None]:
    """(text, lines removed, reason): the definition for DCLM."""
    lines = text.split("\n")
    edited = [edit_line(line) for line in lines]
    kept = [line for line in edited if line is not None]
    before, after = len(split(text)), sum(len(split(line)) for line in kept)
    if before - after > MOST_REMOVED * before:
        return text, 0, TOO_MUCH_REMOVED
    return "\n".join(kept), len(lines) - len(kept), None


def _collect(texts: pa.Array, rows: list[tuple[str, int, str | None]]) -> Edited:
    edited = pa.array([row[0] for row in rows], texts.type, mask=null_mask(texts))
    reasons = pa.array([row[2] for row in rows], pa.string())
    return Edited(edited, np.array([row[1] for row in rows], np.int64), reasons)
