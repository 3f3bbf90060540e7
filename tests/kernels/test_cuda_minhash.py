"""MinHash on a GPU without a GPU: compiled for it, and both passes run on the host against the definition."""

import random

import numpy as np
import pyarrow as pa
import pytest

from dataforge.kernels import device, gpu_minhash
from dataforge.kernels.buffers import strings_of
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from dataforge.kernels.gpu_encode import source
from dataforge.kernels.minhash import MinHashSpec, reference_signatures
from tests.kernels.cuda_host import Host, nvrtc

SPECS = [MinHashSpec(k=16), MinHashSpec(k=7, n=1), MinHashSpec(k=8, shingle="characters", n=4), MinHashSpec(k=3, n=40)]


def texts():
    rng = random.Random(4)
    words = ["Don't", "PANIC", "the", "Straße", "ǅungla", "漢字テスト", "ขอบคุณ", "i̇", "ȺΩ", "x1", "42", "é", "😀"]
    found = ["", " ", "!?", "one", "Two words", "漢字", "\u023a" * 9, "a" * 300]
    found += [" ".join(rng.choices(words, k=rng.randint(1, 60))) for _ in range(60)]
    return found + [hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]) for i in range(150)]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_passes_give_the_values_of_the_definition(spec):
    right = reference_signatures(texts(), spec)
    found = gpu_minhash.signatures_on(Host(name="minhash_host.c"), strings_of(pa.array(texts())), spec)
    assert np.array_equal(found.words > 0, right.words > 0)
    assert np.array_equal(found.values, right.values)


def test_slices_and_no_texts():
    machine, spec = Host(name="minhash_host.c"), SPECS[0]
    array = pa.array(["pad", "the cat sat on the mat", None, "pad"])
    right = reference_signatures(["the cat sat on the mat", ""], spec)
    found = gpu_minhash.signatures_on(machine, strings_of(array.slice(1, 2)), spec)
    assert np.array_equal(found.values, right.values)
    assert gpu_minhash.signatures_on(machine, strings_of(array.slice(0, 0)), spec).values.shape == (0, spec.k)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvrtc_compiles_minhash(architecture):
    assert nvrtc.cubin_size(source(*gpu_minhash.SOURCES), architecture) > 1000


@pytest.mark.gpu
def test_a_gpu_gives_the_same_values():
    missing = device.why_no_cuda()
    if missing is not None:
        pytest.skip(f"never run on a GPU here: {missing}")
    for spec in SPECS:
        found = gpu_minhash.signatures_on(gpu_minhash.Gpu(), strings_of(pa.array(texts())), spec)
        assert np.array_equal(found.values, reference_signatures(texts(), spec).values)
