"""The living index of a config: its shape, what a run compares with, and the commands add, query, remove, info."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, InputError
from dataforge.flows.config import Config
from dataforge.flows.config_filters import DedupeConfig
from dataforge.identity import canonical, digest_of
from dataforge.kernels.minhash import MinHashSpec
from dataforge.operator import Source
from dataforge.operators.dedupe_index import InIndex, WithEarlier
from dataforge.operators.files import FileSource
from dataforge.operators.near_index import NearIndex, Shape
from dataforge.operators.near_index_change import add, lock, remove
from dataforge.step import Step
from dataforge.store import Store
from dataforge.table import Table

if TYPE_CHECKING:
    from dataforge.flows.build import Graph


def shape_of(config: DedupeConfig) -> Shape:
    """What bands and signatures of a config look like, in the run and in the index alike."""
    bands, width = config.shape()
    return Shape(MinHashSpec(k=max(128, bands * width + 2), shingle=config.shingle, n=config.n), bands, width)


def index_path(config: Config) -> Path:
    if config.dedupe.index is None:
        raise ConfigError("names no index", key="dedupe.index", hint="set dedupe: {index: PATH}")
    return config.path(config.dedupe.index)


def against_earlier(documents: Step, verdicts: Step, sources: Sequence[Step], config: Config) -> Step:
    """The verdicts, with rows that the index of the config has near-duplicates of as failed."""
    path, shape, origin = index_path(config), shape_of(config.dedupe), origin_of(sources, config)
    digest = NearIndex.open(path, shape).digest(without=origin)
    found = Step("corpus/earlier", InIndex(str(path), origin, digest, shape, config.dedupe.threshold), (documents,))
    return Step("corpus/judged", WithEarlier(config.dedupe.threshold), (verdicts, found))


def origin_of(sources: Sequence[Step], config: Config) -> str:
    """12 hex digits of what is read: the same input always adds under the same origin, new input under a new one."""
    from dataforge.flows.build import read_remembered

    remembered = read_remembered(Store(config.path(config.store)))
    read = []
    for step in sources:
        source = step.operator
        if isinstance(source, Source):
            digest = source.digest(remembered) if isinstance(source, FileSource) else source.digest()
            read.append([canonical(source), digest])
    return digest_of(read)[:12]


def add_run(graph: Graph, tables: Sequence[Table]) -> dict[str, Any]:
    """Adds the documents that the last run kept."""
    config, names = graph.config, {table.step: table for table in tables}
    path, shape = index_path(config), shape_of(config.dedupe)
    if graph.corpus is None or graph.corpus.name not in names:
        what = "the run with this config has not selected documents yet"  # `dedupe.index` is a key like any other
        raise InputError(what, hint="dataforge run CONFIG, then add")
    documents = names[str(names["corpus/twins"].manifest["inputs"][-1]["step"])]  # behind operators of the user's own
    rows, origin = _kept(documents, names[graph.corpus.name]), origin_of(graph.documents, config)
    with lock(path):
        done = add(path, shape, rows, origin=origin, name=config.name)
    return {"schema": 1, "index": str(path), **asdict(done)}


def _kept(documents: Table, kept: Table) -> Iterator[pa.RecordBatch]:
    """Texts as near-duplicates are looked for in, so before personal data is masked: only hashes of them are stored."""
    for part in range(documents.n_parts):
        ids = [batch.column("id") for batch in kept.read(part, ["id"])]
        wanted = pa.concat_arrays(ids) if ids else pa.array([], pa.string())
        for batch in documents.read(part, ["id", "text", "text_hash"]):
            yield batch.filter(pc.is_in(batch.column("id"), value_set=wanted))


def query(config: Config, texts: Sequence[str], *, threshold: float | None, limit: int) -> dict[str, Any]:
    """`{"schema", "queries": [{"matches": [{"id", "jaccard", "common", "union"}]}]}`, best first."""
    shape, path = shape_of(config.dedupe), index_path(config)
    if NearIndex.peek(path) is None:
        raise InputError("there is no index yet", file=str(path), hint="dataforge index add CONFIG makes it")
    index = NearIndex.open(path, shape)
    found: list[list[dict[str, Any]]] = [[] for _ in texts]
    for match in index.find(pa.array(texts, pa.string()), shape, threshold or config.dedupe.threshold):
        told = {"id": match.id, "jaccard": round(match.jaccard, 6), "common": match.common, "union": match.union}
        found[match.row].append(told)
    return {"schema": 1, "queries": [{"matches": matches[:limit], "found": len(matches)} for matches in found]}


def remove_rows(config: Config, ids: Sequence[str]) -> dict[str, Any]:
    path = index_path(config)
    with lock(path):
        done = remove(path, shape_of(config.dedupe), ids)
    unknown = len(set(ids)) - done.removed
    return {"schema": 1, "index": str(path), "removed": done.removed, "unknown": unknown, "version": done.version}


def info(config: Config) -> dict[str, Any]:
    """What the index holds; `matches_config` is false where a run would refuse it."""
    path, shape = index_path(config), shape_of(config.dedupe)
    index = NearIndex.peek(path)
    if index is None:
        return {"schema": 1, "index": str(path), "there": False, "documents": 0, "matches_config": True}
    entries = [*index.header["segments"], *index.header["replaced"].values()]
    sizes = [size for entry in entries for size in entry["size_bytes"].values()]
    additions = [
        {"origin": key, "name": entry["name"], "documents": entry["documents"]}
        for key, entry in sorted(index.header["origins"].items(), key=lambda item: item[1]["number"])
    ]
    return {
        "schema": 1,
        "index": str(path),
        "there": True,
        "version": index.header["version"],
        "documents": index.documents,
        "size_bytes": sum(sizes),
        "segments": len(index.segments),
        "shape": index.header["shape"],
        "matches_config": index.header["shape"] == shape.document(),
        "digest": index.digest(),
        "additions": additions,
    }
