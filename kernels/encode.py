"""Texts to ids on the host, exactly: gigatoken where a probe against the reference library agrees, else the reference.

`open_encoder(folder)` chooses once and keeps the verdict beside the hash of the tokenizer and the versions of both
libraries. Ids are the same by construction, so the lane never enters a result's identity. No special token is ever made
from text: `<s>` in a text is three characters. Arrow's buffers go in and come out; Python lists exist only in the
reference lane. BOS, EOS, truncation and labels are the business of `token_rows`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dataforge.kernels import bpe
from dataforge.kernels import sentencepiece_model as spm
from dataforge.kernels.buffers import Strings, refuse_broken
from dataforge.kernels.cache import cache_folder, kept, write_beside
from dataforge.kernels.encoding_probe import probe_texts
from dataforge.kernels.gigatoken_texts import texts_of
from dataforge.kernels.rank_lists import ranks_in, ranks_pattern
from dataforge.kernels.split_rules import PATTERNS
from dataforge.kernels.tokenizer_folder import Folder, spelled
from dataforge.kernels.tokenizer_json import json_of_ranks

Lane = Literal["gigatoken", "reference"]
PROBE = 4  # raise when the probe or the way to gigatoken changes, so that kept verdicts are asked again
CHECKER_AFTER_BYTES = 1 << 20  # of texts encoded again; a checker takes 3 s to load and probe
RENEW_AFTER_BYTES = 4 << 30  # gigatoken's caches grow with distinct pieces: a new object bounds them


@dataclass(frozen=True)
class Ids:
    """Ids of text i are `ids[offsets[i]:offsets[i + 1]]`."""

    offsets: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int32]


class Differs(Exception):
    """The fast lane and the reference gave other ids for one text of a run; `row` is its place in the batch."""

    def __init__(self, row: int) -> None:
        super().__init__(f"the fast encoder differs from the reference in row {row} of a batch")
        self.row = row


Reference = Callable[[Sequence[str]], list[list[int]]]


@dataclass
class Encoder:
    """One tokenizer in one process. `lane` says which library encodes; `why` says why it is not gigatoken."""

    folder: Folder
    lane: Lane
    why: str
    reference: Reference
    device: Any = None  # a GpuEncoder, where there is a GPU that can do it
    find_checker: Callable[[], Reference | None] = lambda: None
    checker: Reference | None = None  # a faster library with the same ids by construction and by the probe; looked for late
    _fast: Any = None
    _fed_bytes: int = 0
    _checked_bytes: int = 0

    @property
    def off_device(self) -> int:
        """Texts so far that a device left to the host."""
        return 0 if self.device is None else int(self.device.by_host)

    def encode(self, texts: Strings) -> Ids:
        """No text may be null (`Strings` has none). Raises ValueError with the number of the first that is not UTF-8."""
        if len(texts) == 0:
            return Ids(np.zeros(1, np.int64), np.zeros(0, np.int32))
        if self.device is not None:
            return self.device.encode(texts)  # type: ignore[no-any-return]
        return self.encode_on_host(texts)

    def encode_on_host(self, texts: Strings) -> Ids:
        """By gigatoken or by the reference, whatever device there is."""
        if len(texts) == 0:
            return Ids(np.zeros(1, np.int64), np.zeros(0, np.int32))
        refuse_broken(texts)  # gigatoken takes any bytes
        if self.lane == "reference":
            return ids_of(self.reference([text.decode() for text in texts.texts()]))
        if self._fast is None or self._fed_bytes > RENEW_AFTER_BYTES:
            self._fast, self._fed_bytes = gigatoken_of(self.folder), 0
        self._fed_bytes += texts.size_bytes
        return gigatoken_ids(self._fast, texts)

    def check(self, texts: Strings, found: Ids, rows: npt.NDArray[np.int64]) -> None:
        """Encodes `rows` again by a reference library. Raises Differs at the first difference.

        Where there is a `checker` it is asked, and the reference only about rows in which it differs.
        """
        if (self.lane == "reference" and self.device is None) or len(rows) == 0:
            return
        before = self._checked_bytes
        self._checked_bytes += sum(len(texts.text(row)) for row in rows.tolist())
        if before < CHECKER_AFTER_BYTES <= self._checked_bytes:
            self.checker = self.find_checker()
        odd = _different(self.checker or self.reference, texts, found, rows.tolist())
        if odd and self.checker is not None:
            odd = _different(self.reference, texts, found, odd)
        if odd:
            raise Differs(odd[0])


def _different(reference: Reference, texts: Strings, found: Ids, rows: Sequence[int]) -> list[int]:
    right = reference([texts.text(row).decode() for row in rows])  # 1 row in 1,000
    return [
        row
        for row, ids in zip(rows, right, strict=True)
        if ids != found.ids[found.offsets[row] : found.offsets[row + 1]].tolist()
    ]


def open_encoder(folder: Folder, *, lane: Lane | None = None, cache: Path | None = None) -> Encoder:
    """`lane` forces one for tests and benchmarks; `cache` is where the probe's verdict is kept."""
    reference = reference_of(folder)
    if lane is not None:
        return Encoder(folder, lane, "asked for", reference)
    place = cache or cache_folder()
    if why := _verdict(folder, reference, place):
        return Encoder(folder, "reference", why, reference)
    return Encoder(folder, "gigatoken", "", reference, find_checker=lambda: _checker(folder, reference, place))


