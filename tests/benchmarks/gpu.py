"""`python -m tests.benchmarks.gpu [--data FOLDER] [--megabytes 128]`: encoder, MinHash and text statistics on a GPU.

For each tokenizer and corpus: ids, signatures and counters are compared with the host's first, and a difference ends it;
so are the ids of the texts repeated up to the size. Then GB/s and ids/s on the device (text there, ids stay there; cold
with an empty word table, warm with a full one), from host arrays to host arrays over several batches, the time and the
items of each kernel by CUDA events, and gigatoken on all cores of the same machine. How many bytes differ is said, and
bytes a piece, what is left by the word table, and texts that go to the host: these are no part of what is timed on the
device. Rows go to build/bench.json beside the CPU's, with the device.

Without a GPU it says `never run on a GPU` and what is missing, and exits with 1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataforge.kernels import device, gpu_passes, gpu_text_passes
from dataforge.kernels.buffers import Strings
from dataforge.kernels.encode import Ids, gigatoken_of, ids_of, open_encoder, strings_from
from dataforge.kernels.gpu import Gpu, Upload
from dataforge.kernels.gpu_encode import GpuEncoder
from dataforge.kernels.gpu_minhash import SOURCES as MINHASH_SOURCES
from dataforge.kernels.gpu_minhash import GpuMinHash
from dataforge.kernels.gpu_text_stats import GpuTextStats
from dataforge.kernels.minhash import MinHashSpec, signatures
from dataforge.kernels.text_stats import measure
from dataforge.kernels.tokenizer_folder import open_folder
from dataforge.operators.tokenizer_import import ImportTokenizer
from dataforge.operators.tokenizer_train import TrainTokenizer
from tests.benchmarks.frame import Row, Setup
from tests.benchmarks.run import write

CORPORA = ("english", "multilingual", "cjk", "code")
STORED = {
    "gpt2": "gpt2",
    "cl100k": "tiktoken/cl100k_base.tiktoken",
    "o200k": "tiktoken/o200k_base.tiktoken",
    "llama3": "llama3/tokenizer.model",
    "sentencepiece, mistral": "mistral/tokenizer.model",
}
TRAINED: dict[str, dict[str, Any]] = {
    "trained, llama3 pattern": {"pattern": "llama3"},
    "trained, o200k pattern": {"pattern": "o200k"},
    "sentencepiece, trained": {"kind": "sentencepiece_bpe"},
}
CHECKED_BYTES = 4_000_000  # compared with the reference library
TURNS = 7
BATCHES = 4  # from host to host: the next one comes and the last one goes while one is encoded


def main(arguments: list[str], xp: Any = None) -> int:
    """`xp` takes cupy's place in the tests, which run these lines without a GPU."""
    options = _options(arguments)
    missing = None if xp else device.why_no_cuda()
    if missing is not None:
        print(f"never run on a GPU: {missing}")
        return 1
    name = "no GPU: a test" if xp else device.cuda().name
    print(f"device: {name}{'' if xp else _libraries()}; host: {os.cpu_count()} cores; numpy {np.__version__}")
    setup, rows = Setup(options.data, Path()), []
    try:
        for row in _rows(setup, name, options, xp):
            rows.append(row)
            print(f"{row.corpus:13} {row.ours:10.2f} {row.unit:8} {row.variant}", flush=True)
    except NotEqual as error:
        print(f"NOT EXACT: {error}")
        return 1
    write(options.out, rows, ["gpu"])
    return 0


def _libraries() -> str:
    """Of a GPU that is there: its memory and architecture, cupy, CUDA runtime and driver."""
    found, runtime = device.cuda(), device.cupy().cuda.runtime
    versions = f"CUDA {runtime.runtimeGetVersion()}, driver {runtime.driverGetVersion()}"
    return f", {found.memory_bytes >> 30} GiB, sm_{found.compute}; cupy {device.cupy().__version__}, {versions}"


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the encoder, MinHash and text statistics on a GPU.")
    data = os.environ.get("DATAFORGE_BENCH_DATA")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--megabytes", type=float, default=128)
    parser.add_argument("--corpora", nargs="+", choices=CORPORA, default=CORPORA)
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    return parser.parse_args(arguments)


