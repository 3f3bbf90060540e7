"""The device is chosen in one place and says what is missing."""

import sys

import pytest

from dataforge.kernels import device


@pytest.fixture(autouse=True)
def forgotten():
    device.cupy.cache_clear()
    device.why_no_cuda.cache_clear()
    yield
    device.cupy.cache_clear()
    device.why_no_cuda.cache_clear()


def test_cpu_is_always_there():
    assert device.choose("cpu").report()["device"] == "cpu"


def test_without_cupy_auto_is_cpu_and_cuda_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert device.choose("auto").kind == "cpu"
    with pytest.raises(device.DeviceMissing, match=r"cupy cannot be imported.*dataforge\[gpu\]"):
        device.choose("cuda")


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        device.choose("tpu")
