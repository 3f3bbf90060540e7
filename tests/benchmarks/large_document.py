"""`python -m tests.benchmarks.large_document [--bytes 1000000000] [--only minhash encode quality]`: one document of 1 GB.

Each kernel gets a hundredth of the document, then all of it: a line each with time and peak memory. Above LINEAR times a
hundredth it fails; quadratic work would show as 10,000. A hundredth may lie in the caches where all of it cannot, and in
the invented documents more comes again the more there are: of the words of 1 MB a fifth begin a repeated pair, of those of
30 MB a half. Equal keys are found part by part, each with a table that stays in the caches (`kernels/cpu/equal_keys.py`):
100 MB of quality statistics went from 43 s, 324 times a hundredth, to 13 s, 147 times a hundredth that is faster too.
Too heavy for the test suite. Works run one after another, so memory is the most so far.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tests.benchmarks.growth import batches, train, work_of

WORKS = ("minhash", "encode", "quality")
LINEAR = 150  # times a hundredth: half on top for leaving the caches


def document(size_bytes: int) -> pa.RecordBatch:
    """One text of this size: invented documents, one after another, the same hundred megabytes again and again."""
    made, texts, size = batches(50), [], 0
    while size < min(size_bytes, 100_000_000):
        texts += next(made)["text"].to_pylist()
        size = sum(map(len, texts))
    text = "\n\n".join(texts)
    whole = (text * (size_bytes // len(text) + 1))[:size_bytes]
    return pa.record_batch({"id": ["0" * 32], "text": pa.array([whole], pa.large_string())})


def timed(work: Callable[[pa.RecordBatch], object], batch: pa.RecordBatch) -> tuple[float, float]:
    """(CPU seconds, GB of the peak so far)."""
    start = time.process_time()
    work(batch)
    return time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Run the kernels on one very large document.")
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--only", nargs="+", choices=WORKS, default=WORKS)
    given, linear = parser.parse_args(arguments), True
    with tempfile.TemporaryDirectory() as name:
        train(Path(name))
        large, small = document(given.bytes), document(given.bytes // 100)
        for work_name in given.only:
            work = work_of(work_name, Path(name))
            timed(work, small)
            (few, _), (many, peak) = timed(work, small), timed(work, large)
            linear = linear and many < LINEAR * few + 1
            size = pc.sum(pc.binary_length(large["text"])).as_py()
            told = f"{size:,} bytes in {many:.1f} s, {many / few:.0f} times a hundredth of it, {peak:.2f} GB"
            print(f"{work_name}: {told}", flush=True)
    return 0 if linear else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
