"""Figures of a tokenizer on texts, counted by hand."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
import sentencepiece

from dataforge.errors import ConfigError, InputError
from dataforge.operators.tokenizer_measure import Texts, measure, read_tokenizer


def ranks(*merged: str) -> bytes:
    tokens = [bytes([byte]) for byte in range(256)] + [word.encode() for word in merged]
    return b"".join(base64.b64encode(token) + f" {rank}\n".encode() for rank, token in enumerate(tokens))


@pytest.fixture
def rank_list(tmp_path: Path) -> Path:
    (tmp_path / "mine.tiktoken").write_bytes(ranks("th", "the", " c", " ca", " cat"))
    return tmp_path / "mine.tiktoken"


def test_tokens_words_and_bytes_are_counted_over_all_texts_and_by_source(rank_list: Path) -> None:
    sample = [Texts("a", ("the cat", "the")), Texts("b", ("ä x",))]
    found = measure(read_tokenizer(rank_list, pattern="gpt2"), sample)
    a, b = found.pop("sources").values()
    # "the| cat", "the"; "ä" is two bytes, " " and "x" one each
    assert a == {
        "tokens": 3,
        "bytes_per_token": 3.3333,
        "tokens_per_word": 1.0,
        "single_byte": 0.0,
        "fragments": 0.0,
        "unknown": 0.0,
    }
    assert (b["tokens"], b["tokens_per_word"], b["single_byte"], b["fragments"]) == (4, 2.0, 1.0, 0.5)
    assert (found["tokens"], found["bytes_per_token"], found["vocab_size"]) == (7, 2.0, 261)
    assert (found["single_byte"], found["fragments"], found["vocabulary_used"]) == (0.5714, 0.2857, round(6 / 261, 4))


def test_unknown_text_is_told_where_a_tokenizer_has_no_bytes(tmp_path: Path) -> None:
    words = {"[UNK]": 0, "the": 1, "cat": 2}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"}
    written = {"version": "1.0", "pre_tokenizer": {"type": "Whitespace"}, "added_tokens": [], "model": model}
    (tmp_path / "tokenizer.json").write_text(json.dumps(written))
    found = measure(read_tokenizer(tmp_path), [Texts("a", ("the dog the cat",))])
    assert (found["tokens"], found["unknown"], found["vocabulary_used"]) == (4, 0.25, 1.0)


def test_byte_fallback_of_sentencepiece_is_a_cut_character(tmp_path: Path) -> None:
    options = {"vocab_size": 280, "model_type": "bpe", "byte_fallback": True, "hard_vocab_limit": False, "minloglevel": 2}
    written = io.BytesIO()
    lines = ["the cat sat on the mat"] * 20
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=written, **options)
    (tmp_path / "m.model").write_bytes(written.getvalue())
    found = measure(read_tokenizer(tmp_path / "m.model"), [Texts("a", ("中",))])
    assert (found["format"], found["tokens"], found["fragments"]) == ("sentencepiece", 4, 0.75), "a blank and three bytes"


def test_no_text_gives_no_figures(rank_list: Path) -> None:
    found = measure(read_tokenizer(rank_list, pattern="gpt2"), [Texts("a", ("",))])
    assert (found["tokens"], found["bytes_per_token"], found["tokens_per_word"], found["unknown"]) == (0, None, None, None)


def test_what_is_no_tokenizer_is_named_by_its_path(tmp_path: Path, rank_list: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    for path in (tmp_path / "x.json", tmp_path / "nothing"):
        with pytest.raises(InputError) as raised:
            read_tokenizer(path)
        assert raised.value.file == str(path)
    with pytest.raises(ConfigError, match="does not say how text is cut"):
        read_tokenizer(rank_list)
