"""The exact encoder on a GPU: passes S1 to S7 as kernels, scans between them by the array library.

`encode_on` is written once against a `Machine`: cupy and a RawModule on a GPU; numpy and a loop around the same device
functions, compiled by the host's C compiler, in the tests. Texts whose segments or pieces are too long for one thread
or block go to the host encoder (the fallback lane) and into the same result; they are counted.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dataforge.kernels.bpe import Unsupported
from dataforge.kernels.buffers import Strings
from dataforge.kernels.device import Choice, choose, cupy
from dataforge.kernels.encode import Encoder, Ids
from dataforge.kernels.encoder_tables import Blob, tables_of

SHORT = 64  # bytes of a piece that one thread merges (bpe.cuh)
LONG = 16 << 10  # a longer piece goes to the fallback lane
SEGMENT = 64 << 10  # so does a text with a longer stretch without a place to cut
BATCH_BYTES = 256 << 20  # of text at a time on the device
THREADS = 256
SOURCES = ("common.cuh", "split.cuh", "bpe.cuh", "passes.cuh", "encode.cu")
CUDA = Path(__file__).with_name("cuda")


class Machine(Protocol):
    """Where the passes run: `xp` is cupy or numpy, `launch` runs a kernel for `count` items."""

    xp: Any

    def launch(self, kernel: str, count: int, *arguments: Any) -> None: ...


@dataclass(frozen=True)
class Encoded:
    """Ids in arrays of the machine, and how many texts went to the fallback lane."""

    offsets: Any  # int64[n + 1]
    ids: Any  # int32
    by_host: int


def source(*names: str) -> str:
    """The text of CUDA files, one after another: what the compiler gets."""
    return "\n".join((CUDA / name).read_text(encoding="ascii") for name in names)


def encode_on(machine: Machine, model: Any, host: Encoder, texts: Strings) -> Encoded:
    """Ids of all texts. `model` is the tokenizer's blob in an array of the machine."""
    xp = machine.xp
    base, size = int(texts.offsets[0]), texts.size_bytes
    text = xp.asarray(texts.data[base : base + size])
    offsets = xp.asarray(texts.offsets - base)
    if size == 0:
        return Encoded(xp.zeros(len(texts) + 1, xp.int64), xp.zeros(0, xp.int32), 0)
    first = xp.zeros(size, xp.uint8)
    first[offsets[:-1][offsets[:-1] < offsets[1:]]] = 1
    heads = _flags(machine, "heads", size, model, text, np.int64(size), first)
    head_text = xp.searchsorted(offsets, heads, side="right") - 1
    by_host = _mark(xp, len(texts), head_text, _lengths(xp, heads, offsets[head_text + 1]) > SEGMENT)
    heads, head_text = _without(heads, head_text, by_host)
    start = xp.zeros(size, xp.uint8)
    machine.launch("split", len(heads), model, text, heads, offsets[head_text + 1], np.int64(size), start)
    begins = xp.flatnonzero(start)
    piece_text = xp.searchsorted(offsets, begins, side="right") - 1
    ends = begins + _lengths(xp, begins, offsets[piece_text + 1])
    by_host |= _mark(xp, len(texts), piece_text, ends - begins > LONG)
    keep = ~by_host[piece_text]
    pieces = _Pieces(begins[keep], ends[keep], piece_text[keep])
    return _merged(machine, model, host, texts, text, offsets, pieces, by_host)


@dataclass(frozen=True)
class _Pieces:
    begins: Any  # int64, bytes of the batch
    ends: Any
    text: Any  # which text each is of


def _merged(
    machine: Machine, model: Any, host: Encoder, texts: Strings, text: Any, offsets: Any, pieces: _Pieces, by_host: Any
) -> Encoded:
    xp = machine.xp
    dummy = bool(_header(xp, model)[1])
    leads = xp.asarray(pieces.begins == offsets[pieces.text], xp.uint8) * np.uint8(dummy)
    # A token takes a byte or more, but for the prefix: one more room in each text, before its first piece.
    rooms = pieces.begins + (pieces.text + 1) * int(dummy) - leads
    scratch = xp.empty(len(text) + len(texts) + 1, xp.int32)
    counts = xp.zeros(len(pieces.begins), xp.int32)
    shape = (pieces.begins, pieces.ends, rooms, leads, scratch, counts)
    machine.launch("merge_pieces", len(counts), model, text, *shape)
    _merge_long(machine, model, text, pieces, shape)
    per_text = xp.zeros(len(texts), xp.int64)
    before = xp.concatenate([xp.zeros(1, xp.int64), xp.cumsum(counts, dtype=xp.int64)])
    edges = xp.searchsorted(pieces.text, xp.arange(len(texts) + 1))
    per_text += before[edges[1:]] - before[edges[:-1]]
    rows = np.flatnonzero(_host(by_host))
    theirs = host.encode_on_host(_chosen(texts, rows))
    per_text[xp.asarray(rows)] = xp.asarray(np.diff(theirs.offsets))
    result = xp.concatenate([xp.zeros(1, xp.int64), xp.cumsum(per_text, dtype=xp.int64)])
    ids = xp.empty(int(result[-1]), xp.int32)
    targets = result[pieces.text] + before[:-1] - before[edges[pieces.text]]
    machine.launch("gather", len(counts), scratch, rooms, counts, targets, ids)
    for place, row in enumerate(rows.tolist()):  # the fallback lane: rare and long
        ids[int(result[row]) : int(result[row + 1])] = xp.asarray(
            theirs.ids[theirs.offsets[place] : theirs.offsets[place + 1]]
        )
    return Encoded(result, ids, len(rows))