def ids_of(lists: Sequence[Sequence[int]]) -> Ids:
    """Arrays from the lists of a reference library."""
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(ids) for ids in lists], out=offsets[1:])
    flat = np.fromiter((number for ids in lists for number in ids), np.int32, int(offsets[-1]))
    return Ids(offsets, flat)


# --- reference lane ---------------------------------------------------------------------------------------------------


def reference_of(folder: Folder) -> Reference:
    """The library whose ids are right by definition."""
    return {"json": _tokenizers, "sentencepiece": _sentencepiece, "ranks": _tiktoken}[folder.format](folder)


def _tokenizers(folder: Folder) -> Reference:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(folder.data.decode())
    tokenizer.encode_special_tokens = True  # text stays text
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [found.ids for found in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def _sentencepiece(folder: Folder) -> Reference:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=folder.data)
    return lambda texts: [processor.encode(text) for text in texts]


def _tiktoken(folder: Folder) -> Reference:
    """tiktoken if it is installed, else the plain definition: slower by far, the same ids."""
    if find_spec("tiktoken") is None:
        model = bpe.rules_of(folder)
        return lambda texts: [bpe.encode(model, text) for text in texts]
    return _tiktoken_of(folder.pattern, folder.ranks)


def _tiktoken_of(pattern: str, ranks: dict[bytes, int]) -> Reference:
    import tiktoken

    encoding = tiktoken.Encoding("ranks", pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={})
    return lambda texts: [encoding.encode_ordinary(text) for text in texts]


# --- fast lane --------------------------------------------------------------------------------------------------------


