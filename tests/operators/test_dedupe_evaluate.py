"""`dedupe evaluate`: verified pairs against known ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest

from dataforge.errors import InputError
from dataforge.kernels.minhash import MinHashSpec, shingles_of
from dataforge.operators.dedupe_evaluate import evaluate, find_pairs
from tests.benchmarks.duplicates import Chunk, chunk
from tests.operators.test_dedupe import BASE, sentence

TEXTS = {"a": BASE, "b": BASE, "c": BASE + " more", "d": sentence(5), "e": "", "f": ""}


def write(folder: Path, pairs: list[tuple[str, str, float]], texts: dict[str, str] = TEXTS) -> tuple[Path, Path]:
    docs, known = folder / "docs.jsonl.gz", folder / "pairs.tsv"
    lines = "".join(json.dumps({"id": k, "text": t}) + "\n" for k, t in texts.items())
    docs.write_bytes(gzip.compress(lines.encode(), mtime=0))
    known.write_text("id_a\tid_b\tjaccard\n" + "".join(f"{a}\t{b}\t{j}\n" for a, b, j in pairs))
    return docs, known


def test_twins_and_near_pairs_are_found_and_empty_texts_are_no_twins(tmp_path: Path) -> None:
    document = evaluate(*write(tmp_path, [("b", "a", 1.0), ("a", "c", 0.98), ("b", "c", 0.98)]))
    assert (document["recall"], document["precision"], document["pairs"]) == (1.0, 1.0, 3)


def test_a_found_pair_that_nobody_knows_is_false_and_a_missed_one_costs_recall(tmp_path: Path) -> None:
    document = evaluate(*write(tmp_path, [("a", "b", 1.0), ("a", "d", 0.9)]))
    assert (document["recall"], document["precision"]) == (0.5, 1 / 3)


def test_known_pairs_within_the_margin_are_not_scored(tmp_path: Path) -> None:
    document = evaluate(*write(tmp_path, [("a", "b", 1.0), ("a", "c", 0.83), ("b", "c", 0.78)]))
    assert (document["recall"], document["precision"], document["not_scored"]) == (1.0, 1.0, 2)


def test_no_pairs_at_all_is_no_figure(tmp_path: Path) -> None:
    document = evaluate(*write(tmp_path, [], {"a": BASE, "d": sentence(5)}))
    assert document["recall"] is None and document["precision"] is None


def test_pairs_without_their_header_are_refused_not_read_short(tmp_path: Path) -> None:
    docs, known = write(tmp_path, [("a", "b", 1.0)])
    known.write_text("a\tb\t1.0\n")
    with pytest.raises(InputError, match="no header"):
        evaluate(docs, known)


def test_unknown_ids_and_broken_rows_name_their_line(tmp_path: Path) -> None:
    docs, known = write(tmp_path, [("a", "b", 1.0), ("a", "zz", 1.0)])
    with pytest.raises(InputError) as unknown:
        evaluate(docs, known)
    assert unknown.value.row == 3
    docs.write_bytes(gzip.compress(b'{"id": "a", "text": 5}\n'))
    with pytest.raises(InputError, match="expected text, found int"):
        evaluate(docs, known)
    docs.write_bytes(gzip.compress(b'{"id": "a"}\n' * 1000)[:-9])
    with pytest.raises(InputError):
        evaluate(docs, known)


def write_known(folder: Path, made: Chunk) -> tuple[Path, Path]:
    """DOCS and PAIRS of generated documents; every pair of a family is known, with its true similarity."""
    docs, known = folder / "docs.jsonl", folder / "pairs.tsv"
    docs.write_text("".join(json.dumps(row) + "\n" for row in made.rows.to_pylist()))
    known.write_text("id_a\tid_b\tjaccard\n" + "".join(f"{a}\t{b}\t{j}\n" for a, b, j in made.known()))
    return docs, known


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_recall_and_precision_on_pairs_of_known_similarity(threshold: float, tmp_path: Path) -> None:
    files = write_known(tmp_path, chunk(5, 600, similar=(0.97, 0.93, 0.86, 0.76, 0.66, 0.56, 0.46, 0.3)))
    for margin in (0.05, 0.0):  # without a margin every pair counts, those at the threshold too
        document = evaluate(*files, threshold=threshold, margin=margin)
        assert document["known"] > 50
        assert document["recall"] >= 0.98 and document["precision"] >= 0.99


@pytest.mark.parametrize("spec", [MinHashSpec(n=3), MinHashSpec(k=256, shingle="characters", n=24)])
def test_found_pairs_are_those_of_brute_force(spec: MinHashSpec) -> None:
    texts = chunk(6, 120).rows["text"].to_pylist()
    sets = [set(shingles_of(text, spec)) for text in texts]
    rows = range(len(texts))
    true = {(a, b) for b in rows for a in range(b) if 5 * len(sets[a] & sets[b]) >= 4 * len(sets[a] | sets[b])}
    found = {tuple(pair) for pair in find_pairs(pa.array(texts), 0.8, spec).tolist()}
    assert found <= true and len(true) > 20
    assert len(found) >= 0.98 * len(true)


@pytest.mark.parametrize(
    ("pairs", "what"),
    [
        ("a\tb\t1\n", "has no header line, or one of other names (3 columns)"),
        ("id_a,id_b,jaccard\na,b,1\n", "the names of its header are not separated by tabs"),
        ("id_a\tid_b\tscore\na\tb\t1\n", "its header lacks jaccard"),
        ("id_a\tid_b\tjaccard\na\tb\t7\n", "expected a number from 0 to 1 as jaccard"),
    ],
    ids=["no header", "commas", "a name", "a number"],
)
def test_what_is_wrong_with_the_pairs_is_said(pairs: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "docs.jsonl").write_text('{"id": "a", "text": "x"}\n{"id": "b", "text": "x"}\n')
    (tmp_path / "pairs.tsv").write_text(pairs)
    with pytest.raises(InputError) as wrong:
        evaluate(tmp_path / "docs.jsonl", tmp_path / "pairs.tsv")
    assert wrong.value.what == what
