"""Counting over Tables, part by part: memory holds a row group and the counters. Only integers are added up, so the
order of parts cannot change a digit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.engine.work_map import aligned
from dataforge.table import Table


def batches(tables: Iterable[Table], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Row groups of all parts of all tables, with those of `columns` that the table has."""
    for table in tables:
        names = [name for name in columns if name in table.schema.names]
        for part in range(table.n_parts):
            yield from table.read(part, names)


def having(tables: Iterable[Table], *columns: str) -> list[Table]:
    """The Tables that hold all of these columns."""
    return [table for table in tables if not table.is_files and set(columns) <= set(table.schema.names)]


def text_bytes(texts: pa.Array) -> pa.Array:
    """int64[n]: UTF-8 bytes of each text."""
    return pc.fill_null(pc.binary_length(texts), 0).cast(pa.int64())


class Groups:
    """Rows and UTF-8 bytes of text per value of a column."""

    def __init__(self, column: str) -> None:
        self.column = column
        self.rows: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    def add(self, batch: pa.RecordBatch) -> None:
        values = pc.fill_null(batch.column(self.column), "unknown")
        weights = text_bytes(batch.column("text")) if "text" in batch.schema.names else np.zeros(len(values), np.int64)
        table = pa.table({"value": values, "bytes": weights}).group_by("value")
        for entry in table.aggregate([("bytes", "sum"), ([], "count_all")]).to_pylist():  # a few values
            self.rows[entry["value"]] += entry["count_all"]
            self.bytes[entry["value"]] += entry["bytes_sum"]

    def document(self) -> list[dict[str, Any]]:
        """[{column, "rows", "bytes", "share"}], most rows first."""
        total = max(1, sum(self.rows.values()))
        order = sorted(self.rows, key=lambda value: (-self.rows[value], value))
        return [
            {self.column: v, "rows": self.rows[v], "bytes": self.bytes[v], "share": round(self.rows[v] / total, 6)}
            for v in order
        ]


def by_value(tables: Sequence[Table], column: str) -> list[dict[str, Any]]:
    """Rows per value of a column, of tables that need not hold texts."""
    groups = Groups(column)
    for batch in batches(having(tables, column), [column]):
        groups.add(batch)
    return groups.document()


def acts_by_split(tagged: Table, pairs: Sequence[Table]) -> pa.Table:
    """Columns source, split, act, n: messages by the split of the pair they are in; null where they are in none.

    Holds 32 bytes for each message of a pair.
    """
    placed: dict[str, list[np.ndarray]] = {}
    for batch in batches(having(pairs, "message_ids", "split"), ["message_ids", "split"]):
        members = pc.list_flatten(batch.column("message_ids"))
        splits = batch.column("split").take(pc.list_parent_indices(batch.column("message_ids")))
        for split in splits.unique().to_pylist():
            placed.setdefault(split, []).append(as_bytes(members.filter(pc.equal(splits, split))))
    known = {split: np.unique(np.concatenate(ids)) for split, ids in sorted(placed.items())}
    counts: Counter[tuple[str, str | None, str]] = Counter()
    for batch in batches([tagged], ["id", "source", "act"]):
        ids, split = as_bytes(batch.column("id")), np.full(batch.num_rows, None, object)
        for name, members_ in known.items():
            split[np.isin(ids, members_)] = name
        columns = [batch.column("source"), pa.array(split, pa.string()), batch.column("act")]
        rows = pa.table(columns, names=["source", "split", "act"])
        for entry in rows.group_by(["source", "split", "act"]).aggregate([([], "count_all")]).to_pylist():
            counts[entry["source"], entry["split"], entry["act"]] += entry["count_all"]
    ordered = sorted(counts.items(), key=lambda item: tuple(str(value) for value in item[0]))
    lines = [{"source": s, "split": p, "act": a, "n": n} for (s, p, a), n in ordered]
    schema = pa.schema([*(pa.field(name, pa.string()) for name in ("source", "split", "act")), pa.field("n", pa.int64())])
    return pa.Table.from_pylist(lines, schema=schema)


