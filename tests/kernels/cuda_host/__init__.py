"""Runs the CUDA passes on the host: the same .cuh files, built by the C compiler, called through ctypes."""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from dataforge.kernels.gpu_encode import CUDA

HERE = Path(__file__).parent
FLAGS = ("-x", "c", "-std=c99", "-O2", "-Wall", "-Wextra", "-Wno-unused-function", "-Werror")


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler: apt-get install gcc")
    return found


@functools.cache
def library(name: str = "encode_host.c", *flags: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "host.so"
        command = [compiler(), *FLAGS, *flags, "-shared", "-fPIC", f"-I{CUDA}", str(HERE / name), "-o", str(out)]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(out))  # loaded: the file may go


class Host:
    """The Machine of `gpu_encode` with numpy for cupy and loops for grids."""

    xp = np

    def __init__(self, *flags: str, name: str = "encode_host.c") -> None:
        self._library = library(name, *flags)

    def launch(self, kernel: str, count: int, *arguments: object) -> None:
        passed = [ctypes.c_int64(count)]
        for value in arguments:
            if isinstance(value, np.ndarray):
                assert value.flags.c_contiguous
                passed.append(ctypes.c_void_p(value.ctypes.data))
            else:
                passed.append(ctypes.c_int64(int(value)))
        getattr(self._library, kernel)(*passed)