class NotEqual(Exception):
    """The GPU gave something else than the reference."""


def _rows(setup: Setup, name: str, options: argparse.Namespace, xp: Any) -> Iterator[Row]:
    size = int(options.megabytes * 1e6)
    with tempfile.TemporaryDirectory() as scratch:
        encoding = Gpu(gpu_passes.SOURCES, xp)
        for tokenizer, folder in _folders(setup, Path(scratch), size):
            for corpus in options.corpora:
                run = Encoding.of(encoding, folder, setup.texts(corpus, min(CHECKED_BYTES, size)), size)
                yield from run.rows(corpus, f"{tokenizer}, {name}")
        signing = Gpu(MINHASH_SOURCES, xp)
        for corpus in options.corpora:
            yield from _minhash(signing, setup.texts(corpus, min(CHECKED_BYTES, size)), size, corpus, name)
        counting = Gpu(gpu_text_passes.SOURCES, xp)
        for corpus in options.corpora:
            yield from _text_stats(counting, setup.texts(corpus, min(CHECKED_BYTES, size)), size, corpus, name)


def _folders(setup: Setup, scratch: Path, size: int) -> Iterator[tuple[str, Path]]:
    stored = setup.data.parent / "tokenizers" if setup.data else scratch
    found = {name: stored / path for name, path in STORED.items() if (stored / path).exists()}
    for name, path in found.items():
        ImportTokenizer.of(path).finish(None, scratch / name)
        yield name, scratch / name
    for name, options in {} if found else TRAINED.items():
        operator = TrainTokenizer(vocab_size=8_000, **options)
        texts = setup.texts("english", min(1_000_000, size)) + setup.texts("code", min(500_000, size))
        operator.finish(operator.observe(0, pa.record_batch({"id": ["a"] * len(texts), "text": texts})), scratch / name)
        yield name, scratch / name


@dataclass
class Encoding:
    """One tokenizer and one corpus, proven equal."""

    encoder: GpuEncoder
    texts: Strings  # repeated up to the size
    distinct: int  # bytes that differ
    ids: int
    by_host: int  # of the texts

    @classmethod
    def of(cls, gpu: Gpu, folder: Path, texts: list[str], size: int) -> Encoding:
        host = open_encoder(open_folder(folder), lane="reference")
        encoder, few = GpuEncoder(host, gpu), strings_from(texts)
        right = ids_of(host.reference(texts))
        _same(encoder.encode(few), right, folder.name)
        many, before = repeated(texts, min(size, encoder.batch_bytes)), encoder.by_host
        found = encoder.encode(many)
        times = len(many) // len(few)
        lengths = np.tile(np.diff(right.offsets), times)
        _same(found, Ids(np.concatenate([[0], np.cumsum(lengths)]), np.tile(right.ids, times)), folder.name)
        return cls(encoder, many, few.size_bytes, len(found.ids), encoder.by_host - before)

    def rows(self, corpus: str, variant: str) -> Iterator[Row]:
        """Cold and warm on the device, host to host, the peer, then each kernel's share."""
        resident = ResidentEncoding.of(self.encoder, self.texts)
        print(f"-- {variant}, {corpus}: {self.texts.size_bytes} bytes, {self.distinct} of them differ, {self.ids} ids")
        if resident is None:
            print("   none of the texts is for the device")
            return
        here, ids = resident.texts.size_bytes, resident.ids
        print(f"   on the device: {here} bytes, {here / resident.pieces:.2f} a piece, {here / ids:.2f} an id")
        print(f"   {self.by_host} of {len(self.texts)} texts encoded by the host", flush=True)
        for state, timed in (("cold", resident.cold_seconds), ("warm", resident.seconds)):
            seconds = statistics.median(timed() for _ in range(TURNS))
            yield _row(corpus, here / seconds / 1e9, "GB/s", f"{variant}, device-resident, {state}")
            yield _row(corpus, ids / seconds / 1e9, "Gids/s", f"{variant}, device-resident, {state}")
        long = joined([self.texts] * BATCHES)
        seconds = statistics.median(_wall(lambda: self.encoder.encode(long)) for _ in range(TURNS))
        yield _row(corpus, long.size_bytes / seconds / 1e9, "GB/s", f"{variant}, host to host")
        peer = self._gigatoken()
        if peer:
            name = f"gigatoken {version('gigatoken')}, {os.cpu_count()} cores, {variant}"
            yield _row(corpus, self.texts.size_bytes / peer / 1e9, "GB/s", name)
        for line in resident.breakdown():
            print(line)
        print(f"   {self.encoder.table.used} pieces in the word table", flush=True)

    def _gigatoken(self) -> float:
        """Seconds on all cores, 0.0 where it does not know the tokenizer."""
        import awkward as ak

        host = open_encoder(self.encoder.host.folder)
        if host.lane != "gigatoken":
            print(f"   {host.why}")
            return 0.0
        peer = gigatoken_of(host.folder)
        texts = ak.Array([text.decode() for text in self.texts.texts()])
        return statistics.median(_wall(lambda: peer.encode_batch(texts, parallel=True)) for _ in range(TURNS))


