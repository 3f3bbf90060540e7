"""`dedupe evaluate`: verified pairs against known ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from dataforge.errors import InputError
from dataforge.operators.dedupe_evaluate import evaluate
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
