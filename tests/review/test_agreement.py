"""Agreement against hand values, Krippendorff's published examples, `krippendorff` and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.review.agreement import NO_OVERLAP, Vote, agreement, alpha, kappa, raw, weighted_share, wilson


def units(rows):
    """Rows are coders, characters are answers, a space is missing."""
    return [[frozenset({row[i]}) for row in rows if i < len(row) and row[i] != " "] for i in range(max(map(len, rows)))]


def test_kappa_of_the_textbook_table():
    assert kappa(np.array([[20, 5], [10, 15]])).value == pytest.approx(0.4)


def test_alpha_of_four_coders_and_twelve_units():
    rows = ["123321412   ", "1233224125 3", " 3332342251 ", "12332441251 "]
    measure = alpha(units(rows))
    assert round(measure.value, 3) == 0.743
    assert (measure.n_items, measure.n_answers) == (11, 40)


def test_alpha_of_three_coders_and_fifteen_units():
    rows = ["     34121133 3", "1 213343       ", "  21344 21133 4"]
    assert round(alpha(units(rows)).value, 3) == 0.691


def test_one_label_only_is_undefined_and_says_so():
    same = [[frozenset("a")] * 2] * 59
    assert alpha(same).value is None
    assert alpha(same).why == "undefined: only one label was used, 118/118 equal"
    assert kappa(np.array([[5.0]])).why == "undefined: only one label was used, 5/5 equal"


def test_no_overlap_is_undefined():
    single = [[frozenset("a")], [frozenset("b")]]
    assert (alpha(single).value, alpha(single).why) == (None, NO_OVERLAP)
    assert raw(single).why == NO_OVERLAP


def test_pair_without_common_item_is_an_empty_cell():
    votes = [Vote(1, "ana", frozenset("a")), Vote(2, "bo", frozenset("b"))]
    cell = agreement(votes, "ab").kappa_of_pair["ana", "bo"]
    assert (cell.value, cell.n_items) == (None, 0)


def test_interval_is_withheld_when_too_few_draws_are_defined():
    measure = alpha([[frozenset("a")] * 2, [frozenset("a"), frozenset("b")]])
    assert measure.value is not None and (measure.low, measure.high) == (None, None)


def test_label_never_used_is_said():
    votes = [Vote(1, "ana", frozenset("a")), Vote(1, "bo", frozenset("b"))]
    assert agreement(votes, "abc").alpha_of_label["c"].why == "not defined: label never used"


def test_raw_and_confusion_count_pairs():
    votes = [
        Vote(1, "ana", frozenset("a")),
        Vote(1, "bo", frozenset("b")),
        Vote(2, "ana", frozenset("a")),
        Vote(2, "bo", frozenset("a")),
    ]
    got = agreement(votes, "ab")
    assert got.raw.value == 0.5
    assert got.confusion == {("a", "a"): 1, ("a", "b"): 1}


def test_masi_counts_a_subset_as_closer_than_a_stranger():
    near = alpha([[frozenset("ab"), frozenset("a")], [frozenset("c"), frozenset("c")]], multi=True)
    far = alpha([[frozenset("ab"), frozenset("d")], [frozenset("c"), frozenset("c")]], multi=True)
    # by hand: counts ab 1, a 1, c 2; distances ab-a 1 - 1/2 * 2/3 = 2/3, ab-c 1, a-c 1; Do = 4/3; De = 2*(2/3+2+2)/3
    assert near.value == pytest.approx(1 - (4 / 3) / (28 / 9))
    assert far.value < near.value


answers = st.lists(st.lists(st.sampled_from("abc "), min_size=3, max_size=3), min_size=2, max_size=12)


@settings(max_examples=60)
@given(answers)
def test_alpha_equals_the_krippendorff_package(table):
    krippendorff = pytest.importorskip("krippendorff")
    measure = alpha(units(list(map("".join, zip(*table, strict=True)))))
    data = np.array([["abc".find(x) if x != " " else np.nan for x in row] for row in table], float).T
    pairable = data[:, (~np.isnan(data)).sum(axis=0) > 1]
    if len(set(pairable[~np.isnan(pairable)])) < 2:
        assert measure.value is None
    else:
        oracle = krippendorff.alpha(reliability_data=pairable, level_of_measurement="nominal")
        assert measure.value == pytest.approx(oracle, abs=1e-12)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=20))
def test_kappa_equals_scikit_learn(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    votes = [
        Vote(i, who, frozenset(label)) for i, pair in enumerate(pairs) for who, label in zip("xy", pair, strict=True)
    ]
    got = agreement(votes, "abc").kappa_of_pair["x", "y"].value
    if len({label for pair in pairs for label in pair}) == 1:
        assert got is None
    else:
        assert got == pytest.approx(metrics.cohen_kappa_score(*map(list, zip(*pairs, strict=True))), abs=1e-12)


def test_a_weighted_share_is_wilson_s_at_the_effective_number_of_cases():
    same = weighted_share([(2.0, True)] * 8 + [(2.0, False)] * 2)
    assert (same["value"], same["n"]) == (0.8, 10)
    assert (same["low"], same["high"]) == pytest.approx(wilson(8, 10))
    skewed = weighted_share([(1.0, False), (3.0, True)])  # by hand: 3/4 of 4^2 / 10 = 1.6 cases
    assert skewed["value"] == 0.75
    assert (skewed["low"], skewed["high"]) == pytest.approx(wilson(1.2, 1.6))
    assert weighted_share([]) == {"value": None, "low": None, "high": None, "n": 0}


def test_wilson_interval():
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert wilson(0, 0) is None