class Histogram:
    """Counts in bins that double: [0, 1), [1, 2), [2, 4), [4, 8) … as lengths of texts spread over powers of ten."""

    def __init__(self) -> None:
        self.bins: Counter[int] = Counter()
        self.rows = self.total = self.largest = 0

    def add(self, values: pa.Array) -> None:
        numbers = values.to_numpy(zero_copy_only=False).astype(np.int64)
        if not len(numbers):
            return
        places = np.where(numbers > 0, np.floor(np.log2(np.maximum(numbers, 1))).astype(np.int64) + 1, 0)
        for place, count in zip(*np.unique(places, return_counts=True), strict=True):
            self.bins[int(place)] += int(count)
        self.rows += len(numbers)
        self.total += int(numbers.sum())
        self.largest = max(self.largest, int(numbers.max()))

    def document(self) -> dict[str, Any]:
        """{"rows", "total", "mean", "largest", "bins": [{"from", "below", "rows"}]} with no gap between bins."""
        used = range(min(self.bins, default=0), max(self.bins, default=-1) + 1)
        bins = [{"from": 2 ** (b - 1) if b else 0, "below": 2**b, "rows": self.bins[b]} for b in used]
        mean = round(self.total / self.rows, 2) if self.rows else 0.0
        return {"rows": self.rows, "total": self.total, "mean": mean, "largest": self.largest, "bins": bins}


def lengths(tables: Sequence[Table], column: str) -> dict[str, Any]:
    """Histogram of the values of an integer column."""
    histogram = Histogram()
    for batch in batches(tables, [column]):
        histogram.add(batch.column(column))
    return histogram.document()


@dataclass(frozen=True)
class TextFacts:
    """What one read of the texts of a config gives: rows per source and language, and a histogram of characters."""

    sources: list[dict[str, Any]]
    languages: list[dict[str, Any]]
    characters: dict[str, Any]


def text_facts(tables: Sequence[Table]) -> TextFacts:
    """Reads `source`, `language` and `text` of the Tables once. Texts are the bulk of a store."""
    sources, languages, characters = Groups("source"), Groups("language"), Histogram()
    for batch in batches(having(tables, "text"), ["source", "language", "text"]):
        for groups in (sources, languages):
            if groups.column in batch.schema.names:
                groups.add(batch)
        characters.add(pc.utf8_length(batch.column("text")))
    return TextFacts(sources.document(), languages.document(), characters.document())


