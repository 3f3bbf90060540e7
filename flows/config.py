"""The config: one YAML file per dataset, every key checked, every default in one place (here).

A section whose kind of data is absent does nothing. `load_config` reports every problem at once, each with file, line,
column, value, rule and "did you mean". Relative paths are relative to the file.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dataforge.config_file import Document, Problem, read_yaml
from dataforge.errors import ConfigError, SecretError

SPLIT_WORDS = {"train", "test", "validation", "valid", "val", "dev", "eval", "training", "testing", "evaluation"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TOKEN = re.compile(r"xox[a-z]-|xapp-|ghp_|sk-|AKIA[0-9A-Z]")


def _name(value: str) -> str:
    if not NAME.fullmatch(value) or value.lower() in SPLIT_WORDS:
        raise ValueError("must be 1 to 64 of letters, digits, '.', '_', '-', and none of the words for splits")
    return value


def _secret_place(value: str) -> str:
    if not value.startswith(("env:", "file:")) or len(value.split(":", 1)[1]) == 0:
        raise ValueError("must be env:NAME or file:PATH; a secret never stands in a config")
    return value


def _power_of_two(value: int) -> int:
    if value & (value - 1) or not 1 <= value <= 65536:
        raise ValueError("must be auto or a power of two from 1 to 65536")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Name = Annotated[str, AfterValidator(_name)]
SecretPlace = Annotated[str, AfterValidator(_secret_place)]
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(_finite)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, use_attribute_docstrings=True)


class SourceConfig(Section):
    """Where rows come from. `key`, `text`, `uri`, `created` name columns of the input."""

    name: Name
    kind: Literal["jsonl", "parquet", "csv", "text", "warc", "slack_export", "slack_api"]
    path: str = ""
    """A file, a folder or a glob; for slack_api not needed."""
    text: str = "text"
    key: str | None = None
    """Column that identifies a row; without one a row is known by its text and which copy of it it is."""
    uri: str | None = None
    created: str | None = None
    licence: str | None = None
    split: Literal["file", "paragraphs", "lines"] = "file"
    """Text files: what is one document."""
    encoding: str = "utf-8"
    """Text files: utf-8, auto, or the name of a codec."""
    delimiter: str = "auto"
    """CSV files."""
    extractor: Literal["trafilatura", "resiliparse", "none"] = "trafilatura"
    """WARC files: how text is taken out of HTML."""
    focus: Literal["balanced", "precision", "recall"] = "balanced"
    """WARC files: less boilerplate or less lost text."""

    @model_validator(mode="after")
    def _needs_path(self) -> SourceConfig:
        if self.kind != "slack_api" and not self.path:
            raise ValueError("needs a path")
        return self


class IngestConfig(Section):
    """How rows enter the store."""

    parts: Literal["auto"] | Annotated[int, AfterValidator(_power_of_two)] = "auto"
    """auto: the smallest power of two with at most 64 MiB of decompressed input a part, at least 8."""
    max_bad_rows: Count = 0
    max_bad_files: Count = 0
    max_row_bytes: Positive = 16 << 20


class SlackConfig(Section):
    """Whose messages are read, and under which names people appear."""

    key: SecretPlace | None = None
    """Key of the pseudonyms; `dataforge init` makes one."""
    private: bool = False
    dms: bool = False
    group_dms: bool = False
    channels: tuple[str, ...] = ()
    """Only these, by name or id; empty: all that are switched on."""
    opt_out_users: tuple[str, ...] = ()
    opt_out_channels: tuple[str, ...] = ()
    bots: Literal["drop", "keep"] = "drop"
    external: Literal["drop", "keep"] = "drop"
    markup: Literal["plain", "markdown"] = "plain"
    urls: Literal["label", "url", "both", "domain"] = "domain"
    """Links: their label, the URL, both, or label and domain."""
    token: SecretPlace | None = None
    """For `dataforge slack pull`."""
    tier: Annotated[int, Field(ge=1, le=4)] = 3
    """Rate-limit tier of history and replies; 1 for apps outside the Marketplace."""
    lookback_days: Count = 30
    max_wait_s: Positive = 900


class CleanConfig(Section):
    """Repairs of text; ids never change."""

    encoding: bool = True
    """Undo text that was decoded with the wrong encoding (ftfy)."""
    normalize: Literal["NFC", "NFKC", "none"] = "NFC"
    whitespace: Literal["keep", "lines", "collapse"] = "lines"
    line_rules: Literal["none", "c4", "c4_any_end", "dclm"] = "none"
    """Lines that a preset removes from the text."""
    max_removed: Share = 0.5
    """A text that would lose a larger share of its characters to line rules is left as it was."""
    code: Literal["off", "auto", "on"] = "off"
    """Source code: keep indentation, cut licence headers, drop generated files; auto goes by the suffix of key or URI."""


class QualityConfig(Section):
    """Named presets of rules and overrides of their thresholds; scores are stored, thresholds apply in Select."""

    preset: str = "none"
    """none, or a file of configs/presets: gopher, c4, fineweb, fineweb_paper, dclm, chat, …"""
    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)


class LanguageConfig(Section):
    """Which languages stay; every document gets one."""

    keep: tuple[str, ...] = ()
    """ISO 639-1 codes, e.g. [en, de]; empty: all."""
    min_score: Share = 0.65
    min_letters: Count = 20
    """Texts with fewer letters are never dropped for their language."""


class DedupeConfig(Section):
    """Exact and near duplicates; near ones are verified by the true Jaccard similarity of their shingles."""

    exact: Literal["document", "none"] = "document"
    near: bool = True
    bands: tuple[Positive, Positive] = (18, 7)
    """Bands × rows of a signature of 128 values; `dataforge plan` shows the chance of finding a pair."""
    shingle: Literal["words", "characters"] = "words"
    n: Positive = 5
    threshold: Annotated[Share, Field(gt=0)] = 0.8
    keep: tuple[Literal["longest", "newest", "source_priority", "smallest_id"], ...] = ("longest", "smallest_id")

    @field_validator("bands")
    @classmethod
    def _fits(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] * value[1] > 4096:
            raise ValueError("bands × rows must not exceed 4096")
        return value


class PiiConfig(Section):
    """Personal data and secrets: found as spans, acted on once."""

    action: Literal["mask", "pseudonym", "drop"] = "mask"
    key: SecretPlace | None = None
    """Needed by pseudonym."""
    kinds: tuple[str, ...] = ()
    """Empty: all structured kinds and secrets."""
    regions: tuple[str, ...] = ()
    """Countries whose national phone numbers are recognised; empty: a broad list."""
    ner: str = ""
    """Path of a spaCy model or name of a Presidio engine for names of people and places (extra `ner`)."""
    min_score: Share = 0.5
    max_spans: Count = 0
    """With drop: a text with at most so many spans is masked, one with more is dropped."""

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
    """Shares that an act may have, e.g. {questions: [0.2, 0.5]}; outside: an alert."""
    gate: bool = False
    """Outside `expect`: stop before publishing, exit code 4."""


class ReviewConfig(Section):
    """The labeling step."""

    enabled: bool = False
    need: Positive = 2
    size: Positive = 200
    database: str | None = None
    """Path or PostgreSQL URL; default {store}/review.sqlite."""
    answers: str | None = None
    """JSONL of id, label, annotator: imported after seeding, closes the batch."""
    on_deadline: Literal["wait", "close_resolved", "fail"] = "wait"
    deadline: str | None = None
    """ISO date and time, UTC."""
    show_suggestions: Literal["always", "after", "never"] = "always"
    lease_s: Positive = 300
    link: str = ""
    """Where annotators find the page; shown in messages and artifacts."""


class ConversationsConfig(Section):
    """Messages → conversations."""

    gap_s: Positive = 900
    merge_s: Count = 120


class InstructConfig(Section):
    """Conversations → training pairs."""

    template: Literal["book", "alpaca"] = "book"
    answers: Literal["one", "all"] = "one"
    require_resolved: bool = False
    allow_disputed: bool = False
    allow_orphans: bool = False
    expressives: Literal["drop", "keep"] = "drop"
    min_words: Count = 3
    min_score: Share = 0.5
    max_history_tokens: Count = 512
    persona: str = ""
    """Pseudonym or id of the one user whose replies become the assistant's turns."""
    team: tuple[str, ...] = ()
    consent: str = ""
    """With persona: where that person's consent is on file."""


