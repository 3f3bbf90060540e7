"""A Slack export, zip or folder, as a Source of MESSAGE rows. Streamed entry by entry, never extracted.

Read are the index files and the day files of channels that are switched on: public ones unless told otherwise. Of two
copies of a message with one id, the one with the larger `version` counts (newest edit, then longest thread): the
ingest by id decides that, since copies may stand in different files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from dataforge.errors import CorruptError, InputError
from dataforge.operator import Rows, SourceFile, Split
from dataforge.operators.archive import Archive, open_archive, stamp_of
from dataforge.operators.archive_zip import Limits
from dataforge.operators.slack_channels import INDEX_FILES, Channel, Channels, channels_of
from dataforge.operators.slack_decode import count_elements, decode_document
from dataforge.operators.slack_message import MessageReader
from dataforge.operators.slack_source import SlackSource, Who
from dataforge.operators.slack_users import People, people_of, read_key

SPLIT_BYTES = 16 << 20  # unpacked: about 30,000 messages
DAY_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.json")
USER_FILES = ("users.json", "org_users.json")
NAMES_OF_SLACK = frozenset((*INDEX_FILES, *USER_FILES))
_JUNK = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$)")
_FILES = re.compile(r"(^|/)(__uploads|attachments)/.")  # bodies of files, as some archivers keep them


@dataclass(frozen=True)
class SlackExport(SlackSource):
    """`path`: a zip or a folder."""

    def digest(self) -> str:
        """Over the files that are read, the fingerprint of the key and of the opt-out lists."""
        _open_workspace.cache_clear()  # a run asks for the digest first: what is cached must not be older
        workspace = self._workspace()
        names = [workspace.root + name for name in workspace.index_names()]
        names += [entry for entry, _ in workspace.day_files.values()]
        shown = {entry: name for name, (entry, _) in workspace.day_files.items()}
        with _named_as(lambda entry: shown.get(entry, entry)):
            inner = workspace.archive.digest(names)
        return hashlib.sha256(f"{inner}\0{self.who.fingerprint(workspace.people.key)}".encode()).hexdigest()

    def stamp(self) -> str:
        return stamp_of(self.path)

    def splits(self) -> Sequence[Split]:
        """Day files in the order of their shown names, together up to 16 MiB unpacked."""
        workspace, size = self._workspace(), 0
        groups: list[list[str]] = []
        for name, (entry, _) in workspace.day_files.items():
            entry_bytes = workspace.archive.entries[entry].size_bytes
            if not groups or size + entry_bytes > SPLIT_BYTES:
                groups.append([])
                size = 0
            groups[-1].append(name)
            size += entry_bytes
        return tuple(Split(tuple(group), workspace.size_of(group)) for group in groups)

    def decompressed_bytes(self) -> int:
        workspace = self._workspace()
        return workspace.size_of(list(workspace.day_files))

    def read(self, split: Split) -> Iterator[SourceFile]:
        workspace = self._workspace()
        reader = self._reader(workspace.people, workspace.channels)
        for name in split.files:
            yield _source_file(workspace, reader, name)

    def known(self) -> tuple[People, Channels]:
        workspace = self._workspace()
        return workspace.people, workspace.channels

    def skipped(self) -> dict[str, int]:
        """What the run report names: channels by kind that were not opened, odd folders and names, missing lists."""
        return dict(self._workspace().skipped)

    def _workspace(self) -> Workspace:
        path = Path(self.path)
        stat = path.stat() if path.exists() else None
        changed = (stat.st_mtime_ns, stat.st_size) if stat else (0, 0)
        return _open_workspace(str(path), changed, read_key(self.key), self.who)


@dataclass(frozen=True)
class Workspace:
    """An opened export: its archive, people, channels, and the day files to read by the name that may be shown."""

    archive: Archive
    root: str  # "" or "folder/" where the export is nested one level
    people: People
    channels: Channels
    day_files: dict[str, tuple[str, Channel]]  # shown name → (entry, channel)
    skipped: dict[str, int]

    def index_names(self) -> list[str]:
        return [n for n in (*INDEX_FILES, *USER_FILES) if self.root + n in self.archive.entries]

    def size_of(self, names: Sequence[str]) -> int:
        return sum(self.archive.entries[self.day_files[name][0]].size_bytes for name in names)


def _source_file(workspace: Workspace, reader: MessageReader, name: str) -> SourceFile:
    entry, channel = workspace.day_files[name]
    held: list[bytes] = []

    def rows() -> Iterator[Rows]:
        held.append(_read(workspace.archive, entry, name))
        yield from reader.rows(held[0], channel, name)

    return SourceFile(name, rows(), lambda: count_elements(held.pop()) if held else None)


def _read(archive: Archive, entry: str, shown: str) -> bytes:
    with _named_as(lambda entry: shown):
        return archive.read(entry)


@contextmanager
def _named_as(shown: Callable[[str], str]) -> Iterator[None]:
    """Errors name an entry by what may be shown for it: its own name may be made of people's names."""
    try:
        yield
    except InputError as error:
        error.file = shown(error.file or "") or None
        error.args = (error.line(),)
        raise


