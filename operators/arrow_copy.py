"""The `save_to_disk` copy: arrow/<config>/, read by `datasets.load_from_disk`. One Arrow file per Parquet shard.

Written by hand: the library's writer puts fingerprints and paths of this machine into the folder. Here the fingerprint
is the hash of the rows' files, so equal rows give equal bytes. `load_dataset` does not see the copy, for the card names
the Parquet files of every config.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataforge.operators.published_documents import json_text, write_text
from dataforge.operators.shards import durable

BATCH_ROWS = 1000  # the library's own size of a record batch


def write_arrow(root: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Copies every published split below `root` to `root/arrow/<config>/<split>/`."""
    splits: dict[str, list[str]] = {}
    for entry in entries:
        splits.setdefault(entry["config"], []).append(entry["split"])
        _write_split(root, entry, root / "arrow" / entry["config"] / entry["split"])
    for config, names in splits.items():
        write_text(root / "arrow" / config / "dataset_dict.json", json.dumps({"splits": names}))


def _write_split(root: Path, entry: Mapping[str, Any], folder: Path) -> None:
    names = []
    for number, file in enumerate(entry["files"]):
        names.append(f"data-{number:05d}-of-{len(entry['files']):05d}.arrow")
        _write_file(root / file["path"], folder / names[-1])
    schema = pq.read_schema(root / entry["files"][0]["path"])
    features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    shas = "".join(file["sha256"] for file in entry["files"])
    state = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": hashlib.sha256(shas.encode()).hexdigest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": entry["split"],
    }
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    write_text(folder / "state.json", json_text(state))
    write_text(folder / "dataset_info.json", json_text(info))


def _write_file(source: Path, target: Path) -> None:
    with pq.ParquetFile(source, page_checksum_verification=True) as reader, durable(target) as file:
        schema = reader.schema_arrow
        with pa.ipc.new_stream(pa.PythonFile(file, "w"), schema) as writer:
            for batch in _batches(reader):
                writer.write_batch(batch)


def _batches(reader: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    yield from reader.iter_batches(batch_size=BATCH_ROWS, use_threads=False)