def span_kinds(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """[{"kind", "spans", "rows"}] of all columns `spans`, most spans first. Nothing of the text is read."""
    spans: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for batch in batches(tables, ["spans"]):
        found = batch.column("spans")
        table = pa.table(
            {"row": pc.list_parent_indices(found), "kind": pc.struct_field(pc.list_flatten(found), "kind")}
        )
        counted = table.group_by("kind").aggregate([("row", "count"), ("row", "count_distinct")])
        for kind, n, distinct in zip(
            *(counted[c].to_pylist() for c in ("kind", "row_count", "row_count_distinct")), strict=True
        ):
            spans[kind] += n
            rows[kind] += distinct
    order = sorted(spans, key=lambda kind: (-spans[kind], kind))
    return [{"kind": kind, "spans": spans[kind], "rows": rows[kind]} for kind in order]


def cluster_sizes(tables: Sequence[Table]) -> dict[str, Any]:
    """Of tables with `cluster` and `duplicate`: rows lost per kind, and how many clusters there are of each size.

    Holds 32 bytes for each row that is in a cluster with others, none for the rest.
    """
    kinds: Counter[str] = Counter()
    members = [np.zeros(0, "S32")]
    for batch in batches(tables, ["id", "cluster", "duplicate"]):
        if "duplicate" in batch.schema.names:
            for entry in pc.value_counts(batch.column("duplicate").drop_null()).to_pylist():
                kinds[entry["values"]] += entry["counts"]
        cluster = batch.column("cluster")
        members.append(as_bytes(cluster.filter(pc.not_equal(cluster, batch.column("id")))))
    names, others = np.unique(np.concatenate(members), return_counts=True)
    sizes = Counter((others + 1).tolist())  # the row that gives the cluster its name
    return {
        "clusters": len(names),
        "rows": int(others.sum()) + len(names),
        "largest": max(sizes, default=0),
        "kinds": dict(sorted(kinds.items())),
        "sizes": _size_bins(sizes),
    }


def _size_bins(sizes: Mapping[int, int]) -> list[dict[str, Any]]:
    """2, 3, 4, 5–8, 9–16 …: as many clusters of each."""
    bins: Counter[tuple[int, int]] = Counter()
    for size, clusters in sizes.items():
        high = 1 << (size - 1).bit_length()
        bins[(size, size) if size <= 4 else (high // 2 + 1, high)] += clusters
    return [{"from": low, "to": high, "clusters": n} for (low, high), n in sorted(bins.items())]


def straddling(twins: Table, splits: Table) -> int:
    """How many clusters of `twins` have rows in more than one split.

    Holds 32 bytes per row of a cluster of several, split by split.
    """
    named = [
        b.column("cluster").filter(pc.not_equal(b.column("cluster"), b.column("id")))
        for b in batches([twins], ["id", "cluster"])
    ]
    shared = np.unique(np.concatenate([np.zeros(0, "S32"), *map(as_bytes, named)]))
    seen: dict[str, np.ndarray] = {}
    for left, right in joined([twins, splits], [["id", "cluster"], ["id", "split"]]):
        clusters, place = as_bytes(left.column("cluster")), right.column("split")
        for split in place.unique().drop_null().to_pylist():
            here = clusters[pc.fill_null(pc.equal(place, split), False).to_numpy(zero_copy_only=False)]
            seen[split] = np.union1d(seen.get(split, np.zeros(0, "S32")), np.intersect1d(here, shared))
    _, counts = np.unique(np.concatenate([np.zeros(0, "S32"), *seen.values()]), return_counts=True)
    return int((counts > 1).sum())


def joined(tables: Sequence[Table], columns: Sequence[Sequence[str]]) -> Iterator[list[pa.RecordBatch]]:
    """Row groups of the first table with the other tables' rows of the same ids beside them, null where they lack
    one.
    """
    for part in range(tables[0].n_parts):
        yield from aligned(tables, part, columns)


def as_bytes(ids: pa.Array) -> np.ndarray:
    """S32[n] of ids."""
    return ids.to_numpy(zero_copy_only=False).astype("S32") if len(ids) else np.zeros(0, "S32")


def bytes_per_token(tokens: Table, texts: Table, languages: Table | None) -> dict[str, tuple[int, int, int]]:
    """{language: (rows, UTF-8 bytes, tokens)} of a token table and the text table that it was made from."""
    sums: dict[str, list[int]] = {}
    tables, columns = [texts, tokens], [["id", "text", "language"], ["id", "length"]]
    if languages is not None:
        tables, columns = [*tables, languages], [*columns, ["id", "language"]]
    for batches_ in joined(tables, columns):
        left, right, beside = batches_[0], batches_[1], batches_[-1 if languages is not None else 0]
        spoken = (
            beside.column("language") if "language" in beside.schema.names else pa.array(["not told"] * left.num_rows)
        )
        rows = pa.table(
            {
                "language": pc.fill_null(spoken, "not told"),
                "bytes": text_bytes(left.column("text")),
                "tokens": right.column("length"),
            }
        )
        for entry in (
            rows.group_by("language").aggregate([("bytes", "sum"), ("tokens", "sum"), ([], "count_all")]).to_pylist()
        ):
            total = sums.setdefault(entry["language"], [0, 0, 0])
            for i, name in enumerate(("count_all", "bytes_sum", "tokens_sum")):
                total[i] += entry[name] or 0
    return {language: (rows, size, count) for language, (rows, size, count) in sums.items()}
