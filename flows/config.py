"""The config: one YAML file per dataset, every key checked, every default in one place (here).

A section whose kind of data is absent does nothing. `load_config` reports every problem at once, each with file, line,
column, value, rule and "did you mean". Relative paths are relative to the file.
"""

from __future__ import annotations

import math
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from dataforge.config_file import read_yaml
from dataforge.errors import SecretError

SPLIT_WORDS = {"train", "test", "validation", "valid", "val", "dev", "eval", "training", "testing", "evaluation"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _name(value: str) -> str:
    if not NAME.fullmatch(value) or value.lower() in SPLIT_WORDS:
        raise ValueError("must be 1 to 64 of letters, digits, '.', '_', '-', and none of the words for splits")
    return value


def _secret_place(value: str) -> str:
    if not value.startswith(("env:", "file:")) or len(value.split(":", 1)[1]) == 0:
        raise ValueError("must be env:NAME or file:PATH; a secret never stands in a config")
    return value


def _token_place(value: str) -> str:
    if value.startswith("prefect:") and re.fullmatch(r"[a-z0-9-]+", value.removeprefix("prefect:")):
        return value
    if not value.startswith(("env:", "file:")) or len(value.split(":", 1)[1]) == 0:
        raise ValueError("must be env:NAME or file:PATH, or prefect:BLOCK for a Secret; a token never stands in a config")
    return value


def _power_of_two(value: int) -> int:
    if value & (value - 1) or not 1 <= value <= 65536:
        raise ValueError("must be auto or a power of two from 1 to 65536")
    return value


def _moment(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be an ISO date and time, e.g. 2026-12-01T18:00") from None
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Name = Annotated[str, AfterValidator(_name)]
ScoreName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
SecretPlace = Annotated[str, AfterValidator(_secret_place)]
TokenPlace = Annotated[str, AfterValidator(_token_place)]
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(_finite)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, use_attribute_docstrings=True)


# Keys of a source that would change nothing in another kind.
KINDS_OF = {
    "encoding": ("text", "csv"),
    "split": ("text",),
    "delimiter": ("csv",),
    "extractor": ("warc",),
    "focus": ("warc",),
}


class SourceConfig(Section):
    """Where rows come from. `key`, `text`, `uri`, `created` name columns of the input."""

    name: Name
    """Name of the source; row ids hash it, so renaming a source renames its rows."""
    kind: Literal["jsonl", "parquet", "csv", "text", "warc", "slack_export", "slack_api"]
    """What the input is."""
    path: str = ""
    """A file, a folder or a glob; for slack_api not needed."""
    text: str = "text"
    """Column that holds the text."""
    key: str | None = None
    """Column that identifies a row; without one a row is known by its text and which copy of it it is."""
    uri: str | None = None
    """Column with the address that a row came from."""
    created: str | None = None
    """Column with the time a row was made: ISO date or seconds since 1970."""
    licence: str | None = None
    """SPDX name; goes with every row and into the card."""
    split: Literal["file", "paragraphs", "lines"] = "file"
    """Text files: what is one document."""
    encoding: str = "utf-8"
    """Text and CSV files: utf-8, the name of a codec, or for text files auto."""
    delimiter: str = "auto"
    """CSV files: the sign between fields; auto: tab for .tsv, else comma."""
    extractor: Literal["trafilatura", "resiliparse", "none"] = "trafilatura"
    """WARC files: how text is taken out of HTML."""
    focus: Literal["balanced", "precision", "recall"] = "balanced"
    """WARC files: less boilerplate or less lost text."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> SourceConfig:
        if self.kind != "slack_api" and not self.path:
            raise ValueError("needs a path")
        for key in sorted(self.model_fields_set):
            if key in KINDS_OF and self.kind not in KINDS_OF[key]:
                raise ValueError(f"`{key}` says nothing about {self.kind}, only about {' and '.join(KINDS_OF[key])}")
        return self


def _run_length(value: int) -> int:
    if value and not 8 <= value <= 10_000:
        raise ValueError("must be 0, or from 8 to 10000 words")
    return value


class IngestConfig(Section):
    """How rows enter the store."""

    parts: Literal["auto"] | Annotated[int, AfterValidator(_power_of_two)] = "auto"
    """auto: the smallest power of two with at most 64 MiB of decompressed input a part, at least 8."""
    max_bad_rows: Count = 0
    """Unreadable rows that a run may quarantine; one more ends it with exit code 4, after all were read."""
    max_bad_files: Count = 0
    """Damaged files that a run may leave out whole; one more ends it with exit code 3."""
    max_row_bytes: Positive = 16 << 20
    """A longer row is quarantined (bytes, before decoding)."""


class SlackConfig(Section):
    """Whose messages are read, and under which names people appear."""

    key: SecretPlace | None = None
    """Key of the pseudonyms of people, at least 16 bytes; `dataforge init` makes one. Reading Slack needs it."""
    private: bool = False
    """Read private channels."""
    dms: bool = False
    """Read direct messages of two people."""
    group_dms: bool = False
    """Read direct messages of several people."""
    channels: tuple[str, ...] = ()
    """Only these, by name or id; empty: all that are switched on."""
    channel_names: Literal["pseudonym", "keep"] = "pseudonym"
    """What stands for a public channel in published rows and texts: names tell of customers and projects. Hidden are
    references, `#name` as typed and, outside code, bare names of six characters or more with `-`, `_` or a digit; other
    channels that the export or the API lists never show theirs. `#word` that is no channel stays."""
    opt_out_users: tuple[str, ...] = ()
    """Ids of people whose messages are never read; names stay out of texts too."""
    opt_out_channels: tuple[str, ...] = ()
    """Names or ids of channels that are never read."""
    bots: Literal["drop", "keep"] = "drop"
    """Messages of bots and integrations."""
    external: Literal["drop", "keep"] = "drop"
    """Messages of people of other companies in shared channels."""
    markup: Literal["plain", "markdown"] = "plain"
    """How bold, italic and strike are written: not at all, or as Markdown."""
    urls: Literal["label", "url", "both", "domain"] = "domain"
    """Links: their label, the URL, both, or label and domain."""
    token: TokenPlace | None = None
    """Token of the Slack app, for `dataforge slack pull`: env:NAME, file:PATH or prefect:BLOCK, a Secret block."""
    tier: Annotated[int, Field(ge=1, le=4)] = 3
    """Rate-limit tier of history and replies; 1 for apps outside the Marketplace."""
    lookback_days: Count = 30
    """How far a pull goes back behind the newest message, for edits, deletions and late replies."""
    recheck_days: Count = 7
    """Threads that were alive so recently are read again for edited replies."""
    oldest: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")] = "0"
    """Slack ts before which a pull asks for nothing; quote it."""
    max_wait_s: Positive = 900
    """Longest wait for a rate limit, in seconds; above it the pull stops with exit code 6 and can go on."""


class CleanConfig(Section):
    """Repairs of text; ids never change."""

    encoding: bool = True
    """Undo text that was decoded with the wrong encoding (ftfy)."""
    normalize: Literal["NFC", "NFKC", "none"] = "NFC"
    """Unicode normal form."""
    whitespace: Literal["keep", "lines", "collapse"] = "lines"
    """keep: as it is; lines: spaces inside lines and blank lines are tidied; collapse: runs of spaces too."""
    line_rules: Literal["none", "c4", "c4_any_end", "dclm"] = "none"
    """Lines that a preset removes from the text."""
    max_removed: Share = 0.5
    """A text that would lose a larger share of its characters to line rules is left as it was."""
    code: Literal["off", "auto", "on"] = "off"
    """Source code: keep indentation, cut licence headers, drop generated files; auto goes by the suffix of key or URI."""


class WordListConfig(Section):
    """A list of words, counted in every text. Nothing is dropped without a threshold."""

    path: str | dict[str, str]
    """A file of one word or phrase a line; or a file for each language, e.g. {en: rude.en.txt, all: slurs.txt}."""
    max_per_1000: Annotated[float, Field(ge=0), AfterValidator(_finite)] | None = None
    """Most places a thousand words; 0: a text with any of the words is dropped."""


class TextModelConfig(Section):
    """A model that `dataforge quality train` wrote. Nothing is dropped without a threshold."""

    path: str
    """Its folder."""
    label: str = ""
    """The label whose probability is the score; empty: the model's own."""
    min_score: Share | None = None
    """A text with a lower score is dropped."""
    max_score: Share | None = None
    """A text with a higher score is dropped."""


class QualityConfig(Section):
    """Named presets of rules and overrides of their thresholds; scores are stored, thresholds apply in Select."""

    preset: str = "none"
    """none, or a file of configs/presets: gopher, c4, c4_paragraph, fineweb, fineweb_paper, fineweb_run, dclm, chat, …"""
    model: str = ""
    """Folder of a quality model (`dataforge quality train`); short for `models: {quality: {path: …, min_score: …}}`."""
    min_score: Share | None = None
    """With model: a text with a lower score is dropped."""
    lists: dict[ScoreName, WordListConfig] = {}
    """Your word lists by name, e.g. {toxicity: {path: words.txt, max_per_1000: 2}}; the name is the reason of a drop."""
    models: dict[ScoreName, TextModelConfig] = {}
    """Your models by name, e.g. {toxicity: {path: models/toxicity, max_score: 0.8}}; the name is the reason of a drop."""
    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="after")
    def _one_name_each(self) -> QualityConfig:
        if self.min_score is not None and not self.model:
            raise ValueError("min_score needs a model; thresholds of other models stand under models")
        names = [*self.lists, *self.models, *(["quality"] if self.model else [])]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"'{twice}' names two scores")
        return self


