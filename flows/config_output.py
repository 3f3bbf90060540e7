"""Sections of the config about what goes out: split, tokenizer, encode, pack, publish."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from dataforge.flows.config_types import ByteCount, Count, Positive, Section, Share


def _own_splits(value: object) -> object:
    return {True: "any", False: "off"}.get(value, value) if isinstance(value, bool) else value


class SplitConfig(Section):
    """Which rows are held out, and what must not leak into training."""

    salt: str = "dataforge"
    """Changes which clusters fall into which split."""
    together: Literal["conversation", "channel", "person"] = "conversation"
    """Training pairs that never straddle two splits: those of one conversation; of one channel; or that share any person
    who asks, answers or speaks in between. People who talk with each other share a split: in a small workspace all do."""
    decontaminate: str | None = None
    """JSONL files of evaluation texts (column text): corpus rows that share an n-gram with them are dropped."""
    own_splits: Annotated[Literal["contained", "any", "off"], BeforeValidator(_own_splits)] = "contained"
    """Leaks between this dataset's own splits: contained drops validation and test rows that a train row holds (4 of 5 of
    their n-grams); any (or true) drops train rows that share an n-gram with them, even boilerplate."""
    words: Annotated[int, Field(ge=5, le=100)] = 13
    """Length of the n-grams in words."""
    fewest: Positive = 1
    """Distinct shared n-grams that make a hit."""


class TokenizerConfig(Section):
    """Train one, or name one."""

    kind: Literal["bpe", "sentencepiece_bpe", "sentencepiece_unigram"] = "bpe"
    """What is trained."""
    path: str | None = None
    """A tokenizer.json, a folder with vocab.json and merges.txt, a .tiktoken or a SentencePiece .model; null: train."""
    vocab_size: Annotated[int, Field(ge=300, le=1_000_000)] = 8000
    """Entries of the vocabulary, special tokens included (300 to 1,000,000)."""
    min_frequency: Positive = 2
    """bpe: how often a pair must occur to be merged."""
    pattern: Literal["gpt2", "cl100k", "llama3", "qwen2", "o200k"] | None = None
    """bpe: how text is cut before merging, after the tokenizer of that name."""
    special_tokens: tuple[str, ...] = ()
    """More special tokens, beside those of the template."""
    sample_bytes: ByteCount = 64 << 20
    """Bytes of text to train on: the rows with the smallest hash of their id."""
    train_on: Literal["train", "all"] = "train"
    """Rows of the train split only, or of all splits."""


class EncodeConfig(Section):
    """Text → ids."""

    bos: Annotated[int, Field(ge=0, le=1)] = 0
    """Begin-of-text tokens before each row: 0 or 1."""
    eos: Annotated[int, Field(ge=0, le=1)] = 1
    """End-of-text tokens after each row: 0 or 1."""
    max_length: Count = 0
    """Longest row in tokens, BOS and EOS included; the rest is cut. 0: no limit."""
    check_every: Count = 1000
    """One row in so many is encoded again by the reference library, and one difference fails the run; 0: none."""


class PackConfig(Section):
    """Ids → sequences of at most one length, filled as far as whole rows allow, not padded."""

    sequence_length: Annotated[int, Field(ge=8, le=1 << 24)] = 2048
    """Tokens of a packed sequence (8 to 16777216); names the config `packed-N`."""
    corpus: Literal["bfd", "bfd_split", "wrapped"] = "bfd_split"
    """Corpus rows: best fit (bfd), best fit that splits long rows (bfd_split), or one after the other (wrapped)."""
    instruct: Literal["bfd", "bfd_split"] = "bfd"
    """Instruct rows: best fit, or best fit that splits long rows."""
    overflow: Literal["drop", "cut"] = "drop"
    """Of instruct rows longer than a sequence."""


class PublishConfig(Section):
    """What appears under `out`."""

    splits: dict[Literal["train", "validation", "test"], Share] = {"train": 0.98, "validation": 0.02}
    """Shares of train, validation and test; must sum to 1. Near-duplicates never straddle two."""
    arrow: bool = False
    """Also write a `save_to_disk` copy."""
    content_defined_chunking: bool = False
    """Cut Parquet pages by what they hold: of a new version the Hub then takes only the pages that changed."""
    pretty_name: str = ""
    """Title of the dataset's card; empty: the name."""
    description: str = ""
    """Text of the card."""
    licence: str = "other"
    """Licence in the card: an id of the Hugging Face hub, e.g. apache-2.0."""

    citation: str = ""
    """How to cite the dataset; goes into the card."""

    @field_validator("splits")
    @classmethod
    def _sums_to_one(cls, value: dict[str, float]) -> dict[str, float]:
        if abs(sum(value.values()) - 1) > 1e-9 or "train" not in value:
            raise ValueError("must have train and sum to 1")
        return value
