"""Runs as a program of its own, under the address and undefined-behaviour sanitizers: hostile and broken bytes."""

import random
import re
import sys
from pathlib import Path

import numpy as np

from dataforge.kernels import gpu, gpu_encode, gpu_passes
from dataforge.kernels.buffers import Strings
from dataforge.kernels.encode import open_encoder
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from dataforge.kernels.tokenizer_folder import open_folder
from tests.kernels.cuda_host import SANITIZERS
from tests.kernels.cuda_host.fake_cupy import FakeCupy


def hostile_bytes(rng: random.Random) -> bytes:
    """Text cut anywhere, bytes of no UTF-8, lead bytes at the very end."""
    text = hostile_text(rng, rng.choice(ALPHABETS)).encode()
    shape = rng.random()
    if shape < 0.3:
        return bytes(rng.randrange(256) for _ in range(rng.randint(0, 90)))
    if shape < 0.6:
        return text[: rng.randint(0, len(text))] + bytes([rng.choice((0xC2, 0xE2, 0xF0, 0xF5, 0xFF, 0x80))])
    return text


def strings(parts: list[bytes]) -> Strings:
    """Every text in a buffer of its exact size, so that a read beyond it is seen."""
    return Strings(np.cumsum([0, *map(len, parts)], dtype=np.int64), np.frombuffer(b"".join(parts), np.uint8).copy())


def first_broken(parts: list[bytes]) -> int:
    """By Python's decoder: -1 where all are UTF-8."""
    for row, part in enumerate(parts):
        try:
            part.decode()
        except UnicodeDecodeError:
            return row
    return -1


def refused_row(encoder: gpu_encode.GpuEncoder, parts: list[bytes]) -> int:
    try:
        assert len(encoder.encode(strings(parts)).offsets) == len(parts) + 1
    except ValueError as error:
        return int(re.fullmatch(r"row (\d+) is not valid UTF-8", str(error))[1])
    return -1


def without_check(encoding: gpu.Gpu) -> None:
    """No pass may read beyond the text, whatever the one that looks for broken characters says."""
    launch = encoding.launch
    encoding.launch = lambda kernel, *rest, **more: None if kernel == "check" else launch(kernel, *rest, **more)


def main(folders: list[str]) -> None:
    rng = random.Random(2)
    xp = FakeCupy(*SANITIZERS)
    gpu._grown = lambda count: count  # memory of the exact size, so that a byte too far is seen
    checking, blind = gpu.Gpu(gpu_passes.SOURCES, xp), gpu.Gpu(gpu_passes.SOURCES, xp)
    without_check(blind)
    for folder in folders:
        host = open_encoder(open_folder(Path(folder)), lane="reference")
        tables = gpu_encode.tables_of(host.folder)
        for count in (1, 1, 1, 2, 40, 400):
            parts = [hostile_bytes(rng)[:299] for _ in range(count)]
            encoder = gpu_encode.GpuEncoder(host, checking, tables, slots=64)
            assert refused_row(encoder, parts) == first_broken(parts)
            encoder = gpu_encode.GpuEncoder(host, blind, tables, slots=64)
            assert refused_row(encoder, parts) == -1
            assert encoder.by_host == 0  # the host encoder needs valid text: give it none
    print("clean")


if __name__ == "__main__":
    main(sys.argv[1:])
