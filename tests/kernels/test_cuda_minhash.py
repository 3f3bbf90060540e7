"""MinHash on a GPU without a GPU: compiled for it, and both passes run on the host against the definition."""

import functools
import random

import numpy as np
import pyarrow as pa
import pytest

from dataforge.kernels import gpu, gpu_minhash
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from dataforge.kernels.gpu_batches import STRETCH
from dataforge.kernels.minhash import MinHashSpec, reference_signatures
from tests.kernels.cuda_host import fake_cupy, need_gpu, nvrtc
from tests.kernels.cuda_host.fake_cupy import FakeCupy

SPECS = [MinHashSpec(k=16), MinHashSpec(k=7, n=1), MinHashSpec(k=8, shingle="characters", n=4), MinHashSpec(k=3, n=40)]


def texts():
    rng = random.Random(4)
    words = ["Don't", "PANIC", "the", "Straße", "ǅungla", "漢字テスト", "ขอบคุณ", "i̇", "ȺΩ", "x1", "42", "é", "😀"]
    found = ["", " ", "!?", "one", "Two words", "漢字", "\u023a" * 9, "a" * 300]
    found += [" ".join(rng.choices(words, k=rng.randint(1, 60))) for _ in range(60)]
    return found + [hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]) for i in range(150)]


@functools.cache
def host_gpu():
    return gpu.Gpu(gpu_minhash.SOURCES, FakeCupy())


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_passes_give_the_values_of_the_definition(spec):
    right = reference_signatures(texts(), spec)
    found = gpu_minhash.GpuMinHash(spec, host_gpu()).signatures(pa.array(texts()))
    assert np.array_equal(found.words, right.words)
    assert np.array_equal(found.values, right.values)


def long_texts():
    """Words, blanks and single characters over the edges between stretches, at every place of a character."""
    rng, size = random.Random(7), STRETCH
    units = ["a", "É", "漢", "𝒜", " ", "\u0301", "ก", ". ", "İ", "Ⱥ"]
    found = ["x" * shift + "漢字 ab" * 600 for shift in range(9)] + ["x" * (size + shift) for shift in (-1, 0, 1)]
    found += ["é" * (size // 2 - 1) + "x" * shift + "𝒜é" * 900 for shift in range(5)]
    found += ["x" * (size - shift) + " " * shift + "y z" for shift in range(4)] + [" " * 3000, " " * 3000 + "end"]
    return found + ["".join(rng.choices(units, k=rng.randint(900, 4000))) for _ in range(30)]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_where_a_long_text_is_cut_for_threads_is_invisible(spec):
    right = reference_signatures(long_texts(), spec)
    found = gpu_minhash.GpuMinHash(spec, host_gpu()).signatures(pa.array(long_texts()))
    assert np.array_equal(found.words, right.words)
    assert np.array_equal(found.values, right.values)


@pytest.mark.parametrize("size", [20, 300, 5000])
def test_batching_is_invisible_and_large_texts_are_signed_on_the_host(monkeypatch, size):
    signer = gpu_minhash.GpuMinHash(SPECS[0], host_gpu())
    monkeypatch.setattr(signer, "batch_bytes", size)
    monkeypatch.setattr(gpu_minhash, "VALUES_BYTES", 7 * 4 * SPECS[0].k)
    assert np.array_equal(signer.signatures(pa.array(texts())).values, reference_signatures(texts(), SPECS[0]).values)


def test_slices_and_no_texts():
    signer, spec = gpu_minhash.GpuMinHash(SPECS[0], host_gpu()), SPECS[0]
    array = pa.array(["pad", "the cat sat on the mat", None, "pad"])
    right = reference_signatures(["the cat sat on the mat", ""], spec)
    assert np.array_equal(signer.signatures(array.slice(1, 2)).values, right.values)
    assert signer.signatures(array.slice(0, 0)).values.shape == (0, spec.k)
    assert signer.signatures(pa.array(["", None])).words.tolist() == [0, 0]


def test_a_text_that_is_not_utf8_is_named():
    broken = pa.array([b"the cat", b"a \xff b", b"\xe2\x82"], pa.binary())
    with pytest.raises(ValueError, match="row 1 is not valid UTF-8"):
        gpu_minhash.GpuMinHash(SPECS[0], host_gpu()).signatures(broken)
    for shift in range(-4, 5):  # where one thread ends and the next begins
        text = b"x" * (STRETCH + shift)
        for part in (b"\x80", b"\xc3", b"\xe6\xbc", b"\xed\xa0\x80", "é".encode() + b"\x80"):
            cut = pa.array([b"a", text + part + b"y" * 9], pa.binary())
            with pytest.raises(ValueError, match="row 1 is not valid UTF-8"):
                gpu_minhash.GpuMinHash(SPECS[0], host_gpu()).signatures(cut)
    kept = gpu_minhash.GpuMinHash(SPECS[0], host_gpu()).signatures(pa.array(["a \ufffd b"]))
    assert np.array_equal(kept.values, reference_signatures(["a \ufffd b"], SPECS[0]).values)


def test_without_memory_batches_are_halved_and_single_texts_are_signed_on_the_host(monkeypatch):
    signer = gpu_minhash.GpuMinHash(SPECS[0], host_gpu())
    right = reference_signatures(texts(), SPECS[0]).values
    for room in (30_000, 0):
        monkeypatch.setattr(fake_cupy.MEMORY, "limit", fake_cupy.MEMORY.held + room)
        assert np.array_equal(signer.signatures(pa.array(texts())).values, right)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvrtc_compiles_minhash_and_its_blocks_fit_a_multiprocessor(architecture):
    found = nvrtc.needs(gpu.source(*gpu_minhash.SOURCES), architecture)
    assert set(found) == {"measure", "words", "totals", "minima"}
    for kernel, needs in found.items():
        assert needs.registers * gpu.THREADS <= 65_536 and needs.shared <= 48 << 10 and needs.spilled == 0, kernel


@pytest.mark.gpu
def test_a_gpu_gives_the_same_values():
    need_gpu()
    for spec in SPECS:
        for given in (texts(), long_texts()):
            found = gpu_minhash.GpuMinHash(spec).signatures(pa.array(given))
            assert np.array_equal(found.values, reference_signatures(given, spec).values)
