"""`train`: labelled JSONL files → a model folder of plain arrays with its data's digests, licences and measured scores.

Two kinds of rows teach it: invented utterances over many registers, labelled by the definitions of the acts, and corpora,
whose labels mean what their publishers meant. A corpus weighs by the root of its size, so that the largest does not
decide; every row is also learnt without punctuation and context, and with half of the lexicon's phrases hidden: rules were
written by people who knew such utterances, so they fit them better than they will fit others. Weights are pulled towards
the rule layer.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError
from dataforge.operators import acts_corpus, acts_lexicon, acts_model, acts_phrases
from dataforge.operators.acts_corpus import Utterances
from dataforge.schemas.act import ACTS

SMALLEST = 0.05  # smaller weights are left out of the file: half its size, no act changes its mind
TEMPERATURE = 1400  # thousandths; between what the invented utterances (1000) and unseen corpora (2000) would ask for
MOST = 30  # times the median weight of its corpus that a row may weigh


# How much more often than evenly an act is met in talk, chat and mail; the invented utterances are spread evenly.
COMMON = {"expressives": 0.8, "commissives": 0.5, "directives": 0.8, "declarations": 0.3}
COMMON |= {"verdictives": 0.8, "questions": 1.0, "representatives": 4.0, "other": 2.0}


@dataclass(frozen=True)
class Fit:
    """How the model is fitted. The defaults were chosen by leaving out one corpus, or some registers of the invented
    utterances, at a time."""

    epochs: int = 12
    rate: float = 0.03
    pull: float = 3e-4  # of a weight towards the rule layer's view, against a mean loss
    corpus: float = 4.0  # a corpus of n rows weighs as much as this times the root of n invented utterances
    balance: float = 0.5  # 0: rows of a corpus weigh alike; 1: its classes do
    weak: float = 0.3  # weight of a row whose mapping is doubtful
    unpunctuated: float = 0.5  # weight of the copy of each row without punctuation and context
    hidden: float = 0.5  # share of the lexicon's phrases that further copies of each row are read without
    rows: int = 3  # rows (copies count) that a hashed feature must occur in
    absent: float = 0.3  # how much a corpus without a class speaks against it
    prior: float = 1.0  # trust in the rule layer before any data
    plain: bool = False  # the baseline: words and characters only
    seed: int = 7


@dataclass(frozen=True)
class Matrix:
    """Features in CSR form; `value` in units of 1/UNIT."""

    index: np.ndarray
    value: np.ndarray
    starts: np.ndarray


def extract(tagger: acts_model.Tagger, texts: pa.Array, neighbours: acts_model.Neighbours | None, plain: bool) -> Matrix:
    from dataforge.operators import acts_scan, acts_score

    around, (data, offsets) = acts_model.surroundings(tagger, texts, neighbours), acts_model.lowered(texts)
    room = 16 * int(offsets[-1] - offsets[0]) + 200 * len(texts) + 2 * acts_score.MAX_FEATURES
    index, value = np.zeros(room, np.int32), np.zeros(room, np.int32)
    starts, bench = np.zeros(len(texts) + 1, np.int64), acts_scan.new_bench()
    count = acts_score.extract_rows(
        tagger.table, bench, data, offsets, around, acts_score.roots(), plain, index, value, starts, room
    )
    return Matrix(index[:count].copy(), value[:count].copy(), starts)


def stacked(first: Matrix, second: Matrix) -> Matrix:
    return Matrix(
        np.concatenate([first.index, second.index]),
        np.concatenate([first.value, second.value]),
        np.concatenate([first.starts, second.starts[1:] + first.starts[-1]]),
    )


def copies(tagger: acts_model.Tagger, data: Utterances, fit: Fit) -> tuple[Matrix, list[float]]:
    """The rows as they are, and as they would be met elsewhere; how much each copy weighs."""
    bare = pc.replace_substring_regex(data.texts, r"[.,!?;:。？！、，¿¡]+", " ")
    faces = [(1.0, data.texts, data.neighbours), (fit.unpunctuated, bare, None)]
    readers = [tagger]
    if fit.hidden and not fit.plain:
        readers = [tagger, *(forgetful(tagger, fit.hidden, fit.seed + number) for number in range(2))]
    pairs = [(faces[0], readers[0]), (faces[1], readers[0]), *zip(faces, readers[1:], strict=False)]
    kept = [(face, reader) for face, reader in pairs if face[0]]
    parts = [extract(reader, texts, around, fit.plain) for (_, texts, around), reader in kept]
    return functools.reduce(stacked, parts), [share for (share, _, _), _ in kept]


def forgetful(tagger: acts_model.Tagger, share: float, seed: int) -> acts_model.Tagger:
    """The tagger without this share of its phrases, drawn by their hashes; those that steer the reading stay."""
    table, slots = tagger.table, tagger.table.slots.copy()
    drawn = acts_phrases.mixed(table.keys + np.uint64(seed)) < np.uint64(int(share * (1 << 64)))
    steers = np.concatenate([[0], np.cumsum(table.entries[:, 1] < len(acts_lexicon.STEERING))])
    kept = steers[slots[:, 0] + slots[:, 1]] > steers[slots[:, 0]]
    slots[drawn & ~kept, 1] = 0
    return dataclasses.replace(tagger, table=table._replace(slots=slots))


def row_weights(data: Utterances, fit: Fit) -> np.ndarray:
    """float64[n]; an invented utterance weighs about 1."""
    out = np.where(data.weak, fit.weak, 1.0)
    for source, name in enumerate(data.names):
        here = data.sources == source
        classes = data.classes[here]
        if name == acts_corpus.EXAMPLES:
            each, total = np.array([COMMON[act] for act in ACTS])[classes], float(here.sum())
        else:
            counts = np.maximum(np.bincount(classes, minlength=len(ACTS)), 1.0)
            each, total = np.power(counts, -fit.balance)[classes], fit.corpus * math.sqrt(here.sum())
        # One row of a rare class must not outweigh dozens of others.
        each = np.minimum(out[here] * each, MOST * np.median(each))
        out[here] = each / each.sum() * total
    return out


def known_classes(data: Utterances) -> np.ndarray:
    """bool[n, 8]: classes that the row's corpus has at all."""
    table = np.zeros((len(data.names), len(ACTS)), bool)
    table[data.sources, data.classes] = True
    return table[data.sources]


