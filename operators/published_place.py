"""Where a version may stand: names that loaders read rightly, a folder that can be written, an equal version."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataforge.commit import file_sha256
from dataforge.errors import ConfigError, InputError, LockedError, VerifyError
from dataforge.version_bytes import check_bytes, read_manifest, refuse_wildcards

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_SPLIT_WORDS = {"train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation"}


def check_names(name: str, version: str) -> None:
    """Raises ConfigError for names that are no plain folder name or hold a word that loaders take for a split."""
    for key, value in (("name", name), ("version", version)):
        if not _NAME.fullmatch(value) or ".." in value:
            raise ConfigError(
                "must be 1 to 96 letters, digits, dots, hyphens and underscores, a letter or digit first", key=key
            )
        words = {word for word in re.split(r"[^a-z]+", value.lower()) if word}
        if words & _SPLIT_WORDS:
            word = sorted(words & _SPLIT_WORDS)[0]
            raise ConfigError(f"holds '{word}', which loaders read as the name of a split", key=key, hint="rename it")


def check_out(out: Path, name: str) -> None:
    """Raises ConfigError if the output folder or the dataset's folder in it is a link, a file, not writable or one that
    loaders misread. Makes them where they are missing."""
    refuse_wildcards(out, "name another folder by `out:`")
    for folder, key in ((out, "out"), (out / name, "name")):
        try:
            if folder.is_symlink():
                raise ConfigError(
                    "the output folder is a symbolic link", file=str(folder), hint=f"name a real folder by `{key}:`"
                )
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            what = f"the output folder is not usable: {error.strerror}"
            hint = f"name a folder that you can write by `{key}:`"
            raise ConfigError(what, file=str(folder), hint=hint) from error


@contextmanager
def only_publisher(folder: Path) -> Iterator[None]:
    """Holds the folder of a dataset's versions (flock): runs of two stores may name one, and each clears away what is
    left of others. Raises LockedError.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError("another run publishes here", file=str(folder), hint="wait for it or stop it") from None
        yield
    finally:
        os.close(handle)


def tokenizer_sha256(folder: Path | None) -> str | None:
    """sha256 of `tokenizer.json`, or of the SentencePiece model where there is none: what decides the ids."""
    if folder is None:
        return None
    models = [folder / "tokenizer.json", *sorted(folder.glob("*.model"))]
    model = next((path for path in models if path.is_file()), None)
    if model is None:
        raise InputError("the folder holds no tokenizer.json and no .model", file=str(folder))
    return file_sha256(model)


def check_same(final: Path, digest: str) -> None:
    """Raises ConfigError if the version is there with other content, VerifyError if it is there and damaged."""
    if read_manifest(final).get("build") != digest:
        raise ConfigError(
            f"version {final.name} exists with other content",
            file=str(final),
            key="version",
            hint="choose another version, or `version: auto`",
        )
    problems = check_bytes(final)
    if problems:
        raise VerifyError(problems[0].what, file=problems[0].file, hint="delete that version's folder and run again")
