"""`sources:` of the config → Source steps. One step per source; documents and messages are told apart by schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dataforge.errors import ConfigError
from dataforge.flows.config import Config
from dataforge.flows.config_sources import SourceConfig
from dataforge.operator import Source
from dataforge.operators.extract import Extraction
from dataforge.operators.files import split_root
from dataforge.operators.files_csv import CsvFiles
from dataforge.operators.files_html import HtmlFiles
from dataforge.operators.files_jsonl import JsonlFiles
from dataforge.operators.files_parquet import ParquetFiles
from dataforge.operators.files_text import TextFiles
from dataforge.operators.files_warc import WarcFiles
from dataforge.operators.first_rows import FirstRows
from dataforge.operators.slack_export import SlackExport
from dataforge.operators.slack_message import MessageRules
from dataforge.operators.slack_pulled import SlackPull
from dataforge.operators.slack_source import Who
from dataforge.step import Step

MESSAGES = {"slack_export", "slack_api"}


def source_steps(config: Config) -> dict[str, Step]:
    """Step `sources/<name>` per source of the config, in its order; of a trial the first rows of each."""
    read = {source.name: operator_of(source, config) for source in config.sources}
    if config.first_rows:
        read = {name: FirstRows(source, config.first_rows) for name, source in read.items()}
    return {name: Step(f"sources/{name}", source) for name, source in read.items()}


def check_places(config: Config) -> None:
    """Raises ConfigError where what a run writes would be read as input by the next one, or store and out are one.
    Whatever the names: links are followed."""
    made = {"store": config.path(config.store).resolve(), "out": config.path(config.out).resolve()}
    if made["out"] == made["store"]:
        raise ConfigError("`store` and `out` are the same folder", key="out", hint="name two folders")
    for source in config.sources:
        if source.kind not in ("text", "html", "parquet") or "://" in source.path:
            continue  # other kinds read no suffix that a run writes
        root, pattern = split_root(location(source.path, config))
        if pattern and "**" not in pattern:
            continue
        for key, place in made.items():
            if place.is_relative_to(Path(root).resolve()):
                what = f"`{key}` lies in the folder of source {source.name}, which would read it as input"
                raise ConfigError(what, key=key, hint=f"set `{key}:` to a folder elsewhere, or name the files by a glob")


def operator_of(source: SourceConfig, config: Config) -> Source:
    makers: dict[str, Callable[[SourceConfig, Config], Source]] = {
        "jsonl": _jsonl,
        "parquet": _parquet,
        "csv": _csv,
        "text": _text,
        "html": _html,
        "warc": _warc,
        "slack_export": _slack_export,
        "slack_api": _slack_pull,
    }
    return makers[source.kind](source, config)


def location(path: str, config: Config) -> str:
    """A path relative to the config, or the URL as it stands."""
    return path if "://" in path else str(config.path(path))


def _common(source: SourceConfig, config: Config) -> dict[str, Any]:
    return {
        "name": source.name,
        "path": location(source.path, config),
        "licence": source.licence,
        "max_row_bytes": config.ingest.max_row_bytes,
    }


def _columns(source: SourceConfig) -> dict[str, Any]:
    return {"text": source.text, "key": source.key, "uri": source.uri, "created": source.created}


def _jsonl(source: SourceConfig, config: Config) -> Source:
    return JsonlFiles(**_common(source, config), **_columns(source))


def _parquet(source: SourceConfig, config: Config) -> Source:
    return ParquetFiles(**_common(source, config), **_columns(source))


def _csv(source: SourceConfig, config: Config) -> Source:
    return CsvFiles(**_common(source, config), **_columns(source), delimiter=source.delimiter, encoding=source.encoding)


def _text(source: SourceConfig, config: Config) -> Source:
    return TextFiles(**_common(source, config), split=source.split, encoding=source.encoding)


def _html(source: SourceConfig, config: Config) -> Source:
    return HtmlFiles(**_common(source, config), extractor=source.extractor, extraction=_extraction(source))


def _warc(source: SourceConfig, config: Config) -> Source:
    return WarcFiles(**_common(source, config), extractor=source.extractor, extraction=_extraction(source))


def _extraction(source: SourceConfig) -> Extraction:
    return Extraction(
        focus=source.focus,
        boilerplate=source.boilerplate,
        cpu_s=source.page_seconds,
        memory_mib=source.page_memory_mib,
    )


def who(config: Config) -> Who:
    slack = config.slack
    return Who(
        private=slack.private,
        dms=slack.dms,
        group_dms=slack.group_dms,
        channels=slack.channels,
        named=slack.channel_names == "keep",
        opt_out_users=slack.opt_out_users,
        opt_out_channels=slack.opt_out_channels,
    )


def slack_key(config: Config) -> str:
    """Where the pseudonym key is; raises ConfigError when the config names none."""
    place = config.slack.key
    if place is None:
        hint = "set slack.key: env:NAME or file:PATH; `dataforge init` makes one"
        raise ConfigError("reading Slack needs a key for the pseudonyms of people", key="slack.key", hint=hint)
    kind, _, name = place.partition(":")
    return place if kind == "env" else f"file:{config.path(name)}"


def _rules(config: Config) -> MessageRules:
    slack = config.slack
    return MessageRules(
        bots=slack.bots,
        external=slack.external,
        urls=slack.urls,
        markdown=slack.markup == "markdown",
        max_row_bytes=config.ingest.max_row_bytes,
    )


def _slack_export(source: SourceConfig, config: Config) -> Source:
    return SlackExport(path=location(source.path, config), **_slack(source, config))


def _slack_pull(source: SourceConfig, config: Config) -> Source:
    return SlackPull(path=str(config.pull_folder(source.name)), **_slack(source, config))


def _slack(source: SourceConfig, config: Config) -> dict[str, Any]:
    return {"name": source.name, "key": slack_key(config), "who": who(config), "rules": _rules(config)}
