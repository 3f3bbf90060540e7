"""Runs as a process of its own: "PEER FOLDER" TEXTS.jsonl ANSWER.json → {"version", "mb_s", "ids_sha256"}.

FOLDER is a tokenizer folder as `ImportTokenizer` writes it. Each peer is fed with what it likes best, on one core.
CPU seconds of the best of three passes after the first.
"""

import hashlib
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def tokenizers(folder, texts):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return lambda: tokenizer.encode_batch_fast(texts, add_special_tokens=False), lambda found: [e.ids for e in found]


def tiktoken(folder, texts):
    """From the merges of tokenizer.json, whose ids are ranks for the vocabularies used here."""
    from tiktoken import Encoding

    made = json.loads((folder / "tiktoken.json").read_text())
    ranks = {bytes.fromhex(token): rank for token, rank in made["ranks"].items()}
    encoding = Encoding("peer", pat_str=made["pattern"], mergeable_ranks=ranks, special_tokens={})
    return lambda: [encoding.encode_ordinary(text) for text in texts], lambda found: found


def sentencepiece(folder, texts):
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(folder / "spm.model"))
    return lambda: [processor.encode(text) for text in texts], lambda found: found


def sha256(lists):
    digest = hashlib.sha256()
    for ids in lists:
        digest.update(np.asarray(ids).astype("<u4").tobytes() + b"\xff" * 4)
    return digest.hexdigest()


PEERS = {"tokenizers": tokenizers, "tiktoken": tiktoken, "sentencepiece": sentencepiece}


def main():
    name, given, answer = sys.argv[1:]
    peer, _, folder = name.partition(" ")
    with open(given, encoding="utf8") as file:
        texts = [json.loads(line) for line in file]
    encode, as_lists = PEERS[peer](Path(folder), texts)
    times = []
    for _ in range(4):
        start = time.process_time()
        found = encode()
        times.append(time.process_time() - start)
    size = sum(len(text.encode()) for text in texts) / 1e6
    document = {"version": version(peer), "mb_s": size / min(times[1:])}
    with open(answer, "w") as file:
        json.dump({**document, "ids_sha256": sha256(as_lists(found))}, file)


main()
