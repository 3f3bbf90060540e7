"""Quality counters of texts, and the verdicts that a preset draws from them.

`Quality` (rows: id, text → id and the counters of `kernels.text_stats`) reads each text once. `verdicts` is applied
late, in Select, to the stored counters: a changed threshold needs no second reading. A preset is data, configs/presets:
(reason, score, comparison, value) in the order of its source, so that the first reason that holds is the source's.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataforge.errors import ConfigError, GateError
from dataforge.kernels import text_stats
from dataforge.kernels.device import Choice, DeviceMissing
from dataforge.kernels.gpu_text_stats import StatsDiffer, Texts, counter
from dataforge.kernels.text_stats import COUNTERS, measure
from dataforge.operator import Map, Rows

EMPTY = "empty"  # reason where a score has nothing to divide by
SCHEMA = pa.schema(
    [pa.field("id", pa.string(), nullable=False), *(pa.field(name, pa.int64(), nullable=False) for name in COUNTERS)]
)
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
}


@dataclass(frozen=True)
class Quality(Map):
    """id, text → id and all counters, enough for every preset."""

    device: Choice = field(default="auto", metadata={"identity": False})
    VERSION: ClassVar[int] = text_stats.VERSION

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return SCHEMA

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        try:
            count = counter(self.device)
        except DeviceMissing as error:
            raise ConfigError(error.what, hint=error.hint) from error

        def counted(batch: pa.RecordBatch) -> Rows:
            before = count.by_host
            try:
                rows = count_batch(batch, count)
            except StatsDiffer as error:
                raise GateError(str(error), hint="report it; meanwhile run with --device cpu") from error
            left = count.by_host - before
            return replace(rows, notes={"rows_off_device": left}) if left else rows

        return counted


def count_batch(batch: pa.RecordBatch, count: Callable[[Texts], npt.NDArray[np.int64]] = measure) -> Rows:
    """One batch; the counters of a row depend on its text alone."""
    counts = count(batch.column("text"))
    columns = [pa.array(column) for column in np.ascontiguousarray(counts.T)]
    return Rows(pa.RecordBatch.from_arrays([batch.column("id"), *columns], schema=SCHEMA))


@dataclass(frozen=True)
class Rule:
    """Drops a text when `score` compares so with `value`. `score` is `a + b - c` or `a + b / c - d` of counters."""

    reason: str
    score: str
    drop: str
    value: float
    key: str  # config key that changes the value
    reference: str = ""  # the source's own name of the reason


@dataclass(frozen=True)
class QualityRules:
    """Rules in order; the first that holds is the reason."""

    rules: tuple[Rule, ...]

    def counters(self) -> tuple[str, ...]:
        """The counter columns that the scores need, in the order of COUNTERS."""
        words = {word for rule in self.rules for word in rule.score.split()}
        return tuple(name for name in COUNTERS if name in words)


def rules_of(preset: str, overrides: Mapping[str, float | None] | None = None) -> QualityRules:
    """The rules of a preset with values changed by config key; None switches a rule off.

    `rules_of("gopher", {"min_words": 30})`. Raises ConfigError for an unknown preset or key.
    """
    rules = _load(preset)
    changes = dict(overrides or {})
    for key in changes:
        if key not in {rule.key for rule in rules}:
            raise ConfigError(f"quality.{key} is no key of preset {preset}", hint=_meant(key, [r.key for r in rules]))
    changed = (replace(rule, value=_number(rule.key, changes.get(rule.key, rule.value))) for rule in rules)
    return QualityRules(tuple(rule for rule in changed if changes.get(rule.key, rule.value) is not None))


def _number(key: str, value: float | None) -> float:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value != value):
        raise ConfigError(f"quality.{key} must be a number or null, not {value!r}")
    return 0.0 if value is None else float(value)


def presets() -> tuple[str, ...]:
    """Names of the presets that ship with the package."""
    folder = resources("dataforge") / "configs" / "presets"
    return tuple(sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".yaml")))


@functools.cache
def _load(preset: str) -> tuple[Rule, ...]:
    from ruamel.yaml import YAML

    if preset not in presets():
        raise ConfigError(f"quality.preset {preset!r} is unknown", hint=_meant(preset, presets()))
    file = resources("dataforge") / "configs" / "presets" / f"{preset}.yaml"
    document = YAML(typ="safe").load(file.read_text("utf8"))
    included = [rule for name in document.get("include", ()) for rule in _load(name)]
    return (*included, *(_rule(fields, preset) for fields in document.get("rules", ())))


def _rule(fields: Mapping[str, Any], preset: str) -> Rule:
    known = {"reason", "score", "drop", "value", "set", "reference"}
    unknown = sorted(set(fields) - known) + [w for w in str(fields["score"]).split() if w not in {*COUNTERS, *"+-/"}]
    if unknown or fields["drop"] not in COMPARE:
        raise ConfigError(f"preset {preset}: rule {fields['reason']} has unknown {unknown or fields['drop']}")
    wanted = (fields["reason"], fields["score"], fields["drop"], float(fields["value"]), fields["set"])
    return Rule(*wanted, fields.get("reference", ""))


def _meant(word: str, words: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, words, 1)
    return f"did you mean {close[0]}?" if close else "one of " + ", ".join(words)


def verdicts(stats: pa.RecordBatch | pa.Table, rules: QualityRules) -> tuple[pa.Array, pa.Array, pa.Array]:
    """(reason, score, threshold) of each row: string, null = keep; float64 of the rule that dropped it, null = kept.

    A score without a denominator gives the reason `empty` and no score.
    """
    count = stats.num_rows
    reason, score, threshold = np.full(count, None, object), np.zeros(count), np.zeros(count)
    undecided, empty = np.ones(count, bool), np.zeros(count, bool)
    for rule in rules.rules:
        values = score_of(stats, rule.score)
        nothing, hit = np.isnan(values) & undecided, COMPARE[rule.drop](values, rule.value) & undecided
        reason[hit], score[hit], threshold[hit] = rule.reason, values[hit], rule.value
        reason[nothing], empty[nothing] = EMPTY, True
        undecided &= ~(hit | nothing)
    no_score = undecided | empty
    reasons = pa.array(reason, pa.string(), from_pandas=True)
    return reasons, pa.array(score, pa.float64(), mask=no_score), pa.array(threshold, pa.float64(), mask=no_score)


def score_of(stats: pa.RecordBatch | pa.Table, formula: str) -> npt.NDArray[np.float64]:
    """float64[n] of a rule's score; NaN where there is nothing to divide by. Integers up to the one division."""
    top, _, bottom = formula.partition(" / ")
    numerator = _sum(stats, top)
    if not bottom:
        return numerator.astype(np.float64)
    denominator = _sum(stats, bottom)
    quotient = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def _sum(stats: pa.RecordBatch | pa.Table, terms: str) -> npt.NDArray[Any]:
    """Counters are int64, scores of lists and models float64."""
    total: npt.NDArray[Any] = np.zeros(stats.num_rows, np.int64)
    sign = 1
    for word in terms.split():
        if word in "+-":
            sign = 1 if word == "+" else -1
        else:
            total = total + sign * np.asarray(stats.column(word))
    return total
