"""What every benchmark shares: the row it gives, the texts it runs on, timing, and a peer run in its own environment.

A benchmark is a file `bench_<work>.py` with `rows(setup) -> Iterator[Row]`. It checks its own output against an oracle
before it times anything. Times are CPU seconds of one core, of which the best of several runs counts: wall time of a
shared machine says more about the neighbours. Peers count their shingling and tokenizing, as we count ours.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"


class PeerMissing(Exception):
    """A peer's environment is not there or cannot import the peer."""


@dataclass(frozen=True)
class Row:
    """One line of build/bench.json (contract, section 5). `ratio` > 1: ours is faster on the same number of cores."""

    work: str
    corpus: str
    ours: float
    unit: str
    peer: str
    variant: str
    peer_version: str
    theirs: float | None
    ratio: float | None
    exact: bool  # our output equalled its oracle before the timing


@dataclass(frozen=True)
class Setup:
    """Where texts and peers are. `data` is a folder of *.jsonl(.zst) with a `text` column; None = generated texts."""

    data: Path | None
    peers: Path  # the environment made from constraints-bench.txt
    seconds: float = 3.0  # at least this long is each of our own timings repeated
    documents: int = 100_000  # for the benchmark that runs whole Steps

    def texts(self, name: str, size_bytes: int) -> list[str]:
        """About `size_bytes` of the corpus english, multilingual, cjk or code."""
        from tests.benchmarks.corpora import generated, stored

        return generated(name, size_bytes) if self.data is None else stored(self.data, name, size_bytes)

    def peer(self, script: str, peer: str, texts: Sequence[str]) -> dict[str, Any]:
        """The JSON document that peers/SCRIPT writes for these texts: version, seconds, and what it computed."""
        with tempfile.TemporaryDirectory() as folder:
            given, answer = Path(folder, "texts.jsonl"), Path(folder, "answer.json")
            given.write_text("".join(json.dumps(text) + "\n" for text in texts), "utf8")
            return self.ask(script, peer, given, answer)

    def ask(self, script: str, peer: str, *paths: Path) -> dict[str, Any]:
        """The JSON document that `peers/SCRIPT PEER PATHS…` writes to the last path."""
        python = self.peers / "bin" / "python"
        if not python.exists():
            raise PeerMissing(f"no environment {self.peers}: make it from constraints-bench.txt")
        run = subprocess.run([python, PEERS / script, peer, *paths], capture_output=True, text=True)
        if run.returncode:
            last = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise PeerMissing(f"{peer} failed: {last}")
        found: dict[str, Any] = json.loads(paths[-1].read_text("utf8"))
        return found


def best(work: Callable[[], object], *, at_least: float) -> float:
    """CPU seconds of the fastest run, after one to warm up; repeated until `at_least` seconds have gone by."""
    work()
    fastest, spent = float("inf"), 0.0
    while spent < at_least or fastest == float("inf"):
        start = time.process_time()
        work()
        took = time.process_time() - start
        fastest, spent = min(fastest, took), spent + max(took, 1e-6)
    return fastest


def size_bytes(texts: Sequence[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def speed(texts: Sequence[str], seconds: float) -> float:
    """MB/s, rounded to what a timing is worth."""
    return round(size_bytes(texts) / seconds / 1e6, 3)


def compare(work: str, corpus: str, ours: float, exact: bool, peer: str, variant: str, answer: dict[str, Any]) -> Row:
    """The row for a peer's answer {"version", "mb_s"}."""
    theirs = float(answer["mb_s"])
    return Row(
        work, corpus, ours, "MB/s/core", peer, variant, answer["version"], theirs, round(ours / theirs, 2), exact
    )
