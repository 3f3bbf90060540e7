"""The encoder on a GPU, seen from outside: host arrays in, host arrays out, the same ids as the host's libraries.

Texts go in batches through `gpu_passes`, while the next batch comes and the last one goes. What the GPU does not take
(a text with a piece or stretch that one thread would be too long over, a text larger than a batch) goes to the host
encoder, into the same result; such texts are counted in `by_host`.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataforge.kernels.bpe import Unsupported
from dataforge.kernels.buffers import Strings, refuse_broken
from dataforge.kernels.device import Choice, DeviceMissing, choose
from dataforge.kernels.encode import Encoder, Ids
from dataforge.kernels.encoder_tables import Blob, tables_of
from dataforge.kernels.gpu import Download, Gpu, Upload, copy, gpu_of
from dataforge.kernels.gpu_passes import SLOTS, SOURCES, SPARE, Batch, Broken, Model, Refused, WordTable, encode_batch

BATCH_BYTES = 128 << 20  # of text at a time on the device
MEMORY_PER_BYTE = 48  # device memory that a byte of text takes at the worst: a piece and an id for each
BYTES_PER_ROW = 16  # a batch has no more texts than fit so, be they empty

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Ids of some rows of the texts, in their order."""

    rows: I64
    ids: Ids


@dataclass(frozen=True)
class _Sent:
    """A batch whose texts are on their way to the device."""

    rows: I64
    offsets: I64  # from 0
    text: Upload
    bounds: Upload


@dataclass(frozen=True)
class _Encoded:
    """A batch whose ids are on their way to the host."""

    rows: I64
    offsets: Download
    ids: Download

    def part(self) -> Part:
        offsets, found = self.offsets.wait().copy(), self.ids.wait()
        ids = np.empty(len(found), np.int32)
        copy(ids, found)
        return Part(self.rows, Ids(offsets, ids))


