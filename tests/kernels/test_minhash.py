"""Signatures equal datasketch's bit for bit; the compiled face equals the definition on any text, cut anywhere."""

import datasketch
import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataforge.kernels import minhash
from dataforge.kernels.hash import xxh64
from dataforge.kernels.minhash import EMPTY, MinHashSpec, shingles_of, words_of

WORDS = MinHashSpec(k=16, n=3)
CHARACTERS = MinHashSpec(k=16, n=4, shingle="characters")
TEXTS = st.text(st.sampled_from("aAbZ19 .,\n'-éßİ٣ \u0301漢カก\U00020000\U0001f600"), max_size=60)
TEXTS |= st.text(max_size=40)


def assert_faces_agree(texts, spec):
    array = pa.array(texts, pa.large_string())
    found, expected = minhash.signatures(array, spec), minhash.reference_signatures(texts, spec)
    assert found.values.tolist() == expected.values.tolist()
    assert found.words.tolist() == expected.words.tolist()
    for got, want in zip(
        minhash.shingle_hashes(array, spec), minhash.reference_shingle_hashes(texts, spec), strict=True
    ):
        assert got.tolist() == want.tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't  PANIC", ["don", "t", "panic"]),
        ("漢字かな Ωmega", ["漢", "字", "か", "な", "ωmega"]),
        ("กข x", ["ก", "ข", "x"]),
        ("e\u0301te\u0301 İx", ["e\u0301te\u0301", "ix"]),
        (" .-\n", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


def test_shingles_join_words_by_one_blank():
    assert shingles_of("A b,  c\nd", MinHashSpec(n=3)) == [b"a b c", b"b c d"]
    assert shingles_of("A b", MinHashSpec(n=3)) == [b"a b"]
    assert shingles_of("Ab, c", MinHashSpec(n=3, shingle="characters")) == [b"ab ", b"b c"]


@given(st.binary(max_size=100), st.integers(0, 2**64 - 1))
def test_the_definition_of_xxh64_is_xxh64(data, seed):
    assert xxh64(data, seed) == xxhash.xxh64_intdigest(data, seed)


def test_signature_equals_datasketch():
    text = "the quick brown fox jumps over the lazy dog and runs away from the old farm"
    oracle = datasketch.MinHash(num_perm=128, hashfunc=lambda data: xxhash.xxh64_intdigest(data) & 0xFFFFFFFF)
    oracle.update_batch(shingles_of(text, MinHashSpec()))
    values = minhash.signatures(pa.array([text]), MinHashSpec()).values[0]
    assert values.tolist() == oracle.hashvalues.tolist()
    assert datasketch.MinHash(hashvalues=values, scheme="affine32").jaccard(oracle) == 1.0


@settings(max_examples=60)
@given(st.lists(TEXTS, max_size=8))
@example(["", " ", "a", "a b c", "a b c d"])
def test_faces_agree_on_words(texts):
    assert_faces_agree(texts, WORDS)


@settings(max_examples=60)
@given(st.lists(TEXTS, max_size=8))
@example(["", " ", "a", "ab c", "abcd"])
def test_faces_agree_on_characters(texts):
    assert_faces_agree(texts, CHARACTERS)


@pytest.mark.parametrize("spec", [WORDS, CHARACTERS])
@pytest.mark.parametrize("size", [4093, 4096, 4099, 8192, 30_000])
def test_chunk_edges_are_invisible(spec, size):
    line = "Ünïcode wörds ok 漢字 and a plain tail of words, " * 20
    assert_faces_agree([line[: size // 60] + "x" * (size % 7), (line * (size // 900 + 1))[: size // 8]], spec)


@pytest.mark.parametrize("length", [4095, 4096, 4097, 70_000])
def test_a_word_longer_than_the_window(length):
    assert_faces_agree(["a " + "b" * length + " c d e", "漢 é" + "é" * (length // 2)], WORDS)


@pytest.mark.parametrize("length", range(1, 80, 3))
def test_every_length_of_shingle(length):
    assert_faces_agree(["x" * length, "y" * (length + 500)], MinHashSpec(k=4, n=1))


@pytest.mark.parametrize("k", [63, 64, 65, 130])
def test_every_number_of_values(k):
    assert_faces_agree(["a b c d e f g h", "", "x"], MinHashSpec(k=k, n=2))


@pytest.mark.parametrize("shift", range(0, 70, 3))
def test_words_at_any_place(shift):
    texts = ["." * shift + "Ab " * 30 + "c" * 70 + " d", "é" * (shift // 8) + "x y" * shift]
    assert_faces_agree(texts, MinHashSpec(k=2, n=2))


def test_many_short_rows_fill_several_blocks():
    texts = [f"row {i} of many, {i * 7} words" for i in range(2000)]
    assert_faces_agree(texts, MinHashSpec(k=2, n=2))


def test_wordless_rows_are_empty_and_nulls_count_as_empty():
    found = minhash.signatures(pa.array(["", None, "...", "a"]), WORDS)
    assert found.empty.tolist() == [True, True, True, False]
    assert (found.values[:3] == EMPTY).all()


def test_batching_is_invisible():
    array = pa.array([f"some words {i} and more {i % 3}" for i in range(50)])
    whole = minhash.signatures(array, WORDS).values
    parts = [minhash.signatures(array[i : i + 7], WORDS).values for i in range(0, 50, 7)]
    assert (whole == np.concatenate(parts)).all()


def test_signature_of_a_union_is_the_minimum():
    left, right = "a b c d", "w x y z"
    both = minhash.signatures(pa.array([left, right]), WORDS).values
    hashes = [xxh64(s) for t in (left, right) for s in shingles_of(t, WORDS)]
    assert len(set(hashes)) == 4
    merged = datasketch.MinHash(hashvalues=both[0], scheme="affine32")
    merged.merge(datasketch.MinHash(hashvalues=both[1], scheme="affine32"))
    assert merged.hashvalues.tolist() == both.min(axis=0).tolist()


@pytest.mark.parametrize(
    "bad", [b"\xff", b"a\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f", b"\x80", b"\xe6\xbc"]
)
def test_invalid_utf8_is_refused_by_row(bad):
    rows = pa.array([b"fine", bad]).view(pa.string())
    with pytest.raises(ValueError, match="row 1 is not valid UTF-8"):
        minhash.signatures(rows, WORDS)
    with pytest.raises(ValueError, match="row 1 is not valid UTF-8"):
        minhash.shingle_hashes(rows, WORDS)


def test_the_next_row_never_completes_a_cut_character():
    rows = pa.array(["é", "é"]).buffers()[2]
    cut = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 4], np.int32)), rows])
    with pytest.raises(ValueError, match="row 0"):
        minhash.signatures(cut, WORDS)


@pytest.mark.parametrize("wrong", [{"k": 0}, {"n": 0}, {"scheme": "legacy"}, {"shingle": "lines"}])
def test_wrong_specs_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        MinHashSpec(**wrong)


def test_metadata_names_everything_the_signature_depends_on():
    assert set(MinHashSpec().metadata()) == {"k", "seed", "shingle", "n", "scheme", "base_hash", "normaliser"}
