"""Files behind a pattern such as `2024-*/**/*.jsonl.gz`. As `Path.glob`, but a folder that cannot be read is an error.

`**` stands for any number of folders, not those behind links; at the end it stands for all files below.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path
from typing import NoReturn

from dataforge.errors import InputError


def glob(root: str, pattern: str) -> Iterator[Path]:
    """What lies below `root` and matches, each once. Raises InputError naming a folder that cannot be listed."""
    parts = tuple(part for part in pattern.split("/") if part not in ("", "."))
    parts = (*parts, "*") if parts[-1:] == ("**",) else parts
    return iter(dict.fromkeys(Path(place) for place in _matches(root, parts, set())))


def _matches(folder: str, parts: tuple[str, ...], seen: set[tuple[str, int]]) -> Iterator[str]:
    """`seen`: each folder with the number of parts left; with several `**` one folder is reached in many ways."""
    if (folder, len(parts)) in seen:
        return
    seen.add((folder, len(parts)))
    if not parts:
        yield folder
    elif parts[0] == "**":
        yield from _matches(folder, parts[1:], seen)
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _matches(entry.path, parts, seen)
    elif has_magic(parts[0]):
        for entry in _entries(folder):
            if fnmatchcase(entry.name, parts[0]):
                yield from _matches(entry.path, parts[1:], seen)
    elif is_there(place := os.path.join(folder, parts[0])):
        yield from _matches(place, parts[1:], seen)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except NotADirectoryError:
        return []
    except OSError as error:
        refuse(error)


def is_there(place: str) -> bool:
    """True for a file, a folder or a link. Raises InputError where that cannot be told."""
    try:
        os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        refuse(error)
    return True


def refuse(error: OSError) -> NoReturn:
    raise InputError(f"cannot be listed: {error.strerror}", file=str(error.filename), hint="check its permissions") from None
