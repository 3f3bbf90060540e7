"""Lexicons and rules of the act tagger as arrays: YAML of configs/acts → one hash table of phrases and bit masks.

A cue (`cues.yaml`) is a set of phrases per language; each pair of cue and position is one bit of a segment. A rule
(`rules.yaml`) is a condition over bits with an act, a form and a strength. Nothing here looks at a message.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataforge.errors import ConfigError
from dataforge.operators import acts_phrases
from dataforge.operators.acts_phrases import LONGEST, frozen
from dataforge.schemas.act import ACTS

__all__ = ["LONGEST", "frozen"]

FOLDER = Path(__file__).resolve().parent.parent / "configs" / "acts"
LANGUAGES = ("en", "de", "es", "fr", "ja", "zh", "common")
COMMON = LANGUAGES.index("common")
POSITIONS = ("any", "start", "clause", "end", "whole")
STEERING = ("drop", "skip", "joint", "marker", "function")
FORMS = ("declarative", "interrogative", "imperative", "exclamative", "fragment")

# Bits 0-63: what a segment looks like and what stands around it. Bits from 64 on belong to cues.
SHAPES = ["asks", "cries", "trails", "comma_end", "no_stop", "dash_end", "quote", "url", "mention", "tag", "number"]
SHAPES += ["emoji", "capitals", "empty", "all_skip", "one_word", "two_words", "short", "medium", "long"]
SHAPES += ["only", "first", "last", "ideographs", "asks_somewhere", "not_english"]
AROUND = ["has_before", "before_same", "before_other"]
AROUND += [f"before_other_{act}" for act in ACTS] + [f"before_same_{act}" for act in ACTS]
AROUND += ["has_after", "after_same", "after_other", "after_other_yes_no", "before_other_polite"]
BITS = {name: i for i, name in enumerate(SHAPES)} | {name: 32 + i for i, name in enumerate(AROUND)}
FIRST_CUE_BIT, WORDS = 64, 5  # a segment's bits are WORDS words of 64


@dataclass(frozen=True)
class Lexicon:
    """The compiled lexicon. `keys` is an open-addressing table (0 = free) of phrase hashes, size a power of two."""

    keys: np.ndarray  # uint64[T]
    slots: np.ndarray  # int32[T, 2]: first entry and number of entries of the phrase
    entries: np.ndarray  # int16[E, 2]: language, cue
    bit_of: np.ndarray  # int16[cues, positions]: bit number or -1
    bits: dict[str, int]  # name of every bit
    cues: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """The ordered rules. One holds when all bits of `need`, one of `some` (if it has any) and none of `bar` are set."""

    need: np.ndarray  # uint64[R, WORDS]
    some: np.ndarray
    bar: np.ndarray
    verdicts: np.ndarray  # int16[R, 3]: act (-1: sets the form only), form (-1: leaves it), strength 1-9
    names: tuple[str, ...]


def read_yaml(path: Path) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def digest(folder: Path = FOLDER) -> str:
    """Hex sha256 over the files of a lexicon folder that the tagger reads, by name."""
    state = hashlib.sha256()
    for path in sorted([folder / "cues.yaml", folder / "rules.yaml", *folder.glob("lexicon.*.yaml")]):
        state.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


@functools.lru_cache(maxsize=4)
def load(folder: Path = FOLDER) -> tuple[Lexicon, Rules]:
    """Reads and compiles a lexicon folder. ConfigError names the file and the cue or rule that is wrong."""
    described = read_yaml(folder / "cues.yaml")
    cues = tuple(described)
    bit_of, bits = number_bits(described)
    phrases = collect(folder, cues)
    keys, slots, entries = build_table(phrases)
    lexicon = Lexicon(keys, slots, entries, bit_of, bits, cues)
    return lexicon, compile_rules(read_yaml(folder / "rules.yaml"), bits)


def number_bits(described: dict[str, Any]) -> tuple[np.ndarray, dict[str, int]]:
    bits, following = dict(BITS), FIRST_CUE_BIT
    bit_of = np.full((len(described), len(POSITIONS)), -1, np.int16)
    for row, (cue, about) in enumerate(described.items()):
        for position in about["at"]:
            if position not in POSITIONS:
                raise ConfigError(f"cue {cue} has the unknown position {position}", hint="see README.md")
            bit_of[row, POSITIONS.index(position)] = bits[f"{cue}@{position}"] = following
            following += 1
    if following > 64 * WORDS:
        raise ConfigError(f"{following} bits of cues, {64 * WORDS} at most", file="cues.yaml")
    return bit_of, bits


def collect(folder: Path, cues: tuple[str, ...]) -> np.ndarray:
    """(hash, language, cue) of every phrase, each once, in order."""
    kind = [("key", np.uint64), ("language", np.int16), ("cue", np.int16)]
    found = []
    for language, name in enumerate(LANGUAGES):
        path = folder / f"lexicon.{name}.yaml"
        for cue, patterns in (read_yaml(path) or {}).items() if path.exists() else ():
            if cue not in cues:
                raise ConfigError(f"unknown cue {cue}", file=path.name, hint="describe it in cues.yaml")
            keys = acts_phrases.hashes(map(str, patterns))
            rows = np.zeros(len(keys), kind)
            rows["key"], rows["language"], rows["cue"] = keys, language, cues.index(cue)
            found.append(rows)
    rows = np.concatenate([np.zeros(0, kind), *found])
    return rows[np.lexsort((rows["cue"], rows["language"], rows["key"]))]


def build_table(phrases: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All keys look for a free slot at once, round by round: on its way each has passed taken slots alone."""
    unique, first, counts = np.unique(phrases["key"], return_index=True, return_counts=True)
    size = 1 << max(4, (2 * len(unique)).bit_length())
    keys, slots = np.zeros(size, np.uint64), np.zeros((size, 2), np.int32)
    left, at = np.arange(len(unique)), (unique & np.uint64(size - 1)).astype(np.int64)
    while len(left):
        place, winner = np.unique(at, return_index=True)
        free = keys[place] == 0
        won = winner[free]
        keys[place[free]] = unique[left[won]]
        slots[place[free]] = np.stack([first[left[won]], counts[left[won]]], axis=1)
        stay = np.ones(len(left), bool)
        stay[won] = False
        left, at = left[stay], (at[stay] + 1) & (size - 1)
    entries = np.stack([phrases["language"], phrases["cue"]], axis=1)
    return keys, slots, entries if len(entries) else np.zeros((1, 2), np.int16)


def compile_rules(rules: list[dict[str, Any]], bits: dict[str, int]) -> Rules:
    masks = np.zeros((3, len(rules), WORDS), np.uint64)
    verdicts = np.zeros((len(rules), 3), np.int16)
    for row, rule in enumerate(rules):
        for kind, field in enumerate(("all", "any", "none")):
            for name in rule.get(field, ()):
                if name not in bits:
                    raise ConfigError(f"rule {rule.get('name')} names the unknown bit {name}", file="rules.yaml")
                masks[kind, row, bits[name] >> 6] |= np.uint64(1 << (bits[name] & 63))
        act = ACTS.index(rule["act"]) if "act" in rule else -1
        verdicts[row] = act, FORMS.index(rule["form"]) if "form" in rule else -1, rule.get("strength", 0)
    return Rules(masks[0], masks[1], masks[2], verdicts, tuple(str(rule["name"]) for rule in rules))
