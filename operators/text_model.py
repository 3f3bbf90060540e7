"""A linear model of texts: quality, toxicity, or whatever its labels say. Runs as a score column, one per model.

Features are hashed: words, pairs of words and four-character pieces of the text's words in small letters, each once;
each of the three groups weighs as one vector of length 1. A model is a folder of plain arrays, as that of the speech
acts: `weights.npz` (int16[features, labels]) and `model.json`. Scores are integers until the last division, so they are
equal on every machine. Of a long text three pieces are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, InputError, VersionError
from dataforge.kernels.minhash import MinHashSpec, shingle_hashes
from dataforge.operator import Map, Rows

FORMAT = "text-1"
BUCKETS, UNIT, WEIGHT = 1 << 19, 4096, 1024
GROUPS = (MinHashSpec(shingle="words", n=1), MinHashSpec(shingle="words", n=2), MinHashSpec(shingle="characters", n=4))
BIAS = len(GROUPS) * BUCKETS
FEATURES = BIAS + 1
SAMPLE_CHARS = 12_000
STEPS = 256  # the exponential is tabulated in steps of 1/256


@dataclass(frozen=True)
class Matrix:
    """Features in CSR form; `value` in units of 1/UNIT."""

    index: np.ndarray  # int32
    value: np.ndarray  # int32
    starts: np.ndarray  # int64[n + 1]


@dataclass(frozen=True)
class TextModel:
    """`labels` name the columns of `weights`; `score` is the label whose probability is the score."""

    weights: np.ndarray  # int16[FEATURES, labels]
    labels: tuple[str, ...]
    score: str
    temperature_milli: int
    about: dict[str, Any]

    def probabilities(self, texts: pa.Array) -> np.ndarray:
        """float64[n, labels], rows sum to 1."""
        return probabilities(logits(features(texts), self.weights), self.temperature_milli)


def features(texts: pa.Array) -> Matrix:
    """A text without a word has the bias alone."""
    pieces, count = _sampled(texts), len(texts)
    rows, index, value = [np.arange(count)], [np.full(count, BIAS, np.int32)], [np.full(count, UNIT, np.int32)]
    for group, spec in enumerate(GROUPS):
        ends, hashes = shingle_hashes(pieces, spec)
        sizes = np.diff(ends)
        rows.append(np.repeat(np.arange(count), sizes))
        index.append((group * BUCKETS + (hashes & np.uint64(BUCKETS - 1)).astype(np.int64)).astype(np.int32))
        value.append(np.repeat(_root(sizes), sizes).astype(np.int32))
    order = np.argsort(np.concatenate(rows), kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(np.concatenate(rows), minlength=count))])
    return Matrix(np.concatenate(index)[order], np.concatenate(value)[order], starts.astype(np.int64))


def _root(sizes: np.ndarray) -> np.ndarray:
    """UNIT / sqrt(n), exact: square roots of whole numbers are rounded alike by every machine."""
    return np.floor(UNIT / np.sqrt(np.maximum(sizes, 1)))


def _sampled(texts: pa.Array) -> pa.Array:
    """Texts of more than SAMPLE_CHARS characters as their beginning, middle and end."""
    texts, piece = pc.fill_null(texts, "").cast(pa.string()), SAMPLE_CHARS // 3
    long = pc.greater(pc.utf8_length(texts), SAMPLE_CHARS)
    if not pc.any(long).as_py():
        return texts

    def cut(text: str) -> str:
        middle = (len(text) - piece) // 2
        return "\n".join((text[:piece], text[middle : middle + piece], text[-piece:]))

    return pc.replace_with_mask(texts, long, pa.array([cut(t) for t in texts.filter(long).to_pylist()], pa.string()))


def logits(matrix: Matrix, weights: np.ndarray) -> np.ndarray:
    """int64[n, labels] in units of 1 / (WEIGHT * UNIT). Every row has a feature: the bias."""
    if len(matrix.starts) == 1:
        return np.zeros((0, weights.shape[1]), np.int64)
    value = matrix.value.astype(np.int64)
    sums = [np.add.reduceat(weights[matrix.index, c] * value, matrix.starts[:-1]) for c in range(weights.shape[1])]
    return np.stack(sums, axis=1)


def probabilities(sums: np.ndarray, temperature_milli: int) -> np.ndarray:
    """Softmax by a table of whole numbers; the one division is exactly rounded."""
    steps = sums * (STEPS * 1000) // (WEIGHT * UNIT * temperature_milli)
    table = _exponentials()
    powers = table[np.minimum(steps.max(axis=1, initial=0, keepdims=True) - steps, len(table) - 1)]
    return powers / powers.sum(axis=1, keepdims=True)


def _exponentials() -> np.ndarray:
    from dataforge.operators.acts_score import exponentials

    return exponentials()


def open_model(folder: Path) -> TextModel:
    """Raises ConfigError where there is none, VersionError for another format, InputError for broken files."""
    if not (folder / "model.json").exists():
        hint = "train one with `dataforge quality train`"
        raise ConfigError("no text model in this folder", file=str(folder), hint=hint)
    try:
        about = json.loads((folder / "model.json").read_text("utf-8"))
        if about.get("format") != FORMAT:
            what = f"model of format {about.get('format')}, expected {FORMAT}"
            raise VersionError(what, file=str(folder), hint="train it again with `dataforge quality train`")
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            rows, values = arrays["rows"], arrays["values"]
        weights = np.zeros((FEATURES, len(about["labels"])), np.int16)
        weights[rows] = values
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"the model is not readable ({type(error).__name__})", file=str(folder)) from error
    return TextModel(weights, tuple(about["labels"]), about["score"], about["temperature_milli"], about)


@dataclass(frozen=True)
class ModelFile:
    """A model by its name, the digest of its files and the label that is its score."""

    name: str
    label: str
    path: str = field(metadata={"identity": False})
    sha256: str = ""

    @classmethod
    def of(cls, name: str, folder: Path, label: str = "") -> ModelFile:
        """`label`: another than the model's own. Raises ConfigError for one that it does not have."""
        model = open_model(folder)
        if label and label not in model.labels:
            known = ", ".join(model.labels)
            raise ConfigError(f"the model has no label {label}", key=f"quality.models.{name}.label", hint=f"one of {known}")
        return cls(name, label or model.score, str(folder), digest(folder))


