"""Texts to run on: the files of a folder, or generated ones of the same shape where there is none."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

FILES = {
    "english": ("help_en-us", "books_en"),
    "multilingual": ("help_de", "manpages"),
    "cjk": ("help_ja", "help_zh-cn"),
    "code": ("code_python",),
}
FREQUENT = [
    *("the", "of", "and", "to", "a", "in", "that", "is", "was", "he", "for", "it", "with", "as", "his", "on", "be"),
    *("at", "by", "had", "not", "are", "but", "from", "or", "have", "an", "they"),
]
ONSETS = ("b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "v", "th", "sh", "st")
SYLLABLES = [onset + rest for onset in ONSETS for rest in ("a", "e", "i", "o", "u", "ar", "en", "il", "on", "ou")]


def stored(folder: Path, name: str, size_bytes: int) -> list[str]:
    """Whole documents from the start of the corpus' files, cut to 100,000 characters, up to the size."""
    texts: list[str] = []
    left = size_bytes
    for text in _documents(folder, FILES[name]):
        texts.append(text[:100_000])
        left -= len(texts[-1].encode())
        if left <= 0:
            break
    return texts


def _documents(folder: Path, names: tuple[str, ...]) -> Iterator[str]:
    import zstandard

    for name in names:
        plain, packed = folder / f"{name}.jsonl", folder / f"{name}.jsonl.zst"
        with plain.open("rb") if plain.exists() else zstandard.open(packed, "rb") as file:
            for line in io.TextIOWrapper(file, encoding="utf8"):  # type: ignore[type-var]
                yield json.loads(line)["text"]


def generated(name: str, size_bytes: int) -> list[str]:
    """Invented documents of 1 to 20 paragraphs with words of a Zipf-like frequency; the same for every run."""
    draw, texts, left = random.Random(f"dataforge {name}"), [], size_bytes
    words = _vocabulary(draw, name)
    while left > 0:
        paragraphs = (_paragraph(draw, words, name) for _ in range(draw.randint(1, 20)))
        texts.append("\n\n".join(paragraphs))
        left -= len(texts[-1].encode())
    return texts


def _vocabulary(draw: random.Random, name: str) -> list[str]:
    if name == "cjk":
        return [chr(draw.randint(0x4E00, 0x9FA5)) for _ in range(3000)]
    rare = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(20_000)]
    if name == "multilingual":
        rare = [word.replace("o", "ö").replace("u", "ü") for word in rare]
    return [*FREQUENT, *rare]


def _paragraph(draw: random.Random, words: list[str], name: str) -> str:
    gap, end = ("", "。") if name == "cjk" else (" ", ". ")
    sentences = []
    for _ in range(draw.randint(2, 8)):
        chosen = [words[int(draw.paretovariate(0.7)) % len(words)] for _ in range(draw.randint(5, 25))]
        if len(chosen) > 10:
            chosen[5] += "" if name == "cjk" else ","
        sentences.append(gap.join(chosen).capitalize() + end)
    return "".join(sentences).strip()
