"""Runs CUDA source on the host: the text that the GPU's compiler would get, built by the C compiler, kernels included.

`grid.h` stands in for blocks, threads, barriers and atomics. A launch is checked as a GPU would not: every argument
against the parameter's type, the grid against its limits.
"""

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dataforge.kernels import device

HERE = Path(__file__).parent
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-parameter", "-Wno-unused-variable")
FLAGS = ("-x", "c", "-std=gnu99", "-O2", *WARNINGS)
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
TYPES = {"u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "i32": np.int32, "i64": np.int64, "u64": np.uint64}
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-DSLOW_SWITCH")
COUNTING = ("-fsanitize-coverage=trace-pc", "-DCOUNT_WORK")


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler: apt-get install gcc")
    return found


def need_gpu() -> None:
    missing = device.why_no_cuda()
    if missing is not None:
        pytest.skip(f"never run on a GPU here: {missing}")


@dataclass(frozen=True)
class Kernel:
    """A kernel's parameters as (type, is a pointer), and whether its threads wait for one another."""

    name: str
    parameters: tuple[tuple[str, bool], ...]
    barriers: bool


def kernels(code: str) -> list[Kernel]:
    """["extern C __global__ void f(i64 count, const u8* text) {…}"] -> f, ((i64, False), (u8, True)), False"""
    return [
        Kernel(match[1], _parameters(match[2]), "__syncthreads" in code[match.end() : code.index("\n}", match.end())])
        for match in KERNEL.finditer(code)
    ]


def _parameters(text: str) -> tuple[tuple[str, bool], ...]:
    words = [part.replace("const ", "").split()[0] for part in text.split(",")]
    return tuple((word.rstrip("*"), word.endswith("*")) for word in words)


@functools.cache
def library(code: str, flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The source with a launcher for each kernel."""
    body = KERNEL.sub(lambda match: f"static void kernel_{match[1]}({match[2]})", code)
    text = "\n".join(['#include "grid.h"', body, *map(_launcher, kernels(code))])
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder, "kernels.c"), Path(folder, "host.so")
        given.write_text(text)
        command = [compiler(), *FLAGS, *flags, "-shared", "-fPIC", "-pthread", f"-I{HERE}", str(given), "-o", str(out)]
        subprocess.run(command, check=True)
        found = ctypes.CDLL(str(out))  # loaded: the files may go
    if COUNTING[1] in flags:
        found.work_done.restype = ctypes.c_uint64
    return found


def _launcher(kernel: Kernel) -> str:
    values = [f"*({name}{'*' * pointer}*)a[{k}]" for k, (name, pointer) in enumerate(kernel.parameters)]
    run = "grid_with_barriers(call_{0}, a, blocks, threads)" if kernel.barriers else "grid(call_{0}, a, blocks, threads, n)"
    return (
        f"static void call_{kernel.name}(void** a) {{ kernel_{kernel.name}({', '.join(values)}); }}\n"
        f"void launch_{kernel.name}(void** a, int blocks, int threads, int n) {{ {run.format(kernel.name)}; (void)n; }}"
    )


def launch(built: ctypes.CDLL, kernel: Kernel, blocks: int, threads: int, arguments: list[object], workers: int = 1) -> None:
    """`arguments` are numpy arrays, whose memory the kernel works on, and numpy scalars of the parameters' types."""
    assert 0 < blocks < 2**31 and 0 < threads <= 1024, f"{kernel.name}: a grid of {blocks} blocks of {threads} threads"
    assert len(arguments) == len(kernel.parameters), f"{kernel.name} takes {len(kernel.parameters)} arguments"
    cells = [_cell(kernel.name, *pair) for pair in zip(kernel.parameters, arguments, strict=True)]
    pointers = (ctypes.c_void_p * len(cells))(*(cell.ctypes.data for cell in cells))
    getattr(built, f"launch_{kernel.name}")(pointers, blocks, threads, workers)


def _cell(name: str, parameter: tuple[str, bool], value: object) -> np.ndarray:
    """Memory that holds the argument as a launch passes it."""
    kind, is_pointer = parameter
    if is_pointer:
        assert isinstance(value, np.ndarray) and value.flags.c_contiguous, f"{name}: an array for {kind}*"
        assert kind == "void" or value.dtype == TYPES[kind], f"{name}: {value.dtype} for {kind}*"
        assert value.ctypes.data % 8 == 0 or value.itemsize < 8, f"{name}: {kind}* is not aligned"
        return np.array([value.ctypes.data], np.uint64)
    assert isinstance(value, TYPES[kind]), f"{name}: {type(value).__name__} for {kind}"
    return np.array([value])
