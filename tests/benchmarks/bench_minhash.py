"""MinHash from raw text to 128 values, against datasketch (its default and its xxh64 variant), rensa and datatrove.

Oracle: datasketch 2.0 fed with shingles of the same words gives our values bit for bit, on 300 documents in ASCII. The
peers' shingles are made in Python, of the same words: also in Chinese and Japanese, where each character is one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from dataforge.kernels.minhash import MinHashSpec, signatures
from tests.benchmarks import growth
from tests.benchmarks.frame import Row, Setup, best, compare, speed

CORPORA = ("english", "multilingual", "cjk", "code")
PEERS = (  # peer, variant, bytes: enough for seconds of work
    ("datasketch", "sha1 (default)", 1_500_000),
    ("datasketch", "xxh64", 3_000_000),
    ("rensa", "RMinHash, all shingles", 3_000_000),
    ("datatrove", "signature step, 14x8", 400_000),
)
OURS_BYTES, WARM = 12_000_000, 3_000_000


def rows(setup: Setup) -> Iterator[Row]:
    """A row per corpus and peer; other corpora than English only against the peer's fastest variants."""
    for corpus in CORPORA:
        exact = equals_datasketch(setup, setup.texts(corpus, WARM))
        texts = setup.texts(corpus, OURS_BYTES)
        array = pa.array(texts, pa.large_string())
        ours = speed(texts, best(lambda array=array: signatures(array, MinHashSpec()), at_least=setup.seconds))
        for peer, variant, size in PEERS:
            if corpus == "english" or variant == "xxh64" or peer == "rensa":
                answer = setup.peer("minhash_peer.py", f"{peer} {variant}", setup.texts(corpus, size))
                yield compare("minhash", corpus, ours, exact, peer, variant, answer)
    yield from growth.rows("minhash")


def equals_datasketch(setup: Setup, texts: list[str]) -> bool:
    """Whether datasketch's values equal ours; its words come from a regular expression, so in ASCII only."""
    plain = [text.encode("ascii", "replace").decode() for text in texts[:300]]
    expected = np.array(setup.peer("minhash_peer.py", "datasketch xxh64", plain)["values"], np.uint32)
    return bool((signatures(pa.array(plain), MinHashSpec()).values == expected).all())