def gigatoken_of(folder: Folder) -> Any:
    """Raises whatever gigatoken raises for a tokenizer that it does not know, a Rust panic included."""
    import gigatoken
    from tokenizers import Tokenizer

    if folder.format == "json":
        plain = {**folder.json, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        # It knows cl100k's pattern in Llama-3's spelling only: other at blanks that end a text, so the probe decides.
        text = json.dumps(plain).replace(json.dumps(PATTERNS["cl100k"]), json.dumps(PATTERNS["llama3"]))
        return gigatoken.Tokenizer(Tokenizer.from_str(text))
    if folder.format == "sentencepiece":
        return gigatoken.Tokenizer.from_sentencepiece(spm.with_controls_renamed(folder.data))
    if folder.pattern == "llama3":  # no scheme for rank lists, but known in a tokenizer.json
        return gigatoken.Tokenizer(Tokenizer.from_str(json.dumps(json_of_ranks(folder.ranks, folder.pattern, {}))))
    path = cache_folder() / f"ranks-{folder.sha256[:16]}.tiktoken"  # it reads rank lists from files only
    write_beside(path, lambda name: Path(name).write_bytes(folder.data))
    return gigatoken.Tokenizer.from_tiktoken(str(path), pretokenizer=folder.pattern)


def gigatoken_ids(tokenizer: Any, texts: Strings) -> Ids:
    """Zero copy in, one copy out at most (offsets start at 0)."""
    import awkward as ak

    found = tokenizer.encode_batch(texts_of(texts), parallel=False)
    flat = found.layout
    if not isinstance(flat, ak.contents.ListOffsetArray) or flat.offsets[0] != 0:  # as it never is so far
        flat = ak.to_packed(found).layout
    offsets = np.asarray(flat.offsets.data, np.int64)
    return Ids(offsets, np.asarray(flat.content.data).view(np.int32)[: offsets[-1]])


# --- the probe --------------------------------------------------------------------------------------------------------


def _verdict(folder: Folder, reference: Reference, cache: Path) -> str:
    """Empty when both engines agree on every probe text, else why not. Kept in `cache`."""
    return kept(cache / f"probe{PROBE}-{folder.sha256[:32]}-{_versions(folder)}.json", lambda: _probe(folder, reference))


def _checker(folder: Folder, reference: Reference, cache: Path) -> Reference | None:
    """tiktoken where a tokenizer.json is a rank list in other words and the probe agrees; the verdict is kept."""
    if folder.format != "json" or find_spec("tiktoken") is None:
        return None
    versions = "-".join(f"{name}{_version(name)}" for name in ("tiktoken", "tokenizers"))
    file = cache / f"checker{PROBE}-{folder.sha256[:32]}-{versions}.json"
    pattern = kept(file, lambda: _pattern_of_ranks(folder, reference))
    return _tiktoken_of(pattern, ranks_in(folder)) if pattern else None


def _pattern_of_ranks(folder: Folder, reference: Reference) -> str:
    """The name of the split pattern with which tiktoken gives the ids of the reference; empty where it does not."""
    pattern = ranks_pattern(folder)
    texts = probe_texts(spelled(folder), _special_texts(folder)) if pattern else []
    return pattern if pattern and _tiktoken_of(pattern, ranks_in(folder))(texts) == reference(texts) else ""


def _versions(folder: Folder) -> str:
    library = {"json": "tokenizers", "sentencepiece": "sentencepiece", "ranks": "tiktoken"}[folder.format]
    return "-".join(f"{name}{_version(name)}" for name in ("gigatoken", library))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _probe(folder: Folder, reference: Reference) -> str:
    texts = probe_texts(spelled(folder), _special_texts(folder))
    try:
        found = gigatoken_ids(gigatoken_of(folder), strings_from(texts))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a Rust panic is no Exception; a module that is not there is one
        return f"gigatoken cannot use it ({type(error).__name__})"
    right = ids_of(reference(texts))
    if np.array_equal(found.offsets, right.offsets) and np.array_equal(found.ids, right.ids):
        return ""
    return f"gigatoken {_version('gigatoken')} gives other ids than the reference on the probe"


def _special_texts(folder: Folder) -> list[str]:
    if folder.format == "json":
        return [token["content"] for token in folder.json.get("added_tokens", [])]
    if folder.format == "sentencepiece":
        types = folder.model.types
        return [piece for i, piece in enumerate(folder.model.pieces) if types[i] in (spm.UNKNOWN, spm.CONTROL)]
    return ["<|endoftext|>", "<|begin_of_text|>", "<|im_start|>"]


def strings_from(texts: Sequence[str]) -> Strings:
    """`Strings` of a few Python texts (probe, tests)."""
    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return Strings(offsets, np.frombuffer(b"".join(encoded), np.uint8))
