"""Duplicates: exact by text, near by verified Jaccard, one row kept per cluster, unique rows never touched."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge import Step
from dataforge.flows.config_filters import DedupeConfig
from dataforge.identity import text_hashes
from dataforge.kernels.bands import s_curve
from dataforge.kernels.minhash import MinHashSpec, reference_shingle_hashes
from dataforge.operators.clusters import Clusters, Keep, Links, Members, Twins
from dataforge.operators.dedupe_exact import SameValue
from dataforge.operators.dedupe_near import BANDS, Bands, Carry, Pairs, Verify, bands_for, distinct
from dataforge.schemas.document import CLEAN
from dataforge.schemas.edge import EDGE
from tests.literal import by_key, doc, documents, fill, literal

PARTS = 4
VERDICT = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("reason", pa.string())])


def verdicts(failed: dict[str, str], keys: list[str]) -> Step:
    return literal([{"id": doc(k), "reason": failed.get(k)} for k in keys], VERDICT, name="verdicts")


def near(rows: Step) -> Step:
    bands = Step("bands", Bands(), (rows,))
    pairs = Step("pairs", Pairs(PARTS), (bands,))
    return Step("near", Verify(PARTS), (Step("carry", Carry(PARTS), (pairs, rows)), rows))


def twins(
    rows: Step,
    judged: Step,
    keep: tuple[str, ...] = ("longest",),
    sources: tuple[str, ...] = (),
    *,
    star: bool = False,
    protected: tuple[str, ...] = (),
    scores: Step | None = None,
) -> Step:
    verified = near(rows)
    clusters = Step("clusters", Clusters(), (Step("exact", SameValue(PARTS), (rows,)), verified))
    rule = Members(PARTS, keep, sources, protected, "model_quality" if scores else "")
    members = Step("members", rule, (clusters, rows, judged, *([scores] if scores else [])))
    links = [Step("links", Links(PARTS), (verified, clusters))] if star else []
    return Step("twins", Twins(PARTS), (Step("keep", Keep(PARTS, bool(protected)), (members, *links)), rows))


def sentence(seed: int, words: int = 60) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choice("abcdefgh") for _ in range(6)) for _ in range(words))


BASE = sentence(1)
TEXTS = {
    "original": BASE,
    "twin": BASE,
    "longer": BASE + " extra",
    "alone": sentence(2),
    "also-alone": sentence(3),
    "empty": "",
    "blank": " \n ",
    "empty-too": "",
}


def test_the_longest_of_a_cluster_stays_and_the_others_name_it(engine: Any, tmp_path: Path) -> None:
    table = fill(twins(documents(TEXTS), verdicts({}, list(TEXTS))), tmp_path, engine)
    assert by_key(table, "duplicate", list(TEXTS)) == {
        "original": "exact" if doc("original") > doc("twin") else "near",
        "twin": "exact" if doc("twin") > doc("original") else "near",
        "longer": None,
        "alone": None,
        "also-alone": None,
        "empty": None,
        "blank": None,
        "empty-too": None,
    }
    into = by_key(table, "into", ["original", "twin", "alone"])
    assert into == {"original": doc("longer"), "twin": doc("longer"), "alone": None}
    first, second = sorted(("original", "twin"), key=doc)  # the one is near to the longer text, the other its exact twin
    alike = by_key(table, "jaccard", ["longer", "alone", first, second])
    assert alike == {"longer": None, "alone": None, first: 56 / 57, second: 1.0}  # 60 words have 56 shingles of 5
    clusters = by_key(table, "cluster", list(TEXTS))
    assert len({clusters[k] for k in ("original", "twin", "longer")}) == 1
    assert clusters["alone"] == doc("alone")


def test_a_row_that_fails_quality_gives_way_to_one_that_passes(tmp_path: Path) -> None:
    table = fill(twins(documents(TEXTS), verdicts({"longer": "too_few_words"}, list(TEXTS))), tmp_path)
    kept = [k for k, d in by_key(table, "duplicate", ["original", "twin", "longer"]).items() if d is None]
    assert len(kept) == 1 and kept != ["longer"]


def test_newest_and_source_priority_are_keep_rules(tmp_path: Path) -> None:
    rows = documents({"old": BASE, "new": BASE + " x"}, created_s={"old": 1, "new": 2})
    table = fill(twins(rows, verdicts({}, ["old", "new"]), ("newest",)), tmp_path / "a")
    assert by_key(table, "duplicate", ["old", "new"]) == {"old": "near", "new": None}
    rows = documents({"a": BASE, "b": BASE + " x"}, source="s")
    table = fill(twins(rows, verdicts({}, ["a", "b"]), ("source_priority", "longest"), ("s",)), tmp_path / "b")
    assert by_key(table, "duplicate", ["a", "b"]) == {"a": "near", "b": None}


def test_a_star_drops_only_what_is_like_the_row_that_stays(engine: Any, tmp_path: Path) -> None:
    """a~b~c, and a is not like c; every copy of b goes with it."""
    words = BASE.split()
    texts = {
        "a": " ".join([*words[6:], "and", "rather", "longer"]),
        "b": " ".join(words),
        "b-too": " ".join(words),
        "c": " ".join([*words[:-6], "but", "shorter"]),
    }
    rows, judged = documents(texts), verdicts({}, list(texts))
    whole = by_key(fill(twins(rows, judged), tmp_path / "connected"), "duplicate", list(texts))
    assert [key for key, lost in whole.items() if lost is None] == ["b"] or whole["b-too"] is None
    table = fill(twins(documents(texts), judged, ("newest",), star=True), tmp_path / "star", engine)
    lost = by_key(table, "duplicate", list(texts))
    centre = next(key for key in sorted(texts, key=doc))  # no rule tells them apart: the smallest id goes first
    stays = {"a": {"a", "c"}, "c": {"a", "c"}, "b": {"b"}, "b-too": {"b-too"}}[centre]
    assert {key for key, duplicate in lost.items() if duplicate is None} == stays
    assert len(set(by_key(table, "cluster", list(texts)).values())) == 1, "splits keep the whole chain together"


def test_protected_rows_all_stay_and_the_others_give_way(tmp_path: Path) -> None:
    texts = {"a": BASE, "b": BASE + " x", "c": BASE + " much longer than both", "d": BASE}
    sources = {"a": "ours", "b": "ours", "c": "web", "d": "web"}
    rows = [{"id": doc(k), "source": sources[k], "key": k, "text": t, "rewrites": []} for k, t in texts.items()]
    hashes = text_hashes(pa.array(list(texts.values()))).to_pylist()
    step = literal([{**row, "text_hash": h} for row, h in zip(rows, hashes, strict=True)], CLEAN, name="documents")
    for failed, stay in (({}, {"a", "b"}), ({"a": "language", "b": "language"}, {"a", "b", "c"})):
        table = fill(twins(step, verdicts(failed, list(texts)), protected=("ours",)), tmp_path / str(len(failed)))
        lost = by_key(table, "duplicate", list(texts))
        assert {key for key, duplicate in lost.items() if duplicate is None} == stay


def test_the_best_score_stays(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("model_quality", pa.float32())])
    scored = [{"id": doc(key), "model_quality": score} for key, score in (("a", 0.25), ("b", 0.75), ("c", None))]
    rows = documents({"a": BASE, "b": BASE + " x", "c": BASE + " much longer than both"})
    judged, scores = verdicts({}, ["a", "b", "c"]), literal(scored, schema, name="scores")
    table = fill(twins(rows, judged, ("best_score", "longest"), scores=scores), tmp_path)
    assert by_key(table, "duplicate", ["a", "b", "c"]) == {"a": "near", "b": None, "c": "near"}


def test_pairs_below_the_threshold_end_at_verification(tmp_path: Path) -> None:
    half = " ".join(BASE.split()[:30]) + " " + " ".join(sentence(9).split()[:30])
    assert fill(near(documents({"a": BASE, "b": half})), tmp_path).rows == 0


def test_verified_edges_carry_the_true_jaccard(tmp_path: Path) -> None:
    texts = {"a": BASE, "b": BASE + " one two", "c": BASE + " one"}
    found = fill(near(documents(texts)), tmp_path).to_table().to_pylist()
    sets = {}
    for key, text in texts.items():
        sets[doc(key)] = set(reference_shingle_hashes([text], MinHashSpec())[1].tolist())
    assert len(found) == 3
    for edge in found:
        assert edge["a"] < edge["b"]
        a, b = sets[edge["a"]], sets[edge["b"]]
        assert (edge["common"], edge["union"]) == (len(a & b), len(a | b))


def test_a_bucket_of_many_equal_texts_gives_no_near_pairs(tmp_path: Path) -> None:
    rows = documents([BASE] * 300)
    assert fill(near(rows), tmp_path).rows == 0
    assert fill(Step("exact", SameValue(PARTS), (rows,)), tmp_path).rows == 299


EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=20)


@settings(max_examples=60)
@given(EDGES, st.randoms())
def test_clusters_merge_in_any_order_and_grouping(edges: list[tuple[int, int, int]], shuffle: random.Random) -> None:
    def state(chosen: list[tuple[int, int, int]]) -> pa.Table:
        kinds = ("exact", "near", "family")
        rows = [{"a": doc(str(a)), "b": doc(str(b)), "kind": kinds[kind]} for a, b, kind in chosen]
        return Clusters().observe(0, pa.RecordBatch.from_pylist(rows, EDGE))

    whole = state(edges)
    parts = [state([edge]) for edge in edges]
    shuffle.shuffle(parts)
    merged = parts[0]
    for part in parts[1:]:
        merged = Clusters().merge(merged, part)
    assert merged.equals(whole)
    labels = (whole[name].to_pylist() for name in ("twin", "cluster", "group"))
    assert all(twin >= cluster >= group for twin, cluster, group in zip(*labels, strict=True))


def test_members_of_a_large_bucket_meet_those_they_resemble(tmp_path: Path) -> None:
    """100 rows in one bucket, 20 families of 5 that share a spare value: all pairs of a family, and not all 4,950."""
    rows = [
        {"id": doc(str(i)), "text_hash": doc(f"text {i}"), "bands": [7], "spare": (i % 20 + 1) << 32 | i} for i in range(100)
    ]
    table = fill(Step("pairs", Pairs(PARTS, all_pairs=10), (literal(rows, BANDS),)), tmp_path)
    found = {(pair["a"], pair["b"]) for pair in table.to_table().to_pylist()}
    families = [sorted(doc(str(i)) for i in range(family, 100, 20)) for family in range(20)]
    assert all((a, b) in found for ids in families for i, b in enumerate(ids) for a in ids[:i])
    assert len(found) <= 99 + 98 + 20 * 10
    assert table.account.notes == {"rows_in_large_buckets": 100}


def test_many_texts_that_are_nearly_one_become_one_cluster_with_few_comparisons(tmp_path: Path) -> None:
    words = BASE.split() + sentence(4).split() + sentence(5).split()
    texts = [" ".join([*words[: i % 180], f"x{i}", *words[i % 180 + 1 :]]) for i in range(400)]
    rows = documents(texts)
    pairs = Step("pairs", Pairs(PARTS, all_pairs=8), (Step("bands", Bands(), (rows,)),))
    assert fill(pairs, tmp_path).rows < 40 * len(texts)
    table = fill(twins(rows, verdicts({}, [str(i) for i in range(400)])), tmp_path)
    assert len(set(table.to_table()["cluster"].to_pylist())) == 1
    assert table.to_table()["duplicate"].to_pylist().count(None) == 1


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_by_threshold_find_nearly_all_pairs_there_and_leave_two_values(threshold: float) -> None:
    bands, rows = bands_for(threshold)
    assert s_curve(bands, rows, threshold) >= 0.98
    assert DedupeConfig(bands="auto", threshold=threshold).shape() == (bands, rows)
    assert bands * rows + 2 <= 256
    assert bands_for(0.8) == (18, 7)


@given(st.lists(st.integers(0, 9)))
def test_distinct_gives_each_number_once_in_order(values: list[int]) -> None:
    assert distinct(np.array(values, np.int64)).tolist() == sorted(set(values))
