"""NVRTC through ctypes: compiles CUDA source for a GPU that is not there."""

import ctypes
import re
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Needs:
    """What a kernel takes of a multiprocessor, as the assembler says."""

    registers: int  # of a thread
    shared: int  # bytes of a block
    spilled: int  # bytes that did not fit into registers


def needs(source: str, architecture: str) -> dict[str, Needs]:
    """By kernel; fails the test with the compiler's log where the source does not compile."""
    log = _compiled(source, architecture)
    found = {}
    for part in re.split(r"Compiling entry function ", log)[1:]:
        registers, shared = re.search(r"Used (\d+) registers", part), re.search(r"(\d+) bytes smem", part)
        spilled = sum(map(int, re.findall(r"(\d+) bytes spill", part)))
        found[part.split("'")[1]] = Needs(int(registers[1]), int(shared[1]) if shared else 0, spilled)
    return found


def _compiled(source: str, architecture: str) -> str:
    """The compiler's log of machine code that was made."""
    nvrtc = library()
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    as_cupy_does = [b"--std=c++17", b"--device-as-default-execution-space"]
    options = [f"--gpu-architecture={architecture}".encode(), *as_cupy_does, b"--ptxas-options=-v"]
    result = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    if result != 0:
        pytest.fail(log.value.decode())
    assert nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0 and size.value > 1000
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return log.value.decode()
