"""MinHash signatures on a GPU: words by a thread for each kilobyte of a text, minima by a block for each text.

The values are those of `minhash.signatures`, so the device enters no identity; one text in 1,000 is signed again on the
host and compared. Texts go in batches; one that is larger than a batch, or than the memory left, is signed on the host,
and counted in `by_host`.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from dataforge.kernels import unicode
from dataforge.kernels.buffers import Strings, strings_of
from dataforge.kernels.device import Choice, DeviceMissing, choose
from dataforge.kernels.encoder_tables import Blob, packed_tables, two_stage
from dataforge.kernels.gpu import MOST_BLOCKS, Gpu, gpu_of
from dataforge.kernels.gpu_batches import OnHost, batch_edges, stretches_of
from dataforge.kernels.minhash import EMPTY, MinHashSpec, Signatures, permutations, refuse
from dataforge.kernels.minhash import signatures as signatures_on_host

SOURCES = ("common.cuh", "stretch.cuh", "minhash.cuh", "minhash.cu")
STAGED = 128  # minhash.cu
BATCH_BYTES = 128 << 20
MEMORY_PER_BYTE = 16  # on the device: the text, its words, bounds of their units
VALUES_BYTES = 256 << 20  # of signatures at a time
CHECK_EVERY = 1000

Texts: TypeAlias = pa.Array | pa.ChunkedArray | Strings


class Differs(Exception):
    """The GPU gave another signature than the host; `row` is its place in the batch."""

    def __init__(self, row: int) -> None:
        super().__init__(f"the GPU's signature differs from the host's in row {row} of a batch")
        self.row = row


def signer(spec: MinHashSpec, choice: Choice) -> GpuMinHash | OnHost[Texts, Signatures]:
    """What signs texts on that device. Raises DeviceMissing for `cuda` without one or without memory on it."""
    if choose(choice).kind == "cuda":
        try:
            return GpuMinHash(spec)
        except MemoryError as error:
            if choice == "cuda":
                raise DeviceMissing("the GPU has no memory left", "use device: cpu, or fewer workers") from error
    return OnHost(functools.partial(signatures_on_host, spec=spec))


@functools.cache
def word_tables() -> Blob:
    """Classes and lower case of all code points, as `minhash.cuh` reads them."""
    classes, lower = unicode.classes().astype(np.uint16), unicode.lower().astype(np.uint32)
    return packed_tables([*two_stage(classes), *two_stage(lower)])


class GpuMinHash:
    """One spec on one device."""

    def __init__(self, spec: MinHashSpec, gpu: Gpu | None = None) -> None:
        self.spec, self.gpu = spec, gpu or gpu_of(*SOURCES)
        self.by_host = 0  # texts that the host signed, so far
        self.batch_bytes = min(BATCH_BYTES, self.gpu.free_bytes() // (2 * MEMORY_PER_BYTE))
        with self.gpu.stream:
            self._tables = self.gpu.xp.asarray(word_tables())
            self._numbers = [self.gpu.xp.asarray(numbers) for numbers in permutations(spec)]

    def __call__(self, texts: Texts) -> Signatures:
        return self.signatures(texts)

    def signatures(self, texts: Texts) -> Signatures:
        """Signatures of raw texts; a null row counts as empty. Raises ValueError where a text is not UTF-8."""
        strings = texts if isinstance(texts, Strings) else strings_of(texts)
        edges = batch_edges(strings, self.batch_bytes, max(1, VALUES_BYTES // (4 * self.spec.k)))
        parts = [self._batch(strings.slice(a, b)) for a, b in itertools.pairwise(edges)]
        if not parts:
            return Signatures(np.zeros((0, self.spec.k), np.uint32), np.zeros(0, np.int64))
        found = Signatures(np.concatenate([p.values for p in parts]), np.concatenate([p.words for p in parts]))
        broken = np.flatnonzero(found.words < 0)
        refuse(int(broken[0]) if len(broken) else -1)
        self._check(strings, found)
        return found

    def _batch(self, texts: Strings) -> Signatures:
        """Without memory for it in two halves, for a single text on the host."""
        try:
            if texts.size_bytes <= self.batch_bytes:
                with self.gpu.stream:
                    return self._launch(texts)
        except MemoryError:
            self.gpu.release()
        if len(texts) == 1:
            self.by_host += 1
            return signatures_on_host(texts, self.spec)
        middle = len(texts) // 2
        a, b = self._batch(texts.slice(0, middle)), self._batch(texts.slice(middle, len(texts)))
        return Signatures(np.concatenate([a.values, b.values]), np.concatenate([a.words, b.words]))

    def _check(self, texts: Strings, found: Signatures) -> None:
        for row in range(0, len(texts), CHECK_EVERY):
            right = signatures_on_host(texts.slice(row, row + 1), self.spec)
            if not np.array_equal(right.values[0], found.values[row]):
                raise Differs(row)

    def _launch(self, texts: Strings) -> Signatures:
        xp, spec, count = self.gpu.xp, self.spec, len(texts)
        base, size = int(texts.offsets[0]), texts.size_bytes
        if size == 0:
            return Signatures(np.full((count, spec.k), EMPTY), np.zeros(count, np.int64))
        text: Any = xp.asarray(texts.data[base : base + size])
        values, words = self.on_device(texts, text, xp.asarray(texts.offsets - base))
        return Signatures(values.get(), words.get())

    def on_device(self, texts: Strings, text: Any, offsets: Any) -> tuple[Any, Any]:
        """Values and words of texts that are there, and stay there; of one byte at least, on the computing stream."""
        spec, count = self.spec, len(texts)
        out, begins, ends, units, words = self._words(texts, text, offsets)
        values = self.gpu.xp.empty((count, spec.k), np.uint32)
        shape = (np.int64(spec.n), *self._numbers, np.int64(spec.k), values)
        self.gpu.launch("minima", count, out, begins, ends, units, offsets, *shape, blocks=MOST_BLOCKS, threads=STAGED)
        return values, words

    def _words(self, texts: Strings, text: Any, offsets: Any) -> tuple[Any, ...]:
        """The words of all texts, bounds of their units, and how many units and words each text has."""
        xp, by_characters = self.gpu.xp, np.int64(self.spec.shingle == "characters")
        firsts, rows, number = stretches_of(self.gpu, texts)
        given = (self._tables, text, offsets, firsts, rows, by_characters)
        sizes, units, words = (xp.empty(number, np.int32) for _ in range(3))
        broken = xp.zeros(len(texts), np.int32)
        self.gpu.launch("measure", number, *given, sizes, units, words, broken)
        sizes, units, words = (xp.cumsum(column, dtype=np.int64) for column in (sizes, units, words))
        out = xp.empty(2 * texts.size_bytes, np.uint8)
        begins, ends = (xp.empty(texts.size_bytes, np.int32) for _ in range(2))
        self.gpu.launch("words", number, *given, sizes, units, out, begins, ends)
        in_all = tuple(xp.empty(len(texts), np.int64) for _ in range(2))
        self.gpu.launch("totals", len(texts), firsts, by_characters, units, words, broken, *in_all)
        return out, begins, ends, *in_all
