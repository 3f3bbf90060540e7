"""Merges as plain Python against the libraries that define them."""

import base64
import json
import random

import pyarrow as pa
import pytest
import sentencepiece
from tokenizers import Tokenizer

from dataforge.kernels import bpe
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from dataforge.kernels.split_rules import PATTERNS
from dataforge.kernels.tokenizer_folder import BadTokenizer, Folder, open_folder, parse_ranks
from dataforge.operators.tokenizer_train import TrainTokenizer

TEXT = "the cat sat on the mat 1234, isn't it?\n\n  AAAA aaaa   cat's über Straße 中文中文 \U0001f600 --- === " * 8
WORDS = TEXT.split(" ")


def texts(count=150):
    rng = random.Random(11)
    found = ["", " ", "  the", "▁the ▁", "aaaaaaaaa", "AAAAAAAA", "-" * 33]
    found += [" ".join(rng.choices(WORDS, k=rng.randint(1, 6))) for _ in range(count)]
    return found + [hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]) for i in range(count)]


def trained(tmp_path, **options):
    operator = TrainTokenizer(vocab_size=420, **options)
    operator.finish(operator.observe(0, pa.record_batch({"id": ["a"], "text": [TEXT]})), tmp_path)
    return open_folder(tmp_path)


def ranks(seed):
    """All bytes, then random joins of earlier tokens: many ways to spell one token, adversarial orders."""
    rng = random.Random(seed)
    tokens = [bytes([b]) for b in range(256)]
    alphabet = [b"a", b"b", b" ", b"t", b"h", b"e", b"1", b"\n", b"'", b"s"]
    while len(tokens) < 330:
        new = rng.choice(alphabet + tokens[256:]) + rng.choice(alphabet + tokens[256:])
        if new not in tokens and len(new) < 12:
            tokens.append(new)
    return b"\n".join(base64.b64encode(token) + b" %d" % i for i, token in enumerate(tokens))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_trained_bytes_are_those_of_tokenizers(pattern, tmp_path):
    folder = trained(tmp_path, pattern=pattern)
    oracle = Tokenizer.from_str(folder.data.decode())
    oracle.encode_special_tokens = True
    rules = bpe.rules_of(folder)
    assert rules.pattern == pattern
    for text in texts():
        assert bpe.encode(rules, text) == oracle.encode(text).ids


@pytest.mark.parametrize("dummy_prefix", [False, True])
def test_trained_characters_are_those_of_sentencepiece_and_of_tokenizers(dummy_prefix, tmp_path):
    folder = trained(tmp_path, kind="sentencepiece_bpe", dummy_prefix=dummy_prefix)
    oracle = sentencepiece.SentencePieceProcessor(model_proto=(tmp_path / "spm.model").read_bytes())
    rules = bpe.rules_of(folder)
    as_json = bpe.rules_of(Folder("json", (tmp_path / "tokenizer.json").read_bytes()))
    other = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    other.encode_special_tokens = True
    for text in texts():
        assert bpe.encode(rules, text) == oracle.encode(text)
        assert bpe.encode(as_json, text) == other.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("seed", range(4))
def test_rank_table_equals_tiktoken(pattern, seed):
    tiktoken = pytest.importorskip("tiktoken")
    folder = Folder("ranks", ranks(seed), pattern)
    rules = bpe.rules_of(folder)
    oracle = tiktoken.Encoding("x", pat_str=PATTERNS[pattern], mergeable_ranks=folder.ranks, special_tokens={})
    rng = random.Random(seed)
    for text in texts(40) + ["".join(rng.choices("ab the1\n's", k=20)) for _ in range(60)]:
        assert bpe.encode(rules, text) == oracle.encode_ordinary(text)


def test_a_lower_priority_that_appears_later_goes_first():
    pairs = {(1, 2): (5, 10), (10, 3): (0, 11), (2, 4): (9, 12)}
    assert bpe.merge(pairs, [1, 2, 3, 1, 2, 4]) == [11, 10, 4]


def test_equal_priorities_go_left_to_right():
    assert bpe.merge({(1, 1): (0, 2)}, [1, 1, 1]) == [2, 1]


def test_units_begin_at_the_first_space_of_a_run():
    assert bpe.units("a  b c", dummy_prefix=True) == ["▁a", "▁▁b", "▁c"]
    assert bpe.units(" a▁b", dummy_prefix=True) == ["▁▁a", "▁b"]
    assert bpe.units("", dummy_prefix=True) == []


def changed(tmp_path, **model):
    trained(tmp_path)
    made = json.loads((tmp_path / "tokenizer.json").read_text())
    made["model"] |= model.pop("model", {})
    return Folder("json", json.dumps(made | model).encode())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": {"dropout": 0.1}}, "dropout"),
        ({"model": {"end_of_word_suffix": "</w>"}}, "end_of_word_suffix"),
        ({"normalizer": {"type": "NFC"}}, "normaliser"),
        ({"added_tokens": [{"id": 0, "content": "x", "special": False}]}, "added tokens"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}}, "adds a space"),
    ],
)
def test_what_the_rules_do_not_say_is_refused(change, word, tmp_path):
    with pytest.raises(bpe.Unsupported, match=word):
        bpe.rules_of(changed(tmp_path, **change))


def test_unigram_models_are_refused(tmp_path):
    with pytest.raises(bpe.Unsupported, match="no BPE"):
        bpe.rules_of(trained(tmp_path, kind="sentencepiece_unigram"))


def test_rank_lists_must_spell_every_byte():
    with pytest.raises(BadTokenizer, match="256"):
        parse_ranks(b"AA== 0\n")