class LanguageConfig(Section):
    """Which languages stay; every document gets one."""

    keep: tuple[str, ...] = ()
    """Codes such as en or eng; empty: all."""
    min_score: Share = 0.65
    """With keep: a text is dropped only if its language is at least this sure (0 to 1)."""
    min_letters: Count = 20
    """Texts with fewer letters are never dropped for their language."""
    models: tuple[Literal["lid176", "langid"], ...] = ("lid176",)
    """With [lid176, langid] both models must agree on texts of under 60 letters; needs the extra `language`."""


KeepRule = Literal["longest", "newest", "source_priority", "best_score", "smallest_id"]


class DedupeConfig(Section):
    """Exact and near duplicates; near ones are verified by the true Jaccard similarity of their shingles."""

    exact: Literal["document", "paragraph", "line", "sentences", "none"] = "document"
    """Drop documents whose text is the same; with paragraph, line or sentences (spans of three, as C4) also cut those
    that an earlier document holds, earlier by id, from the texts of documents: the first copy stays."""
    unit_characters: Count = 20
    """Paragraphs, lines and spans of sentences with fewer characters are never cut."""
    substring: Annotated[int, AfterValidator(_run_length)] = 0
    """Also cut runs of at least so many words (50 is usual) whose bytes an earlier document holds; 0: none."""
    unit_copies: Annotated[int, Field(ge=2)] = 2
    """What has fewer copies in all documents together is not cut."""
    max_removed: Share = 0.8
    """A document that would lose a larger share of its bytes to either of these is dropped (0 to 1)."""
    near: bool = True
    """Also look for near-duplicates."""
    bands: tuple[Positive, Positive] | Literal["auto"] = (18, 7)
    """Bands × rows, or auto: by the threshold (see `dataforge plan`). FineWeb: [14, 8]; NeMo: [20, 13], 24 characters."""
    shingle: Literal["words", "characters"] = "words"
    """What near-duplicates share: runs of words or of characters."""
    n: Annotated[int, Field(ge=1, le=1000)] = 5
    """Length of a shingle, in words or characters (1 to 1000)."""
    threshold: Annotated[Share, Field(gt=0)] = 0.8
    """Smallest Jaccard similarity of near-duplicates (above 0, up to 1)."""
    clusters: Literal["connected", "star"] = "connected"
    """connected: of all rows that a chain of near-duplicates joins one stays; star: a row goes only if it is like the very
    row that stays."""
    keep: tuple[KeepRule, ...] = ("longest", "smallest_id")
    """Which row of a cluster stays: the first rule that tells two rows apart decides. source_priority is the order of
    `sources`, best_score that of `quality.model`."""
    protected: tuple[str, ...] = ()
    """Sources whose documents are never dropped as duplicates; those of other sources give way to them."""
    index: str | None = None
    """Folder of a living index (`dataforge index add`): documents that are near-duplicates of what it holds are dropped.
    What an addition replaced by a new text of the same id is remembered for that input alone, until the id is removed or
    replaced again by another."""

    @field_validator("bands")
    @classmethod
    def _fits(cls, value: tuple[int, int] | str) -> tuple[int, int] | str:
        if not isinstance(value, str) and value[0] * value[1] > 4094:
            raise ValueError("bands × rows must not exceed 4094")
        return value

    def shape(self) -> tuple[int, int]:
        """(bands, rows), whichever way they were given."""
        from dataforge.operators.dedupe_near import bands_for

        return bands_for(self.threshold) if self.bands == "auto" else self.bands