def visits(matrix: Matrix, features: int) -> np.ndarray:
    """int64[features]: rows that have the feature."""
    return np.bincount(matrix.index, minlength=features)


def rule_prior(trust: float, features: int) -> np.ndarray:
    """What the weights are before any data: the rule layer's act, and a doubt about declarations, which are rare."""
    from dataforge.operators import acts_score

    prior = np.zeros((features, len(ACTS)))
    for code in range(len(ACTS)):
        prior[acts_score.MESSAGE_ACT + code, code] = prior[acts_score.SEGMENT_ACT + code, code] = trust
    declarations = ACTS.index("declarations")
    prior[acts_score.BIAS, declarations] = -3.0 * trust
    prior[acts_score.MESSAGE_ACT + declarations, declarations] = 3.0 * trust
    return prior


def fit_weights(tagger: acts_model.Tagger, data: Utterances, fit: Fit) -> np.ndarray:
    """int16[features, 8]."""
    from dataforge.operators import acts_fit, acts_score

    features = acts_score.DENSE + acts_score.BUCKETS
    matrix, shares = copies(tagger, data, fit)
    weight = np.concatenate([share * row_weights(data, fit) for share in shares])
    classes, known = np.tile(data.classes, len(shares)), np.tile(known_classes(data), (len(shares), 1))
    weight = weight / weight.mean()
    seen = visits(matrix, features)
    allowed = seen >= fit.rows
    allowed[: acts_score.DENSE] = True
    share = fit.pull * len(classes) / np.maximum(seen, 1)
    rng = np.random.default_rng(fit.seed)
    orders = np.stack([rng.permutation(len(classes)) for _ in range(fit.epochs)]).astype(np.int32)
    drops, pull = np.zeros(orders.shape, np.uint8), np.zeros(2)
    prior = rule_prior(0.0 if fit.plain else fit.prior, features)
    rows = (matrix.index, matrix.value, matrix.starts, classes, weight, known)
    absent = 1.0 if fit.plain else fit.absent
    weights = acts_fit.fit(*rows, absent, orders, drops, allowed, prior, fit.rate, pull, share)
    weights[np.abs(weights) < SMALLEST] = 0.0
    return np.clip(np.rint(weights * acts_model.WEIGHT), -32768, 32767).astype(np.int16)


