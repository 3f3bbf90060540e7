"""Commit of files: written beside, flushed, fsynced, renamed into place, folder fsynced. Nothing else makes a final name.

Each step is announced by `reach(name)`, so that tests can kill or fail a process exactly there: the environment variable
DATAFORGE_FAULT=`kill:NAME:N` kills the process with SIGKILL at the N-th time NAME is reached, `ENOSPC:NAME:N` and
`EIO:NAME:N` raise that OSError instead. `NAME` may be `any`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dataforge.errors import PartialError

STEPS = (
    "open_tmp",
    "write",
    "fsync_file",
    "check",
    "replace_part",
    "fsync_dir",
    "write_record",
    "fsync_manifest",
    "replace_manifest",
    "build_version",
    "rename_version",
    "fsync_root",
    "gc",
)

_reached: dict[str, int] = {}


def reach(name: str) -> None:
    """Announces a step of the protocol; does nothing unless DATAFORGE_FAULT names it."""
    fault = os.environ.get("DATAFORGE_FAULT")
    if not fault:
        return
    action, wanted, count = fault.split(":")
    if wanted not in (name, "any"):
        return
    _reached[wanted] = _reached.get(wanted, 0) + 1
    if _reached[wanted] != int(count):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(getattr(errno, action), os.strerror(getattr(errno, action)))


class HashingFile:
    """A file open for writing that knows the sha256 and the size of what went through it. Writers may only append.

    After its `with` block it takes what is written and drops it: a Parquet writer that an error left open writes its
    footer when it is collected, whenever that is.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self.raw, self.size_bytes, self.closed = raw, 0, False
        self._sha, self._over = hashlib.sha256(), False

    def __enter__(self) -> HashingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self._over:
            return len(view)
        reach("write")
        self.raw.write(view)
        self._sha.update(view)
        self.size_bytes += len(view)
        return len(view)

    def flush(self) -> None:
        if not self._over:
            self.raw.flush()

    def tell(self) -> int:
        return self.size_bytes

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:  # the committing context closes the real file
        self.flush()

    @property
    def sha256(self) -> str:
        return self._sha.hexdigest()


@contextmanager
def committed(
    path: Path, *, replace_step: str = "replace_part", fsync_step: str = "fsync_file"
) -> Iterator[HashingFile]:
    """Opens a temporary file that becomes `path` when the block ends well; on any error nothing is left behind.

    Raises PartialError (`NOSPC` or `IO`, exit 6) with path and errno when the disk refuses.
    """
    folder = path.parent / ".tmp"
    temporary = folder / f"{path.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reach("open_tmp")
        with open(temporary, "wb") as raw, HashingFile(raw) as file:
            yield file
            raw.flush()
            reach(fsync_step)
            os.fsync(raw.fileno())
        reach(replace_step)
        os.replace(temporary, path)
        fsync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(error, path) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def disk_error(error: OSError, path: Path) -> PartialError:
    """The typed error of an OSError met while writing `path`."""
    if error.errno == errno.ENOSPC:
        free = shutil.disk_usage(_existing(path)).free
        what = f"no space left on the device ({free} bytes free)"
        return PartialError(what, file=str(path), code="NOSPC", hint="free some space and run the same command again")
    what = f"{error.strerror or error} (errno {error.errno})"
    return PartialError(what, file=str(path), code="IO", hint="run the same command again; what was done is kept")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def fsync_folder(folder: Path, *, step: str = "fsync_dir") -> None:
    reach(step)
    fsync_path(folder)


def fsync_path(path: Path) -> None:
    """Makes the bytes of a file, or the names in a folder, outlast a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any, *, replace_step: str = "write_record", fsync_step: str = "fsync_file") -> None:
    """Commits a JSON document: sorted keys, one trailing newline, so equal values give equal bytes."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    with committed(path, replace_step=replace_step, fsync_step=fsync_step) as file:
        file.write(text.encode())


def file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


REST_NS = 10**9  # a file younger than this may change again within one tick of its file system's clock
_proven: dict[Path, tuple[str, int, int, int]] = {}  # in this process: what a file was when its sha256 was found right


def proven(path: Path, sha256: str) -> bool:
    """Whether the file has that sha256. A process reads it for that only once, as long as nobody touched it since."""
    state = path.stat()
    seen = sha256, state.st_ino, state.st_size, state.st_ctime_ns
    if _proven.get(path) == seen:
        return True
    if file_sha256(path) != sha256:
        return False
    if time.time_ns() - state.st_ctime_ns > REST_NS:
        _proven[path] = seen
    return True
