"""Sections of the config about what stays: clean, quality, language, dedupe, pii."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from dataforge.flows.config_types import Count, ScoreName, SecretPlace, Section, Share, finite


def _shape(value: Any) -> Any:
    """Bands and the rows of each, or auto."""
    if value == "auto":
        return value
    if not isinstance(value, (list, tuple)) or len(value) != 2 or any(type(n) is not int or n < 1 for n in value):
        raise ValueError("must be auto, or two whole numbers: bands and the rows of each, e.g. [18, 7]")
    if value[0] * value[1] > 4094:
        raise ValueError("bands × rows must not exceed 4094")
    return value


def _path_or_paths(value: Any) -> Any:
    paths = value.values() if isinstance(value, dict) else (value,)
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise ValueError("must be the path of a file, or one for each language, e.g. {en: rude.en.txt, all: slurs.txt}")
    return value


def _run_length(value: int) -> int:
    if value and not 8 <= value <= 10_000:
        raise ValueError("must be 0, or from 8 to 10000 words")
    return value


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

    path: Annotated[str | dict[str, str], BeforeValidator(_path_or_paths)]
    """A file of one word or phrase a line; or a file for each language, e.g. {en: rude.en.txt, all: slurs.txt}."""
    max_per_1000: Annotated[float, Field(ge=0), AfterValidator(finite)] | None = None
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
    """A document that would lose a larger share of its bytes to either of these is dropped (0 to 1), with what it holds
    first, though later documents lost their copies of that; 1 drops only what is blank then, and loses nothing."""
    near: bool = True
    """Also look for near-duplicates."""
    bands: Annotated[tuple[int, int] | Literal["auto"], BeforeValidator(_shape)] = (18, 7)
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
    """Sources whose documents are never dropped as duplicates, nor cut; where whole documents are compared, those of other
    sources give way to them."""
    index: str | None = None
    """Folder of a living index (`dataforge index add`): documents that are near-duplicates of what it holds are dropped
    (documents only: pairs made of chats are not compared with it, nor added to it). What an addition replaced by a new
    text of the same id is remembered for that input alone, until the id is removed or replaced again by another."""

    def shape(self) -> tuple[int, int]:
        """(bands, rows), whichever way they were given."""
        from dataforge.operators.dedupe_near import bands_for

        return bands_for(self.threshold) if self.bands == "auto" else self.bands


class PiiConfig(Section):
    """Personal data and secrets: found as spans, acted on once."""

    action: Literal["mask", "pseudonym", "drop"] = "mask"
    """mask writes `<EMAIL_ADDRESS>`; pseudonym writes keyed stand-ins; drop leaves the row out."""
    key: SecretPlace | None = None
    """Key of the pseudonyms, at least 16 bytes; needed by pseudonym and mail_names."""
    drop_above: Count = 0
    """With drop: a row with at most so many spans is masked, one with more is left out."""
    kinds: tuple[str, ...] = ()
    """What is looked for; empty: all structured kinds and secrets. NATIONAL_ID is one kind for the identity, tax, health and
    social insurance numbers, passports and driving licences of some forty countries; US_SSN is its own. Names of people
    only if named here or by `ner`."""
    private_addresses: bool = False
    """Also IP addresses of private ranges and of those for documentation (203.0.113.7, 2001:db8::1)."""
    rules: str = ""
    """A YAML file of rules of your own, e.g. for staff numbers; each with five strings that it finds and five that it does
    not, which `config check` tries. Their kinds are always looked for."""
    ner: str = ""
    """Names of people, organisations, places: spacy:MODEL (a name or a folder) or presidio:LANGUAGE:MODEL; extra `ner`."""
    mail_names: bool = False
    """Also, in all documents and messages, the names of people that stand in mail headers of any document
    (`From: Anna Berg <…>`): the full name, and each word of it that is no plain English word. Needs `key`; the list is
    stored as keyed hashes."""

    @model_validator(mode="after")
    def _needs_key(self) -> PiiConfig:
        wants = "pseudonym" if self.action == "pseudonym" else "mail_names" if self.mail_names else ""
        if wants and self.key is None:
            raise ValueError(f"{wants} needs `key: env:NAME` or `key: file:PATH`")
        return self
