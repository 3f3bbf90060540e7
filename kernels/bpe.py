"""Byte-pair merges, said plainly: the definition that the compiled faces are held to.

`rules_of(folder)` reads what a tokenizer merges, from any of the three formats, into one shape; `encode` applies it:
cut the text, take the lowest (priority, position) pair until none is left. Never all equal pairs at once, never a local
minimum: a merge may create a pair that comes before. A tokenizer that does more than this raises `Unsupported`, and the
library that made it encodes instead.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from dataforge.kernels import sentencepiece_model as spm
from dataforge.kernels.split_rules import PATTERNS, cut, starts
from dataforge.kernels.tokenizer_folder import Folder, byte_alphabet, is_byte_level

NO_PIECE = -1  # a character that is no piece: it never merges and ends as bytes


class Unsupported(ValueError):
    """This tokenizer does something that these rules do not say; the message names it."""


@dataclass(frozen=True)
class Rules:
    """`pattern` empty: SentencePiece (symbols are characters, a unit begins at each first space of a run)."""

    pattern: str
    bytes_to_id: tuple[int, ...]  # 256: the symbol of a byte, or the byte piece of a character without one
    pairs: dict[tuple[int, int], tuple[int, int]]  # (left, right) -> (priority, id); the lowest priority goes first
    characters: dict[str, int] = field(default_factory=dict)  # SentencePiece only
    whole: dict[bytes, int] = field(default_factory=dict)  # pieces that are looked up before any merge
    dummy_prefix: bool = False

    def symbols(self, piece: str) -> list[int]:
        if self.pattern:
            return [self.bytes_to_id[byte] for byte in piece.encode()]
        return [self.characters.get(char, NO_PIECE) for char in piece]


def encode(rules: Rules, text: str) -> list[int]:
    """Ids of a text."""
    if rules.pattern:
        return [number for piece in cut(text, starts(text, rules.pattern)) for number in encode_piece(rules, piece)]
    return [number for unit in units(text, dummy_prefix=rules.dummy_prefix) for number in encode_piece(rules, unit)]


def encode_piece(rules: Rules, piece: str) -> list[int]:
    whole = rules.whole.get(piece.encode())
    if whole is not None:
        return [whole]
    symbols = rules.symbols(piece)
    if NO_PIECE not in symbols:
        return merge(rules.pairs, symbols)
    spelled = iter([char for char in piece if char not in rules.characters])
    return [
        number
        for symbol in merge(rules.pairs, symbols)
        for number in ([rules.bytes_to_id[b] for b in next(spelled).encode()] if symbol == NO_PIECE else [symbol])
    ]


def merge(pairs: dict[tuple[int, int], tuple[int, int]], symbols: list[int]) -> list[int]:
    """The lowest priority first, the leftmost of equals: [a, b, c] -> [ab, c]"""
    symbols = list(symbols)
    while True:
        found = [(pairs[pair][0], i) for i, pair in enumerate(itertools.pairwise(symbols)) if pair in pairs]
        if not found:
            return symbols
        _, i = min(found)
        symbols[i : i + 2] = [pairs[symbols[i], symbols[i + 1]][1]]


def units(text: str, *, dummy_prefix: bool) -> list[str]:
    """P1. SentencePiece text cut before the first space of each run: no piece joins over such an edge (rules_of)."""
    shown = (spm.SPACE if dummy_prefix and text else "") + text.replace(" ", spm.SPACE)
    edges = [i for i, c in enumerate(shown) if i == 0 or (c == spm.SPACE != shown[i - 1])]
    return [shown[a:b] for a, b in itertools.pairwise([*edges, len(shown)])]


# --- reading the three formats ----------------------------------------------------------------------------------------


def rules_of(folder: Folder) -> Rules:
    """Raises Unsupported, naming what is not covered."""
    return {"ranks": _from_ranks, "json": _from_json, "sentencepiece": _from_sentencepiece}[folder.format](folder)


def _from_ranks(folder: Folder) -> Rules:
    """Every way to spell a token by two tokens is a merge of that token's rank."""
    ranks = folder.ranks
    return Rules(folder.pattern, tuple(ranks[bytes([b])] for b in range(256)), rank_pairs(ranks), whole=ranks)


def rank_pairs(ranks: dict[bytes, int]) -> dict[tuple[int, int], tuple[int, int]]:
    """The pairs of a rank list: (left, right) -> (rank, rank) of the token that they spell."""
    return {
        (ranks[token[:at]], ranks[token[at:]]): (rank, rank)
        for token, rank in ranks.items()
        for at in range(1, len(token))
        if token[:at] in ranks and token[at:] in ranks
    }


def _from_json(folder: Folder) -> Rules:
    tokenizer = folder.json
    model = tokenizer["model"]
    if model.get("type", "BPE") != "BPE":
        raise Unsupported(f"a {model.get('type')} model")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise Unsupported(f"{name} in tokenizer.json")
    if any(not token.get("special") for token in tokenizer.get("added_tokens", [])):
        raise Unsupported("added tokens that are matched in text")
    return _json_bytes(tokenizer) if is_byte_level(tokenizer) else _json_characters(tokenizer)


