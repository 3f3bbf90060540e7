"""Runs as a program of its own, under the address and undefined-behaviour sanitizers: hostile and broken bytes."""

import random
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


def main(folders: list[str]) -> None:
    rng = random.Random(2)
    xp = FakeCupy(*SANITIZERS)
    gpu._grown = lambda count: count  # memory of the exact size, so that a byte too far is seen
    encoding = gpu.Gpu(gpu_passes.SOURCES, xp)
    for folder in folders:
        host = open_encoder(open_folder(Path(folder)), lane="reference")
        tables = gpu_encode.tables_of(host.folder)
        for count in (1, 1, 1, 2, 40, 400):
            encoder = gpu_encode.GpuEncoder(host, encoding, tables, slots=64)
            parts = [hostile_bytes(rng)[:299] for _ in range(count)]
            assert len(encoder.encode(strings(parts)).offsets) == count + 1
            assert encoder.by_host == 0  # the host encoder needs valid text: give it none
    print("clean")


if __name__ == "__main__":
    main(sys.argv[1:])
