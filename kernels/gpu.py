"""A GPU as the passes see it: kernels compiled for it, memory beside it, and three streams that work at the same time.

`Gpu` compiles CUDA files of `cuda/` when it is made and launches their kernels with a thread, or a block, for each item.
All computing happens on `stream`; `Upload` and `Download` copy through pinned memory on streams of their own, so that
one batch is encoded while the next one comes and the last one goes. Tests put an array library of their own in place of
cupy, which compiles the same source for the host: whatever is said here runs there, line by line.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dataforge.kernels.device import cupy

CUDA = Path(__file__).with_name("cuda")
THREADS = 256
CHUNK = 4 << 20  # bytes that a thread copies at a time
OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation
MOST_BLOCKS = 65_535  # of kernels that loop over their items, a block for each


def source(*names: str) -> str:
    """The text of CUDA files, one after another: what the compiler gets."""
    return "\n".join((CUDA / name).read_text(encoding="ascii") for name in names)


class Gpu:
    """`xp` is cupy; the kernels are those of the named files."""

    def __init__(self, files: Sequence[str], xp: Any = None) -> None:
        self.xp = xp or cupy()
        self._module = self.xp.RawModule(code=source(*files), options=("--std=c++17",))
        self._kernels: dict[str, Any] = {}
        self.stream, self.incoming, self.outgoing = (self.xp.cuda.Stream(non_blocking=True) for _ in range(3))

    def launch(self, kernel: str, count: int, *arguments: Any, blocks: int = 0, threads: int = THREADS) -> None:
        """A thread for each of `count` items, or a block for each: at most `blocks` of them, which loop. Numbers must be
        numpy scalars of the right width."""
        if count == 0:
            return
        if kernel not in self._kernels:
            self._kernels[kernel] = self._module.get_function(kernel)
        grid = min(count, blocks) if blocks else -(-count // threads)
        self._kernels[kernel]((grid,), (threads,), (np.int64(count), *arguments))

    def release(self) -> None:
        """Gives memory back that no array holds."""
        self.xp.get_default_memory_pool().free_all_blocks()

    def free_bytes(self) -> int:
        """Device memory that nobody holds."""
        return int(self.xp.cuda.runtime.memGetInfo()[0])


class Pinned:
    """Host memory that the GPU copies from and to by itself; it grows and is never given back."""

    def __init__(self, xp: Any) -> None:
        self._xp, self._room = xp, np.zeros(0, np.uint8)

    def array(self, count: int, dtype: Any) -> npt.NDArray[Any]:
        """The first bytes as an array. What an earlier call gave is the same memory."""
        size = count * np.dtype(dtype).itemsize
        if size > len(self._room):
            memory = self._allocated(_grown(size))
            self._room = np.frombuffer(memory, np.uint8, _grown(size))
        found: npt.NDArray[Any] = self._room[:size].view(dtype)
        return found

    def _allocated(self, size: int) -> Any:
        """cupy names missing device memory a MemoryError, missing pinned memory an error of the driver."""
        self._room = np.zeros(0, np.uint8)  # what was there goes first
        try:
            return self._xp.cuda.alloc_pinned_memory(size)
        except RuntimeError as error:
            if getattr(error, "status", 0) != OUT_OF_MEMORY:
                raise
            raise MemoryError("no pinned memory left") from error


class Upload:
    """An array on its way to the GPU. `array` may be used on the computing stream; `done` gives the buffers free."""

    def __init__(self, gpu: Gpu, dtype: Any) -> None:
        self._gpu, self._dtype = gpu, dtype
        self._pinned = Pinned(gpu.xp)
        self._device: Any = None
        self._arrived, self._used = gpu.xp.cuda.Event(), gpu.xp.cuda.Event()

    def send(self, values: npt.NDArray[Any], spare: int = 0) -> None:
        """Starts to copy `values`; behind them are `spare` items that hold anything."""
        self._arrived.synchronize()  # the copy before has left the pinned memory
        pinned = self._pinned.array(len(values), self._dtype)
        copy(pinned, values)
        if self._device is None or len(self._device) < len(values) + spare:
            with self._gpu.stream:
                self._device = self._gpu.xp.empty(_grown(len(values) + spare), self._dtype)
                self._used.record(self._gpu.stream)
        self._gpu.incoming.wait_event(self._used)  # the passes of the batch before have read it
        self._device[: len(values)].set(pinned, stream=self._gpu.incoming)
        self._arrived.record(self._gpu.incoming)

    def array(self, count: int) -> Any:
        """The device array, from where the computing stream now stands."""
        self._gpu.stream.wait_event(self._arrived)
        return self._device[:count]

    def done(self) -> None:
        """All passes that read it have been launched."""
        self._used.record(self._gpu.stream)


class Download:
    """An array on its way to the host."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu, self._pinned = gpu, Pinned(gpu.xp)
        self._source: Any = None
        self._ready, self._arrived = gpu.xp.cuda.Event(), gpu.xp.cuda.Event()

    def start(self, array: Any) -> None:
        """Starts to copy what the computing stream will have in `array`, which is kept until it is here."""
        self._arrived.synchronize()
        self._source = array
        self._ready.record(self._gpu.stream)
        self._gpu.outgoing.wait_event(self._ready)
        if len(array):
            out = self._pinned.array(len(array), array.dtype)
            array.get(stream=self._gpu.outgoing, out=out, blocking=False)
        self._arrived.record(self._gpu.outgoing)

    def wait(self) -> npt.NDArray[Any]:
        """The array; it lives until the next start()."""
        self._arrived.synchronize()
        source, self._source = self._source, None
        return self._pinned.array(len(source), source.dtype)


def copy(to: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
    """to[:] = values, by several threads where it is much: one alone is slower than the way to a GPU."""
    step = CHUNK // to.itemsize
    if len(to) <= 2 * step:
        np.copyto(to, values)
        return
    edges = range(0, len(to), step)
    list(_copiers().map(lambda at: np.copyto(to[at : at + step], values[at : at + step]), edges))


@functools.cache
def _copiers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(4, os.cpu_count() or 1))


def _grown(count: int) -> int:
    """Room to grow into: the next power of two."""
    return 1 << max(12, (count - 1).bit_length())


@functools.cache
def gpu_of(*files: str) -> Gpu:
    """The one Gpu of this process for these kernels."""
    return Gpu(files)
