"""The tagger itself: lexicon, rules and (optionally) the linear model, opened once and applied to Arrow columns.

A model is a folder with `weights.npz` (int16[features, 8], plain arrays) and `model.json` (what it was trained on, with
licences and digests; temperature). Scores are integers until the last division, so they are bit-equal everywhere.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, InputError, VersionError
from dataforge.operators import acts_lexicon
from dataforge.schemas.act import ACTS

SHIPPED = acts_lexicon.FOLDER / "model"
FORMAT = 1  # of the feature layout and the files; a model of another format is refused
WEIGHT = 1024  # a weight of 1.0
ONE = 1 << 20  # probability 1 in `Judged.scores`
# Probability that a rule of strength 0-9 is right, in units of 1/ONE (measured on the sample corpora, rounded).
TRUST = np.array([0.45, 0.5, 0.5, 0.5, 0.55, 0.55, 0.6, 0.7, 0.75, 0.8])

# A request or proposal, to which "okay" is a promise; after a bare instruction it only says "heard".
AFFIRM = ("affirm@start",)  # an answer that makes a question of the message before
POLITE = ("asks", "please@any", "ask_you@start", "want_you@any", "lets@start", "suggest@start", "offer@start")


@dataclass(frozen=True)
class Neighbours:
    """What stands around each row: texts (null: none) and int8 1 same speaker, 0 another, -1 unknown."""

    before: pa.Array
    before_same: np.ndarray
    after: pa.Array
    after_same: np.ndarray


@dataclass(frozen=True)
class Judged:
    """acts, forms: int64[n], indices into ACTS and FORMS; scores: int64[n, 8] in units of 1/ONE."""

    acts: np.ndarray
    forms: np.ndarray
    scores: np.ndarray
    by_model: np.ndarray


@dataclass(frozen=True)
class Tagger:
    table: Any  # acts_scan.Table
    bits: dict[str, int]
    weights: np.ndarray | None  # None: rules alone
    about: dict[str, Any]


def model_folder(model: str) -> Path | None:
    """ "none" -> None; "shipped" -> the packaged folder, or None while there is no shipped model."""
    if model == "none":
        return None
    folder = SHIPPED if model == "shipped" else Path(model)
    if model == "shipped" and not (folder / "model.json").exists():
        return None
    if not (folder / "model.json").exists():
        raise ConfigError("no act model in this folder", file=str(folder), hint="train one with `dataforge acts train`")
    return folder


def digest(model: str) -> str:
    """Hex sha256 of a model's files; "none" without a model."""
    folder = model_folder(model)
    if folder is None:
        return "none"
    parts = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("weights.npz", "model.json")]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


@functools.lru_cache(maxsize=4)
def open_tagger(lexicon: Path = acts_lexicon.FOLDER, model: str = "shipped") -> Tagger:
    from dataforge.operators import acts_scan

    words, rules = acts_lexicon.load(lexicon)
    table = acts_scan.Table(
        words.keys, words.slots, words.entries, words.bit_of, rules.need, rules.some, rules.bar, rules.verdicts
    )
    folder = model_folder(model)
    weights, about = (None, {}) if folder is None else read_model(folder, lexicon)
    return Tagger(table, words.bits, weights, about)


