"""Runs in our environment, in a process of its own: `python -m tests.benchmarks.dedupe_ours DOCS.parquet STORE ANSWER.json`.

From Parquet of id, text to the ids that are kept, by the Steps of a real run: source, ingest, clean, find_duplicates.
Writes {"cpu_s", "wall_s", "peak_bytes", "seconds": per step, "kept": sha256 of the sorted ids, "kept_rows"}. CPU
seconds and memory are those of this process and all its workers, imports included.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:  # workers import this file too, and need none of these
    from dataforge.engine.run import State
    from dataforge.flows.config_filters import DedupeConfig
    from dataforge.step import Step
    from dataforge.table import Table


def steps(docs: Path, config: DedupeConfig, parts: int) -> tuple[Step, Step]:
    """(documents, twins)."""
    from dataforge.flows.duplicates import find_duplicates
    from dataforge.operators.clean import Clean
    from dataforge.operators.files_parquet import ParquetFiles
    from dataforge.operators.ingest import ByKey
    from dataforge.step import Step

    source = Step("sources/docs", ParquetFiles(name="docs", path=str(docs), key="id"))
    documents = Step("corpus/documents", Clean(), (Step("corpus/ingested", ByKey(parts), (source,)),))
    return documents, find_duplicates(documents, config, parts=parts, prefix="corpus")


def deduplicate(
    docs: Path, store: Path, config: DedupeConfig, *, parts: int = 8, workers: int = 2
) -> tuple[pa.Array, State]:
    """(keys of the rows that stay, sorted; what the run says of its steps)."""
    from dataforge.engine.local import Local
    from dataforge.engine.run import run
    from dataforge.store import Store

    documents, twins = steps(docs, config, parts)
    opened = Store(store)
    with opened.lock(), Local(workers) as engine:
        state = run(opened, [twins], engine)
    return kept_keys(state.tables[documents], state.tables[twins]), state


def kept_keys(documents: Table, twins: Table) -> pa.Array:
    keys, lost = documents.to_table(["id", "key"]), twins.to_table(["id", "duplicate"])
    kept = lost["id"].filter(pc.is_null(lost["duplicate"]))
    found = keys["key"].filter(pc.is_in(keys["id"], value_set=kept.combine_chunks())).combine_chunks()
    return found.take(pc.sort_indices(found))


def usage() -> tuple[float, int]:
    """(CPU seconds of this process and its ended workers, bytes of its peak and of the largest worker, twice)."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = sum(u.ru_utime + u.ru_stime for u in (own, others))
    return cpu_s, (own.ru_maxrss + 2 * others.ru_maxrss) * 1024


def main() -> None:
    from dataforge.flows.config_filters import DedupeConfig

    parser = argparse.ArgumentParser()
    parser.add_argument("docs", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    start = time.monotonic()
    kept, state = deduplicate(given.docs, given.store, DedupeConfig(), parts=given.parts, workers=given.workers)
    cpu_s, peak_bytes = usage()
    answer = {
        "cpu_s": cpu_s,
        "wall_s": time.monotonic() - start,
        "peak_bytes": peak_bytes,
        "seconds": state.seconds,
        "kept": hashlib.sha256("\n".join(kept.to_pylist()).encode()).hexdigest(),
        "kept_rows": len(kept),
    }
    given.answer.write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
