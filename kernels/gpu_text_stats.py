"""The counters of `text_stats` on a GPU, seen from outside: host arrays in, host arrays out, the same integers.

Texts go in batches through `gpu_text_passes`. What a single thread would be too long over (a text of more than LONGEST
bytes, whose lines and paragraphs may be as long) goes to the host, so does one that the device has no memory for; such
texts are counted in `by_host`. One text in 1,000 is counted again on the host and compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataforge.kernels.buffers import Strings, refuse_broken, strings_of
from dataforge.kernels.device import Choice, DeviceMissing, choose
from dataforge.kernels.gpu import Gpu, gpu_of
from dataforge.kernels.gpu_batches import OnHost, batch_edges
from dataforge.kernels.gpu_text_passes import SOURCES, Broken, count_batch, word_tables
from dataforge.kernels.text_stats import COUNTERS
from dataforge.kernels.text_stats import measure as measure_on_host

BATCH_BYTES = 64 << 20
MEMORY_PER_BYTE = 128  # on the device: characters, their bits, and at the worst a token for each of them
COUNTS_BYTES = 64 << 20  # of counters at a time
LONGEST = 1 << 20
CHECK_EVERY = 1000

Counts = npt.NDArray[np.int64]
Texts: TypeAlias = pa.Array | pa.ChunkedArray | Strings


class StatsDiffer(Exception):
    """The GPU counted something else than the host; `row` is its place in the batch."""

    def __init__(self, row: int) -> None:
        super().__init__(f"the GPU's text statistics differ from the host's in row {row} of a batch")
        self.row = row


def counter(choice: Choice) -> GpuTextStats | OnHost[Texts, Counts]:
    """What counts on that device. Raises DeviceMissing for `cuda` without one or without memory on it."""
    if choose(choice).kind == "cuda":
        try:
            return GpuTextStats()
        except MemoryError as error:
            if choice == "cuda":
                raise DeviceMissing("the GPU has no memory left", "use device: cpu, or fewer workers") from error
    return OnHost(measure_on_host)


class GpuTextStats:
    """The tables of one device."""

    def __init__(self, gpu: Gpu | None = None) -> None:
        self.gpu = gpu or gpu_of(*SOURCES)
        self.batch_bytes = min(BATCH_BYTES, self.gpu.free_bytes() // (2 * MEMORY_PER_BYTE))
        self.longest, self.by_host = LONGEST, 0  # texts that the host counted, so far
        with self.gpu.stream:
            self._tables = self.gpu.xp.asarray(word_tables())

    def __call__(self, texts: Texts) -> Counts:
        return self.measure(texts)

    def measure(self, texts: Texts) -> Counts:
        """int64[n, len(COUNTERS)]. A null row counts as empty. Raises ValueError where a text is not UTF-8."""
        strings = texts if isinstance(texts, Strings) else strings_of(texts)
        try:
            parts = list(self._parts(strings))
        except (Broken, ValueError):
            refuse_broken(strings)  # the device finds that there is one, the host which it is
            raise
        found = np.concatenate(parts) if parts else np.zeros((0, len(COUNTERS)), np.int64)
        self._check(strings, found)
        return found

    def _parts(self, texts: Strings) -> Iterator[Counts]:
        """Counters of all texts in order: batches, and between them the texts that no batch takes."""
        begin, rows = 0, max(1, COUNTS_BYTES // (8 * len(COUNTERS)))
        long = np.flatnonzero(np.diff(texts.offsets) > min(self.longest, self.batch_bytes))
        for stop in [*long.tolist(), len(texts)]:
            between = texts.slice(begin, stop)
            for a, b in itertools.pairwise(batch_edges(between, self.batch_bytes, rows)):
                yield self._batch(between.slice(a, b))
            if stop < len(texts):
                yield self._on_host(texts.slice(stop, stop + 1))
            begin = stop + 1

    def _batch(self, texts: Strings) -> Counts:
        """Without memory for it in two halves, for a single text on the host."""
        if texts.size_bytes == 0:
            return measure_on_host(texts)  # nothing for a thread to do
        try:
            with self.gpu.stream:
                return self._launch(texts)
        except MemoryError:
            self.gpu.release()
        if len(texts) == 1:
            return self._on_host(texts)
        middle = len(texts) // 2
        return np.concatenate([self._batch(texts.slice(0, middle)), self._batch(texts.slice(middle, len(texts)))])

    def _on_host(self, texts: Strings) -> Counts:
        self.by_host += len(texts)
        return measure_on_host(texts)

    def _launch(self, texts: Strings) -> Counts:
        xp, base = self.gpu.xp, int(texts.offsets[0])
        text: Any = xp.asarray(texts.data[base : base + texts.size_bytes])
        found: Counts = self.on_device(texts, text, xp.asarray(texts.offsets - base)).get().view(np.int64)
        return found

    def on_device(self, texts: Strings, text: Any, offsets: Any) -> Any:
        """uint64[n, len(COUNTERS)] of texts that are there, on the computing stream. Raises Broken."""
        return count_batch(self.gpu, self._tables, texts, text, offsets)

    def _check(self, texts: Strings, found: Counts) -> None:
        for row in range(0, len(texts), CHECK_EVERY):
            if not np.array_equal(measure_on_host(texts.slice(row, row + 1))[0], found[row]):
                raise StatsDiffer(row)
