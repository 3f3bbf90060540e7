"""NVRTC through ctypes: compiles CUDA source for a GPU that is not there."""

import ctypes
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

PACKAGES = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")


def library() -> ctypes.CDLL:
    for package in PACKAGES:
        try:
            found = [f for f in files(package) or [] if Path(str(f)).name.startswith("libnvrtc.so")]
        except PackageNotFoundError:
            continue
        if found:
            return ctypes.CDLL(str(found[0].locate()))
    pytest.skip("no NVRTC: pip install nvidia-cuda-nvrtc")


def cubin_size(source: str, architecture: str) -> int:
    """Bytes of machine code; fails the test with the compiler's log."""
    nvrtc = library()
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    result = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    if result != 0:
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        pytest.fail(log.value.decode())
    assert nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return size.value
