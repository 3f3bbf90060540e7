"""Scores near-duplicate finding against known pairs: what is found is verified by true Jaccard, never by a cluster."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.errors import InputError
from dataforge.identity import text_hashes
from dataforge.kernels.bands import ALL_PAIRS_EVALUATION, band_keys, bucket_edges, choose_bands, runs, unique_edges
from dataforge.kernels.jaccard import at_least, overlaps
from dataforge.kernels.minhash import MinHashSpec, shingle_hashes, signatures
from dataforge.operators.labelled import read_labelled, read_lines

Pair = tuple[str, str]
HEADER = ("id_a", "id_b", "jaccard")
LINE = "<TAB>".join(HEADER)


def evaluate(docs: Path, pairs: Path, *, threshold: float = 0.8, margin: float = 0.05) -> dict[str, Any]:
    """`{"schema", "recall", "precision", "pairs", …}`; `pairs` counts what was found and scored.

    A found pair is true if PAIRS gives it a jaccard of at least threshold + margin, false if at most threshold - margin or
    absent; known pairs in between are not scored. Recall is null without a known pair, precision without a found one.
    Raises InputError for a file that does not read or a pair of unknown ids.
    """
    ids, texts = read_documents(docs)
    known = read_pairs(pairs, set(ids))
    found = {_sorted(ids[a], ids[b]) for a, b in find_pairs(texts, threshold).tolist()}
    close = {pair for pair, jaccard in known.items() if abs(jaccard - threshold) < margin}
    wanted = {pair for pair, jaccard in known.items() if jaccard >= threshold} - close
    scored = found - close
    hits = len(scored & wanted)
    return {
        "schema": 1,
        "recall": hits / len(wanted) if wanted else None,
        "precision": hits / len(scored) if scored else None,
        "pairs": len(scored),
        "known": len(wanted),
        "not_scored": len(close),
        "missed": len(wanted - found),
        "false": len(scored - wanted),
        "documents": len(ids),
        "threshold": threshold,
        "margin": margin,
    }


def find_pairs(texts: pa.Array, threshold: float, spec: MinHashSpec | None = None) -> np.ndarray:
    """int64[m, 2], (smaller, larger) rows with verified Jaccard >= threshold, equal texts included.

    Bands are those that find a pair at the threshold with chance 0.98; buckets up to 1,000 members compare all pairs.
    """
    spec = spec or MinHashSpec(k=256 if threshold < 0.75 else 128)
    bands, rows = choose_bands(min(threshold, 0.99), spec.k)
    signed = signatures(texts, spec)
    worded = np.flatnonzero(signed.words > 0)
    keys = band_keys(signed.values[worded], bands, rows)
    candidates = unique_edges(np.concatenate([_bucketed(keys[:, band], worded) for band in range(bands)]))
    hashes = shingle_hashes(texts, spec)
    near = candidates[at_least(*overlaps(hashes, hashes, candidates), threshold)]
    codes = pa.array(text_hashes(texts)).dictionary_encode().indices.to_numpy().astype(np.uint64)
    filled = np.flatnonzero(np.array([len(text) > 0 for text in texts.to_pylist()]))
    return unique_edges(np.concatenate([near, _bucketed(codes[filled], filled)]))


def _bucketed(keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    order = np.lexsort((rows, keys))
    return bucket_edges(runs(keys[order]), rows[order].astype(np.int64), all_pairs=ALL_PAIRS_EVALUATION)


def read_documents(path: Path) -> tuple[list[str], pa.Array]:
    """Ids and texts of a JSONL of `id`, `text`."""
    rows = list(read_labelled(path, {"id": (str, int), "text": str}))
    ids = [str(row["id"]) for row in rows]
    if len(set(ids)) != len(ids):
        raise InputError("an id occurs twice", file=path.name, hint="ids of DOCS must be unique")
    return ids, pa.array([row["text"] for row in rows], pa.string())


def read_pairs(path: Path, ids: set[str]) -> dict[Pair, float]:
    """{(id_a, id_b) sorted: jaccard} of a TSV with that header."""
    known: dict[Pair, float] = {}
    for number, row in enumerate(_tsv(path), 2):
        a, b, jaccard = row["id_a"], row["id_b"], _share(row["jaccard"])
        if jaccard is None:
            raise InputError("expected a number from 0 to 1 as jaccard", file=path.name, row=number)
        if missing := {a, b} - ids:
            raise InputError(f"{len(missing)} id(s) of the pair are not in DOCS", file=path.name, row=number)
        known[_sorted(a, b)] = jaccard
    return known


def _share(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _tsv(path: Path) -> Iterator[dict[str, str]]:
    try:
        lines = (line.decode() for line in read_lines(path))
        rows = csv.DictReader(lines, delimiter="\t")
        if not set(HEADER) <= set(rows.fieldnames or ()):
            raise InputError(_wrong_header(rows.fieldnames or ()), file=path.name, row=1, hint=f"begin it with {LINE}")
        yield from rows
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", file=path.name) from error


def _wrong_header(found: Sequence[str]) -> str:
    """What stands there may be a pair: of its words only those of a header are said."""
    lacking = [name for name in HEADER if name not in found]
    if len(lacking) < len(HEADER):
        return f"its header lacks {' and '.join(lacking)}"
    if set(HEADER) <= set(re.split(r"[,; ]+", "".join(found[:1]))):
        return "the names of its header are not separated by tabs"
    return f"has no header line, or one of other names ({len(found)} column{'s' if len(found) != 1 else ''})"


def _sorted(a: str, b: str) -> Pair:
    return (a, b) if a < b else (b, a)
