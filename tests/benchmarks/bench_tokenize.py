"""Tokenization Arrow to Arrow (ids, labels, masks, the sampled gate) against gigatoken, tiktoken and tokenizers.

Vocabularies: GPT-2 and cl100k where `tokenizers/` stands beside the data folder, else one trained on the spot. The
peers are run by this interpreter: they are our dependencies, pinned in constraints.txt. Oracle: the ids of each peer.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.identity import row_ids
from dataforge.kernels.split_rules import PATTERNS
from dataforge.kernels.tokenizer_folder import Folder, byte_alphabet, open_folder
from dataforge.operators.encode import Encode
from dataforge.operators.tokenizer_import import ImportTokenizer
from dataforge.operators.tokenizer_train import TrainTokenizer
from tests.benchmarks.frame import Row, Setup, compare, size_bytes

CORPORA = ("english", "multilingual", "cjk", "code")
OURS_BYTES = 6_000_000
PEERS = (("gigatoken", OURS_BYTES), ("tiktoken", 1_000_000), ("tokenizers", 300_000))


def rows(setup: Setup) -> Iterator[Row]:
    """Cold and warm against gigatoken; warm against the others, which keep little between texts."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in _folders(setup, Path(scratch)):
            _for_peers(folder)
            for corpus in CORPORA:
                yield from _compared(_with_this_interpreter(setup), name, folder, corpus)


def _with_this_interpreter(setup: Setup) -> Setup:
    return replace(setup, peers=Path(sys.prefix))


def _compared(setup: Setup, name: str, folder: Path, corpus: str) -> Iterator[Row]:
    texts = setup.texts(corpus, OURS_BYTES)
    cold, warm = _ours(folder, texts)
    for peer, size in PEERS:
        given = texts if size == OURS_BYTES else setup.texts(corpus, size)
        answer = setup.peer("tokenize_peer.py", f"{peer} {folder}", given)
        exact = _sha256(folder, given) == answer["ids_sha256"]
        yield compare("tokenize", f"{corpus}-warm", warm, exact, peer, name, answer)
        if peer == "gigatoken":
            cold_answer = {**answer, "mb_s": answer["mb_s_cold"]}
            yield compare("tokenize", f"{corpus}-cold", cold, exact, peer, name, cold_answer)


def _batch(texts: list[str]) -> pa.RecordBatch:
    return pa.record_batch({"id": row_ids("bench", map(str, range(len(texts)))), "text": pa.array(texts)})


def _ours(folder: Path, texts: list[str]) -> tuple[float, float]:
    """MB/s of CPU time: the first pass of a fresh encoder, and the best of the next ones."""
    batch = _batch(texts)
    Encode(device="cpu").start([folder])(batch.slice(0, 1))  # compiles and probes: not part of encoding
    encode, times = Encode(device="cpu").start([folder]), []
    for _ in range(4):
        start = time.process_time()
        encode(batch)
        times.append(time.process_time() - start)
    size = size_bytes(texts) / 1e6
    return round(size / times[0], 3), round(size / min(times[1:]), 3)


def _sha256(folder: Path, texts: list[str]) -> str:
    import hashlib

    found = Encode(eos=0, device="cpu").start([folder])(_batch(texts)).kept["input_ids"]
    digest = hashlib.sha256()
    for ids in found:  # once per corpus and peer
        digest.update(ids.values.to_numpy().astype("<u4").tobytes() + b"\xff" * 4)
    return digest.hexdigest()


def _folders(setup: Setup, scratch: Path) -> Iterator[tuple[str, Path]]:
    stored = setup.data.parent / "tokenizers" if setup.data else scratch
    known = {"gpt2": stored / "gpt2", "cl100k": stored / "tiktoken" / "cl100k_base.tiktoken"}
    found = {name: path for name, path in known.items() if path.exists()}
    for name, path in found.items():
        ImportTokenizer.of(path).finish(None, scratch / name)
        yield name, scratch / name
    if not found:
        operator = TrainTokenizer(vocab_size=16_000)
        operator.finish(operator.observe(0, _batch(setup.texts("english", 4_000_000))), scratch / "trained")
        yield "trained, llama3 pattern", scratch / "trained"


def _for_peers(folder: Path) -> None:
    """tokenizer.json as gigatoken takes it (no special tokens matched in text), and ranks for tiktoken."""
    opened = open_folder(folder)
    plain = json.dumps({**opened.json, "added_tokens": [], "post_processor": None})
    plain = plain.replace(json.dumps(PATTERNS["cl100k"]), json.dumps(PATTERNS["llama3"]))
    (folder / "plain.json").write_text(plain)
    pattern = _pattern(opened)
    (folder / "tiktoken.json").write_text(json.dumps({"pattern": PATTERNS[pattern], "ranks": _ranks(opened)}))


def _pattern(opened: Folder) -> str:
    steps: list[dict[str, Any]] = opened.json["pre_tokenizer"].get("pretokenizers", [])
    return next((name for name, text in PATTERNS.items() if steps and steps[0]["pattern"]["Regex"] == text), "gpt2")


def _ranks(opened: Folder) -> dict[str, int]:
    alphabet = byte_alphabet()
    special = {token["id"] for token in opened.json["added_tokens"]}
    return {
        bytes(alphabet[char] for char in token).hex(): number
        for token, number in opened.json["model"]["vocab"].items()
        if number not in special and all(char in alphabet for char in token)
    }
