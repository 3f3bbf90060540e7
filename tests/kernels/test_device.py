"""The device is chosen in one place and says what is missing."""

import sys
from types import SimpleNamespace

import numpy as np
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


# --- what a cupy that imports may lack --------------------------------------------------------------------------------


class Driver(RuntimeError):
    """cupy's CUDARuntimeError."""


def fails(error):
    def call(*_):
        raise error

    return call


def module(monkeypatch, *, count=lambda: 1, compute=(9, 0), zeros=lambda *_: np.zeros(1, np.int32)):
    """A cupy of plain numbers; `get` of numpy's array is its own."""

    class Vector:
        def __init__(self, values):
            self.values = values

        def __add__(self, other):
            return Vector(self.values + other)

        def get(self):
            return self.values

    properties = {"name": b"H200", "totalGlobalMem": 1 << 37, "major": compute[0], "minor": compute[1]}
    runtime = SimpleNamespace(getDeviceCount=count, CUDARuntimeError=Driver, getDeviceProperties=lambda number: properties)
    cuda = SimpleNamespace(runtime=runtime, Device=lambda: SimpleNamespace(id=0))
    made = SimpleNamespace(cuda=cuda, zeros=lambda *given: Vector(zeros(*given)))
    monkeypatch.setitem(sys.modules, "cupy", made)


def test_a_gpu_that_computes_is_chosen(monkeypatch):
    module(monkeypatch)
    assert device.choose("auto").report() == {"device": "cuda", "name": "H200", "memory_bytes": 1 << 37, "compute": "90"}


LACKS = {
    "an old driver": ({"count": fails(Driver("cudaErrorInsufficientDriver"))}, r"no usable CUDA driver.*gpu-cuda12"),
    "no device": ({"count": lambda: 0}, "no CUDA device is visible"),
    "an old device": ({"compute": (7, 5)}, "sm_75, and sm_80 is needed"),
    "no compiler": (
        {"zeros": fails(RuntimeError("CuPy failed to load libnvrtc.so.13\nmore"))},
        r"RuntimeError: .*nvrtc.*\[ctk\]",
    ),
    "no memory": ({"zeros": fails(MemoryError())}, "no memory left"),
}


@pytest.mark.parametrize(("lack", "said"), LACKS.values(), ids=LACKS)
def test_what_is_missing_is_said_and_auto_goes_on_without(monkeypatch, lack, said):
    module(monkeypatch, **lack)
    assert device.choose("auto").kind == "cpu"
    with pytest.raises(device.DeviceMissing, match=said):
        device.choose("cuda")
