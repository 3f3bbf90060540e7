"""Cleaned documents → the same without repeated paragraphs, lines, spans of sentences and runs of words, where asked."""

from __future__ import annotations

from dataforge.flows.config_filters import DedupeConfig
from dataforge.operator import Map
from dataforge.operators.dedupe_substrings import Anchors, Places, Windows
from dataforge.operators.dedupe_units import Removals, Repeats, TextUnits, WithoutRepeats
from dataforge.step import Step

UNITS = {"paragraph": "paragraphs", "line": "lines", "sentences": "sentences"}  # dedupe.exact → how reasons name them


def without_repeats(raw: Step, clean: Map, config: DedupeConfig, *, parts: int, prefix: str) -> Step:
    """The Step `{prefix}/documents`, whatever stands before it."""
    asked = (config.exact in UNITS) + (config.substring > 0)
    names = [f"{prefix}/cleaned", f"{prefix}/without-units", f"{prefix}/documents"][-asked - 1 :]
    names[0] = f"{prefix}/cleaned" if asked else f"{prefix}/documents"
    rows = Step(names[0], clean, (raw,))
    if config.exact in UNITS:
        units = Step(f"{prefix}/units", TextUnits(config.exact, config.unit_characters), (rows,))
        rows = _removed(rows, units, config, UNITS[config.exact], parts, (f"{prefix}/unit", names[1]))
    if config.substring:
        windows = _windows(rows, config.substring, parts, prefix)
        rows = _removed(rows, windows, config, "runs", parts, (f"{prefix}/run", names[-1]))
    return rows


def _windows(rows: Step, words: int, parts: int, prefix: str) -> Step:
    anchors = Step(f"{prefix}/anchors", Anchors(parts, words), (rows,))
    places = Step(f"{prefix}/places", Places(parts), (anchors,))
    return Step(f"{prefix}/windows", Windows(words), (rows, places))


def _removed(rows: Step, units: Step, config: DedupeConfig, what: str, parts: int, names: tuple[str, str]) -> Step:
    repeats = Step(f"{names[0]}-repeats", Repeats(parts, config.unit_copies), (units,))
    removals = Step(f"{names[0]}-removals", Removals(parts), (repeats,))
    return Step(names[1], WithoutRepeats(what, config.max_removed, config.protected), (rows, removals))
