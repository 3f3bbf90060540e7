"""`TrainTokenizer`: texts → one tokenizer folder. A Fold whose state is a sample that no order of rows can change.

Takes tables with `id` and `text`. Kept are the rows with the smallest hash of their id, up to a budget of bytes; they
are fed to the trainer sorted by id. Byte-level BPE is trained by `tokenizers`; SentencePiece BPE and unigram by
`sentencepiece` with a fixed number of threads (which changes a unigram vocabulary, so it is a parameter). The unigram
trainer of `tokenizers` gives another vocabulary at each run and is not offered.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dataforge.errors import ConfigError, InputError
from dataforge.kernels import sentencepiece_model as spm
from dataforge.kernels.encoding_probe import probe_texts
from dataforge.kernels.split_rules import PATTERNS
from dataforge.kernels.tokenizer_json import json_of_sentencepiece
from dataforge.operator import Fold
from dataforge.operators.tokenizer_files import (
    Roles,
    chat_template,
    refuse_private,
    write_folder,
    write_json,
)

KINDS = ("bpe", "sentencepiece_bpe", "sentencepiece_unigram")
STATE = pa.schema(
    [
        pa.field("hash", pa.uint64(), nullable=False),  # xxh3-64 of the id: which rows are in the sample
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
PROBE_ROWS = 2000  # texts on which tokenizer.json must agree with the SentencePiece library


@dataclass(frozen=True)
class TrainTokenizer(Fold):
    """`splits` names the values of a column `split` that are used; empty uses all rows and reads no such column."""

    VERSION: ClassVar[int] = 3  # the chat template writes what the instruct template writes

    kind: str = "bpe"
    vocab_size: int = 8000
    min_frequency: int = 2
    pattern: str = "llama3"  # how byte-level BPE cuts text before merging: a name of kernels.split_rules
    special_tokens: tuple[str, ...] = ()  # beside the four below
    bos: str = "<s>"
    eos: str = "</s>"
    pad: str = "<pad>"
    unk: str = "<unk>"  # SentencePiece models only: byte-level BPE has no unknown text
    dummy_prefix: bool = False  # SentencePiece: a space before the text, as Llama-2 has it
    template: str = "book"
    sample_bytes: int = 64 << 20
    threads: int = 4
    tables: int = 1  # how many input tables
    text: str = "text"
    splits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"tokenizer.kind is {self.kind!r}", hint=f"use one of: {', '.join(KINDS)}")
        if self.pattern not in PATTERNS:
            raise ConfigError(f"tokenizer.pattern is {self.pattern!r}", hint=f"use one of: {', '.join(PATTERNS)}")
        if len(set(self.specials())) != len(self.specials()):
            raise ConfigError("a special token is named twice", hint="bos, eos, pad and special_tokens must differ")
        floor = 256 + len(self.specials()) + 1
        if self.vocab_size < floor:
            hint = "256 bytes and the special tokens are always in the vocabulary"
            raise ConfigError(f"tokenizer.vocab_size is {self.vocab_size}, below {floor}", hint=hint)
        if self.kind != "bpe" and self.min_frequency != 2:
            raise ConfigError("SentencePiece knows no minimum frequency", hint="leave tokenizer.min_frequency out")

    def specials(self) -> tuple[str, ...]:
        roles = (self.unk,) if self.kind != "bpe" else ()
        return (*roles, self.bos, self.eos, self.pad, *self.special_tokens)

    def needs(self) -> Sequence[Sequence[str]]:
        return [["id", self.text, "split"] if self.splits else ["id", self.text]] * self.tables

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        if self.splits:
            batch = batch.filter(pc.is_in(batch["split"], pa.array(self.splits, batch["split"].type)))
        digest = xxhash.xxh3_64_intdigest  # a loop over ids: 0.2 µs each
        hashes = pa.array([digest(row_id.encode()) for row_id in batch["id"].to_pylist()], pa.uint64())
        texts = pc.fill_null(batch[self.text], "").cast(pa.large_string())
        whole = pc.less_equal(pc.binary_length(texts), self.sample_bytes)  # one giant text must not break the budget
        texts = pc.if_else(whole, texts, pc.utf8_slice_codeunits(texts, 0, self.sample_bytes // 4))
        return self._sample(pa.table([hashes, batch["id"], texts], schema=STATE))

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        return self._sample(pa.concat_tables([left, right]))

    def _sample(self, rows: pa.Table) -> pa.Table:
        """Rows in the order of their hash for as long as the rows before them fill less than the budget.

        A row that is left out of one part is left out of every union with that part: so `merge` is associative.
        """
        rows = rows.sort_by([("hash", "ascending"), ("id", "ascending"), ("text", "ascending")])
        if rows.num_rows == 0:
            return rows
        sizes = pc.binary_length(rows["text"]).combine_chunks()
        before = pc.subtract(pc.cumulative_sum(sizes), sizes)
        kept: pa.Table = rows.slice(0, pc.sum(pc.less(before, self.sample_bytes)).as_py())
        whole = kept.num_rows == rows.num_rows
        return kept if whole else kept.take(pa.array(range(kept.num_rows)))  # a copy lets go of the rest

    def finish(self, state: pa.Table | None, out: Path) -> None:
        """Without any text (all few rows in other splits) byte-level BPE is its bytes; other kinds cannot be trained."""
        if state is None or state.num_rows == 0 or not pc.sum(pc.binary_length(state["text"])).as_py():
            if self.kind != "bpe":
                raise InputError("there is no text to train a tokenizer on", hint="check sources and filters of the config")
            state = pa.table({name: pa.array([], pa.string()) for name in ("id", "text")})
        texts = state.sort_by([("id", "ascending"), ("text", "ascending")])["text"]
        out.mkdir(parents=True, exist_ok=True)
        made = self._train_bpe(texts, out) if self.kind == "bpe" else self._train_sentencepiece(texts, out)
        roles = Roles(self.bos, self.eos, self.pad, self.unk if self.kind != "bpe" else "")
        write_folder(out, roles=roles, template=chat_template(self.template), report=self._report(texts, made))

    def _report(self, texts: pa.ChunkedArray, made: dict[str, Any]) -> dict[str, Any]:
        size = made["vocab_size"]
        note = "" if size >= self.vocab_size else f"the text supports {size} tokens, fewer than {self.vocab_size} asked"
        trained_on = {"rows": len(texts), "bytes": pc.sum(pc.binary_length(texts)).as_py() or 0}
        asked = {"kind": self.kind, "asked": self.vocab_size}
        return {"schema": 1, **asked, **made, "trained_on": trained_on, "note": note}

    def _train_bpe(self, texts: pa.ChunkedArray, out: Path) -> dict[str, Any]:
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        split = pre_tokenizers.Split(Regex(PATTERNS[self.pattern]), behavior="isolated")
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=self.pattern == "gpt2")
        tokenizer.pre_tokenizer = to_bytes if self.pattern == "gpt2" else pre_tokenizers.Sequence([split, to_bytes])
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            special_tokens=list(self.specials()),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator((in_short_runs(text.as_py()) for text in texts), trainer, length=len(texts))
        tokenizer.save(str(out / "tokenizer.json"))
        size = tokenizer.get_vocab_size()
        scanned = refuse_private((i, tokenizer.decode([i])) for i in range(len(self.specials()), size))
        return {"format": "json", "vocab_size": size, **scanned, "trainer": f"tokenizers {version('tokenizers')}"}

    def _train_sentencepiece(self, texts: pa.ChunkedArray, out: Path) -> dict[str, Any]:
        import sentencepiece

        written = io.BytesIO()
        options = {
            "model_type": self.kind.removeprefix("sentencepiece_"),
            "vocab_size": self.vocab_size,
            "hard_vocab_limit": False,
            "normalization_rule_name": "identity",  # text comes back as it was
            "remove_extra_whitespaces": False,
            "allow_whitespace_only_pieces": True,
            "add_dummy_prefix": self.dummy_prefix,
            "byte_fallback": True,
            "split_digits": True,
            "max_sentence_length": 4 * LINE_CHARACTERS,
            "num_threads": self.threads,
            "unk_piece": self.unk,
            "bos_piece": self.bos,
            "eos_piece": self.eos,
            "pad_piece": self.pad,
            "pad_id": 3,
            "control_symbols": list(self.special_tokens),
            "minloglevel": 2,
        }
        try:
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=_lines(texts), model_writer=written, **options)
        except RuntimeError as error:  # the library says so when the characters alone fill the vocabulary
            hint = "raise tokenizer.vocab_size"
            raise ConfigError(f"SentencePiece cannot train: {_reason(error)}", hint=hint) from error
        (out / "spm.model").write_bytes(written.getvalue())
        return self._sentencepiece_made(written.getvalue(), texts, out)

    def _sentencepiece_made(self, data: bytes, texts: pa.ChunkedArray, out: Path) -> dict[str, Any]:
        model = spm.parse(data)
        scanned = refuse_private((i, p) for i, p in enumerate(model.pieces) if model.types[i] == spm.NORMAL)
        specials = [piece for piece, kind in zip(model.pieces, model.types, strict=True) if kind == spm.CONTROL]
        probe = probe_texts([p.replace(spm.SPACE, " ").encode() for p in model.pieces], specials, hostile=4000)
        converted = convert_sentencepiece(data, [*texts.slice(0, PROBE_ROWS).to_pylist(), *probe], out)
        trainer = f"sentencepiece {version('sentencepiece')}, {self.threads} threads"
        return {"vocab_size": len(model.pieces), **converted, **scanned, "trainer": trainer}


LINE_CHARACTERS = 16_384  # longer lines are fed in pieces: the trainer would leave them out


def _lines(texts: pa.ChunkedArray) -> Iterator[str]:
    """Lines as the trainer takes them: it drops, without a word, lines with a tab or its own mark U+2047."""
    for text in texts:  # rows of the sample, once; the trainer is far slower than this loop
        for line in text.as_py().replace("\t", " ").replace("\u2047", "?").replace("\0", " ").split("\n"):
            yield from (line[at : at + LINE_CHARACTERS] for at in range(0, len(line), LINE_CHARACTERS))


def _reason(error: RuntimeError) -> str:
    """The library's own sentence, without the path of its source file and the condition in code."""
    return str(error).rsplit("] ", 1)[-1].strip() or "unknown reason"


