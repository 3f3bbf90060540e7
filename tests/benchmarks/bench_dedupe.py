"""Duplicates end to end, from Parquet of id, text to the ids that stay: ours by the Steps of a real run on two workers,
against datatrove's four stages and text-dedup's script, each with two processes.

Oracle: brute force. On 600 documents the kept ids equal those of Python sets of 5-word shingles, all pairs compared, and
a plain union-find. Documents per CPU second, imports and process starts counted for all. Slow peers get fewer documents,
said in the variant, with the ratio that follows for 1,000,000: each one's start and pace from two sizes, ten times apart.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.flows.config_filters import DedupeConfig
from dataforge.identity import row_id
from tests.benchmarks.dedupe_ours import deduplicate
from tests.benchmarks.duplicates import N, chunk, chunks, write_parquet
from tests.benchmarks.frame import Row, Setup

PEERS = (  # peer, documents: enough that its start is a small share of the time, how it is run
    ("datatrove", 20_000, "four stages, 14x8, unverified"),
    ("text-dedup", 20_000, "minhash script, 18x7, xxh3, unverified"),
)
SEED, ORACLE, GROWTH, LARGE = 1, 600, (10, 3, 1), 1_000_000


def rows(setup: Setup) -> Iterator[Row]:
    """A row per peer; how our time and memory grow with the documents stands in the variant of the first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exact = equals_brute_force(folder, 0.8)
        grown = [measure(folder, setup.documents // share) for share in GROWTH]
        ours = round(setup.documents / grown[-1]["cpu_s"], 1)
        growth = ", ".join(f"{a['documents']:,}: {a['cpu_s']:.1f} s {a['peak_bytes'] / 1e9:.2f} GB" for a in grown)
        corpus = f"synthetic-{setup.documents // 1000}k"
        for peer, count, variant in PEERS:
            small, answer = (ask(setup, peer, min(count, setup.documents) // share, folder) for share in (10, 1))
            theirs = round(answer["documents"] / answer["cpu_s"], 1)
            told = f"{variant}; on {answer['documents']:,}: {answer['cpu_s']:.1f} s {answer['peak_bytes'] / 1e9:.2f} GB"
            told += f"; ours on {growth}; by start and pace {told_of(grown[0], grown[-1], small, answer)}"
            version, ratio = answer["version"], round(ours / theirs, 2)
            yield Row("dedupe", corpus, ours, "documents/s/core", peer, told, version, theirs, ratio, exact)


def told_of(*measured: dict[str, Any]) -> str:
    """Start and pace of ours and of the peer, each from a small and a large run, and the ratio for LARGE documents."""
    (start, pace), (their_start, their_pace) = line(*measured[:2]), line(*measured[2:])
    ratio = (their_start + LARGE * their_pace) / (start + LARGE * pace)
    ours, theirs = f"{start:.1f} s + {pace * 1e6:.0f} us", f"{their_start:.1f} s + {their_pace * 1e6:.0f} us"
    return f"{ratio:.1f} for {LARGE:,} (ours {ours} a document, theirs {theirs})"


def line(small: dict[str, Any], large: dict[str, Any]) -> tuple[float, float]:
    """(CPU seconds that do not grow, CPU seconds a document)."""
    pace = (large["cpu_s"] - small["cpu_s"]) / (large["documents"] - small["documents"])
    return small["cpu_s"] - pace * small["documents"], pace


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Ours on `count` documents, in a process of its own."""
    docs, answer = given(folder, count), folder / f"ours-{count}.json"
    with tempfile.TemporaryDirectory(dir=folder) as store:
        options = [docs, store, answer, "--parts", str(parts_for(docs))]
        subprocess.run([sys.executable, "-m", "tests.benchmarks.dedupe_ours", *options], check=True)
    found: dict[str, Any] = json.loads(answer.read_text())
    return found | {"documents": count}


def parts_for(docs: Path) -> int:
    """As `parts: auto` chooses."""
    from dataforge.flows.build import LEAST_PARTS, PART_BYTES
    from dataforge.operators.files_parquet import ParquetFiles

    parts, size = LEAST_PARTS, ParquetFiles(name="docs", path=str(docs)).decompressed_bytes()
    while size > parts * PART_BYTES:
        parts *= 2
    return parts


def ask(setup: Setup, peer: str, count: int, folder: Path) -> dict[str, Any]:
    docs, answer = given(folder, count), folder / f"{peer}.json"
    return setup.ask("dedupe_peer.py", peer, docs, folder / f"{peer}-{count}", answer) | {"documents": count}


def given(folder: Path, count: int) -> Path:
    path = folder / f"docs-{count}.parquet"
    if not path.exists():
        write_parquet(path, (made.rows for made in chunks(SEED, count)))
    return path


def equals_brute_force(folder: Path, threshold: float) -> bool:
    docs = folder / "oracle.parquet"
    made = chunk(SEED, ORACLE)
    write_parquet(docs, iter([made.rows]))
    kept, _ = deduplicate(docs, folder / "oracle", DedupeConfig(threshold=threshold))
    return bool(kept.to_pylist() == kept_by_brute_force(made.rows, threshold))


def kept_by_brute_force(table: pa.Table, threshold: float) -> list[str]:
    """The keys that stay: of each cluster the longest text, then the smallest id. All pairs, plain Python."""
    texts = {row["id"]: row["text"] for row in table.to_pylist()}
    sets = {key: shingles(text) for key, text in texts.items()}
    label = {key: key for key in texts}

    def root(key: str) -> str:
        while label[key] != key:
            key = label[key]
        return key

    for a, b in itertools.combinations(texts, 2):
        if len(sets[a] & sets[b]) >= threshold * len(sets[a] | sets[b]):
            label[root(a)] = root(b)
    best: dict[str, tuple[int, str, str]] = {}
    for key, text in texts.items():
        rank = (-len(text), row_id("docs", key), key)
        best[root(key)] = min(best.get(root(key), rank), rank)
    return sorted(key for _, _, key in best.values())


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + N]) for i in range(len(words) - N + 1)}
