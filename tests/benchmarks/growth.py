"""How time and memory grow with the text: 1, 3 and 10 times as many documents, each in a process of its own.

A row's `ours` is the speed at that size and `theirs` that of the smallest, so a ratio of 1 is linear; time and peak
memory stand in the variant. Texts go through in batches of a run's size. Oracle: the first documents give the same
results however many follow.

As a program: `python -m tests.benchmarks.growth WORK TIMES TOKENIZER ANSWER.json`.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.benchmarks.duplicates import chunk
from tests.benchmarks.frame import Row

SIZES, SEED, BATCH = (1, 3, 10), 7, 4_000  # times; documents of a batch
Work = Callable[[pa.RecordBatch], pa.Table | pa.RecordBatch]


def rows(work: str) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        train(Path(name) / "tokenizer")
        grown = [_measured(work, times, Path(name)) for times in SIZES]
    least = grown[0]
    for times, found in zip(SIZES, grown, strict=True):
        variant = f"growth: {found['cpu_s']:.2f} s, {found['peak_bytes'] / 1e9:.2f} GB for {found['bytes'] / 1e6:.0f} MB"
        speed, first = (round(a["bytes"] / a["cpu_s"] / 1e6, 3) for a in (found, least))
        exact = found["first"] == least["first"]
        us = ("dataforge", variant, version("dataforge"))
        yield Row(work, f"synthetic-x{times}", speed, "MB/s/core", *us, first, round(speed / first, 2), exact)


def _measured(work: str, times: int, scratch: Path) -> dict[str, Any]:
    answer = scratch / "answer.json"
    options = [work, str(times), scratch / "tokenizer", answer]
    subprocess.run([sys.executable, "-m", "tests.benchmarks.growth", *options], check=True)
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def train(folder: Path) -> None:
    from dataforge.operators.tokenizer_train import TrainTokenizer

    operator = TrainTokenizer(vocab_size=4_000)
    operator.finish(operator.observe(0, next(batches(1))), folder)


def batches(times: int) -> Iterator[pa.RecordBatch]:
    """Two batches for each of `times`; the first ones are always the same."""
    for i in range(2 * times):
        yield from chunk(SEED, BATCH, first=i * BATCH).rows.combine_chunks().to_batches()


def work_of(name: str, tokenizer: Path) -> Work:
    if name == "minhash":
        return _signatures
    if name == "quality":
        from dataforge.operators.quality import count_batch

        return lambda batch: count_batch(batch).kept
    from dataforge.operators.encode import Encode

    encode = Encode(device="cpu").start([tokenizer])
    return lambda batch: encode(batch.set_column(0, "id", _ids(batch))).kept  # ids as the gate samples them


def _signatures(batch: pa.RecordBatch) -> pa.Table:
    from dataforge.kernels.minhash import MinHashSpec, signatures

    return pa.table({"values": pa.array(signatures(batch["text"], MinHashSpec()).values.reshape(-1))})


def _ids(batch: pa.RecordBatch) -> pa.Array:
    from dataforge.identity import row_ids

    return row_ids("growth", batch["id"].to_pylist())


def digest(found: pa.Table | pa.RecordBatch) -> str:
    table = found if isinstance(found, pa.Table) else pa.Table.from_batches([found])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def main() -> None:
    name, times, tokenizer, answer = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    work, size, spent, first = work_of(name, tokenizer), 0, 0.0, ""
    work(next(batches(1)).slice(0, 8))  # compiles
    for batch in batches(times):
        size += batch["text"].nbytes
        start = time.process_time()
        found = work(batch)
        spent += time.process_time() - start
        first = first or digest(found)
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer.write_text(json.dumps({"bytes": size, "cpu_s": spent, "peak_bytes": peak_bytes, "first": first}))


if __name__ == "__main__":
    main()
