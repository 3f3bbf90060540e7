"""`Encode`: texts → token ids, labels and lengths, the same ids of rows. A Map.

Reads a table with `id`, `text` and perhaps `spans_trained` (characters to be learned; null means all), and the folder
of a tokenizer. The fast lane of `kernels.encode` does the work; one row in 1,000 is encoded again by the reference
library, and one difference fails the part. BOS and EOS are explicit here and nowhere else. A special token's spelling
inside a text is encoded as the plain text that it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, GateError, InputError, SchemaError, escape
from dataforge.kernels import token_rows
from dataforge.kernels.buffers import Strings, strings_of
from dataforge.kernels.device import Choice, DeviceMissing
from dataforge.kernels.encode import Differs, Encoder, Ids, open_encoder
from dataforge.kernels.gpu_encode import use_device
from dataforge.kernels.pack import IGNORED, Flags, Ints, Longs
from dataforge.kernels.tokenizer_folder import BadTokenizer, byte_lengths, open_folder
from dataforge.operator import Contract, Map, Rows
from dataforge.schemas.tokens import POSITIONS, TOKENS


@dataclass(frozen=True)
class Encode(Map):
    """`keep` names columns of the first table to pass on, `beside` those of a second table aligned with it."""

    contract = Contract.SAME

    bos: int = 0  # how many: 0 or 1
    eos: int = 1
    max_length: int = 0  # tokens of a row, BOS and EOS included; 0 for no limit
    spans: bool = False  # read `spans_trained`
    positions: bool = False  # also give the characters that each token covers
    text: str = "text"
    keep: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    check_every: int = 1000  # one row in so many is encoded again by the reference; 0 for none
    device: Choice = field(default="auto", metadata={"identity": False})

    def __post_init__(self) -> None:
        for name, value in (("bos", self.bos), ("eos", self.eos)):
            if value not in (0, 1):
                raise ConfigError(f"encode.{name} is {value!r}", hint="a text has 0 or 1 of them")
        if self.max_length < 0 or 0 < self.max_length <= self.bos + self.eos:
            raise ConfigError(f"encode.max_length is {self.max_length}", hint="leave room for text, or set 0 for no limit")

    def needs(self) -> Sequence[Sequence[str]]:
        first = ["id", self.text, *(["spans_trained"] if self.spans else []), *self.keep]
        return [first, ["id", *self.beside]] if self.beside else [first]

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        passed = [inputs[0].field(name) for name in self.keep]
        passed += [inputs[1].field(name) for name in self.beside]
        return pa.schema([*TOKENS, *(POSITIONS if self.positions else ()), *passed])

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        encoder = self._encoder(files[0])
        lengths = byte_lengths(encoder.folder) if self.spans or self.positions else np.zeros(0, np.int32)
        return lambda base, *others: self._rows(encoder, lengths, base, others)

    def _encoder(self, path: Path) -> Encoder:
        try:
            encoder = use_device(open_encoder(open_folder(path)), self.device)
        except DeviceMissing as error:
            raise ConfigError(error.what, hint=error.hint) from error
        except (BadTokenizer, OSError) as error:
            raise InputError(f"the tokenizer cannot be used: {error}", file=path.name) from error
        for name, wanted, number in (("bos", self.bos, encoder.folder.bos), ("eos", self.eos, encoder.folder.eos)):
            if wanted and number < 0:
                raise ConfigError(f"the tokenizer has no {name.upper()} token", hint=f"set encode.{name}: 0")
        return encoder

    def _rows(self, encoder: Encoder, lengths: Ints, base: pa.RecordBatch, others: Sequence[pa.RecordBatch]) -> Rows:
        texts = strings_of(base[self.text])
        before = encoder.off_device
        found = encoder.encode(texts)
        checked = token_rows.sampled(strings_of(base["id"]), self.check_every)
        _gate(encoder, texts, found, base["id"], checked)
        where = token_rows.covered(encoder, lengths, texts, found) if self.spans or self.positions else None
        trained, across = None, 0
        if self.spans and where is not None:
            trained, across = _learned(texts, found, where, base)
        bos, eos = (encoder.folder.bos if self.bos else -1), (encoder.folder.eos if self.eos else -1)
        rows = token_rows.frame(found, trained, bos=bos, eos=eos, limit=self.max_length)
        columns = [base["id"], *_columns(rows)]
        if self.positions and where is not None:
            columns += _positions(texts, found, where, rows, bos=bos, eos=eos)
        columns += [base[name] for name in self.keep] + [others[0][name] for name in self.beside]
        learned = len(rows.ids) if rows.labels is rows.ids else int((rows.labels != IGNORED).sum())
        notes = {"tokens": len(rows.ids), "tokens_learned": learned}
        notes |= {"texts_cut": rows.cut, "tokens_across_spans": across, "rows_checked": len(checked)}
        notes["rows_by_reference"] = len(base) if encoder.lane == "reference" and encoder.device is None else 0
        notes["rows_off_device"] = encoder.off_device - before
        schema = self.gives([base.schema, *(other.schema for other in others)])
        return Rows(pa.RecordBatch.from_arrays(columns, schema=schema), notes=notes)


def _gate(encoder: Encoder, texts: Strings, found: Ids, ids: pa.Array, checked: Longs) -> None:
    try:
        encoder.check(texts, found, checked)
    except Differs as error:
        hint = "report it with the tokenizer; meanwhile uninstall gigatoken to encode with the reference library"
        raise GateError(str(error), key=escape(ids[error.row].as_py()), hint=hint) from error


def _learned(texts: Strings, found: Ids, where: token_rows.Covered, base: pa.RecordBatch) -> tuple[Flags, int]:
    try:
        return token_rows.learned(texts, found, where, _spans(base))
    except IndexError as error:
        raise SchemaError("a span of spans_trained lies outside its text", hint="spans count characters") from error


def _spans(base: pa.RecordBatch) -> token_rows.Spans:
    column = base["spans_trained"]
    flat = pc.list_flatten(column)
    rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False).astype(np.int64)
    starts, ends = (pc.struct_field(flat, name).to_numpy(zero_copy_only=False) for name in ("start", "end"))
    whole = column.is_null().to_numpy(zero_copy_only=False)
    if (starts > ends).any():
        raise SchemaError("a span of spans_trained ends before it starts")
    return token_rows.Spans(rows, starts.astype(np.int64), ends.astype(np.int64), whole)


def _bounds(offsets: Longs) -> pa.Array:
    """Offsets of lists as Arrow wants them."""
    if int(offsets[-1]) >= 2**31:
        raise SchemaError("a batch holds more than 2^31 tokens", hint="use smaller batches")
    return pa.array(offsets.astype(np.int32))


@functools.lru_cache(2)
def _ones(size: int) -> pa.Array:
    """int8[size], shared by the batches of a run, which differ little in size."""
    return pa.array(np.ones(size, np.int8))


def _columns(rows: token_rows.TokenRows) -> list[pa.Array]:
    bounds, lists = _bounds(rows.offsets), pa.ListArray.from_arrays
    ids = lists(bounds, pa.array(rows.ids))
    labels = ids if rows.labels is rows.ids else lists(bounds, pa.array(rows.labels))
    ones = lists(bounds, _ones(-(-len(rows.ids) >> 20) << 20).slice(0, len(rows.ids)))
    return [ids, labels, ones, pa.array(np.diff(rows.offsets).astype(np.int32))]


def _positions(
    texts: Strings, found: Ids, where: token_rows.Covered, rows: token_rows.TokenRows, *, bos: int, eos: int
) -> list[pa.Array]:
    row = np.repeat(np.arange(len(texts)), np.diff(found.offsets))
    both = token_rows.Characters.of(texts).to_characters(row, where)
    ends = {"first": 0, "last": 0, "has_first": bos >= 0, "has_last": eos >= 0}
    shaped = [rows.shape.filled(values.astype(np.int32), **ends) for values in both]
    return [pa.ListArray.from_arrays(_bounds(rows.offsets), pa.array(values)) for values in shaped]
