"""Bytes that are not UTF-8 are an error of every kernel, which names the first such row; no text borrows from the next."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataforge.kernels import minhash, units
from dataforge.kernels.buffers import Strings, first_broken
from dataforge.kernels.encode import open_encoder
from dataforge.kernels.line_edits import PRESETS, edit_lines
from dataforge.kernels.text_stats import measure
from dataforge.kernels.tokenizer_folder import open_folder
from dataforge.operators.tokenizer_train import TrainTokenizer
from tests.kernels.cuda_host.sanitized import first_broken as broken_row

PARTS = [  # not UTF-8
    *(b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"),  # longer than need be
    *(b"\xed\xa0\x80", b"\xed\xbf\xbf"),  # surrogates
    *(b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff"),  # beyond U+10FFFF
    *(b"\x80", b"\xbf", b"\xc3\xa9\xa9", b"\xe4\xb8\xad\xad"),  # a continuation of nothing
    *(b"\xc3", b"\xe4\xb8", b"\xf0\x9f\x98", b"\xc3x", b"\xe4\xb8x", b"\xf0\x9f\x98x"),  # cut off
]
FINE = ["\0", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010fffe", "\U0010ffff"]


def strings(parts):
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return Strings(offsets, np.frombuffer(b"".join(parts), np.uint8))


def arrow(parts):
    return pa.array(parts, pa.binary()).view(pa.string())


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """Every kernel that takes texts and runs on the CPU."""
    folder = tmp_path_factory.mktemp("bpe")
    trainer = TrainTokenizer(vocab_size=300)
    trainer.finish(trainer.observe(0, pa.record_batch({"id": ["a"], "text": ["some words for it " * 9]})), folder)
    opened, spec = open_folder(folder), minhash.MinHashSpec(k=4)
    lanes = {lane: open_encoder(opened, lane=lane) for lane in ("gigatoken", "reference")}
    return {
        "encode": lambda parts: lanes["gigatoken"].encode(strings(parts)),
        "encode, reference": lambda parts: lanes["reference"].encode(strings(parts)),
        "signatures": lambda parts: minhash.signatures(strings(parts), spec),
        "shingle hashes": lambda parts: minhash.shingle_hashes(strings(parts), minhash.MinHashSpec(shingle="characters")),
        "text statistics": lambda parts: measure(strings(parts)),
        "word anchors": lambda parts: units.word_anchors(strings(parts), 2),
        **{f"units, {name}": lambda parts, name=name: units.text_units(strings(parts), name) for name in units.UNITS},
        **{f"line rules, {name}": lambda parts, name=name: edit_lines(arrow(parts), name) for name in PRESETS},
    }


KERNELS = [
    *("encode", "encode, reference", "signatures", "shingle hashes", "text statistics", "word anchors"),
    *(f"units, {name}" for name in units.UNITS),
    *(f"line rules, {name}" for name in PRESETS),
]


def test_these_are_all_kernels(kernels):
    assert sorted(kernels) == sorted(KERNELS)


def agrees(kernel, parts):
    """Raises for the first broken row, or does not raise."""
    row = broken_row(parts)
    if row < 0:
        kernel(parts)
        return
    with pytest.raises(ValueError, match=rf"^row {row} is not valid UTF-8$"):
        kernel(parts)


@pytest.mark.parametrize("name", KERNELS)
def test_each_kernel_names_the_row(kernels, name):
    for part in PARTS:
        agrees(kernels[name], [b"fine", b"", b"some " + part])
        agrees(kernels[name], [part + b" words", b"\xff"])
    for text in FINE:
        agrees(kernels[name], [b"a" * 62 + text.encode(), text.encode()])


@pytest.mark.parametrize("name", KERNELS)
def test_a_character_across_two_texts_is_in_neither(kernels, name):
    for char in ("é", "中", "\U0001f600"):
        whole = char.encode()
        for cut in range(1, len(whole)):
            agrees(kernels[name], [b"one", b"two " + whole[:cut], whole[cut:] + b" three"])
            agrees(kernels[name], [whole[:cut], b"", whole[cut:]])
        agrees(kernels[name], [b"one " + whole, whole + b" two"])


pieces = st.sampled_from([*PARTS, *(text.encode() for text in FINE), b"word ", b". ", b"\n", b"x" * 63, b"y" * 250])
texts = st.lists(st.lists(pieces, max_size=6).map(b"".join) | st.binary(max_size=8), max_size=4)


@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=40, deadline=None)
@given(parts=texts)
@example(parts=[])
def test_each_kernel_raises_where_python_does(kernels, name, parts):
    agrees(kernels[name], parts)


@pytest.mark.parametrize("before", range(71))
def test_at_every_place_of_a_block(before):
    """Blocks have 64 bytes, or 256 of ASCII."""
    for part in PARTS:
        for size in (before, before + 192, before + 448):
            assert first_broken(strings([b"a" * size + part])) == 0
            assert first_broken(strings([b"", b"a" * size, part + b"a" * 300])) == 2
    for text in FINE:
        assert first_broken(strings([b"a" * before + text.encode() * 70 + b"a" * 300])) == -1


@given(st.lists(st.tuples(st.integers(0, 300), pieces | st.binary(max_size=4)), max_size=12), st.integers(0, 5))
def test_long_texts(runs, cuts):
    whole = b"".join(b"a" * count + piece for count, piece in runs)
    edges = [0, *(len(whole) * i // (cuts + 1) for i in range(1, cuts + 1)), len(whole)]
    parts = [whole[a:b] for a, b in itertools.pairwise(edges)]
    assert first_broken(strings(parts)) == broken_row(parts)


def test_what_lies_around_the_texts_is_not_looked_at():
    data = np.frombuffer(b"\xe4\xb8" + b"\xc3\xa9" * 100 + b"\xa9\xff", np.uint8)
    offsets = np.array([2, 4, 202], np.int64)
    assert first_broken(Strings(offsets, data)) == -1
    assert first_broken(Strings(offsets + 1, data)) == 0
    assert first_broken(Strings(np.array([2, 4, 203], np.int64), data)) == 1
