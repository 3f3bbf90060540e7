"""Tokenization Arrow to Arrow (ids, labels, masks, the sampled gate) against gigatoken, tiktoken, tokenizers and
sentencepiece; a row from Parquet to Arrow against gigatoken's own reader.

Vocabularies: GPT-2, cl100k and Mistral where `tokenizers/` stands beside the data folder, else trained on the spot. The
peers are our dependencies, pinned in constraints.txt, so this interpreter runs them: gigatoken in this very process,
pass by pass in turn with ours, since a ratio near 1 would drown in what the machine does meanwhile. Oracle: the ids of
each peer.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataforge.identity import row_ids
from dataforge.kernels.encode import Encoder, gigatoken_of
from dataforge.kernels.sentencepiece_model import with_controls_renamed
from dataforge.kernels.split_rules import PATTERNS
from dataforge.kernels.tokenizer_folder import Folder, byte_alphabet, open_folder
from dataforge.operators.encode import Encode
from dataforge.operators.tokenizer_import import ImportTokenizer
from dataforge.operators.tokenizer_train import TrainTokenizer
from tests.benchmarks import growth
from tests.benchmarks.frame import Row, Setup, compare, size_bytes

CORPORA = ("english", "multilingual", "cjk", "code")
OURS_BYTES, TURNS, COLD_TURNS = 6_000_000, 30, 3
PEERS = (("tiktoken", 1_000_000), ("tokenizers", 300_000))


def rows(setup: Setup) -> Iterator[Row]:
    """Cold and warm against gigatoken; warm against the others, which keep little between texts."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in _folders(setup, Path(scratch)):
            _for_peers(folder)
            pair = Pair.of(folder)
            for corpus in CORPORA:
                yield from _compared(_with_this_interpreter(setup), name, pair, corpus)
            yield _with_eos(name, pair, setup.texts("english", OURS_BYTES))
            yield _from_parquet(name, pair, setup.texts("english", OURS_BYTES), Path(scratch))
    yield from growth.rows("tokenize")


def _with_this_interpreter(setup: Setup) -> Setup:
    return replace(setup, peers=Path(sys.prefix))


def _compared(setup: Setup, name: str, pair: Pair, corpus: str) -> Iterator[Row]:
    texts = setup.texts(corpus, OURS_BYTES)
    exact = pair.equal_ids(texts)
    warm, theirs = pair.warm(texts)
    yield compare("tokenize", f"{corpus}-warm", warm, exact, "gigatoken", name, _answer(theirs))
    cold, theirs = pair.cold(texts)
    yield compare("tokenize", f"{corpus}-cold", cold, exact, "gigatoken", name, _answer(theirs))
    for peer, size in _other_peers(pair.folder):
        given = setup.texts(corpus, size)
        answer = setup.peer("tokenize_peer.py", f"{peer} {pair.folder}", given)
        exact = pair.sha256(given) == answer["ids_sha256"]
        yield compare("tokenize", f"{corpus}-warm", warm, exact, peer, name, answer)


def _other_peers(folder: Path) -> tuple[tuple[str, int], ...]:
    return (("sentencepiece", 1_000_000),) if open_folder(folder).format == "sentencepiece" else PEERS


def _answer(mb_s: float) -> dict[str, Any]:
    return {"version": version("gigatoken"), "mb_s": mb_s}


@dataclass
class Pair:
    """Our operator and gigatoken with one tokenizer, which encode the same texts by turns."""

    folder: Path
    operator: Encode
    encoder: Encoder
    peer: Any

    @classmethod
    def of(cls, folder: Path) -> Pair:
        """With the ids that the peers give: no EOS."""
        operator = Encode(eos=0, device="cpu")
        encoder = operator._encoder(folder)
        encoder.checker = encoder.find_checker()  # loading a library is not encoding: gigatoken's is not counted either
        return cls(folder, operator, encoder, _gigatoken(folder))

    def encode(self, batch: pa.RecordBatch) -> pa.RecordBatch | pa.Table:
        return self.operator._rows(self.encoder, np.zeros(0, np.int32), batch, ()).kept

    def sha256(self, texts: list[str]) -> str:
        return _sha256(ids.values.to_numpy() for ids in self.encode(_batch(texts))["input_ids"])

    def with_eos(self) -> Pair:
        return replace(self, operator=Encode(eos=1, device="cpu"))

    def equal_ids(self, texts: list[str]) -> bool:
        found = self.peer.encode_batch(_array(texts), parallel=False)
        return _sha256(np.asarray(ids) for ids in found) == self.sha256(texts)

    def warm(self, texts: list[str]) -> tuple[float, float]:
        """MB/s of CPU time: medians of many passes."""
        batch, array = _batch(texts), _array(texts)
        works = (lambda: self.encode(batch), lambda: self.peer.encode_batch(array, parallel=False))
        return medians(texts, [seconds(*works, turn=turn) for turn in range(TURNS)][1:])

    def cold(self, texts: list[str]) -> tuple[float, float]:
        """MB/s of CPU time: medians of first passes."""
        batch, array, times = _batch(texts), _array(texts), []
        for _ in range(COLD_TURNS):
            self.encoder._fast, self.peer = gigatoken_of(self.encoder.folder), _gigatoken(self.folder)
            times.append(seconds(lambda: self.encode(batch), lambda: self.peer.encode_batch(array, parallel=False)))
        return medians(texts, times)


