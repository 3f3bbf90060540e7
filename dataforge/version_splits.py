"""No id of a published version stands in two splits: over all configs, and over the parents of packed rows.

Memory holds the ids of the held-out rows, which are few; those of train stream by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataforge.errors import VerifyError


def check_splits(out: Path, manifest: Mapping[str, Any]) -> list[VerifyError]:
    """No id stands in two splits, over all configs and the parents of packed rows. Holds the ids that are not
    train's.
    """
    held: dict[str, np.ndarray] = {}
    for split in ("validation", "test"):
        ids = [_as_bytes(ids) for _, ids in _ids(out, manifest, split)]
        held[split] = np.unique(np.concatenate(ids)) if ids else np.zeros(0, "S32")
    problems = []
    shared = np.intersect1d(held["validation"], held["test"])
    if len(shared):
        problems.append(_leak(out, "validation", "test", len(shared), shared[0]))
    for path, ids in _ids(out, manifest, "train"):
        values = _as_bytes(ids)
        for split, known in held.items():
            if len(known) and len(values):
                places = np.minimum(np.searchsorted(known, values), len(known) - 1)
                both = values[known[places] == values]
                if len(both):
                    problems.append(_leak(path, "train", split, len(both), both[0]))
    return problems


def _as_bytes(ids: pa.Array) -> np.ndarray:
    return np.asarray(ids.to_numpy(zero_copy_only=False).astype("S32"))


def _leak(path: Path, one: str, other: str, count: int, example: bytes) -> VerifyError:
    return VerifyError(f"{count} ids stand in {one} and in {other}, such as {example.decode()}", file=str(path))


def _ids(out: Path, manifest: Mapping[str, Any], split: str) -> Iterator[tuple[Path, pa.Array]]:
    """Ids of the rows of a split, file by file in batches; for packed rows the ids of their parents."""
    for entry in manifest["configs"]:
        if entry["split"] != split:
            continue
        names = [c["name"] for c in entry["columns"]]
        column = "id" if "id" in names else "parents"
        for file in entry["files"]:
            path = out / file["path"]
            with pq.ParquetFile(path) as reader:
                for batch in reader.iter_batches(batch_size=65_536, columns=[column], use_threads=False):
                    ids = batch.column(0)
                    yield path, pc.list_flatten(ids) if column == "parents" else ids
