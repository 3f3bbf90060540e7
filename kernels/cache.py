"""What can always be derived again, kept for the next process of this user: worked out once, whole or not there."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """A folder of this user's own; $DATAFORGE_CACHE moves it. One that cannot be had costs only what it would keep."""
    given = os.environ.get("DATAFORGE_CACHE")
    folder = Path(given) if given else Path(tempfile.gettempdir()) / f"dataforge-cache-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return _own_folder()  # read-only, a file, or someone else's folder under our name in a shared /tmp


@functools.cache
def _own_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="dataforge-cache-"))


def write_beside(path: Path, write: Callable[[str], object]) -> None:
    """`write(temporary)` and rename, so that a reader sees the whole file or none; a full disk only costs the cache."""
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
        os.close(handle)
        write(name)
        os.replace(name, path)
    except OSError:
        if name is not None:
            Path(name).unlink(missing_ok=True)


def kept(path: Path, make: Callable[[], str]) -> str:
    """A text that is kept at `path`, else `make()`: one process makes it, those that ask meanwhile wait for it."""
    found = _read(path)
    if found is None:
        with _lock(path):
            found = _read(path)
            if found is None:
                found = made = make()
                write_beside(path, lambda name: Path(name).write_text(json.dumps({"kept": made})))
    return found


def _read(path: Path) -> str | None:
    try:
        document: Any = json.loads(path.read_text())["kept"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return document if isinstance(document, str) else None


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Held by one process at a time; goes with a killed one. Without a place for the lock everyone works alone."""
    try:
        handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
