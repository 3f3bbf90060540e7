"""What a SentencePiece `.model` file says, read without the library: pieces, scores, and the switches that matter.

The file is one protobuf message. Only the fields used here are decoded; everything else is skipped by its wire type.
A file of another kind (a tiktoken rank list is also often called `tokenizer.model`) is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM, BPE = 1, 2
SPACE = "\u2581"


class NotSentencePiece(ValueError):
    """The bytes are not a SentencePiece model."""


@dataclass(frozen=True)
class Model:
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    types: tuple[int, ...]  # NORMAL ... BYTE
    model_type: int  # UNIGRAM or BPE (3 and 4, word and char, are not trained here)
    byte_fallback: bool
    space_as_suffix: bool
    charsmap: bytes  # empty: the identity normaliser
    dummy_prefix: bool
    remove_extra_spaces: bool

    @property
    def identity(self) -> bool:
        """Nothing but the dummy prefix changes a text."""
        return not self.charsmap and not self.remove_extra_spaces

    def first(self, kind: int) -> int:
        """Id of the first piece of a type, or -1."""
        return self.types.index(kind) if kind in self.types else -1


def parse(data: bytes) -> Model:
    """Raises NotSentencePiece with what the bytes look like instead."""
    try:
        return _model(list(_fields(data)))
    except (IndexError, struct.error, UnicodeDecodeError, ValueError) as error:
        looks = "a tiktoken rank list" if looks_like_ranks(data) else "no protobuf of that shape"
        raise NotSentencePiece(f"not a SentencePiece model: {looks}") from error


def looks_like_ranks(data: bytes) -> bool:
    """True for lines of `base64 rank`, as tiktoken writes them."""
    first = data[:200].split(b"\n")[0].split()
    return len(first) == 2 and first[1].isdigit() and first[0].rstrip(b"=").isascii()


def _model(fields: list[tuple[int, object]]) -> Model:
    pieces = [_piece(value) for number, value in fields if number == 1]
    if not pieces:
        raise ValueError("no pieces")
    trainer = dict(_fields(_bytes(dict(fields)[2]))) if 2 in dict(fields) else {}
    normaliser = dict(_fields(_bytes(dict(fields)[3]))) if 3 in dict(fields) else {}
    texts, scores, types = zip(*pieces, strict=True)
    return Model(
        texts,
        scores,
        types,
        model_type=_int(trainer.get(3, UNIGRAM)),
        byte_fallback=bool(trainer.get(35, 0)),
        space_as_suffix=bool(trainer.get(24, 0)),
        charsmap=_bytes(normaliser.get(2, b"")),
        dummy_prefix=bool(normaliser.get(3, 1)),
        remove_extra_spaces=bool(normaliser.get(4, 1)),
    )


def _piece(value: object) -> tuple[str, float, int]:
    fields = dict(_fields(_bytes(value)))
    score = struct.unpack("<f", _bytes(fields[2]))[0] if 2 in fields else 0.0
    return _bytes(fields[1]).decode(), score, _int(fields.get(3, NORMAL))


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("wrong wire type")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError("wrong wire type")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, object]]:
    """(field number, value): int for varints, bytes for the rest."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        size, at = _varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire] if wire in (1, 5) else -1, at)
        if size < 0 or at + size > len(data):
            raise ValueError("broken message")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("varint too long")


def with_controls_renamed(data: bytes) -> bytes:
    """The same model with control and unknown pieces spelled by noncharacters, ids unchanged.

    For an encoder that would match `<s>` inside a text: no text holds U+FDD0 followed by the id in digits of U+FDD1.
    """
    out = bytearray()
    number = 0
    for field, value in _fields(data):
        if not isinstance(value, bytes):
            raise NotSentencePiece("not a SentencePiece model: unexpected field")
        if field == 1:
            _, score, kind = _piece(value)
            if kind in (UNKNOWN, CONTROL):
                value = _sealed("\ufdd0" + "\ufdd1" * (number + 1), score, kind)
            number += 1
        out += _length_field(field, value)
    return bytes(out)


def _sealed(piece: str, score: float, kind: int) -> bytes:
    return _length_field(1, piece.encode()) + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([kind])


def _length_field(field: int, value: bytes) -> bytes:
    return _varint_bytes(field << 3 | 2) + _varint_bytes(len(value)) + value


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def positions(encoded: bytes) -> list[tuple[int, int]]:
    """Byte positions (start, end) of each token in the text, from the library's serialized answer."""
    pieces = [dict(_fields(_bytes(value))) for field, value in _fields(encoded) if field == 2]
    return [(_int(piece.get(4, 0)), _int(piece.get(5, 0))) for piece in pieces]
