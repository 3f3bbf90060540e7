"""How often the words of a user's lists stand in a text: toxicity, adult content, or any list a project has.

No list is shipped. A list is a text file of one word or phrase a line (`#` begins a comment), for texts of one language
or of all. A word counts wherever it stands as a whole, in any case, with whatever signs between the words of a phrase;
in scripts without blanks it counts wherever its characters stand. Rows: documents and their languages → id and, for each
list, `list_NAME`: places per 1,000 words, 0 for texts of a language that the list does not have.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, InputError, VerifyError
from dataforge.operator import Map, Rows

ALL = "all"
PER = 1000
_OUTSIDE = r"[^\pL\pM\pN]+"  # what stands between words
_SINGLE = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"  # scripts without blanks


@dataclass(frozen=True)
class ListFile:
    """A list for texts of `language` (ISO 639-3, or all). The words' digest enters identity, the place does not."""

    name: str
    language: str
    path: str = field(metadata={"identity": False})
    sha256: str = ""

    @classmethod
    def of(cls, name: str, language: str, path: Path) -> ListFile:
        """Reads the file for its digest; raises InputError where it is missing, ConfigError where it has no word."""
        raw = _read(path)
        if not entries(raw, path):
            raise ConfigError("the list has no words", file=str(path), key=f"quality.lists.{name}")
        return cls(name, language, str(path), hashlib.sha256(raw).hexdigest())

    def words(self) -> frozenset[str]:
        raw = _read(Path(self.path))
        if hashlib.sha256(raw).hexdigest() != self.sha256:
            raise VerifyError("the list changed while the run was going on", file=self.path, hint="run again")
        return entries(raw, Path(self.path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"the list cannot be read: {error.strerror}", file=str(path)) from error


def entries(raw: bytes, path: Path) -> frozenset[str]:
    """The words of each entry in small letters with a blank between them: "Shut-Up # rude" -> "shut up"."""
    try:
        lines = unicodedata.normalize("NFC", raw.decode("utf-8-sig")).splitlines()  # as the clean step leaves texts
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise InputError("the list is not UTF-8", file=str(path), row=row, hint="save it as UTF-8") from error
    found = spaced(pa.array([line.partition("#")[0] for line in lines], pa.large_string()))
    return frozenset(found.to_pylist()) - {""}


def spaced(texts: pa.Array) -> pa.Array:
    """Words in small letters, one blank between them; in scripts without blanks each character is a word."""
    small = pc.utf8_lower(texts)
    alone = pc.replace_substring_regex(small, _SINGLE, r" \1 ") if not pc.all(pc.string_is_ascii(small)).as_py() else small
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(alone, _OUTSIDE, " "))


@dataclass(frozen=True)
class WordLists(Map):
    """Inputs: documents, languages. One column a name, whichever file the text's language chose."""

    VERSION: ClassVar[int] = 1
    lists: tuple[ListFile, ...]

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"), ("id", "language"))

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        names = dict.fromkeys(file.name for file in self.lists)
        scores = [pa.field(f"list_{name}", pa.float64(), nullable=False) for name in names]
        return pa.schema([pa.field("id", pa.string(), nullable=False), *scores])

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        counters = [(file, Counter(file.words())) for file in self.lists]
        schema = self.gives(())

        def count(documents: pa.RecordBatch, languages: pa.RecordBatch) -> Rows:
            scores = {name: np.zeros(documents.num_rows) for name in schema.names[1:]}
            for file, counter in counters:
                chosen = _chosen(languages.column("language"), file.language)
                if chosen.any():
                    rows = documents.column("text").filter(pa.array(chosen))
                    scores[f"list_{file.name}"][chosen] += counter.per_1000(rows)
            columns = [documents.column("id"), *(pa.array(column) for column in scores.values())]
            return Rows(pa.RecordBatch.from_arrays(columns, schema=schema))

        return count


def _chosen(languages: pa.Array, wanted: str) -> np.ndarray:
    if wanted == ALL:
        return np.ones(len(languages), bool)
    return pc.fill_null(pc.equal(languages, wanted), False).to_numpy(zero_copy_only=False)


class Counter:
    """Places of a list's entries in texts."""

    def __init__(self, words: frozenset[str]) -> None:
        sizes = {word.count(" ") + 1 for word in words}
        of_size = {size: sorted(word for word in words if word.count(" ") + 1 == size) for size in sorted(sizes)}
        self._entries = {size: pa.array(chosen, pa.large_string()) for size, chosen in of_size.items()}

    def per_1000(self, texts: pa.Array) -> np.ndarray:
        """float64[n]: places where an entry begins, by words."""
        cut = pc.split_pattern(spaced(pc.fill_null(texts, "").cast(pa.large_string())), " ")
        words = pc.list_flatten(cut)
        rows = pc.list_parent_indices(cut).to_numpy(zero_copy_only=False)
        hits = np.zeros(len(texts), np.int64)
        for size, chosen in self._entries.items():
            hits += np.bincount(rows[_begins(words, rows, size, chosen)], minlength=len(texts))
        return PER * hits / np.maximum(np.bincount(rows, minlength=len(texts)), 1)


def _begins(words: pa.Array, rows: np.ndarray, size: int, chosen: pa.Array) -> np.ndarray:
    """Where entries of `size` words begin; longer ones are looked for only where one of their first words stands."""
    if size == 1:
        return np.flatnonzero(pc.is_in(words, value_set=chosen).to_numpy(zero_copy_only=False))
    heads = pc.unique(pc.list_element(pc.split_pattern(chosen, " ", max_splits=1), 0))
    at = np.flatnonzero(pc.is_in(words, value_set=heads).to_numpy(zero_copy_only=False))
    at = at[at + size <= len(words)]
    at = at[rows[at] == rows[at + size - 1]]
    runs = pc.binary_join_element_wise(*(words.take(pa.array(at + i)) for i in range(size)), pa.scalar(" ", words.type))
    return at[pc.is_in(runs, value_set=chosen).to_numpy(zero_copy_only=False)]