def train(
    files: list[str | Path],
    out: str | Path,
    *,
    licence: str = "not stated",
    fit: Fit | None = None,
    temperature_milli: int = TEMPERATURE,
    lexicon: Path = acts_lexicon.FOLDER,
    with_examples: bool = True,
) -> dict[str, Any]:
    """Trains on the invented utterances and labelled JSONL files (none: the shipped model) and writes `weights.npz` and
    `model.json` into the folder `out`.

    `licence` is recorded for every source that corpora.yaml does not know. Returns the content of model.json. No text
    is stored.
    """
    fit, paths, own = fit or Fit(), [Path(file) for file in files], example_files(lexicon) if with_examples else []
    rows = [{"source": path.name.split(".")[0]} | row for path in paths for row in acts_corpus.read_rows(path)]
    rows = acts_corpus.trusted(rows, lexicon) + (acts_corpus.examples(lexicon) if with_examples else [])
    data, known = acts_corpus.utterances(rows), acts_lexicon.read_yaml(lexicon / "corpora.yaml")
    if len(np.unique(data.classes)) < 2:
        raise ConfigError("training needs rows of at least two acts")
    weights = fit_weights(acts_model.open_tagger(lexicon, "none"), data, fit)
    about = {
        "format": acts_model.FORMAT,
        "features": len(weights),
        "acts": list(ACTS),
        "lexicon": acts_lexicon.digest(lexicon),
        "temperature_milli": temperature_milli,
        "plain": fit.plain,
        "fit": dataclasses.asdict(fit),
        "data": [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in own + paths],
        "corpora": [corpus_record(data, source, known, licence) for source in range(len(data.names))],
    }
    save(Path(out), weights, about)
    return about


def example_files(lexicon: Path) -> list[Path]:
    return [lexicon / "examples.yaml", *acts_corpus.invented(lexicon)]


def corpus_record(data: Utterances, source: int, known: dict[str, Any], licence: str) -> dict[str, Any]:
    counts = np.bincount(data.classes[data.sources == source], minlength=len(ACTS))
    name = data.names[source]
    stated = known.get(name) or {}
    return {
        "source": name,
        "licence": stated.get("licence", licence),
        "attribution": stated.get("attribution", "not stated"),
        "rows": {act: int(n) for act, n in zip(ACTS, counts, strict=True) if n},
    }


def save(folder: Path, weights: np.ndarray, about: dict[str, Any]) -> None:
    """Rows of zeros are left out; arrays and JSON are the same bytes for the same model. Each file appears whole."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.flatnonzero(weights.any(axis=1)).astype(np.int32)
    np.savez_compressed(folder / "new.npz", rows=rows, values=weights[rows])
    text = json.dumps(about, indent=1, ensure_ascii=False, sort_keys=True)
    (folder / "model.json.new").write_text(text + "\n", encoding="utf-8")
    (folder / "new.npz").replace(folder / "weights.npz")
    (folder / "model.json.new").replace(folder / "model.json")
