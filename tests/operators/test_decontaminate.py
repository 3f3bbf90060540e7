"""Decontamination: a copied passage is found with its span; case, punctuation and batches do not matter."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError, InputError, SchemaError
from dataforge.kernels.minhash import words_of
from dataforge.operators.decontaminate import CONTAMINATION, Decontaminate, Ngrams, _lower, word_spans

QUESTION = "Which of the two ships left the old harbour first when the morning tide came in again"
COPIED = "WHICH of the two ships, left the old harbour first (when the morning tide came in)!"


def batch_of(*texts: str, source="s", **columns) -> pa.RecordBatch:
    ids = [f"{i:032x}" for i in range(len(texts))]
    names = pa.array([source] * len(texts), pa.string())
    return pa.record_batch({"id": ids, "source": names, "text": pa.array(texts, pa.string()), **columns})


def index_of(tmp_path, *texts: str, fold=Ngrams(words=8), **columns):  # noqa: B008
    out = tmp_path / f"ngrams{len(list(tmp_path.iterdir()))}"
    out.mkdir()
    fold.finish(fold.observe(0, batch_of(*texts, source="quiz", **columns)), out)
    return out


def test_a_copy_is_found_with_its_span(tmp_path):
    texts = ["A page about ships and harbours in general, and nothing else.", f"Intro. {COPIED} Outro.", ""]
    rows = Decontaminate().start([index_of(tmp_path, "short one", QUESTION)])(batch_of(*texts).select(["id", "text"]))
    assert rows.kept.schema == CONTAMINATION
    clean, hit, empty = rows.kept.to_pylist()
    assert (clean["contaminated_by"], clean["contaminated_ngrams"], empty["contaminated_by"]) == (None, 0, None)
    assert (hit["contaminated_by"], hit["contaminated_row"]) == ("quiz", f"{1:032x}")
    assert texts[1][hit["contaminated_start"] : hit["contaminated_end"]] == COPIED.rstrip(")!")
    assert hit["contaminated_ngrams"] == len(words_of(COPIED)) - 8 + 1
    assert rows.notes == {"contaminated": 1}


def test_fewer_overlaps_than_asked_are_no_hit(tmp_path):
    files = [index_of(tmp_path, QUESTION)]
    eight = "so when the morning tide came in again"
    batch = batch_of("first when the morning tide came in again", eight, COPIED).select(["id", "text"])
    for fewest, hits in ((1, [1, 0, 9]), (2, [0, 0, 9]), (10, [0, 0, 0])):
        rows = Decontaminate(fewest=fewest).start(files)(batch)
        assert rows.kept.column("contaminated_ngrams").to_pylist() == hits


def test_own_evaluation_rows_are_indexed_and_never_hits(tmp_path):
    fold = Ngrams(words=8, splits=("validation", "test"))
    split = pa.array(["train", "test"])
    files = [index_of(tmp_path, "Training text " + "of many other words " * 4, QUESTION, fold=fold, split=split)]
    texts = batch_of(QUESTION, QUESTION, "Training text " + "of many other words " * 4).select(["id", "text"])
    splits = pa.record_batch({"id": texts.column("id"), "split": pa.array(["train", "test", "train"])})
    rows = Decontaminate(by_split=True).start(files)(texts, splits)
    assert rows.kept.column("contaminated_by").to_pylist() == ["quiz", None, None]


@pytest.mark.parametrize("held_out", ["too short", None])
def test_own_rows_of_which_none_is_held_out_or_long_enough_hit_nothing(tmp_path, held_out):
    fold = Ngrams(words=8, splits=("validation", "test"))
    state = None if held_out is None else fold.observe(0, batch_of(held_out, split=pa.array(["test"])))
    fold.finish(state, tmp_path)
    texts = batch_of(QUESTION, "").select(["id", "text"])
    splits = pa.record_batch({"id": texts.column("id"), "split": pa.array(["train", "train"])})
    rows = Decontaminate(by_split=True).start([tmp_path])(texts, splits)
    assert rows.kept.column("contaminated_by").to_pylist() == [None, None]


def test_an_index_of_nothing_is_refused(tmp_path):
    fold = Ngrams()
    with pytest.raises(InputError, match="no n-gram of 13 words"):
        fold.finish(fold.observe(0, batch_of("too short")), tmp_path)
    with pytest.raises(InputError):
        fold.finish(None, tmp_path)


def test_files_of_two_sizes_do_not_mix(tmp_path):
    files = [index_of(tmp_path, QUESTION, fold=Ngrams(words=n)) for n in (8, 9)]
    with pytest.raises(SchemaError, match="one size"):
        Decontaminate().start(files)
    with pytest.raises(ConfigError):
        Ngrams(words=1)
    with pytest.raises(ConfigError):
        Decontaminate(fewest=0)


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=5, max_size=9).map(" ".join), min_size=1, max_size=6
    ),
    st.data(),
)
def test_states_merge_in_any_order(texts, data):
    fold, whole = Ngrams(words=5), batch_of(*texts)
    cut = data.draw(st.integers(0, len(texts)))
    left, right = fold.observe(0, whole.slice(0, cut)), fold.observe(0, whole.slice(cut))
    assert fold.merge(left, right).equals(fold.merge(right, left))
    assert fold.merge(left, right).equals(fold.observe(0, whole))


@given(st.text())
def test_words_and_their_places_are_those_of_the_kernel(text):
    lower = _lower(text)
    assert len(lower) == len(text)
    assert [lower[start:end] for start, end in word_spans(text)] == words_of(text)
