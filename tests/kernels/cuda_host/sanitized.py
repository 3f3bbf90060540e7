"""Runs as a program of its own, under the address and undefined-behaviour sanitizers: hostile and broken bytes."""

import random
import sys
from pathlib import Path

import numpy as np

from dataforge.kernels import gpu_encode
from dataforge.kernels.buffers import Strings
from dataforge.kernels.encode import open_encoder
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from dataforge.kernels.tokenizer_folder import open_folder
from tests.kernels.cuda_host import Host


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
    machine = Host("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
    gpu_encode.LONG = 300  # the host encoder of the fallback lane needs valid text: give it none
    for folder in folders:
        encoder = gpu_encode.GpuEncoder(open_encoder(open_folder(Path(folder)), lane="reference"), machine)
        for count in (1, 1, 1, 2, 40, 400):
            found = encoder.encode(strings([hostile_bytes(rng)[:299] for _ in range(count)]))
            assert len(found.offsets) == count + 1
    print("clean")


if __name__ == "__main__":
    main(sys.argv[1:])