def _row(corpus: str, ours: float, unit: str, variant: str) -> Row:
    return Row("gpu", corpus, round(ours, 3), unit, "", variant, "", None, None, True)


def _same(found: Ids, right: Ids, name: str) -> None:
    if not (np.array_equal(found.offsets, right.offsets) and np.array_equal(found.ids, right.ids)):
        raise NotEqual(f"ids of {name}")


def joined(parts: list[Strings]) -> Strings:
    """The texts of all parts, one after another."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Strings(np.concatenate([[0], np.cumsum(lengths)]), np.concatenate([part.data for part in parts]))


def repeated(texts: list[str], size: int) -> Strings:
    """The texts again and again, up to about `size` bytes."""
    once = strings_from(texts)
    times = max(1, size // max(once.size_bytes, 1))
    lengths = np.tile(np.diff(once.offsets), times)
    return Strings(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), np.tile(once.data, times))


class Resident:
    """Texts that lie on the device; what is done with them there, timed by CUDA events."""

    def __init__(self, gpu: Gpu, texts: Strings) -> None:
        self.gpu, self.texts = gpu, texts
        self._uploads = Upload(gpu, np.uint8), Upload(gpu, np.int64)
        self._uploads[0].send(texts.data, gpu_passes.SPARE)
        self._uploads[1].send(texts.offsets)
        with gpu.stream:
            self.text, self.offsets = (
                upload.array(size) for upload, size in zip(self._uploads, (texts.size_bytes, len(texts) + 1), strict=True)
            )

    def work(self) -> None:
        """On the computing stream."""
        raise NotImplementedError

    def _run(self) -> None:
        with self.gpu.stream:
            self.work()

    def seconds(self) -> float:
        """Seconds of all passes, the host's part between them included."""
        return self._timed(self._run)

    def _timed(self, work: Callable[[], object]) -> float:
        cuda = self.gpu.xp.cuda
        begin, end = cuda.Event(), cuda.Event()
        begin.record(self.gpu.stream)
        work()
        end.record(self.gpu.stream)
        end.synchronize()
        return float(cuda.get_elapsed_time(begin, end)) / 1e3

    def breakdown(self) -> Iterator[str]:
        """Milliseconds and items of each kernel, and what is left: scans, fills, and the host, which waits for each."""
        spent: dict[str, float] = {}
        items: dict[str, int] = {}
        launch = self.gpu.launch

        def timed(kernel: str, count: int, *arguments: Any, **options: Any) -> None:
            spent[kernel] = spent.get(kernel, 0.0) + self._timed(lambda: launch(kernel, count, *arguments, **options))
            items[kernel] = items.get(kernel, 0) + count

        self.gpu.launch = timed  # type: ignore[method-assign]
        try:
            whole = self.seconds()
        finally:
            del self.gpu.launch  # type: ignore[method-assign]
        for kernel, seconds in sorted(spent.items(), key=lambda item: -item[1]):
            yield f"   {kernel:11} {1e3 * seconds:9.3f} ms {seconds / whole:6.1%} {items[kernel]:12} items"
        yield f"   {'the rest':11} {1e3 * (whole - sum(spent.values())):9.3f} ms, of {1e3 * whole:.3f} ms in all"