def _json_pairs(model: dict[str, Any]) -> dict[tuple[int, int], tuple[int, int]]:
    vocabulary = model["vocab"]
    split = (pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"])
    return {(vocabulary[a], vocabulary[b]): (priority, vocabulary[a + b]) for priority, (a, b) in enumerate(split)}


def _json_bytes(tokenizer: dict[str, Any]) -> Rules:
    if tokenizer.get("normalizer"):
        raise Unsupported("a normaliser before byte-level pieces")
    vocabulary, alphabet = tokenizer["model"]["vocab"], byte_alphabet()
    symbols = {byte: vocabulary[char] for char, byte in alphabet.items() if char in vocabulary}
    if len(symbols) < 256:
        raise Unsupported("a vocabulary without all 256 bytes")
    whole = {}
    if tokenizer["model"].get("ignore_merges"):
        spelled = {token: number for token, number in vocabulary.items() if all(char in alphabet for char in token)}
        whole = {bytes(alphabet[char] for char in token): number for token, number in spelled.items()}
    bytes_to_id = tuple(symbols[b] for b in range(256))
    return Rules(_pattern(tokenizer["pre_tokenizer"]), bytes_to_id, _json_pairs(tokenizer["model"]), whole=whole)


def _pattern(pre_tokenizer: dict[str, Any]) -> str:
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    last = steps[-1]
    if last["type"] != "ByteLevel" or last.get("add_prefix_space"):
        raise Unsupported("a pre-tokenizer that adds a space, or does not end with bytes")
    if len(steps) == 1 and last.get("use_regex", True):
        return "gpt2"
    known = {text: name for name, text in PATTERNS.items()}
    first = steps[0]
    text = first.get("pattern", {}).get("Regex", "") if first["type"] == "Split" else ""
    plain = len(steps) == 2 and first.get("behavior") == "Isolated" and not first.get("invert")
    if not plain or last.get("use_regex", True) or text not in known:
        raise Unsupported("a split pattern that is not one of " + ", ".join(PATTERNS))
    return known[text]


def _json_characters(tokenizer: dict[str, Any]) -> Rules:
    """A SentencePiece model as tokenizer.json: spaces are replaced, nothing is cut."""
    model, steps = tokenizer["model"], (tokenizer.get("normalizer") or {})
    steps = steps.get("normalizers", [steps])
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": spm.SPACE}
    prepend = {"type": "Prepend", "prepend": spm.SPACE}
    if tokenizer.get("pre_tokenizer") or steps not in ([replace], [prepend, replace]) or model.get("ignore_merges"):
        raise Unsupported("a normaliser or pre-tokenizer beyond spaces as U+2581")
    if not model.get("byte_fallback"):
        raise Unsupported("characters outside the vocabulary without byte pieces")
    return _characters(model["vocab"], _json_pairs(model), dummy_prefix=prepend in steps)


def _from_sentencepiece(folder: Folder) -> Rules:
    """Pairs from all splits of a piece; equal scores share one priority."""
    model = folder.model
    if model.model_type != spm.BPE or not model.byte_fallback:
        raise Unsupported("a SentencePiece model that is no BPE with byte pieces")
    if not model.identity or model.space_as_suffix or {spm.USER_DEFINED, spm.UNUSED} & set(model.types):
        raise Unsupported("a normaliser, whitespace suffix, or user-defined or unused pieces")
    number = {piece: i for i, piece in enumerate(model.pieces)}
    normal = {piece: i for piece, i in number.items() if model.types[i] == spm.NORMAL}
    scores = sorted({model.scores[i] for i in normal.values()}, reverse=True)
    priority = {score: place for place, score in enumerate(scores)}
    pairs = {
        (normal[piece[:at]], normal[piece[at:]]): (priority[model.scores[i]], i)
        for piece, i in normal.items()
        for at in range(1, len(piece))
        if piece[:at] in normal and piece[at:] in normal
    }
    named = {piece: i for piece, i in number.items() if model.types[i] in (spm.NORMAL, spm.BYTE)}
    return _characters(named, pairs, dummy_prefix=model.dummy_prefix)


def _characters(pieces: dict[str, int], pairs: dict[tuple[int, int], tuple[int, int]], *, dummy_prefix: bool) -> Rules:
    """P3 and P4: units are independent, and every character that can merge is a piece."""
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    if any(name not in pieces for name in names) or spm.SPACE not in pieces:
        raise Unsupported("a model without all byte pieces and the space piece")
    characters = {piece: number for piece, number in pieces.items() if len(piece) == 1}
    text_of = {number: piece for piece, number in pieces.items()}
    for _, made in pairs.values():
        piece = text_of[made]
        if spm.SPACE in piece.lstrip(spm.SPACE):
            raise Unsupported("pieces that hold a space after a letter")
    return Rules("", tuple(pieces[name] for name in names), pairs, characters, dummy_prefix=dummy_prefix)
