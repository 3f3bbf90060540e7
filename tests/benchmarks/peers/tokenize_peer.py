"""Runs as a process of its own: "PEER FOLDER" TEXTS.jsonl ANSWER.json → {"version", "mb_s", "mb_s_cold", "ids_sha256"}.

FOLDER is a tokenizer folder as `ImportTokenizer` writes it. Each peer is fed with what it likes best, on one core.
CPU seconds; cold = the first pass of a new object, warm = the best of the next passes.
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


def gigatoken(folder, texts):
    """An array in, an array out: no Python lists."""
    import awkward as ak
    from gigatoken import Tokenizer

    tokenizer = Tokenizer(str(folder / "plain.json"))
    array = ak.Array(texts)
    return lambda: tokenizer.encode_batch(array, parallel=False), lambda found: (np.asarray(ids) for ids in found)


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


def sha256(lists):
    digest = hashlib.sha256()
    for ids in lists:
        digest.update(np.asarray(ids).astype("<u4").tobytes() + b"\xff" * 4)
    return digest.hexdigest()


def main():
    name, given, answer = sys.argv[1:]
    peer, _, folder = name.partition(" ")
    with open(given, encoding="utf8") as file:
        texts = [json.loads(line) for line in file]
    encode, as_lists = {"gigatoken": gigatoken, "tokenizers": tokenizers, "tiktoken": tiktoken}[peer](
        Path(folder), texts
    )
    times = []
    for _ in range(4):
        start = time.process_time()
        found = encode()
        times.append(time.process_time() - start)
    size = sum(len(text.encode()) for text in texts) / 1e6
    document = {"version": version(peer), "mb_s": size / min(times[1:]), "mb_s_cold": size / times[0]}
    with open(answer, "w") as file:
        json.dump({**document, "ids_sha256": sha256(as_lists(found))}, file)


main()