def digest(folder: Path) -> str:
    """Hex sha256 of a model's files."""
    parts = (hashlib.sha256((folder / name).read_bytes()).digest() for name in ("weights.npz", "model.json"))
    return hashlib.sha256(b"".join(parts)).hexdigest()


@dataclass(frozen=True)
class ModelScores(Map):
    """id, text → id and, for each model, `model_NAME`: the probability of its label."""

    VERSION: ClassVar[int] = 1
    models: tuple[ModelFile, ...]

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        scores = [pa.field(f"model_{model.name}", pa.float64(), nullable=False) for model in self.models]
        return pa.schema([pa.field("id", pa.string(), nullable=False), *scores])

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        opened = [(self._same(file), file.label) for file in self.models]
        schema = self.gives(())

        def score(batch: pa.RecordBatch) -> Rows:
            matrix = features(batch.column("text"))
            columns = [batch.column("id")]
            for model, label in opened:
                shares = probabilities(logits(matrix, model.weights), model.temperature_milli)
                columns.append(pa.array(np.ascontiguousarray(shares[:, model.labels.index(label)])))
            return Rows(pa.RecordBatch.from_arrays(columns, schema=schema))

        return score

    def _same(self, file: ModelFile) -> TextModel:
        if digest(Path(file.path)) != file.sha256:
            raise VersionError("the model changed since this step was planned", file=file.path, hint="plan the run again")
        return open_model(Path(file.path))