def _merge_long(machine: Machine, model: Any, text: Any, pieces: _Pieces, shape: tuple[Any, ...]) -> None:
    xp = machine.xp
    which = xp.flatnonzero(pieces.ends - pieces.begins > SHORT)
    if len(which) == 0:
        return
    nodes = 4 * (pieces.ends[which] - pieces.begins[which] + 1)
    places = xp.cumsum(nodes, dtype=xp.int64)
    memory = xp.empty(int(places[-1]), xp.int32)
    machine.launch("merge_long", len(which), model, text, which, places - nodes, memory, *shape)


def _flags(machine: Machine, kernel: str, count: int, *arguments: Any) -> Any:
    flags = machine.xp.zeros(count, machine.xp.uint8)
    machine.launch(kernel, count, *arguments, flags)
    return machine.xp.flatnonzero(flags)


def _lengths(xp: Any, begins: Any, limits: Any) -> Any:
    """Bytes from each begin to the next one, or to the end of its text."""
    following = xp.concatenate([begins[1:], limits[-1:]])
    return xp.minimum(following, limits) - begins


def _mark(xp: Any, count: int, rows: Any, flags: Any) -> Any:
    marked = xp.zeros(count, bool)
    marked[rows[flags]] = True
    return marked


def _without(heads: Any, head_text: Any, by_host: Any) -> tuple[Any, Any]:
    keep = ~by_host[head_text]
    return heads[keep], head_text[keep]


def _header(xp: Any, model: Any) -> Any:
    return _host(model[: 24 * 8]).view(np.int64)


def _host(array: Any) -> Any:
    return array.get() if hasattr(array, "get") else array


def _chosen(texts: Strings, rows: Any) -> Strings:
    """The texts of `rows` as Strings of their own."""
    parts = [texts.text(row) for row in rows.tolist()]
    ends = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return Strings(ends, np.frombuffer(b"".join(parts), np.uint8))


# --- a GPU ------------------------------------------------------------------------------------------------------------


class Gpu:
    """cupy, and the kernels compiled for the device at hand."""

    def __init__(self) -> None:
        self.xp: Any = cupy()
        self._module = self.xp.RawModule(code=source(*SOURCES), options=("--std=c++17",))

    def launch(self, kernel: str, count: int, *arguments: Any) -> None:
        if count == 0:
            return
        blocks = min(count, 65_535) if kernel == "merge_long" else -(-count // THREADS)
        self._module.get_function(kernel)((blocks,), (THREADS,), (np.int64(count), *arguments))


@functools.cache
def _gpu() -> Gpu:
    return Gpu()


class GpuEncoder:
    """A host encoder with its tokenizer's tables on the device. Raises bpe.Unsupported where rules do not cover it."""

    def __init__(self, host: Encoder, machine: Machine | None = None, tables: Blob | None = None) -> None:
        self.host = host
        self.machine = machine or _gpu()
        self.model = self.machine.xp.asarray(tables if tables is not None else tables_of(host.folder))
        self.by_host = 0  # texts of the fallback lane so far

    def encode(self, texts: Strings) -> Ids:
        """Host arrays in and out, in batches of at most BATCH_BYTES (one longer text is a batch of its own)."""
        found = []
        for begin, end in _batches(texts):
            part = encode_on(self.machine, self.model, self.host, texts.slice(begin, end))
            self.by_host += part.by_host
            found.append(Ids(_host(part.offsets), _host(part.ids)))
        shifts = np.cumsum([0, *(len(part.ids) for part in found)])
        offsets = [part.offsets[:-1] + shift for part, shift in zip(found, shifts, strict=False)]
        ids = np.concatenate([np.zeros(0, np.int32), *(part.ids for part in found)])
        return Ids(np.concatenate([*offsets, shifts[-1:]]).astype(np.int64), ids)


def use_device(encoder: Encoder, choice: Choice) -> Encoder:
    """Gives an encoder the GPU, if one is there and its rules cover the tokenizer. Ids are the same either way.

    Raises DeviceMissing for `cuda` without a GPU; a tokenizer that the rules do not cover stays on the host.
    """
    if choose(choice).kind == "cuda":
        try:
            encoder.device = GpuEncoder(encoder)
        except Unsupported as error:
            encoder.why = f"{error}: not on the GPU"
    return encoder


def _batches(texts: Strings) -> list[tuple[int, int]]:
    edges = [0]
    while edges[-1] < len(texts):
        limit = texts.offsets[edges[-1]] + BATCH_BYTES
        edges.append(max(edges[-1] + 1, int(np.searchsorted(texts.offsets, limit, side="right")) - 1))
    return list(itertools.pairwise(edges))
