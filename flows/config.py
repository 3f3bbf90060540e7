"""The config: one YAML file per dataset, every key checked, every default in one place (here and in config_*.py).

A section whose kind of data is absent does nothing. `load_config` reports every problem at once, each with file, line,
column, value, rule and "did you mean". Relative paths are relative to the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr, field_validator, model_validator

from dataforge.config_file import read_yaml
from dataforge.errors import ConfigError, SecretError
from dataforge.flows.config_filters import CleanConfig, DedupeConfig, LanguageConfig, PiiConfig, QualityConfig
from dataforge.flows.config_labels import ActsConfig, ConversationsConfig, InstructConfig, ReviewConfig
from dataforge.flows.config_output import EncodeConfig, PackConfig, PublishConfig, SplitConfig, TokenizerConfig
from dataforge.flows.config_own import OwnConfig
from dataforge.flows.config_sources import IngestConfig, SlackConfig, SourceConfig
from dataforge.flows.config_types import Name, Section, plain_name


class Config(Section):
    """All sections, in the order in which the data passes them."""

    name: Name
    """Name of the dataset and of its folder under `out`."""
    version: Annotated[str, AfterValidator(plain_name)] = "auto"
    """auto: 12 digits of a hash of everything that made it; or a name of your own."""
    store: str = "store"
    """Folder of tables, pulls, review database and run reports (the newest 200). Several configs may share one."""
    out: str = "out"
    """Folder of published versions: `out/name/version`."""
    sources: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
    """At least one."""
    ingest: IngestConfig = IngestConfig()
    slack: SlackConfig = SlackConfig()
    clean: CleanConfig = CleanConfig()
    own: tuple[OwnConfig, ...] = ()
    """Operators of your own, in their order."""
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
    _first_rows: int = PrivateAttr(0)  # of each source, in a trial: see flows/trial.py
    _real_store: str = PrivateAttr("")

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

    @property
    def first_rows(self) -> int:
        """Rows of each source that a trial reads; 0: all, it is no trial."""
        return self._first_rows

    def pull_folder(self, source: str) -> Path:
        """Where committed pages of a Slack pull lie: a trial reads them where they are."""
        return self.path(self._real_store or self.store) / "pull" / source

    def path(self, value: str) -> Path:
        """A path of the config, made absolute without following links. `~` is expanded."""
        return absolute(self.folder, value)

    def secret(self, place: str | None) -> bytes | None:
        """The bytes behind `env:NAME` or `file:PATH`; raises SecretError naming the place, never the value."""
        return None if place is None else read_secret(place, self.folder)


def absolute(folder: Path, value: str) -> Path:
    """A path of a config that lies in that folder. Raises ConfigError where `~NAME` is nobody's home."""
    try:
        return Path(os.path.abspath(folder / Path(value).expanduser()))
    except RuntimeError:
        raise ConfigError("names the home of an unknown user", file=value, hint="write the path without ~") from None


def read_secret(place: str, folder: Path) -> bytes:
    kind, _, name = place.partition(":")
    if kind == "env":
        value = os.environ.get(name, "").encode()
        if not value:
            raise SecretError("is not set in the environment", key=place, hint=f"export {name}=…")
    else:
        path = absolute(folder, name)
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

    path = config_file(path)
    document = read_yaml(path)
    if found := list(problems(document)):
        raise config_error(found, str(path))
    return Config.model_validate({**document.values, "folder": path.parent.absolute()})


def config_file(path: Path) -> Path:
    """A config may be named by its folder."""
    return path / "dataforge.yaml" if (path / "dataforge.yaml").exists() else path


def schema() -> dict[str, Any]:
    """JSON Schema of the config, for editors."""
    return Config.model_json_schema()