def read_model(folder: Path, lexicon: Path) -> tuple[np.ndarray, dict[str, Any]]:
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if about.get("format") != FORMAT:
        raise VersionError(f"act model of format {about.get('format')}, this version reads {FORMAT}", file=str(folder))
    if about.get("lexicon") != acts_lexicon.digest(lexicon):
        raise VersionError("the model was trained with another lexicon", file=str(folder), hint="train it again")
    try:
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            rows, values = arrays["rows"], arrays["values"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError("weights.npz is not readable", file=str(folder / "weights.npz")) from error
    weights = np.zeros((about["features"], values.shape[1]), np.int16)
    weights[rows] = values
    return weights, about


def buffers(texts: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes and int64 offsets of a string column, read-only (one type for the compiler); null counts as empty."""
    texts = pc.fill_null(texts.cast(pa.large_string()), "")
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = texts.buffers()[2]
    return acts_lexicon.frozen(np.frombuffer(data if data else b"\0", np.uint8)), acts_lexicon.frozen(offsets)


def lowered(texts: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    return buffers(pc.utf8_lower(texts.cast(pa.large_string())))


def surroundings(tagger: Tagger, texts: pa.Array, neighbours: Neighbours | None) -> np.ndarray:
    """uint64[n]: the context bits of each row (word 0 of its segments): the rule layer's view of the neighbours."""
    from dataforge.operators import acts_score

    bit = {name: np.uint64(1) << np.uint64(n) for name, n in acts_lexicon.BITS.items()}
    out = np.where(acts_score.shouted(*buffers(texts)), bit["capitals"], np.uint64(0))
    if neighbours is None:
        return out
    marks = np.stack([mask(tagger, AFFIRM), mask(tagger, POLITE)])
    for side, column, same in (
        ("before", neighbours.before, neighbours.before_same),
        ("after", neighbours.after, neighbours.after_same),
    ):
        there = pc.is_valid(column).to_numpy(zero_copy_only=False)
        seen = view(tagger, lowered(column), np.zeros(len(column), np.uint64), marks)
        other, alike = there & (same != 1), there & (same == 1)
        out |= np.where(there, bit[f"has_{side}"], np.uint64(0))
        out |= np.where(alike, bit[f"{side}_same"], np.uint64(0)) | np.where(other, bit[f"{side}_other"], np.uint64(0))
        if side == "after":
            out |= np.where(other & (seen[:, 3] == 1), bit["after_other_yes_no"], np.uint64(0))
            continue
        out |= np.where(other & (seen[:, 4] == 1), bit["before_other_polite"], np.uint64(0))
        for code, act in enumerate(ACTS):
            out |= np.where(other & (seen[:, 0] == code), bit[f"before_other_{act}"], np.uint64(0))
            out |= np.where(alike & (seen[:, 0] == code), bit[f"before_same_{act}"], np.uint64(0))
    return out


def mask(tagger: Tagger, names: tuple[str, ...]) -> np.ndarray:
    """uint64[WORDS]: the named bits, as far as the lexicon has them."""
    out = np.zeros(acts_lexicon.WORDS, np.uint64)
    for bit in (tagger.bits[name] for name in names if name in tagger.bits):
        out[bit >> 6] |= np.uint64(1 << (bit & 63))
    return out


def view(tagger: Tagger, texts: tuple[np.ndarray, np.ndarray], around: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """int16[n, 5] of `acts_score.rule_rows`."""
    from dataforge.operators import acts_scan, acts_score

    out = np.zeros((len(around), 5), np.int16)
    acts_score.rule_rows(tagger.table, acts_scan.new_bench(), *texts, around, marks, out)
    return out


def judge_by_rules(tagger: Tagger, texts: tuple[np.ndarray, np.ndarray], around: np.ndarray) -> Judged:
    """The strength of the deciding rule stands for the probability of its act; without one the act is the last."""
    seen = view(tagger, texts, around, np.zeros((2, acts_lexicon.WORDS), np.uint64)).astype(np.int64)
    acts = np.where(seen[:, 0] < 0, len(ACTS) - 1, seen[:, 0])
    sure = (TRUST * ONE).astype(np.int64)[np.maximum(seen[:, 1], 0)]
    each = (ONE - sure) // (len(ACTS) - 1)
    scores = np.repeat(each[:, None], len(ACTS), axis=1)
    scores[np.arange(len(acts)), acts] = ONE - each * (len(ACTS) - 1)
    return Judged(acts, seen[:, 2], scores, np.zeros(len(acts), bool))


def judge(tagger: Tagger, texts: pa.Array | pa.ChunkedArray, neighbours: Neighbours | None = None) -> Judged:
    """Tags a string column."""
    from dataforge.operators import acts_scan, acts_score

    around, (data, offsets) = surroundings(tagger, texts, neighbours), lowered(texts)
    if tagger.weights is None:
        return judge_by_rules(tagger, (data, offsets), around)
    n, bench = len(texts), acts_scan.new_bench()
    acts, forms = np.zeros(n, np.int64), np.zeros(n, np.int64)
    scores = np.zeros((n, len(ACTS)), np.int64)
    # Logits come in units of 1 / (WEIGHT * UNIT); the temperature is a whole number of thousandths.
    scale = np.array([acts_score.STEPS * 1000, WEIGHT * acts_score.UNIT * tagger.about["temperature_milli"]], np.int64)
    acts_score.score_rows(
        tagger.table,
        bench,
        data,
        offsets,
        around,
        tagger.weights,
        scale,
        acts_score.exponentials(),
        acts_score.roots(),
        bool(tagger.about.get("plain", False)),
        acts,
        forms,
        scores,
    )
    return Judged(acts, forms, scores, np.ones(n, bool))
