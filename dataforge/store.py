"""The store: a folder of Tables, one lock, run reports. What exists in it is found by step id, never by a name alone."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dataforge.commit import reach
from dataforge.errors import ConfigError, LockedError
from dataforge.table import Table

INSIDE = {"data", "dropped", "quarantine", "records", "files", ".tmp"}  # what a table has beside its manifest


@dataclass(frozen=True)
class Store:
    root: Path

    def table_path(self, name: str, step_id: str) -> Path:
        return self.root / name / step_id[:12]

    def open(self, name: str, step_id: str) -> Table | None:
        """The finished Table of a step, or None."""
        table = Table.open(self.table_path(name, step_id))
        return table if table is not None and table.id == step_id else None

    def tables(self) -> Iterator[Table]:
        """Every finished Table, by path."""
        for manifest in sorted(self.root.glob("**/manifest.json")):
            if ".tmp" not in manifest.parts:
                table = Table.open(manifest.parent)
                if table is not None:
                    yield table

    def create(self) -> None:
        """Makes the folder; raises ConfigError (exit 2) if it is a file, a link elsewhere or not writable."""
        try:
            if self.root.is_symlink():
                raise ConfigError(
                    "the store is a symbolic link", file=str(self.root), hint="name the real folder in `store:`"
                )
            if not self.root.exists():  # it holds texts as they came in: nobody else's business
                self.root.mkdir(parents=True, mode=0o700)
            probe = self.root / f".probe.{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise ConfigError(
                f"the store is not usable: {error.strerror}",
                file=str(self.root),
                hint="set `store:` to a folder you can write",
            ) from error

    def _unfinished(self) -> list[Path]:
        """Folders of tables without a manifest: of a run or a `gc` that was killed."""
        folders = self.root.glob("**/" + 12 * "[0-9a-f]")
        return [f for f in sorted(folders) if f.is_dir() and {child.name for child in f.iterdir()} <= INSIDE]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds `{store}/.lock` (flock: the kernel frees it when the process dies). Raises LockedError when it is held."""
        self.create()
        handle = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(handle, self.root / ".lock")
            started = datetime.now(UTC).isoformat(timespec="seconds")
            holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started})
            os.ftruncate(handle, 0)
            os.pwrite(handle, holder.encode(), 0)
            yield
        finally:
            os.close(handle)

    def collect(
        self, keep: set[str], *, grace_s: float = 86400.0, now_s: float | None = None
    ) -> tuple[list[Path], list[Path]]:
        """Removes tables whose id is not in `keep`, finished or not, and temporary folders. Call under the lock.

        Returns (what was removed, what is as needless but younger than `grace_s` and so spared).
        """
        now_s = time.time() if now_s is None else now_s
        needless = {table.path: table.path / "manifest.json" for table in self.tables() if table.id not in keep}
        kept = {step_id[:12] for step_id in keep}
        needless |= {folder: folder for folder in self._unfinished() if folder.name not in kept}
        needless |= {folder: folder for folder in sorted(self.root.glob("**/.tmp")) if folder.is_dir()}
        spared = [folder for folder, dated in needless.items() if now_s - dated.stat().st_mtime < grace_s]
        removed = [folder for folder in needless if folder not in set(spared)]
        for folder in removed:
            reach("gc")
            (folder / "manifest.json").unlink(missing_ok=True)  # first: a half-removed folder must not look like a Table
            shutil.rmtree(folder, ignore_errors=folder.name == ".tmp")
        return removed, spared


def _take(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        try:
            holder = json.loads(os.pread(handle, 4096, 0) or b"{}")
        except ValueError:
            holder = {}
        what = "held by pid {pid} on {host} since {started}".format_map(
            {"pid": "?", "host": "?", "started": "?", **holder}
        )
        raise LockedError(what, file=str(path), hint="wait for that run or stop it") from error
    except OSError as error:
        what = f"the file system of the store cannot lock: {error.strerror}"
        raise ConfigError(what, file=str(path), key="store", hint="set `store:` to a folder of a local disk") from error
