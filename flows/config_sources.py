"""Sections of the config about what comes in: sources, ingest, slack."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from dataforge.flows.config_types import (
    ByteCount,
    Count,
    Name,
    Positive,
    SecretPlace,
    Section,
    TokenPlace,
    auto_or_power_of_two,
)

# Keys of a source that would change nothing in another kind.
KINDS_OF = {
    "encoding": ("text", "csv"),
    "split": ("text",),
    "delimiter": ("csv",),
    "extractor": ("warc", "html"),
    "focus": ("warc", "html"),
    "boilerplate": ("warc", "html"),
    "page_seconds": ("warc", "html"),
    "page_memory_mib": ("warc", "html"),
}


class SourceConfig(Section):
    """Where rows come from. `key`, `text`, `uri`, `created` name columns of the input."""

    name: Name
    """Name of the source; row ids hash it, so renaming a source renames its rows."""
    kind: Literal["jsonl", "parquet", "csv", "text", "html", "warc", "slack_export", "slack_api"]
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
    """WARC and HTML files: how text is taken out of HTML."""
    focus: Literal["balanced", "precision", "recall"] = "balanced"
    """WARC and HTML files: less boilerplate or less lost text."""
    boilerplate: bool = True
    """WARC and HTML files: take off boxes and lines of cookies, sharing, subscribing, see-also."""
    page_seconds: Positive = 20
    """WARC and HTML files: CPU seconds that extraction may take for a page; a slower page is quarantined. Its size is
    limited by `ingest.max_row_bytes`."""
    page_memory_mib: Annotated[int, Field(ge=512)] = 3072
    """WARC and HTML files: memory that extraction may need for a page, MiB; a page over it is quarantined."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> SourceConfig:
        if self.kind != "slack_api" and not self.path:
            raise ValueError("needs a path")
        for key in sorted(self.model_fields_set):
            if key in KINDS_OF and self.kind not in KINDS_OF[key]:
                raise ValueError(f"`{key}` says nothing about {self.kind}, only about {' and '.join(KINDS_OF[key])}")
        return self


class IngestConfig(Section):
    """How rows enter the store."""

    parts: Annotated[Literal["auto"] | int, BeforeValidator(auto_or_power_of_two)] = "auto"
    """auto: the smallest power of two with at most 64 MiB of decompressed input a part, at least 8; kept while the corpus
    grows, up to four times that."""
    max_bad_rows: Count = 0
    """Unreadable rows that a run may quarantine; one more ends it with exit code 4, after all were read."""
    max_bad_files: Count = 0
    """Damaged files that a run may leave out whole; one more ends it with exit code 3."""
    max_row_bytes: ByteCount = 16 << 20
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
    references, `#name` as typed, in prose also where no list holds that name (a pull never hears of channels that it does
    not read), and, outside code, bare names of six characters or more with `-`, `_` or a digit. keep shows public ones."""
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
