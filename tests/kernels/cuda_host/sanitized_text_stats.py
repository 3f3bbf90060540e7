"""Runs as a program of its own, under the address and undefined-behaviour sanitizers: text statistics of hostile bytes."""

import random

import numpy as np
import pyarrow as pa

from dataforge.kernels import gpu, gpu_text_passes, gpu_text_stats
from dataforge.kernels.text_stats import COUNTERS
from dataforge.kernels.text_stats_reference import counters
from tests.kernels.cuda_host import SANITIZERS
from tests.kernels.cuda_host.fake_cupy import FakeCupy
from tests.kernels.cuda_host.sanitized import first_broken, hostile_bytes, strings
from tests.kernels.test_text_stats import PIECES


def valid_text(rng: random.Random) -> str:
    return rng.choice(["", " ", "\n"]).join(rng.choices(PIECES, k=rng.randint(0, 40)))


def main() -> None:
    rng = random.Random(6)
    stats = gpu_text_stats.GpuTextStats(gpu.Gpu(gpu_text_passes.SOURCES, FakeCupy(*SANITIZERS)))
    for count in (1, 1, 1, 2, 40):
        texts = [valid_text(rng) for _ in range(count)]
        right = [[counters(text)[name] for name in COUNTERS] for text in texts]
        with stats.gpu.stream:
            assert np.array_equal(stats._launch(gpu_text_stats.strings_of(pa.array(texts))), right)
    for count in (1, 1, 2, 40, 400):
        parts = [hostile_bytes(rng)[:2999] for _ in range(count)]
        try:
            with stats.gpu.stream:
                stats._launch(strings(parts))
        except gpu_text_passes.Broken:
            assert first_broken(parts) >= 0
        else:
            assert first_broken(parts) == -1
    print("clean")


if __name__ == "__main__":
    main()