class SplitConfig(Section):
    """Which rows are held out."""

    salt: str = "dataforge"


class TokenizerConfig(Section):
    """Train one, or name one."""

    kind: Literal["bpe", "sentencepiece_bpe", "sentencepiece_unigram"] = "bpe"
    path: str | None = None
    """A tokenizer.json, a folder with vocab.json and merges.txt, a .tiktoken or a SentencePiece .model; else one is trained."""
    vocab_size: Annotated[int, Field(ge=300, le=1_000_000)] = 8000
    min_frequency: Positive = 2
    pattern: Literal["gpt2", "cl100k", "llama3", "qwen2", "o200k"] = "llama3"
    special_tokens: tuple[str, ...] = ()
    sample_bytes: Positive = 64 << 20
    train_on: Literal["train", "all"] = "train"


class EncodeConfig(Section):
    """Text → ids."""

    bos: Annotated[int, Field(ge=0, le=1)] = 0
    eos: Annotated[int, Field(ge=0, le=1)] = 1
    max_length: Count = 0
    check_every: Count = 1000


class PackConfig(Section):
    """Ids → sequences of one length."""

    sequence_length: Annotated[int, Field(ge=8, le=1 << 24)] = 2048
    corpus: Literal["bfd", "bfd_split", "wrapped"] = "bfd_split"
    instruct: Literal["bfd", "bfd_split"] = "bfd"
    overflow: Literal["drop", "cut"] = "drop"
    """Of instruct rows longer than a sequence."""


