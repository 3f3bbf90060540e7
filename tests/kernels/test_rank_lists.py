"""A tokenizer.json that says the same as a rank list is told from one that does not."""

import json

import pytest

from dataforge.kernels.rank_lists import ranks_in, ranks_pattern
from dataforge.kernels.tokenizer_folder import Folder, byte_alphabet
from dataforge.kernels.tokenizer_json import json_of_ranks, pre_tokenizer

BYTES = {char: number for number, char in enumerate(byte_alphabet())}


def folder(tokens, merges, pattern="llama3", **more):
    model = {"type": "BPE", "vocab": BYTES | {t: 256 + i for i, t in enumerate(tokens)}, "merges": merges}
    made = {"added_tokens": [], "normalizer": None, "pre_tokenizer": pre_tokenizer(pattern), "model": model, **more}
    return Folder("json", json.dumps(made).encode(), size=256 + len(tokens))


def test_trained_merges_are_ranks():
    made = folder(["he", "ll", "hell"], ["h e", "l l", "he ll"], "gpt2")
    assert ranks_pattern(made) == "gpt2"
    assert {token: i for token, i in ranks_in(made).items() if i >= 256} == {b"he": 256, b"ll": 257, b"hell": 258}


@pytest.mark.parametrize(
    ("tokens", "merges"),
    [
        pytest.param(["he", "ll"], ["l l", "h e"], id="merges not in the order of ids"),
        pytest.param(["he", "hel"], ["h e"], id="a token that nothing makes"),
        pytest.param(["el", "he", "hel"], ["e l", "h e", "he l"], id="a token that its own bytes do not lead to"),
        pytest.param(["ab", "abc", "bc"], ["a b", "ab c", "b c", "a bc"], id="a token named twice"),
    ],
)
def test_other_merges_are_not(tokens, merges):
    assert ranks_pattern(folder(tokens, merges)) == ""


def test_an_imported_rank_list_is_one_again():
    ranks = {bytes([i]): i for i in range(256)} | {b"ab": 256, b"bc": 257, b"abc": 258}
    made = json_of_ranks(ranks, "cl100k", {"<|end|>": 300})
    opened = Folder("json", json.dumps(made).encode(), size=301)
    assert ranks_pattern(opened) == "cl100k" and ranks_in(opened) == ranks
    made["model"]["merges"].pop()  # one way to spell a token is no longer named
    assert ranks_pattern(Folder("json", json.dumps(made).encode(), size=301)) == ""


def test_what_the_rules_do_not_cover_is_no_rank_list():
    assert ranks_pattern(folder(["he"], ["h e"], normalizer={"type": "NFC"})) == ""
    assert ranks_pattern(folder(["he"], ["h e"], added_tokens=[{"id": 256, "content": "he", "special": False}])) == ""
