"""The same tokenizer as a tokenizer.json, for everyone who loads it with `tokenizers` or transformers.

From a SentencePiece model or from a tiktoken rank list. Both choose the pair of lowest priority and the leftmost of
equal ones, while tokenizer.json gives every pair a priority of its own: two ways to spell one token may then be met in
another order (texts such as "aaaa"). Callers prove the result on probe texts.
"""

from __future__ import annotations

from typing import Any

from dataforge.kernels import sentencepiece_model as spm
from dataforge.kernels.split_rules import PATTERNS
from dataforge.kernels.tokenizer_folder import byte_alphabet


def json_of_sentencepiece(model: spm.Model) -> dict[str, Any]:
    """The same tokenizer for `tokenizers`. Raises ValueError where that library has no equal: other normalisers,
    whitespace as suffix, user-defined pieces, word and character models."""
    if not model.identity or model.space_as_suffix or spm.USER_DEFINED in model.types:
        raise ValueError("its normaliser, whitespace suffix or user-defined pieces have no equal in tokenizer.json")
    kinds = {spm.BPE: _bpe_model, spm.UNIGRAM: _unigram_model}
    if model.model_type not in kinds:
        raise ValueError("only BPE and unigram models have an equal in tokenizer.json")
    prepend = [{"type": "Prepend", "prepend": spm.SPACE}] if model.dummy_prefix else []
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": spm.SPACE}
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if model.dummy_prefix else []
    back = {"type": "Replace", "pattern": {"String": spm.SPACE}, "content": " "}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(i, model.pieces[i]) for i, kind in enumerate(model.types) if kind in (2, 3)],
        "normalizer": {"type": "Sequence", "normalizers": [*prepend, replace]},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]},
        "model": kinds[model.model_type](model),
    }


def _added(number: int, content: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": content, **flags}


def _bpe_model(model: spm.Model) -> dict[str, Any]:
    number = {piece: i for i, piece in enumerate(model.pieces)}
    merges: list[tuple[float, int, int, list[str]]] = []
    for i, piece in enumerate(model.pieces):
        if model.types[i] != spm.NORMAL:
            continue
        halves = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        merges += [(-model.scores[i], number[a], number[b], [a, b]) for a, b in halves if a in number and b in number]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": model.pieces[model.first(spm.UNKNOWN)],
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": model.byte_fallback,
        "ignore_merges": False,
        "vocab": number,
        "merges": [pair for *_, pair in sorted(merges)],
    }


def _unigram_model(model: spm.Model) -> dict[str, Any]:
    vocabulary = [[piece, score] for piece, score in zip(model.pieces, model.scores, strict=True)]
    return {
        "type": "Unigram",
        "unk_id": model.first(spm.UNKNOWN),
        "vocab": vocabulary,
        "byte_fallback": model.byte_fallback,
    }


# --- a rank list ------------------------------------------------------------------------------------------------------


def json_of_ranks(ranks: dict[bytes, int], pattern: str, special: dict[str, int]) -> dict[str, Any]:
    """tokenizer.json with every split of every token as a merge, in the order of ranks.

    Numbers that a rank list leaves free below its special tokens are taken by `<|reserved_N|>`: the library numbers added
    tokens without holes, so one hole would give every special token after it another id.
    """
    last = max([*ranks.values(), *special.values()])
    free = set(range(last)) - set(ranks.values()) - set(special.values())
    special = special | {f"<|reserved_{number}|>": number for number in free}
    char = {byte: letter for letter, byte in byte_alphabet().items()}
    shown = {token: "".join(char[byte] for byte in token) for token in ranks}
    merges = [
        [shown[token[:at]], shown[token[at:]]]
        for token in sorted(ranks, key=ranks.__getitem__)
        for at in range(1, len(token))
        if token[:at] in ranks and token[at:] in ranks
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(number, content) for content, number in sorted(special.items(), key=lambda kv: kv[1])],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer(pattern),
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": {shown[token]: rank for token, rank in ranks.items()},
            "merges": merges,
        },
    }


def pre_tokenizer(pattern: str) -> dict[str, Any]:
    """Cut by a pattern of `split_rules`, then write bytes in the byte alphabet."""
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": pattern == "gpt2"}
    if pattern == "gpt2":
        return to_bytes
    split = {"type": "Split", "pattern": {"Regex": PATTERNS[pattern]}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, to_bytes]}
