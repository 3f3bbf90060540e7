"""A tokenizer folder as engines need it: which file defines the ids, its bytes and hash, what each token spells.

Three formats: `json` (tokenizer.json of `tokenizers`), `sentencepiece` (spm.model), `ranks` (ranks.tiktoken and the
name of a split pattern). tokenizer_report.json says which of the files present is the definition.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dataforge.kernels import sentencepiece_model as spm

Format = Literal["json", "sentencepiece", "ranks"]
FILES: dict[Format, str] = {"json": "tokenizer.json", "sentencepiece": "spm.model", "ranks": "ranks.tiktoken"}


class BadTokenizer(ValueError):
    """The folder or file is not a tokenizer that can be used; the message says what it is."""


@dataclass(frozen=True)
class Folder:
    """One tokenizer, read into memory."""

    format: Format
    data: bytes = field(repr=False)  # of the defining file
    pattern: str = ""  # of `ranks`: a name of split_rules.PATTERNS
    bos: int = -1  # ids of the special tokens, -1 where there is none
    eos: int = -1
    size: int = 0  # ids are below it, special tokens included

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data + self.pattern.encode()).hexdigest()

    @functools.cached_property
    def json(self) -> dict[str, Any]:
        """tokenizer.json of the `json` format."""
        found: dict[str, Any] = json.loads(self.data)
        return found

    @functools.cached_property
    def model(self) -> spm.Model:
        """The SentencePiece model of the `sentencepiece` format."""
        return spm.parse(self.data)

    @functools.cached_property
    def ranks(self) -> dict[bytes, int]:
        return parse_ranks(self.data)


def open_folder(path: Path) -> Folder:
    """Raises BadTokenizer when nothing in `path` defines a tokenizer."""
    report = _json(path / "tokenizer_report.json")
    kind = report.get("format") or next((kind for kind, name in FILES.items() if (path / name).is_file()), None)
    if kind not in FILES or not (path / FILES[kind]).is_file():
        raise BadTokenizer(f"{path.name} holds none of {', '.join(FILES.values())}")
    data = (path / FILES[kind]).read_bytes()
    roles = _json(path / "special_tokens_map.json")
    special = report.get("special_ids", {})
    folder = Folder(kind, data, pattern=report.get("pattern", ""))
    numbers = {**_numbers(folder), **special}
    return Folder(
        kind,
        data,
        pattern=folder.pattern,
        bos=numbers.get(_content(roles.get("bos_token")), -1),
        eos=numbers.get(_content(roles.get("eos_token")), -1),
        size=1 + max(numbers.values(), default=-1),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _content(token: Any) -> str:
    """Special tokens are a string, or an object with its text under `content`."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")


def _numbers(folder: Folder) -> dict[str, int]:
    """Every token by its text as the file spells it."""
    if folder.format == "sentencepiece":
        return {piece: i for i, piece in enumerate(folder.model.pieces)}
    if folder.format == "ranks":
        return {token.decode("latin-1"): rank for token, rank in folder.ranks.items()}
    vocabulary = folder.json["model"]["vocab"]
    if isinstance(vocabulary, list):
        vocabulary = {piece: i for i, (piece, _) in enumerate(vocabulary)}
    return {**vocabulary, **{token["content"]: token["id"] for token in folder.json.get("added_tokens", [])}}


def parse_ranks(data: bytes) -> dict[bytes, int]:
    """tiktoken's format: lines of `base64 rank`. Raises BadTokenizer for anything else."""
    if not spm.looks_like_ranks(data):
        raise BadTokenizer("not a tiktoken rank list: lines must read `base64 rank`")
    try:
        pairs = [line.split() for line in data.splitlines() if line.strip()]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in pairs}
    except ValueError as error:
        raise BadTokenizer("not a tiktoken rank list: lines must read `base64 rank`") from error
    if any(bytes([byte]) not in ranks for byte in range(256)):
        raise BadTokenizer("a rank list without all 256 single bytes cannot spell every text")
    return ranks


# --- what a token spells ----------------------------------------------------------------------------------------------


@functools.cache
def byte_alphabet() -> dict[str, int]:
    """The character that byte-level tokenizers write for each byte: printable ones stand for themselves, the others
    for the code points from 256 on, in order."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in plain]
    return {**{chr(byte): byte for byte in plain}, **{chr(256 + i): byte for i, byte in enumerate(moved)}}


def is_byte_level(tokenizer: dict[str, Any]) -> bool:
    """Whether a tokenizer.json turns text into bytes before merging."""
    return '"ByteLevel"' in json.dumps(tokenizer.get("pre_tokenizer"))


def spelled(folder: Folder) -> list[bytes | None]:
    """Bytes of text that each id stands for; None for special tokens, unknown pieces and holes."""
    table: list[bytes | None] = [None] * folder.size
    if folder.format == "ranks":
        for token, rank in folder.ranks.items():
            table[rank] = token
        return table
    special = _special(folder)
    byte_level = folder.format == "json" and is_byte_level(folder.json)
    for piece, number in _numbers(folder).items():
        if number not in special:
            table[number] = _from_alphabet(piece) if byte_level else _from_piece(piece)
    return table


def _special(folder: Folder) -> set[int]:
    if folder.format == "sentencepiece":
        return {i for i, kind in enumerate(folder.model.types) if kind in (spm.UNKNOWN, spm.CONTROL)}
    model = folder.json["model"]
    unknown = model.get("unk_token") and model["vocab"].get(model["unk_token"])
    added = {token["id"] for token in folder.json.get("added_tokens", [])}
    return added | ({unknown} if isinstance(unknown, int) else {model["unk_id"]} if "unk_id" in model else set())


def _from_alphabet(piece: str) -> bytes | None:
    alphabet = byte_alphabet()
    return bytes(alphabet[char] for char in piece) if all(char in alphabet for char in piece) else None


def _from_piece(piece: str) -> bytes:
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace(spm.SPACE, " ").encode()


def byte_lengths(folder: Folder) -> npt.NDArray[np.int32]:
    """int32[size]: bytes of text behind each id, -1 where an id stands for none of its own."""
    return np.array([-1 if token is None else len(token) for token in spelled(folder)], np.int32)