def convert_sentencepiece(data: bytes, texts: Sequence[str], out: Path) -> dict[str, Any]:
    """Writes tokenizer.json beside a SentencePiece model, and says which of the two is the definition.

    spm.model is, while `tokenizers` gives the same ids for every probe text. Two differences are known. BPE meets equal
    scores in another order: then tokenizer.json is the definition, for what people load must be what the data was made
    with. Unigram of `tokenizers` takes the text "<s>" or "<0x41>" for the piece of that name, and breaks ties of scores its
    own way: the file is written all the same, because `AutoTokenizer` reads nothing else, but spm.model stays the
    definition (text must never become a control id), and the report counts those texts.
    """
    import sentencepiece
    from tokenizers import Tokenizer

    model = spm.parse(data)
    made: dict[str, Any] = {"format": "sentencepiece", "tokenizer_json": False}
    try:
        converted = json_of_sentencepiece(model)
    except ValueError as error:
        return {**made, "tokenizer_json_why": str(error)}
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    tokenizer = Tokenizer.from_str(json.dumps(converted))
    tokenizer.encode_special_tokens = True
    ours = [found.ids for found in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
    right = [processor.encode(text) for text in texts]
    differing = [text for text, a, b in zip(texts, ours, right, strict=True) if a != b]
    spelled = [text for text in differing if _spells_a_piece(model, text)]
    made |= {"probe_texts": len(texts), "probe_differs": len(differing), "probe_spells_pieces": len(spelled)}
    write_json(out / "tokenizer.json", converted)
    bpe_ties = model.model_type == spm.BPE and differing
    return {**made, "format": "json" if bpe_ties else "sentencepiece", "tokenizer_json": True}


def _spells_a_piece(model: spm.Model, text: str) -> bool:
    """Whether a control, unknown or byte piece stands in the text letter by letter."""
    named = (spm.UNKNOWN, spm.CONTROL, spm.BYTE)
    return any(piece in text for piece, kind in zip(model.pieces, model.types, strict=True) if kind in named)


LONG_RUN = re.compile(r"(\S{1000})(?=\S)")
LONG_GAP = re.compile(r"\s{1000,}")


def in_short_runs(text: str) -> str:
    """The text with a line break in every run of 1,000 visible characters, and gaps of blanks cut to 1,000.

    The trainer moves the rest of a piece at every merge inside it, so time is quadratic in a piece: one run of 250,000
    equal characters took minutes. Only training sees this text.
    """
    return LONG_GAP.sub(lambda gap: gap[0][:1000], LONG_RUN.sub(r"\1\n", text))
