"""How well a tokenizer fits texts: figures by which tokenizers of other kinds and sizes can be compared.

Takes a tokenizer's folder (or what `tokenizer_import` reads) and texts with their source; gives counts and shares. Bytes
are those of the texts as they stand in the corpus, so a tokenizer that normalizes is measured by the same bytes as one
that does not. Words are runs between blanks: where writing has none (Chinese, Japanese, Thai) bytes per token tell more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataforge.errors import InputError
from dataforge.kernels.encode import open_encoder, strings_from
from dataforge.kernels.tokenizer_folder import BadTokenizer, Folder, open_folder, spelled
from dataforge.operators.tokenizer_files import REPORT
from dataforge.operators.tokenizer_import import ImportTokenizer


@dataclass(frozen=True)
class Texts:
    """Texts of one source."""

    source: str
    texts: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return sum(len(text.encode()) for text in self.texts)

    @property
    def words(self) -> int:
        return sum(len(text.split()) for text in self.texts)


def read_tokenizer(path: Path, *, pattern: str = "") -> Folder:
    """A tokenizer by its folder or file: one that dataforge wrote as its report says, any other as an import takes it."""
    try:
        if (path / REPORT).is_file():
            return open_folder(path)
        with tempfile.TemporaryDirectory() as folder:
            ImportTokenizer.of(path, **({"pattern": pattern} if pattern else {})).finish(None, Path(folder))
            return open_folder(Path(folder))
    except InputError as error:
        error.file = str(path)  # several are compared: which one it is
        error.args = (error.line(),)
        raise
    except (BadTokenizer, OSError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"not a tokenizer that can be used: {what}", file=str(path)) from error


def measure(folder: Folder, sample: Sequence[Texts]) -> dict[str, Any]:
    """Figures over all texts, and under `sources` those of each source.

    `single_byte` are tokens that stand for one byte, `fragments` those that hold no whole character, `unknown` those that
    stand for no text: shares of all tokens. `vocabulary_used` is the share of ids that occur.
    """
    encoder = open_encoder(folder, lane=None if folder.format == "ranks" else "reference")  # small texts: no probe for them
    counts = {p.source: np.bincount(encoder.encode(strings_from(p.texts)).ids, minlength=folder.size) for p in sample}
    total = sum(counts.values(), np.zeros(folder.size, np.int64))
    size, words, kinds = sum(p.size_bytes for p in sample), sum(p.words for p in sample), _kinds(folder)
    return {
        "format": folder.format,
        "vocab_size": folder.size,
        **_figures(total, kinds, size, words),
        "vocabulary_used": _share(int((total > 0).sum()), folder.size),
        "sources": {p.source: _figures(counts[p.source], kinds, p.size_bytes, p.words) for p in sample},
    }


def _kinds(folder: Folder) -> dict[str, np.ndarray]:
    """bool[size] of each kind of token: which ids are of it. Special ids stand for no text, and no text gives one."""
    tokens = spelled(folder)
    kinds = {
        "single_byte": [token is not None and len(token) == 1 for token in tokens],
        "fragments": [token is not None and _is_cut(token) for token in tokens],
        "unknown": [token is None for token in tokens],
    }
    return {name: np.array(which, bool) for name, which in kinds.items()}


def _is_cut(token: bytes) -> bool:
    """True for bytes that are no whole characters: half of "ä", or its end and a letter."""
    try:
        token.decode()
    except UnicodeDecodeError:
        return True
    return False


def _figures(counts: np.ndarray, kinds: dict[str, np.ndarray], size_bytes: int, words: int) -> dict[str, Any]:
    tokens = int(counts.sum())
    return {
        "tokens": tokens,
        "bytes_per_token": round(size_bytes / tokens, 4) if tokens else None,
        "tokens_per_word": round(tokens / words, 4) if words else None,
        **{name: _share(int(counts[which].sum()), tokens) for name, which in kinds.items()},
    }


def _share(count: int, of: int) -> float | None:
    return round(count / of, 4) if of else None
