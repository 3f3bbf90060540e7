"""The sample for annotators: what is drawn, with which chance, and that order and parts do not matter."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError
from dataforge.operators.sample import CANDIDATE, GOLD, SAMPLE, Candidates, Mix, Sample, quotas
from dataforge.schemas.act import ACTS


def candidates(n: int, sources: tuple[str, ...] = ("chat", "mail")) -> pa.RecordBatch:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(len(ACTS)), n).astype(np.float32)
    rows = [
        {
            "id": f"{i:032x}",
            "source": sources[i % len(sources)],
            "text": f"text {i}",
            "act": ACTS[int(scores[i].argmax())],
            "act_scores": scores[i].tolist(),
        }
        for i in range(n)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=CANDIDATE)


def sampled(operator: Sample, batches: list[pa.RecordBatch]) -> pa.Table:
    state = None
    for batch in batches:
        seen = operator.observe(0, batch)
        state = seen if state is None else operator.merge(state, seen)
    return operator.finish(state, Path())


def test_the_sample_has_the_wanted_size_and_schema() -> None:
    table = sampled(Sample(size=40), [candidates(500)])
    assert table.num_rows == 40
    assert table.schema == SAMPLE
    assert len(set(table["id"].to_pylist())) == 40
    assert sorted(table["priority"].to_pylist()) == list(range(40))


def test_the_shares_follow_the_mix() -> None:
    table = sampled(Sample(size=100, mix=Mix(0.6, 0.2, 0.2, 0.0)), [candidates(3000)])
    counted = {name: table["share"].to_pylist().count(name) for name in ("random", "stratum", "uncertain")}
    assert counted["random"] == 20
    assert sum(counted.values()) == 100
    assert counted["uncertain"] >= 60


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 200), max_size=4), backwards=st.booleans())
def test_parts_and_order_do_not_matter(cuts: list[int], backwards: bool) -> None:
    batch, edges = candidates(200), sorted({0, 200, *cuts})
    pieces = [batch.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    operator = Sample(size=20)
    assert sampled(operator, pieces[::-1] if backwards else pieces).equals(sampled(operator, [batch]))


def test_merge_is_associative() -> None:
    operator, batch = Sample(size=5), candidates(90)
    a, b, c = (operator.observe(0, batch.slice(start, 30)) for start in (0, 30, 60))
    left, right = operator.merge(operator.merge(a, b), c), operator.merge(a, operator.merge(b, c))
    assert left.equals(right)


def test_the_state_is_bounded() -> None:
    operator = Sample(size=3)
    state = operator.observe(0, candidates(5000, sources=("chat",)))
    assert state.num_rows <= len(ACTS) * (2 * 3 + 1) + 3


def test_weights_estimate_the_number_of_rows() -> None:
    estimates = []
    for seed in range(40):
        table = sampled(Sample(size=60, seed=str(seed), mix=Mix(0.0, 0.5, 0.5, 0.0)), [candidates(600)])
        drawn = table.filter(pa.array([share != "uncertain" for share in table["share"].to_pylist()]))
        estimates.append((1 / drawn["p_selected"].to_numpy()).sum())
    assert 540 < np.mean(estimates) < 660


def test_uncertain_rows_have_the_smallest_margins() -> None:
    table = sampled(Sample(size=8, mix=Mix(1.0, 0.0, 0.0, 0.0)), [candidates(400, sources=("chat",))])
    assert set(table["share"].to_pylist()) == {"uncertain"}
    assert set(table["p_selected"].to_pylist()) == {1.0}
    assert table["act_score"].to_numpy().max() < 0.5


def test_gold_rows_come_with_their_answer() -> None:
    gold = pa.RecordBatch.from_pylist([{"id": "g1", "text": "Thanks!", "label": "expressives"}], schema=GOLD)
    operator = Sample(size=20, gold=True)
    state = operator.merge(operator.observe(0, candidates(100)), operator.observe(1, gold))
    rows = operator.finish(state, Path()).to_pylist()
    assert [(row["id"], row["gold_label"]) for row in rows if row["share"] == "gold"] == [("g1", "expressives")]
    assert len(rows) == 20


def test_a_small_corpus_is_taken_whole() -> None:
    assert sampled(Sample(size=50), [candidates(7)]).num_rows == 7
    assert Sample().finish(None, Path()).num_rows == 0


def test_quotas_pass_on_what_a_small_stratum_cannot_fill() -> None:
    assert quotas(10, np.array([2, 100, 100])).tolist() == [2, 4, 4]
    assert quotas(10, np.array([1, 2])).tolist() == [1, 2]


def test_candidates_put_text_and_act_side_by_side() -> None:
    base = pa.RecordBatch.from_pylist([{"id": "a", "text": "Hi", "source": "chat"}])
    acts = pa.RecordBatch.from_pylist([{"id": "a", "act": "expressives", "act_scores": [1.0] + [0.0] * 7}])
    row = Candidates().start([])(base, acts).kept.to_pylist()[0]
    assert (row["id"], row["source"], row["act"], row["prev_text"]) == ("a", "chat", "expressives", None)


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ConfigError, match="add up to 1"):
        Sample(mix=Mix(0.5, 0.5, 0.5, 0.0))
