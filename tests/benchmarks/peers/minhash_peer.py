"""Runs in the peers' environment: PEER TEXTS.jsonl ANSWER.json → {"version", "mb_s", "values"}. CPU time."""

import json
import re
import sys
import time
from importlib.metadata import version

# Scripts without blanks give a word per character, as ours does: else a peer would get one shingle where we hash dozens.
ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
ALONE += "\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"(?=[^\W_])[{ALONE}]|[^\W_{ALONE}]+")


def shingles(text):
    words = WORD.findall(text.lower())
    return [" ".join(words[i : i + 5]).encode() for i in range(max(len(words) - 4, 1))] if words else []


def datasketch(variant):
    import xxhash
    from datasketch import MinHash

    start = {} if "sha1" in variant else {"hashfunc": lambda data: xxhash.xxh64_intdigest(data) & 0xFFFFFFFF}

    def sign(text):
        sketch = MinHash(num_perm=128, scheme="affine32", **start)
        found = shingles(text)
        if found:
            sketch.update_batch(found)
        return sketch.hashvalues.tolist()

    return sign


def rensa(variant):
    from rensa import RMinHash

    def sign(text):
        sketch = RMinHash(num_perm=128, seed=1)
        sketch.update(shingles(text))
        return sketch.digest()

    return sign


def datatrove(variant):
    import tempfile

    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    step = MinhashDedupSignature(tempfile.mkdtemp(), MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8))

    def sign(text):
        found = step.get_shingles(text)
        return step.get_signature(found) if found.size else []

    return sign


def main():
    name, given, answer = sys.argv[1:]
    peer, _, variant = name.partition(" ")
    with open(given, encoding="utf8") as file:
        texts = [json.loads(line) for line in file]
    sign = {"datasketch": datasketch, "rensa": rensa, "datatrove": datatrove}[peer](variant)
    sign("a text to warm up with")
    start = time.process_time()
    values = [sign(text) for text in texts]
    took = time.process_time() - start
    size = sum(len(text.encode()) for text in texts)
    kept = values if peer == "datasketch" and len(texts) <= 300 else []
    with open(answer, "w") as file:
        json.dump({"version": version(peer), "mb_s": size / took / 1e6, "values": kept}, file)


main()
