"""A tokenizer as one block of bytes that compiled code looks things up in: the model blob of `cuda/common.cuh`.

Header of 24 int64 words (pattern, flags, byte offsets of tables), then: two-stage class table, byte → id, pairs by open
addressing at half load (slot: left 21 bits, right 21, priority 21), two-stage character → id, and the few tokens that
are found only by looking up the whole piece. Built once per tokenizer and kept beside its hash.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from dataforge.kernels import bpe
from dataforge.kernels.cache import cache_folder, write_beside
from dataforge.kernels.char_classes import CODE_POINTS, classes
from dataforge.kernels.sentencepiece_model import SPACE
from dataforge.kernels.tokenizer_folder import Folder

PATTERN_NUMBERS = {"gpt2": 0, "cl100k": 1, "llama3": 2, "qwen2": 3, "o200k": 4, "": 5}
HEADER = 24
LARGEST_ID = 15  # the word of the header that says whether ids fit 16 bits
LAYOUT = 2  # raise when the blob changes, so that kept ones are built again
LIMIT = 1 << 21
EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)

Blob = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]


def tables_of(folder: Folder) -> Blob:
    """The blob, from the cache folder or built. Raises bpe.Unsupported for tokenizers that the rules do not cover."""
    name = f"tables-{LAYOUT}-{folder.sha256[:32]}-tokenizers{version('tokenizers')}.npy"
    kept = cache_folder() / name
    try:
        found: Blob = np.load(kept, allow_pickle=False)
        return found
    except (OSError, ValueError):
        blob = compile_rules(bpe.rules_of(folder))
        write_beside(kept, lambda path: np.save(path, blob))
        return blob


def compile_rules(rules: bpe.Rules) -> Blob:
    """Raises bpe.Unsupported for more than 2^21 - 1 ids or priorities."""
    if _largest(rules) >= LIMIT - 1:
        raise bpe.Unsupported("ids beyond 2^21")
    class_index, class_blocks = two_stage(classes().packed())
    pairs, pair_ids = _pairs(rules)
    whole, arena, longest = _whole(rules)
    char_index, char_blocks = two_stage(_characters(rules))
    tables = [class_index, class_blocks, np.array(rules.bytes_to_id, np.int32), pairs, pair_ids]
    tables += [char_index, char_blocks, whole, arena]
    places, size = _places(tables)
    header = np.zeros(HEADER, np.int64)
    header[: LARGEST_ID + 1] = [
        PATTERN_NUMBERS[rules.pattern],
        rules.dummy_prefix,
        rules.characters.get(SPACE, 0),
        *places[:5],
        len(pairs) - 1,
        *places[5:7],
        places[7],
        len(whole) // 3 - 1,
        longest,
        places[8],
        _largest(rules),
    ]
    blob = np.zeros(size, np.uint8)
    for place, table in zip([0, *places], [header, *tables], strict=True):
        blob[place : place + table.nbytes] = np.ascontiguousarray(table).view(np.uint8)
    return blob


def _largest(rules: bpe.Rules) -> int:
    made = (number for _, number in rules.pairs.values())
    return max(itertools.chain(rules.bytes_to_id, rules.characters.values(), rules.whole.values(), made))


def _places(tables: Sequence[npt.NDArray[np.generic]]) -> tuple[list[int], int]:
    """16-byte aligned offsets behind the header."""
    places, at = [], HEADER * 8
    for table in tables:
        places.append(at)
        at += -(-table.nbytes // 16) * 16
    return places, at


def packed_tables(tables: Sequence[npt.NDArray[np.generic]]) -> Blob:
    """Tables behind a header of their byte offsets."""
    places, size = _places(tables)
    blob = np.zeros(size, np.uint8)
    for place, table in zip([0, *places], [np.array(places, np.int64), *tables], strict=True):
        blob[place : place + table.nbytes] = np.ascontiguousarray(table).view(np.uint8)
    return blob


def two_stage(table: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.generic]]:
    """(index of blocks of 128 code points, the distinct blocks one after another)."""
    rows = np.ascontiguousarray(table).reshape(-1, 128)
    number: dict[bytes, int] = {}
    index = [number.setdefault(row.tobytes(), len(number)) for row in rows]  # 8,704 rows
    return np.array(index, np.uint16), np.frombuffer(b"".join(number), table.dtype)


def _characters(rules: bpe.Rules) -> npt.NDArray[np.int32]:
    table = np.full(CODE_POINTS, -1, np.int32)
    for char, number in rules.characters.items():
        table[ord(char)] = number
    return table


def mixed(keys: U64) -> U64:
    """The hash of pairs and pieces: `mixed` of bpe.cuh."""
    keys = keys * np.uint64(0x9E3779B97F4A7C15)
    found: U64 = keys ^ keys >> np.uint64(29)
    return found


def _capacity(count: int) -> int:
    return 1 << max(4, (2 * count).bit_length())


def placed(hashes: U64, capacity: int) -> npt.NDArray[np.int64]:
    """A slot for each hash by linear probing: every slot between a hash's own and its item's is taken."""
    taken = np.zeros(capacity, bool)
    slots = np.full(len(hashes), -1, np.int64)
    left, at = np.arange(len(hashes)), (hashes & np.uint64(capacity - 1)).astype(np.int64)
    while len(left):  # a round per step of probing; the first of those that want a free slot gets it
        wanted, first = np.unique(at[left], return_index=True)
        free = ~taken[wanted]
        winners = left[first[free]]
        slots[winners] = at[winners]
        taken[at[winners]] = True
        left = left[slots[left] < 0]
        at[left] = np.where(taken[at[left]], (at[left] + 1) & (capacity - 1), at[left])
    return slots


def _pairs(rules: bpe.Rules) -> tuple[U64, npt.NDArray[np.int32]]:
    flat = np.array([(*pair, *made) for pair, made in rules.pairs.items()], np.int64).reshape(-1, 4)
    if flat.size and flat.max() >= LIMIT - 1:
        raise bpe.Unsupported("a vocabulary or list of merges beyond 2^21")
    left, right, priority, number = flat.T.astype(np.uint64)
    keys = left << np.uint64(21) | right
    slots = placed(mixed(keys), _capacity(len(keys)))
    table = np.full(_capacity(len(keys)), EMPTY)
    ids = np.zeros(len(table), np.int32)
    table[slots] = keys << np.uint64(21) | priority
    ids[slots] = number
    return table, ids


def _whole(rules: bpe.Rules) -> tuple[npt.NDArray[np.int64], Blob, int]:
    """Slots (id, place, length) of the tokens whose own merges do not lead to them; most vocabularies have few."""
    found = {token: number for token, number in rules.whole.items() if _merged(rules, token) != [number]}
    table = np.full((_capacity(len(found)), 3), -1, np.int64)
    hashes = np.array([_fnv(token) for token in found], np.uint64)
    slots = placed(mixed(hashes), len(table))
    place = 0
    for slot, (token, number) in zip(slots, found.items(), strict=True):
        table[slot] = number, place, len(token)
        place += len(token)
    arena = np.frombuffer(b"".join(found) or b"\0", np.uint8)
    return table.reshape(-1), arena, max(map(len, found), default=-1)


def _merged(rules: bpe.Rules, token: bytes) -> list[int]:
    return bpe.merge(rules.pairs, [rules.bytes_to_id[byte] for byte in token])


def _fnv(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value