def _shown_entry(entry: str) -> str:
    """`"layoffs/2024-01-01.json"` -> `"(channel)/2024-01-01.json"`: of a name in an archive only what Slack itself made.

    What is refused is refused before the index is read, when nobody can say which folders are public channels.
    """
    folder, _, file = entry.rpartition("/")
    is_day = bool(DAY_FILE.fullmatch(file))
    shown = file if is_day or file in NAMES_OF_SLACK else "(file)"
    return f"{'(channel)' if is_day else '(folder)'}/{shown}" if folder else shown


@lru_cache(maxsize=4)
def _open_workspace(path: str, changed: tuple[int, int], key: bytes, who: Who) -> Workspace:
    """Cached per process: workers open an export once, however many splits they read, and again once it has `changed`."""
    bodies: list[str] = []

    def is_no_entry(name: str) -> bool:
        bodies.extend([name] if _FILES.search(name) else [])
        return bool(_JUNK.search(name) or _FILES.search(name))

    with _named_as(lambda entry: entry if entry == Path(path).name else _shown_entry(entry)):
        archive = open_archive(path, Limits(), is_no_entry)
    root = _root_of(archive)
    folders = _day_folders(archive, root)
    listed = [(kind, e) for n, kind in INDEX_FILES.items() for e in _index(archive, root + n)]
    users = [user for name in USER_FILES for user in _index(archive, root + name)]
    people = people_of(users, key=key, opted_out=who.opt_out_users)
    channels = channels_of(listed, folders, key=key, opted_out=who.opt_out_channels, named=who.named)
    wanted = {f: c for f, c in channels.by_folder.items() if who.wants(c, channels) and f in folders}
    day_files = {f"{c.place}/{day}": (f"{root}{f}/{day}", c) for f, c in wanted.items() for day in folders[f]}
    skipped = _skipped(archive, root, channels, folders, wanted, len(users))
    skipped |= {"file_bodies": len(bodies)} if bodies else {}
    return Workspace(archive, root, people, channels, dict(sorted(day_files.items())), skipped)


def check_export(path: str) -> None:
    """Raises InputError for what is no Slack export. Looks at names alone: no key is needed, no message is read."""
    with _named_as(lambda entry: entry if entry == Path(path).name else _shown_entry(entry)):
        _root_of(open_archive(path, Limits(), lambda name: bool(_JUNK.search(name) or _FILES.search(name))))


def _root_of(archive: Archive) -> str:
    """ "" or the one folder that holds the index files, as after re-zipping on a Mac."""
    index = {*INDEX_FILES, *USER_FILES}
    if index & archive.entries.keys():
        return ""
    nested = {PurePosixPath(n).parts[0] for n in archive.entries if n.count("/") == 1 and n.split("/")[1] in index}
    if len(nested) == 1:
        return nested.pop() + "/"
    inside = [n for n in archive.entries if "/" in n]
    if inside and all(n.endswith(".txt") for n in inside):
        raise InputError("a TXT export holds no structure", file=archive.path.name, hint="export as JSON")
    if any(DAY_FILE.fullmatch(n.rpartition("/")[2]) for n in archive.entries):
        return ""
    raise InputError(
        "no channels.json, users.json or day file: not a Slack export", file=archive.path.name, hint="check the path"
    )


def _day_folders(archive: Archive, root: str) -> dict[str, list[str]]:
    """Folder → its day files. Whatever else lies there is no message."""
    folders: dict[str, list[str]] = {}
    for name in archive.entries:
        folder, _, file = name.removeprefix(root).rpartition("/")
        if name.startswith(root) and folder and "/" not in folder and DAY_FILE.fullmatch(file):
            folders.setdefault(folder, []).append(file)
    return folders


def _index(archive: Archive, name: str) -> list[Any]:
    if name not in archive.entries:
        return []
    value = decode_document(archive.read(name), name)
    if not isinstance(value, list):
        raise CorruptError("expected a list", file=name)
    return value


def _skipped(
    archive: Archive, root: str, channels: Channels, folders: dict[str, Any], wanted: dict[str, Channel], users: int
) -> dict[str, int]:
    counts: dict[str, int] = {"names_repaired": archive.repaired, "users_missing": int(users == 0)}
    for folder in folders:
        channel = channels.by_folder[folder]
        if folder not in wanted:
            counts[f"{channel.kind}_not_read"] = counts.get(f"{channel.kind}_not_read", 0) + 1
        elif not channel.is_listed:
            counts["folder_without_entry"] = counts.get("folder_without_entry", 0) + 1
    known = {*INDEX_FILES, *USER_FILES}
    days = sum(len(files) for files in folders.values())
    counts["other_files"] = len(archive.entries) - days - sum(root + name in archive.entries for name in known)
    return {name: count for name, count in sorted(counts.items()) if count}
