"""MinHash signatures on a GPU: words by a thread per text, minima by a block per text. Simple and exact first.

Like `gpu_encode`, written against a `Machine`, so that the tests run both passes on the host. The values are those of
`minhash.signatures`, so the device enters no identity. Texts are valid UTF-8, as checked at ingest.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from dataforge.kernels import unicode
from dataforge.kernels.buffers import Strings
from dataforge.kernels.device import cupy
from dataforge.kernels.encoder_tables import Blob, packed_tables, two_stage
from dataforge.kernels.gpu_encode import THREADS, Machine, source
from dataforge.kernels.minhash import MinHashSpec, Signatures, permutations

SOURCES = ("common.cuh", "minhash.cuh", "minhash.cu")
MOST_BLOCKS = 65_535


@functools.cache
def word_tables() -> Blob:
    """Classes and lower case of all code points, as `minhash.cuh` reads them."""
    classes, lower = unicode.classes().astype(np.uint16), unicode.lower().astype(np.uint32)
    return packed_tables([*two_stage(classes), *two_stage(lower)])


def signatures_on(machine: Machine, texts: Strings, spec: MinHashSpec) -> Signatures:
    """Signatures of raw texts, bit for bit those of the host."""
    xp, count = machine.xp, len(texts)
    base, size = int(texts.offsets[0]), texts.size_bytes
    offsets = xp.asarray(texts.offsets - base)
    out, units = xp.zeros(2 * size + 1, xp.uint8), xp.zeros(count, xp.int64)
    begins, ends = (xp.zeros(2 * size + 1, xp.int64) for _ in range(2))
    text = xp.asarray(texts.data[base : base + size])
    by_characters = np.int64(spec.shingle == "characters")
    tables = xp.asarray(word_tables())
    machine.launch("words", count, tables, text, offsets, by_characters, out, begins, ends, units)
    values = xp.zeros((count, spec.k), xp.uint32)
    factors, shifts = (xp.asarray(numbers) for numbers in permutations(spec))
    shape = (np.int64(spec.n), factors, shifts, np.int64(spec.k), values)
    machine.launch("minima", count, out, begins, ends, units, offsets, *shape)
    host = [array.get() if hasattr(array, "get") else array for array in (values, units)]
    return Signatures(host[0], host[1])


class Gpu:
    """cupy, and the two kernels compiled for the device at hand."""

    def __init__(self) -> None:
        self.xp: Any = cupy()
        self._module = self.xp.RawModule(code=source(*SOURCES), options=("--std=c++17",))

    def launch(self, kernel: str, count: int, *arguments: Any) -> None:
        if count:
            blocks = min(count, MOST_BLOCKS) if kernel == "minima" else -(-count // THREADS)
            self._module.get_function(kernel)((blocks,), (THREADS,), (np.int64(count), *arguments))
