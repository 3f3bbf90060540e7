"""Loops that numba compiles where it is installed, and that run as plain Python where it is not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


@functools.cache
def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """`loop` as a kernel that a machine compiles once; `loop` itself without numba."""
    try:
        from dataforge.kernels.cpu.compiled import kernel
    except ImportError:
        return loop
    made: Callable[..., Any] = kernel(loop)  # type: ignore[no-untyped-call]
    return made