class PiiConfig(Section):
    """Personal data and secrets: found as spans, acted on once."""

    action: Literal["mask", "pseudonym", "drop"] = "mask"
    """mask writes `<EMAIL_ADDRESS>`; pseudonym writes keyed stand-ins; drop leaves the row out."""
    key: SecretPlace | None = None
    """Key of the pseudonyms, at least 16 bytes; needed by pseudonym."""
    drop_above: Count = 0
    """With drop: a row with at most so many spans is masked, one with more is left out."""
    kinds: tuple[str, ...] = ()
    """What is looked for; empty: all structured kinds and secrets. Names of people only if named here or by `ner`."""
    private_addresses: bool = False
    """Also IP addresses of private ranges."""
    ner: str = ""
    """Names of people, organisations, places: spacy:MODEL (a name or a folder) or presidio:LANGUAGE:MODEL; extra `ner`."""

    @model_validator(mode="after")
    def _needs_key(self) -> PiiConfig:
        if self.action == "pseudonym" and self.key is None:
            raise ValueError("pseudonym needs `key: env:NAME` or `key: file:PATH`")
        return self


class ActsConfig(Section):
    """Speech acts of messages."""

    model: str = "default"
    """`default` (shipped), `rules` (no model), or the folder that `dataforge acts train` wrote."""
    expect: dict[str, tuple[Share, Share]] = {}
    """Shares that an act may have in each source and split, e.g. {questions: [0.2, 0.5]}; outside: an alert."""
    expect_rows: Positive = 30
    """Groups with fewer rows are not held against `expect`: their shares say nothing."""
    gate: bool = False
    """Outside `expect`: stop before publishing, exit code 4."""

    @field_validator("expect")
    @classmethod
    def _ranges(cls, value: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        if turned := next((act for act, (low, high) in value.items() if low > high), None):
            raise ValueError(f"the range of {turned} has its larger end first")
        return value


class AuditConfig(Section):
    """People judge random drops of each filter; the report gives the measured false-drop rate with its interval."""

    enabled: bool = False
    """Stop (exit code 5) until people have judged dropped rows."""
    rows: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Rows of each filter (a step and a reason), drawn at random; all where there are fewer."""
    reasons: tuple[str, ...] = ()
    """Only drops for these reasons; empty: all but exact duplicates. Drops for personal data are never shown."""
    need: Annotated[int, Field(ge=1, le=20)] = 1
    """Answers per row, of different people (1 to 20)."""
    answers: str | None = None
    """JSONL of id, label (right, wrong), annotator: imported after seeding, closes the audit."""


class ReviewConfig(Section):
    """The labeling step."""

    enabled: bool = False
    """Stop after seeding the queue (exit code 5) until a batch of labels is closed."""
    need: Annotated[int, Field(ge=1, le=20)] = 2
    """Answers per row, of different people (1 to 20)."""
    size: Positive = 200
    """Rows in the sample: 55 % uncertain, 20 % equal per act and source, 20 % random, 5 % gold (or uncertain)."""
    gold: str | None = None
    """JSONL of id, text, label with known answers, mixed in unseen: how right each annotator is."""
    title: str = ""
    """Title of the batch; empty: the dataset's name and `speech acts`. Another title is another batch."""
    label_set: str = "speech_acts"
    """What may be answered: a file of configs/labels (speech_acts, bias, anomaly) or the path of a YAML file."""
    guideline: str = "speech_acts"
    """What annotators read: a file of configs/guidelines or the path of a Markdown file."""
    allow_multi: bool = False
    """Two labels may be given; agreement then counts partly equal answers (MASI)."""
    min_alpha: Annotated[float, Field(ge=-1, le=1), AfterValidator(_finite)] = 0.667
    """Krippendorff's alpha below which the report alerts; his marks are 0.667 (tentative) and 0.8."""
    gate: bool = False
    """Alpha below `min_alpha`: stop before publishing, exit code 4."""
    retrain: bool = False
    """Train the tagger anew on the labels; used where it is at least as right as before on labels it did not see."""
    audit: AuditConfig = AuditConfig()
    """Random drops of each filter, judged by people."""
    database: str | None = None
    """Path or PostgreSQL URL; default {store}/review.sqlite."""
    answers: str | None = None
    """JSONL of id, label, annotator: imported after seeding, closes the batch."""
    on_deadline: Literal["wait", "close_resolved", "fail"] = "wait"
    """What happens to an open batch at the deadline."""
    deadline: Annotated[str, AfterValidator(_moment)] | None = None
    """ISO date and time, e.g. 2026-12-01T18:00; UTC unless it names a zone."""
    show_suggestions: Literal["always", "after", "never"] = "always"
    """When annotators see the tagger's label: at once, after their own answer, or not at all."""
    lease_s: Annotated[int, Field(ge=10, le=86400)] = 300
    """Seconds for which one annotator holds a row (10 to 86400)."""
    link: str = ""
    """Where annotators find the page; shown in messages and artifacts."""


class ConversationsConfig(Section):
    """Messages → conversations."""

    gap_s: Positive = 900
    """Seconds of silence after which talk of a channel goes on only where much speaks for it; four times as many end it."""
    merge_s: Count = 120
    """Pause within one turn of a person, in seconds."""


class InstructConfig(Section):
    """Conversations → training pairs."""

    template: Literal["book", "alpaca"] = "book"
    """How a pair is rendered: `###Instruction` (book) or `### Instruction:` (alpaca)."""
    answers: Literal["one", "all"] = "one"
    """The best answer to a question, or one pair per answer."""
    require_resolved: bool = False
    """Only answers that a reaction or thanks accepted."""
    allow_disputed: bool = False
    """Also answers that someone rejected."""
    allow_orphans: bool = False
    """Also threads whose first message is missing."""
    expressives: Literal["drop", "keep"] = "drop"
    """Thanks, greetings and jokes as answers."""
    min_words: Count = 3
    """Words of an answer."""
    min_score: Share = 0.5
    """How surely the messages of a conversation belong together (0 to 1)."""
    max_history_tokens: Count = 512
    """What came before the question, cut to so many tokens; four bytes count as one."""
    persona: str = ""
    """Pseudonym or id of the one user whose replies become the assistant's turns."""
    team: tuple[str, ...] = ()
    """Pseudonyms of the only people whose answers count; empty: anyone."""
    consent: str = ""
    """With persona: where that person's consent is on file."""


def _own_splits(value: object) -> object:
    return {True: "any", False: "off"}.get(value, value) if isinstance(value, bool) else value


class SplitConfig(Section):
    """Which rows are held out, and what must not leak into training."""

    salt: str = "dataforge"
    """Changes which clusters fall into which split."""
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
    sample_bytes: Positive = 64 << 20
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
    """Ids → sequences of one length."""

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


class Config(Section):
    """All sections, in the order in which the data passes them."""

    name: Name
    """Name of the dataset and of its folder under `out`."""
    version: Annotated[str, AfterValidator(_name)] = "auto"
    """auto: 12 digits of a hash of everything that made it; or a name of your own."""
    store: str = "store"
    """Folder of tables, pulls, review database and run reports. Several configs may share one."""
    out: str = "out"
    """Folder of published versions: `out/name/version`."""
    sources: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
    """At least one."""
    ingest: IngestConfig = IngestConfig()
    slack: SlackConfig = SlackConfig()
    clean: CleanConfig = CleanConfig()
    quality: QualityConfig = QualityConfig()
    language: LanguageConfig = LanguageConfig()
    dedupe: DedupeConfig = DedupeConfig()
    pii: PiiConfig = PiiConfig()
    acts: ActsConfig = ActsConfig()
    review: ReviewConfig = ReviewConfig()
    conversations: ConversationsConfig = ConversationsConfig()
    instruct: InstructConfig = InstructConfig()
    split: SplitConfig = SplitConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    encode: EncodeConfig = EncodeConfig()
    pack: PackConfig = PackConfig()
    publish: PublishConfig = PublishConfig()
    folder: Path = Field(default=Path("."), exclude=True)
    """Folder of the file; relative paths start here. Not a key of the file."""

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, value: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
        names = [source.name for source in value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two sources are called '{twice}'; row ids hash the name, so it must be unique")
        return value

    @model_validator(mode="after")
    def _dedupe_fits(self) -> Config:
        unknown = sorted(set(self.dedupe.protected) - {source.name for source in self.sources})
        if unknown:
            raise ValueError(f"dedupe.protected names no source: {unknown[0]}")
        if "best_score" in self.dedupe.keep and not self.quality.model:
            raise ValueError("dedupe.keep: best_score needs quality.model")
        return self

    def path(self, value: str) -> Path:
        """A path of the config, made absolute without following links. `~` is expanded."""
        return Path(os.path.abspath(self.folder / Path(value).expanduser()))

    def secret(self, place: str | None) -> bytes | None:
        """The bytes behind `env:NAME` or `file:PATH`; raises SecretError naming the place, never the value."""
        return None if place is None else read_secret(place, self.folder)


def read_secret(place: str, folder: Path) -> bytes:
    kind, _, name = place.partition(":")
    if kind == "env":
        value = os.environ.get(name, "").encode()
        if not value:
            raise SecretError("is not set in the environment", key=place, hint=f"export {name}=…")
    else:
        path = folder / Path(name).expanduser()
        try:
            value = path.read_bytes().strip()
        except OSError as error:
            hint = f"make one: head -c 32 /dev/urandom | base64 > {path.name}"
            raise SecretError(f"cannot be read: {error.strerror}", key=place, hint=hint) from error
    if len(value) < 16 and "TOKEN" not in name.upper():
        raise SecretError("is shorter than 16 bytes", key=place, hint="use at least 16 random bytes")
    return value


def load_config(path: Path) -> Config:
    """Reads and checks a config file. Raises ConfigError whose text lists every problem, one a line."""
    from dataforge.flows.config_problems import config_error, problems

    if path.is_dir() and (path / "dataforge.yaml").exists():
        path = path / "dataforge.yaml"
    document = read_yaml(path)
    if found := list(problems(document)):
        raise config_error(found, str(path))
    return Config.model_validate({**document.values, "folder": path.parent.absolute()})


def schema() -> dict[str, Any]:
    """JSON Schema of the config, for editors."""
    return Config.model_json_schema()