def _gigatoken(folder: Path) -> Any:
    """As it likes it best: special tokens are not looked for in text."""
    from gigatoken import Tokenizer

    if open_folder(folder).format == "sentencepiece":
        return Tokenizer.from_sentencepiece(folder / "plain.model")
    return Tokenizer(str(folder / "plain.json"))


def _array(texts: list[str]) -> Any:
    """The best input: an array, so no Python list on its way in or out."""
    import awkward as ak

    return ak.Array(texts)


def seconds(*works: Callable[[], object], turn: int = 0) -> tuple[float, ...]:
    """CPU seconds of each; who comes first changes with the turn, since each finds the caches as the other left them."""
    times = [0.0] * len(works)
    for place in range(len(works)):
        chosen = (place + turn) % len(works)
        start = time.process_time()
        works[chosen]()
        times[chosen] = time.process_time() - start
    return tuple(times)


def medians(texts: list[str], times: list[tuple[float, ...]]) -> tuple[float, float]:
    """MB/s of ours and theirs."""
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    size = size_bytes(texts) / 1e6
    return round(size / ours, 3), round(size / theirs, 3)


def _with_eos(name: str, pair: Pair, texts: list[str]) -> Row:
    """What a run does by default and gigatoken does not: an EOS after each text, which costs a copy of the ids."""
    ours, theirs = pair.with_eos().warm(texts)
    exact = pair.equal_ids(texts)
    return compare("tokenize", "english-warm", ours, exact, "gigatoken", f"{name}, ours with EOS", _answer(theirs))


def _from_parquet(name: str, pair: Pair, texts: list[str], scratch: Path) -> Row:
    """From a Parquet file of id, text to ids in memory; gigatoken by its own Parquet reader."""
    from gigatoken import ParquetFileSource

    file = scratch / "texts.parquet"
    pq.write_table(pa.Table.from_batches([_batch(texts)]), file)
    source = ParquetFileSource([str(file)])

    def ours() -> None:
        for batch in pq.ParquetFile(file).iter_batches(1 << 16, columns=["id", "text"], use_threads=False):
            pair.encode(batch)

    works = (ours, lambda: pair.peer.encode_files(source, parallel=False))
    times = [seconds(*works, turn=turn) for turn in range(TURNS)]
    found, theirs = medians(texts, times[1:])
    return compare("tokenize", "english-parquet", found, pair.equal_ids(texts), "gigatoken", name, _answer(theirs))


def _batch(texts: list[str]) -> pa.RecordBatch:
    return pa.record_batch({"id": row_ids("bench", map(str, range(len(texts)))), "text": pa.array(texts)})


def _sha256(lists: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for ids in lists:  # once per corpus and peer
        digest.update(ids.astype("<u4").tobytes() + b"\xff" * 4)
    return digest.hexdigest()


def _folders(setup: Setup, scratch: Path) -> Iterator[tuple[str, Path]]:
    stored = setup.data.parent / "tokenizers" if setup.data else scratch
    known = {"gpt2": stored / "gpt2", "cl100k": stored / "tiktoken" / "cl100k_base.tiktoken"}
    known["sentencepiece, mistral"] = stored / "mistral" / "tokenizer.model"
    found = {name: path for name, path in known.items() if path.exists()}
    for name, path in found.items():
        ImportTokenizer.of(path).finish(None, scratch / name)
        yield name, scratch / name
    trained = {} if found else {"trained, llama3 pattern": "bpe", "sentencepiece, trained": "sentencepiece_bpe"}
    for name, kind in trained.items():
        operator = TrainTokenizer(kind=kind, vocab_size=16_000)
        operator.finish(operator.observe(0, _batch(setup.texts("english", 4_000_000))), scratch / kind)
        yield name, scratch / kind


def _for_peers(folder: Path) -> None:
    """The files as the peers take them: no special tokens matched in text; ranks for tiktoken."""
    opened = open_folder(folder)
    if opened.format == "sentencepiece":
        (folder / "plain.model").write_bytes(with_controls_renamed(opened.data))
        return
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
