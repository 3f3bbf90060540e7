"""How texts are laid out for the GPU: batches by their bytes, stretches for threads. And what stands in for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from dataforge.kernels.buffers import Strings
from dataforge.kernels.gpu import Gpu

STRETCH = 1024  # stretch.cuh

Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class OnHost(Generic[Given, Result]):
    """What is done without a GPU: none of it was left to the host by one."""

    work: Callable[[Given], Result]
    by_host: int = 0

    def __call__(self, given: Given) -> Result:
        return self.work(given)


def batch_edges(texts: Strings, limit: int, rows: int) -> list[int]:
    """Rows between which batches lie: at most `rows` of `limit` bytes each, or one text."""
    edges = [0]
    while edges[-1] < len(texts):
        full = int(np.searchsorted(texts.offsets, texts.offsets[edges[-1]] + limit, side="right")) - 1
        edges.append(max(edges[-1] + 1, min(full, edges[-1] + rows)))
    return edges


def stretches_of(gpu: Gpu, texts: Strings) -> tuple[Any, Any, int]:
    """On the device: the first stretch of each text and the number of all, the text of each stretch. And their number."""
    stretches = -(-np.diff(texts.offsets) // STRETCH)
    firsts = np.concatenate([np.zeros(1, np.int64), np.cumsum(stretches, dtype=np.int64)])
    rows = np.repeat(np.arange(len(texts), dtype=np.int32), stretches)
    return gpu.xp.asarray(firsts), gpu.xp.asarray(rows), int(firsts[-1])
