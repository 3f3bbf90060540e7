"""Which device a kernel runs on: found, chosen and reported here. The only file that imports cupy.

`auto` takes a GPU if cupy and a device are there, else the CPU; `cuda` insists and says what is missing. A device never
enters the identity of a result: every kernel gives the same integers on each.
"""

from __future__ import annotations

import functools
import importlib
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

Choice = Literal["auto", "cpu", "cuda"]
LEAST_COMPUTE = 80  # Ampere: warps find a minimum by themselves


class DeviceMissing(Exception):
    """`cuda` was asked for, and `what` is missing; `hint` is the way out."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}; {hint}")
        self.what, self.hint = what, hint


@dataclass(frozen=True)
class Device:
    """What will be used. `kind` is cpu or cuda; the rest is for the run's log, never for a published file."""

    kind: Literal["cpu", "cuda"]
    name: str
    memory_bytes: int = 0
    compute: str = ""  # e.g. "90", what NVRTC compiles for

    def report(self) -> dict[str, str | int]:
        """For `doctor` and the run's record: {"device": "cuda", "name": …, "memory_bytes": …, "compute": "90"}."""
        return {"device": self.kind, "name": self.name, "memory_bytes": self.memory_bytes, "compute": self.compute}


def choose(choice: Choice = "auto") -> Device:
    """The device for `auto`, `cpu` or `cuda`. DeviceMissing for `cuda` without one, ValueError for other words."""
    if choice not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, not {choice!r}")
    if choice == "cpu":
        return cpu()
    missing = why_no_cuda()
    if missing is None:
        return cuda()
    if choice == "cuda":
        raise missing
    return cpu()


def cpu() -> Device:
    """The host, with the number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Device("cpu", f"{cores} cores")


def cuda() -> Device:
    """The current CUDA device. Call only after `why_no_cuda()` gave None."""
    found: Any = cupy().cuda.runtime.getDeviceProperties(cupy().cuda.Device().id)
    name = found["name"].decode() if isinstance(found["name"], bytes) else str(found["name"])
    return Device("cuda", name, int(found["totalGlobalMem"]), f"{found['major']}{found['minor']}")


@functools.cache
def why_no_cuda() -> DeviceMissing | None:
    """None when a GPU can be used, else what is missing. cupy imports without a driver, which proves nothing."""
    try:
        module = cupy()
    except DeviceMissing as missing:
        return missing
    try:
        count = int(module.cuda.runtime.getDeviceCount())
    except module.cuda.runtime.CUDARuntimeError as error:
        hint = "use device: cpu, or check nvidia-smi; a driver older than 580 needs dataforge[gpu-cuda12] instead"
        return DeviceMissing(f"no usable CUDA driver ({error})", hint)
    if count == 0:
        return DeviceMissing("no CUDA device is visible", "use device: cpu, or set CUDA_VISIBLE_DEVICES")
    return _why_useless(module)


def _why_useless(module: Any) -> DeviceMissing | None:
    """A GPU that is too old, or a cupy that cannot compile: its own wheel brings neither the compiler nor its headers."""
    try:
        compute = cuda().compute
        if int(compute) < LEAST_COMPUTE:
            return DeviceMissing(f"the GPU is sm_{compute}, and sm_{LEAST_COMPUTE} is needed", "use device: cpu")
        if int((module.zeros(1, "int32") + 1).get()[0]) != 1:
            return DeviceMissing("the GPU does not add 1 and 0", "use device: cpu, or check nvidia-smi")
    except MemoryError:
        return DeviceMissing("the GPU has no memory left", "use device: cpu, or fewer workers")
    except Exception as error:  # libraries that are missing or do not fit have errors of many kinds
        why = str(error).strip().splitlines() or [""]
        hint = "install dataforge[gpu], which brings the CUDA libraries (cupy-cuda13x[ctk]), or use device: cpu"
        return DeviceMissing(f"cupy cannot run a kernel ({type(error).__name__}: {why[0][:200]})", hint)
    return None


@functools.cache
def cupy() -> ModuleType:
    """The cupy module. Raises DeviceMissing when it is not installed or cannot load its libraries."""
    try:
        return importlib.import_module("cupy")
    except ImportError as error:
        hint = "install dataforge[gpu] (cupy-cuda13x[ctk]), or use device: cpu"
        raise DeviceMissing(f"cupy cannot be imported ({type(error).__name__})", hint) from None