class PublishConfig(Section):
    """What appears under `out`."""

    splits: dict[Literal["train", "validation", "test"], Share] = {"train": 0.98, "validation": 0.02}
    arrow: bool = False
    pretty_name: str = ""
    description: str = ""
    licence: str = "other"

    @field_validator("splits")
    @classmethod
    def _sums_to_one(cls, value: dict[str, float]) -> dict[str, float]:
        if abs(sum(value.values()) - 1) > 1e-9 or "train" not in value:
            raise ValueError("must have train and sum to 1")
        return value


class Config(Section):
    """All sections, in the order in which the data passes them."""

    name: Name
    version: str = "auto"
    store: str = "store"
    out: str = "out"
    sources: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
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
    if path.is_dir() and (path / "dataforge.yaml").exists():
        path = path / "dataforge.yaml"
    document = read_yaml(path)
    problems = list(_problems(document))
    if problems:
        raise config_error(problems, str(path))
    return Config.model_validate({**document.values, "folder": path.parent.absolute()})


def config_error(problems: list[Problem], file: str) -> ConfigError:
    lines = [problem.text(file) for problem in sorted(problems, key=lambda p: (p.line, p.column, p.key))]
    count = f"{len(lines)} problem{'s' if len(lines) != 1 else ''}"
    error = ConfigError(f"{count} in the config", file=file, hint="Schema: dataforge config schema")
    error.details = lines
    return error


def _problems(document: Document) -> Iterator[Problem]:
    if "folder" in document.values:
        yield Problem(*document.place(("folder",)), "folder", "", "unknown key")
    try:
        config = Config.model_validate({k: v for k, v in document.values.items() if k != "folder"})
    except ValidationError as error:
        seen = set()
        for entry in error.errors():
            path = tuple(p for p in entry["loc"] if (*entry["loc"],) and not _is_branch(p))
            if (path, entry["type"]) not in seen:
                seen.add((path, entry["type"]))
                yield _problem(document, path, entry)
        return
    yield from _quality_problems(document, config)


def _is_branch(part: Any) -> bool:
    """pydantic adds the name of the union's branch to the place of an error: that is no key of the file."""
    return isinstance(part, str) and (
        part.startswith(("literal[", "function-", "constrained-", "tuple[")) or part in ("int", "str")
    )


def _problem(document: Document, path: tuple[str | int, ...], entry: Any) -> Problem:
    key = ".".join(str(p) for p in path) or "config"
    line, column = document.place(path)
    kind = entry["type"]
    if kind == "extra_forbidden":
        return Problem(line, column, key, "", f"unknown key{_did_you_mean(path)}")
    if kind == "missing":
        return Problem(line, column, key, "", "is missing")
    return Problem(line, column, key, _shown(entry["input"]), _rule(entry))


def _rule(entry: Any) -> str:
    context = entry.get("ctx") or {}
    known = {
        "greater_than_equal": "must be at least {ge}",
        "greater_than": "must be greater than {gt}",
        "less_than_equal": "must be at most {le}",
        "literal_error": "must be one of {expected}",
    }
    if entry["type"] in known:
        numbers = {k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()}
        return known[entry["type"]].format(**numbers)
    text = str(entry["msg"])
    return text.removeprefix("Value error, ").replace("Input should be", "must be")


def _shown(value: Any) -> str:
    """The value, short; anything that looks like a token is not shown."""
    text = repr(value) if isinstance(value, str) else str(value)
    return "…" if TOKEN.search(text) else text if len(text) <= 40 else text[:39] + "…"


def _did_you_mean(path: tuple[str | int, ...]) -> str:
    model: Any = Config
    for part in path[:-1]:
        if isinstance(part, int):
            model = SourceConfig
        elif part in getattr(model, "model_fields", {}):
            model = model.model_fields[part].annotation
    known = [name for name in getattr(model, "model_fields", {}) if name != "folder"]
    close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


def _quality_problems(document: Document, config: Config) -> Iterator[Problem]:
    """Overrides of the quality preset are checked against the rules it has."""
    from dataforge.operators.quality import presets, rules_of

    preset, allowed = config.quality.preset, ("none", *presets())
    if preset not in allowed:
        yield Problem(
            *document.place(("quality", "preset")), "quality.preset", repr(preset), f"must be one of {', '.join(allowed)}"
        )
        return
    known = {rule.key for rule in rules_of(preset).rules} if preset != "none" else set()
    for name, value in (config.quality.model_extra or {}).items():
        line, column = document.place(("quality", name))
        if name not in known:
            close = difflib.get_close_matches(name, [*known, "preset"], n=1, cutoff=0.5)
            some = f"; known: {', '.join(sorted(known))}" if known else "; set a preset first"
            yield Problem(
                line, column, f"quality.{name}", "", "unknown key" + (f"; did you mean '{close[0]}'?" if close else some)
            )
        elif value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        ):
            yield Problem(line, column, f"quality.{name}", _shown(value), "must be a number, or null to switch the rule off")


def schema() -> dict[str, Any]:
    """JSON Schema of the config, for editors."""
    return Config.model_json_schema()
