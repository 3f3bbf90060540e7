"""MinHash signatures on a GPU: words by a thread for each text, minima by a block for each text.

The values are those of `minhash.signatures`, so the device enters no identity. Texts go in batches; one that is larger
than a batch is signed on the host.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pyarrow as pa

from dataforge.kernels import unicode
from dataforge.kernels.buffers import Strings, strings_of
from dataforge.kernels.encoder_tables import Blob, packed_tables, two_stage
from dataforge.kernels.gpu import Gpu, gpu_of
from dataforge.kernels.minhash import MinHashSpec, Signatures, permutations, refuse
from dataforge.kernels.minhash import signatures as signatures_on_host

SOURCES = ("common.cuh", "minhash.cuh", "minhash.cu")
STAGED = 128  # minhash.cu
BATCH_BYTES = 128 << 20
MEMORY_PER_BYTE = 16  # on the device: the text, its words, bounds of their units
VALUES_BYTES = 256 << 20  # of signatures at a time


@functools.cache
def word_tables() -> Blob:
    """Classes and lower case of all code points, as `minhash.cuh` reads them."""
    classes, lower = unicode.classes().astype(np.uint16), unicode.lower().astype(np.uint32)
    return packed_tables([*two_stage(classes), *two_stage(lower)])


class GpuMinHash:
    """One spec on one device."""

    def __init__(self, spec: MinHashSpec, gpu: Gpu | None = None) -> None:
        self.spec, self.gpu = spec, gpu or gpu_of(*SOURCES)
        self.batch_bytes = min(BATCH_BYTES, self.gpu.free_bytes() // (2 * MEMORY_PER_BYTE))
        with self.gpu.stream:
            self._tables = self.gpu.xp.asarray(word_tables())
            self._numbers = [self.gpu.xp.asarray(numbers) for numbers in permutations(spec)]

    def signatures(self, texts: pa.Array | pa.ChunkedArray | Strings) -> Signatures:
        """Signatures of raw texts; a null row counts as empty. Raises ValueError where a text is not UTF-8."""
        strings = texts if isinstance(texts, Strings) else strings_of(texts)
        edges = _edges(strings, self.batch_bytes, max(1, VALUES_BYTES // (4 * self.spec.k)))
        parts = [self._batch(strings.slice(a, b), a) for a, b in itertools.pairwise(edges)]
        if not parts:
            return Signatures(np.zeros((0, self.spec.k), np.uint32), np.zeros(0, np.int64))
        return Signatures(np.concatenate([p.values for p in parts]), np.concatenate([p.words for p in parts]))

    def _batch(self, texts: Strings, row: int) -> Signatures:
        if texts.size_bytes > self.batch_bytes:
            return signatures_on_host(texts, self.spec)
        with self.gpu.stream:
            found = self._launch(texts)
        broken = np.flatnonzero(found.words < 0)
        refuse(row + int(broken[0]) if len(broken) else -1)
        return found

    def _launch(self, texts: Strings) -> Signatures:
        xp, spec, count = self.gpu.xp, self.spec, len(texts)
        base, size = int(texts.offsets[0]), texts.size_bytes
        text: Any = xp.asarray(texts.data[base : base + size])
        offsets = xp.asarray(texts.offsets - base)
        out = xp.empty(2 * size, np.uint8)
        begins, ends = (xp.empty(size, np.int32) for _ in range(2))
        units, words = (xp.empty(count, np.int64) for _ in range(2))
        by_characters = np.int64(spec.shingle == "characters")
        self.gpu.launch("words", count, self._tables, text, offsets, by_characters, out, begins, ends, units, words)
        values = xp.empty((count, spec.k), np.uint32)
        shape = (np.int64(spec.n), *self._numbers, np.int64(spec.k), values)
        self.gpu.launch("minima", count, out, begins, ends, units, offsets, *shape, blocks=True, threads=STAGED)
        return Signatures(values.get(), words.get())


def _edges(texts: Strings, limit: int, rows: int) -> list[int]:
    """Rows between which batches lie: at most `rows` of `limit` bytes each, or one text."""
    edges = [0]
    while edges[-1] < len(texts):
        full = int(np.searchsorted(texts.offsets, texts.offsets[edges[-1]] + limit, side="right")) - 1
        edges.append(max(edges[-1] + 1, min(full, edges[-1] + rows)))
    return edges
