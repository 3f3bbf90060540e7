"""Input at the edge of what there can be: nothing at all, the same text 100,000 times, added tokens inside words."""

import json
import time

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from dataforge.identity import row_ids, text_hashes
from dataforge.kernels import bands, jaccard, minhash, union_find
from dataforge.kernels.encode import open_encoder, strings_from
from dataforge.kernels.text_stats import measure
from dataforge.kernels.tokenizer_folder import open_folder
from dataforge.operators.dedupe_exact import SameValue
from dataforge.operators.dedupe_near import Bands, Pairs
from dataforge.operators.tokenizer_train import TrainTokenizer

MANY = 100_000
NONE = np.zeros(0, np.int64)


@pytest.mark.parametrize("texts", [[], [""], ["", "", ""]], ids=["no rows", "an empty text", "empty texts"])
def test_nothing_gives_nothing(texts):
    array = pa.array(texts, pa.string())
    signed = minhash.signatures(array, minhash.MinHashSpec())
    assert signed.values.shape == (len(texts), 128) and signed.empty.all()
    offsets, hashes = minhash.shingle_hashes(array, minhash.MinHashSpec())
    assert offsets.tolist() == [0] * (len(texts) + 1) and len(hashes) == 0
    assert bands.band_keys(signed.values, 18, 7).shape == (len(texts), 18)
    assert measure(array).shape[0] == len(texts) and not measure(array)[:, :3].any()  # bytes, characters, newlines


def test_no_buckets_no_pairs_no_edges():
    assert bands.bucket_edges(np.zeros(1, np.int64), NONE).shape == (0, 2)
    assert union_find.components(np.zeros((0, 2), np.int64), 0).tolist() == []
    left = (np.zeros(1, np.int64), np.zeros(0, np.uint64))
    assert [len(found) for found in jaccard.overlaps(left, left, np.zeros((0, 2), np.int64))] == [0, 0]


def rows(texts):
    ids, array = row_ids("s", map(str, range(len(texts)))), pa.array(texts, pa.string())
    batch = pa.record_batch({"id": ids, "text": array, "text_hash": text_hashes(array)})
    return batch.take(pa.array(np.argsort(ids.to_numpy(zero_copy_only=False))))


def candidates(batch):
    """(pairs, seconds) of one part that holds all bands of all rows."""
    operator = Pairs(1)
    start = time.process_time()
    routed, _ = operator.route(0, Bands().start([])(batch).kept)
    table = pa.Table.from_batches([routed]).sort_by("_key")
    found = [made.kept for made in operator.gather([table])]
    return sum(table.num_rows for table in found), time.process_time() - start


def test_100_000_identical_texts_are_one_star_and_no_candidates():
    batch = rows(["the same text of some words for every one of them"] * MANY)
    operator = SameValue(1)
    routed, _ = operator.route(0, batch)
    (edges,) = [made.kept for made in operator.gather([pa.Table.from_batches([routed])])]
    assert edges.num_rows == MANY - 1
    assert edges["a"].unique().to_pylist() == [batch["id"][0].as_py()]  # the smallest id
    assert candidates(batch)[0] == 0


def test_a_bucket_of_many_different_texts_gives_a_bounded_number_of_pairs_for_each():
    base = " ".join(f"word{i}" for i in range(40))
    found, _ = candidates(rows([f"{base} {i}" for i in range(5_000)]))
    assert 5_000 <= found < 70 * 5_000  # not 12 million: work is linear in the members of a large bucket


@pytest.mark.parametrize("special", [True, False])
def test_added_tokens_inside_words_are_as_the_reference_has_them(tmp_path, special):
    """A token that was added and is no special one is matched inside words; a special one's spelling is plain text."""
    out = tmp_path / "made"
    trainer = TrainTokenizer(vocab_size=300)
    trainer.finish(trainer.observe(0, pa.record_batch({"id": ["a"], "text": ["running and singing things " * 9]})), out)
    made = json.loads((out / "tokenizer.json").read_text())
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    made["added_tokens"].append({"id": 300, "content": "nnin", **flags})
    (out / "tokenizer.json").write_text(json.dumps(made))
    oracle = Tokenizer.from_file(str(out / "tokenizer.json"))
    oracle.encode_special_tokens = True
    texts = ["running", "nnin", " nninnnin nning", "nn in", ""]
    encoder = open_encoder(open_folder(out), cache=tmp_path)
    found = encoder.encode(strings_from(texts))
    ids = [found.ids[a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:], strict=False)]
    assert ids == [encoding.ids for encoding in oracle.encode_batch(texts, add_special_tokens=False)]
    assert (oracle.token_to_id("nnin") in found.ids) == (not special)
    encoder.check(strings_from(texts), found, np.arange(len(texts)))