class ResidentEncoding(Resident):
    """The texts that the device takes; the others are the host's."""

    def __init__(self, encoder: GpuEncoder, texts: Strings) -> None:
        """Raises Refused."""
        super().__init__(encoder.gpu, texts)
        self.encoder, self._batch = encoder, gpu_passes.Batch(self.text, self.offsets, texts.offsets)
        with self.gpu.stream:  # memory and kernels are there from now on
            self.pieces = gpu_passes.split(self.gpu, encoder.model, self._batch).count
            self.ids = len(gpu_passes.encode_batch(self.gpu, encoder.model, encoder.table, self._batch).ids)

    @classmethod
    def of(cls, encoder: GpuEncoder, texts: Strings) -> ResidentEncoding | None:
        """None where it takes none of them."""
        while texts.size_bytes:
            try:
                return cls(encoder, texts)
            except gpu_passes.Refused as error:
                texts = _without(texts, error.rows)
        return None

    def work(self) -> None:
        gpu_passes.encode_batch(self.gpu, self.encoder.model, self.encoder.table, self._batch)

    def cold_seconds(self) -> float:
        """With an empty word table."""
        with self.gpu.stream:
            self.encoder.table = gpu_passes.WordTable(self.gpu, self.encoder.table.capacity)
        return self.seconds()


def _without(texts: Strings, rows: npt.NDArray[np.int64]) -> Strings:
    lengths, kept = np.diff(texts.offsets), np.ones(len(texts), bool)
    kept[rows] = False
    return Strings(np.concatenate([[0], np.cumsum(lengths[kept])]), texts.data[np.repeat(kept, lengths)])


class ResidentSigning(Resident):
    def __init__(self, signer: GpuMinHash, texts: Strings) -> None:
        super().__init__(signer.gpu, texts)
        self.signer = signer
        self._run()

    def work(self) -> None:
        self.signer.on_device(self.texts, self.text, self.offsets)


class ResidentCounting(Resident):
    def __init__(self, counter: GpuTextStats, texts: Strings) -> None:
        super().__init__(counter.gpu, texts)
        self.counter = counter
        self._run()

    def work(self) -> None:
        self.counter.on_device(self.texts, self.text, self.offsets)


def _wall(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _minhash(gpu: Gpu, texts: list[str], size: int, corpus: str, name: str) -> Iterator[Row]:
    """Proven equal, then on the device, and from host arrays to host arrays."""
    signer, few = GpuMinHash(MinHashSpec(), gpu), strings_from(texts)
    if not np.array_equal(signer.signatures(few).values, signatures(few, MinHashSpec()).values):
        raise NotEqual("MinHash")
    many, variant = repeated(texts, min(size, signer.batch_bytes)), f"MinHash affine32, 128, {name}"
    yield from _there_and_back(ResidentSigning(signer, many), lambda: signer.signatures(many), many, corpus, variant)


def _text_stats(gpu: Gpu, texts: list[str], size: int, corpus: str, name: str) -> Iterator[Row]:
    """Proven equal, then on the device, and from host arrays to host arrays: those that a batch takes."""
    counter, few = GpuTextStats(gpu), strings_from(texts)
    if not np.array_equal(counter.measure(few), measure(few)):
        raise NotEqual("text statistics")
    short = [text for text in texts if len(text.encode()) <= counter.longest]
    many, variant = repeated(short, min(size, counter.batch_bytes)), f"text statistics, {name}"
    yield from _there_and_back(ResidentCounting(counter, many), lambda: counter.measure(many), many, corpus, variant)


def _there_and_back(
    resident: Resident, from_host: Callable[[], object], texts: Strings, corpus: str, variant: str
) -> Iterator[Row]:
    for state, timed in (("device-resident", resident.seconds), ("host to host", lambda: _wall(from_host))):
        seconds = statistics.median(timed() for _ in range(TURNS))
        yield _row(corpus, texts.size_bytes / seconds / 1e9, "GB/s", f"{variant}, {state}")
    for line in resident.breakdown():
        print(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