class GpuEncoder:
    """A host encoder with its tokenizer's tables on the device. Raises bpe.Unsupported where rules do not cover it."""

    def __init__(self, host: Encoder, gpu: Gpu | None = None, tables: Blob | None = None, *, slots: int = SLOTS) -> None:
        blob = tables if tables is not None else tables_of(host.folder)
        self.host, self.gpu = host, gpu or gpu_of(*SOURCES)
        self.model, self.table = Model.of(self.gpu, blob), WordTable(self.gpu, slots)
        self.by_host = 0  # texts that the host encoded, so far
        self.batch_bytes = min(BATCH_BYTES, self.gpu.free_bytes() // MEMORY_PER_BYTE)
        self._uploads = [(Upload(self.gpu, np.uint8), Upload(self.gpu, np.int64)) for _ in range(2)]
        self._downloads = [(Download(self.gpu), Download(self.gpu)) for _ in range(2)]

    def encode(self, texts: Strings) -> Ids:
        """Ids of all texts; of each in the same way, whatever else is in its batch.

        Raises ValueError with the number of the first text that is not UTF-8: the device finds that there is one, the
        host which it is.
        """
        refused = [np.flatnonzero(np.diff(texts.offsets) > self.batch_bytes)]
        try:
            parts = list(self._parts(texts, _batches(texts, refused[0], self.batch_bytes), refused))
        except Broken:
            refuse_broken(texts)
            raise
        rows = np.sort(np.concatenate(refused))
        if len(rows):
            self.by_host += len(rows)
            parts.append(Part(rows, self._by_host(texts, rows)))
        return _joined(len(texts), parts)

    def _by_host(self, texts: Strings, rows: I64) -> Ids:
        """Of texts that no batch held the device has seen nothing: the host looks at them, and numbers its own rows."""
        try:
            return self.host.encode_on_host(_chosen(texts, rows))
        except ValueError:
            refuse_broken(texts)
            raise

    def _parts(self, texts: Strings, batches: list[I64], refused: list[I64]) -> Iterator[Part]:
        """The next batch is sent before this one is encoded, the one before is fetched after. A batch that is refused
        comes again without the texts that are to blame, one that finds no memory in two halves."""
        todo, sent, encoded = deque(batches), deque[_Sent](), deque[_Encoded]()
        sends = encodes = 0
        while todo or sent:
            while todo and len(sent) < 2:
                rows = todo.popleft()
                try:
                    sent.append(self._send(texts, rows, sends % 2))
                    sends += 1
                except MemoryError:
                    todo += self._halves(texts, rows, refused)
            if not sent:
                break
            batch = sent.popleft()
            try:
                encoded.append(self._encode(batch, encodes % 2))
                encodes += 1
            except Refused as error:
                refused.append(batch.rows[error.rows])
                todo += _with_bytes(texts, np.delete(batch.rows, error.rows))
            except MemoryError:
                todo += self._halves(texts, batch.rows, refused)
            if len(encoded) > 1:
                yield encoded.popleft().part()
        while encoded:
            yield encoded.popleft().part()

    def _halves(self, texts: Strings, rows: I64, refused: list[I64]) -> list[I64]:
        """What to try instead of a batch for which the device (or pinned memory) has no room."""
        self.gpu.release()
        if len(rows) == 1:
            refused.append(rows)
            return []
        middle = len(rows) // 2
        return [*_with_bytes(texts, rows[:middle]), *_with_bytes(texts, rows[middle:])]

    def _send(self, texts: Strings, rows: I64, place: int) -> _Sent:
        chosen = _chosen(texts, rows)
        offsets = chosen.offsets - chosen.offsets[0]
        text, bounds = self._uploads[place]
        text.send(chosen.data[chosen.offsets[0] : chosen.offsets[-1]], SPARE)
        bounds.send(offsets)
        return _Sent(rows, offsets, text, bounds)

    def _encode(self, batch: _Sent, place: int) -> _Encoded:
        offsets, ids = self._downloads[place]
        with self.gpu.stream:
            arrays = batch.text.array(int(batch.offsets[-1])), batch.bounds.array(len(batch.offsets))
            try:
                found = encode_batch(self.gpu, self.model, self.table, Batch(*arrays, batch.offsets))
            finally:
                batch.text.done()
                batch.bounds.done()
            offsets.start(found.offsets)
            ids.start(found.ids)
        return _Encoded(batch.rows, offsets, ids)


def use_device(encoder: Encoder, choice: Choice) -> Encoder:
    """Gives an encoder the GPU, if one is there and its rules cover the tokenizer. Ids are the same either way.

    Raises DeviceMissing for `cuda` without a GPU or memory on it; a tokenizer that the rules do not cover stays on the host.
    """
    if choose(choice).kind == "cuda":
        try:
            encoder.device = GpuEncoder(encoder)
        except Unsupported as error:
            encoder.why = f"{error}: not on the GPU"
        except MemoryError as error:
            if choice == "cuda":
                raise DeviceMissing("the GPU has no memory left", "use device: cpu, or fewer workers") from error
            encoder.why = "the GPU has no memory left"
    return encoder


def _batches(texts: Strings, without: I64, limit: int) -> list[I64]:
    """Rows of each batch: neighbours, at most `limit` bytes and a number of texts in proportion; none without a byte."""
    found, begin, most = [], 0, max(1, limit // BYTES_PER_ROW)
    for stop in [*without.tolist(), len(texts)]:
        while begin < stop:
            full = int(np.searchsorted(texts.offsets, texts.offsets[begin] + limit, side="right")) - 1
            end = min(full, begin + most, stop)
            found += _with_bytes(texts, np.arange(begin, end))
            begin = end
        begin = stop + 1
    return found


def _with_bytes(texts: Strings, rows: I64) -> list[I64]:
    """[rows], or nothing where all of them are empty."""
    return [rows] if (texts.offsets[rows + 1] > texts.offsets[rows]).any() else []


def _runs(rows: I64) -> Iterator[tuple[int, int]]:
    """[4, 5, 9] -> (0, 2), (2, 3): places of neighbours in `rows`, which ascend."""
    edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    return itertools.pairwise(edges) if len(rows) else iter(())


def _chosen(texts: Strings, rows: I64) -> Strings:
    """The texts of `rows`, without a copy where they are neighbours."""
    bounds = [(int(rows[a]), int(rows[b - 1]) + 1) for a, b in _runs(rows)]
    if len(bounds) == 1:
        return texts.slice(*bounds[0])
    data = [texts.data[texts.offsets[a] : texts.offsets[b]] for a, b in bounds]
    sizes = texts.offsets[rows + 1] - texts.offsets[rows]
    return Strings(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), np.concatenate(data))


def _joined(count: int, parts: list[Part]) -> Ids:
    """The ids of all parts in the order of the rows; rows in none of them have no ids."""
    if len(parts) == 1 and len(parts[0].rows) == count:
        return parts[0].ids
    offsets = np.zeros(count + 1, np.int64)
    for part in parts:
        offsets[part.rows + 1] = np.diff(part.ids.offsets)
    np.cumsum(offsets, out=offsets)
    ids = np.empty(offsets[-1], np.int32)
    for part in parts:
        for a, b in _runs(part.rows):
            to = offsets[part.rows[a]]
            found = part.ids.ids[part.ids.offsets[a] : part.ids.offsets[b]]
            copy(ids[to : to + len(found)], found)
    return Ids(offsets, ids)
