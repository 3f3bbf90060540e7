"""Runs in the peers' environment: PEER DOCS.parquet FOLDER ANSWER.json → {"version", "cpu_s", "peak_bytes", "kept": ids}.

From Parquet of id, text to the ids that stay. CPU seconds of this process and all its workers, imports included.
"""

import json
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq


def datatrove(docs, folder):
    """The four stages with datatrove's defaults (14 x 8, no verification), two workers."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
    )
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    table, given = pq.read_table(docs), folder / "given"
    given.mkdir()
    for part in range(2):  # its unit of work is a file
        pq.write_table(table.take(list(range(part, table.num_rows, 2))), given / f"{part}.parquet")
    config = MinhashConfig()
    stages = [
        (2, [ParquetReader(str(given)), MinhashDedupSignature(str(folder / "signatures"), config=config)]),
        (14, [MinhashDedupBuckets(str(folder / "signatures"), str(folder / "buckets"), config=config)]),
        (1, [MinhashDedupCluster(str(folder / "buckets"), str(folder / "remove"), config=config)]),
        (2, [ParquetReader(str(given)), MinhashDedupFilter(str(folder / "remove")), ParquetWriter(str(folder / "kept"))]),
    ]
    for number, (tasks, pipeline) in enumerate(stages):
        logs = str(folder / f"logs{number}")
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=min(tasks, 2), start_method="fork", logging_dir=logs).run()
    return sorted(row for file in (folder / "kept").glob("*.parquet") for row in pq.read_table(file)["id"].to_pylist())


def text_dedup(docs, folder):
    """Its minhash script with 18 bands of 7, words-5 and xxh3, its fastest hash; no verification, two processes."""
    options = {"path": "parquet", "data_files": docs, "split": "train", "cache_dir": folder / "cache"}
    options |= {"output": folder / "kept", "column": "text", "batch_size": 10_000, "num_proc": 2}
    options |= {"ngram": 5, "min_length": 1, "num_perm": 128, "b": 18, "r": 7, "hash_func": "xxh3"}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    subprocess.run([sys.executable, "-m", "text_dedup.minhash", *words], check=True)
    from datasets import load_from_disk

    return sorted(load_from_disk(str(folder / "kept"))["id"])


def usage():
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = sum(u.ru_utime + u.ru_stime for u in (own, others))
    return cpu_s, (own.ru_maxrss + 2 * others.ru_maxrss) * 1024


def main():
    peer, docs, folder, answer = sys.argv[1], *map(Path, sys.argv[2:])
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"datatrove": datatrove, "text-dedup": text_dedup}[peer](docs, folder)
    cpu_s, peak_bytes = usage()
    with open(answer, "w") as file:
        json.dump({"version": version(peer), "cpu_s": cpu_s, "peak_bytes": peak_bytes, "kept": kept}, file)


if __name__ == "__main__":
    main()
