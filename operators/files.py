"""What all sources over files share: which files there are, their digest, how they are split, how one is opened.

A path may be a file, a folder, a glob, or one of these behind an fsspec URL. Names are relative to the source's root
(the folder before the first wildcard), so moving a corpus changes nothing. Reading a kind of file is the business of
files_jsonl, files_parquet, files_csv, files_text, files_html and files_warc.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa

from dataforge.errors import CorruptError, InputError, PartialError
from dataforge.operator import Source, SourceFile, Split
from dataforge.operators.files_glob import glob, is_there, refuse
from dataforge.operators.files_stream import ByteStream
from dataforge.schemas.document import DOCUMENT

SPLIT_BYTES = 64 << 20
MAX_ROW_BYTES = 16 << 20
PACKED = (".gz", ".zst")
# What is remembered of a file between runs: (sha256, decompressed bytes or -1), by path, size and time of change.
Remembered = MutableMapping[str, tuple[str, int]]


@dataclass(frozen=True)
class InputFile:
    """One file of a source. `name` is relative to the root and is all of it that enters identity."""

    name: str
    location: str  # path or URL
    size_bytes: int
    changed: str  # opaque: differs when the file was changed


@dataclass(frozen=True)
class FileSource(Source):
    """Files of one kind. Subclasses say which suffixes belong to it in a folder and how the rows of a file are read."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    name: str
    path: str = field(metadata={"identity": False})
    licence: str | None = None
    max_row_bytes: int = MAX_ROW_BYTES

    def gives(self) -> pa.Schema:
        return DOCUMENT

    def files(self) -> tuple[InputFile, ...]:
        return list_files(self.path, self.suffixes)

    def digest(self, remembered: Remembered | None = None) -> str:
        """Hex sha256 over name, size and sha256 of every file. `remembered` saves hashing files that did not change."""
        total = hashlib.sha256()
        for file in self.files():
            sha256, _ = self._measured(file, remembered, decompress=False)
            total.update(f"{file.name}\0{file.size_bytes}\0{sha256}\n".encode())
        return total.hexdigest()

    def stamp(self) -> str:
        files = self.files()
        if not all(file.changed for file in files):
            return ""
        return hashlib.sha256(repr([(f.name, f.size_bytes, f.changed) for f in files]).encode()).hexdigest()

    def decompressed_bytes(self, remembered: Remembered | None = None) -> int:
        """Bytes of all files once decompressed: what `parts: auto` goes by. A damaged file counts up to the damage."""
        return sum(self._measured(file, remembered, decompress=True)[1] for file in self.files())

    def _measured(self, file: InputFile, remembered: Remembered | None, *, decompress: bool) -> tuple[str, int]:
        remembered = remembered if file.changed else None  # without a time nothing tells the old bytes from the new
        place = f"{file.location}\0{file.size_bytes}\0{file.changed}"
        known = remembered.get(place) if remembered is not None else None
        if known is not None and (known[1] >= 0 or not decompress):
            return known[0], known[1]
        sha256 = known[0] if known else sha256_of(file)
        result = (sha256, self.unpacked_bytes(file) if decompress else -1)
        if remembered is not None:
            remembered[place] = result
        return result

    def unpacked_bytes(self, file: InputFile) -> int:
        if not file.name.lower().endswith(PACKED):
            return file.size_bytes
        try:
            with self.open(file.name) as stream:
                for _ in stream:
                    pass
                return stream.position
        except CorruptError:  # reading it will say so, under the budget of bad files
            return file.size_bytes

    def splits(self) -> Sequence[Split]:
        """Small files together up to 64 MiB, in order of their names; a large file alone."""
        groups: list[list[str]] = []
        sizes: list[int] = []
        for file in self.files():
            if not groups or sizes[-1] + file.size_bytes > SPLIT_BYTES:
                groups.append([])
                sizes.append(0)
            groups[-1].append(file.name)
            sizes[-1] += file.size_bytes
        return tuple(Split(tuple(names), size) for names, size in zip(groups, sizes, strict=True))

    def read(self, split: Split) -> Iterator[SourceFile]:
        for name in split.files:
            yield self.read_file(name)

    def read_file(self, name: str) -> SourceFile:
        raise NotImplementedError

    def open(self, name: str) -> ByteStream:
        return ByteStream(partial(open_raw, location_of(self.path, name)), name)


def sha256_of(file: InputFile) -> str:
    try:
        with open_raw(file.location) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file.name, hint="check its permissions") from None


def list_files(path: str, suffixes: tuple[str, ...]) -> tuple[InputFile, ...]:
    """The files behind a path, sorted by name. In a folder: those of the wanted suffixes, not hidden ones."""
    root, rest = split_root(path)
    found = _remote_files(root, rest) if "://" in path else _local_files(root, rest)
    if not rest.strip("/") and found is not None:
        wanted = tuple(file for file in found if _wanted(file.name, suffixes))
        if found and not wanted:
            raise InputError(f"no file in the folder ends in {' '.join(suffixes)}", file=path, hint="name it by a glob")
        found = wanted
    if found is None or (rest and not found):
        raise InputError("no such file or folder", file=path, hint="check the path: --input, or `path` of the source")
    if lost := next((file for file in found if file.size_bytes < 0 and not file.name.startswith(".")), None):
        raise InputError("a link leads to no file", file=lost.name, hint="remove the link or bring its file back")
    return tuple(sorted((file for file in found if file.size_bytes >= 0), key=lambda file: file.name))


def split_root(path: str) -> tuple[str, str]:
    """(root, pattern): "a/b*/c" -> ("a", "b*/c"), "a/f.txt" -> ("a", "f.txt"), a folder -> (it, "").

    What is there under that very name is no wildcard: "books [2024]" is a folder if there is one.
    """
    parts = path.split("/")
    first = next((i for i, part in enumerate(parts) if has_magic(part) and not _is_there("/".join(parts[: i + 1]))), None)
    if first is None:
        if _is_folder(path):
            return path.rstrip("/") or "/", ""
        first = len(parts) - 1
    return "/".join(parts[:first]) or ("/" if path.startswith("/") else "."), "/".join(parts[first:])


def _is_there(path: str) -> bool:
    return "://" not in path and os.path.exists(path)


def _is_folder(path: str) -> bool:
    if "://" not in path:
        return os.path.isdir(path)
    filesystem, inner = _filesystem(path)
    return bool(filesystem.isdir(inner))


def _wanted(name: str, suffixes: tuple[str, ...]) -> bool:
    lower = name.lower()
    for packed in PACKED:
        lower = lower.removesuffix(packed)
    return lower.endswith(suffixes) and not any(part.startswith((".", "_")) for part in name.split("/"))


def _local_files(root: str, rest: str) -> tuple[InputFile, ...] | None:
    if not os.path.isdir(root):
        return None
    paths = _walk(root) if not rest else [Path(root, rest)] if is_there(f"{root}/{rest}") else glob(root, rest)
    try:
        return tuple(_local_file(path, root) for path in paths if path.is_file() or _leads_nowhere(path))
    except PermissionError as error:  # a folder whose files have names and nothing else
        refuse(error)


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _walk(root: str) -> Iterator[Path]:
    """Files of a folder and, behind links, of other folders; a folder that was met already is not read again."""
    met: set[str] = set()
    waiting = [root]
    while waiting:
        for folder, folders, names in os.walk(waiting.pop(0), onerror=refuse):
            if (place := os.path.realpath(folder)) in met:
                folders.clear()
                continue
            met.add(place)
            folders.sort()  # so that the same name of a folder that has two is met first everywhere
            waiting += [path for name in folders if os.path.islink(path := os.path.join(folder, name))]
            yield from (Path(folder, name) for name in names)


def _local_file(path: Path, root: str) -> InputFile:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode(errors="backslashreplace").decode()
        raise InputError("the file's name is not UTF-8", file=shown, hint="rename the file") from None
    if _leads_nowhere(path):
        return InputFile(name, str(path), -1, "")
    state = path.stat()
    return InputFile(name, str(path), state.st_size, str(state.st_mtime_ns))


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        filesystem, inner = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        kind = "install the package for it" if isinstance(error, ImportError) else "check the URL"
        raise InputError(f"no file system for {url.split('://')[0]}://", file=url, hint=kind) from None
    return filesystem, inner


def _remote_files(root: str, rest: str) -> tuple[InputFile, ...] | None:
    filesystem, base = _filesystem(root)
    try:
        if rest and not has_magic(rest):
            found = {base.rstrip("/") + "/" + rest: filesystem.info(base.rstrip("/") + "/" + rest)}
        elif rest:
            found = filesystem.glob(base.rstrip("/") + "/" + rest, detail=True)
        else:
            found = filesystem.find(base, detail=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"listing failed: {type(error).__name__}", file=root, hint="check the address") from None
    return tuple(_remote_file(path, base, root, info) for path, info in found.items() if info["type"] == "file")


def _remote_file(path: str, base: str, root: str, info: dict[str, Any]) -> InputFile:
    name = PurePosixPath(path).relative_to(base.rstrip("/") or "/").as_posix()
    changed = str(info.get("ETag") or info.get("mtime") or info.get("created") or "")
    return InputFile(name, f"{root.rstrip('/')}/{name}", int(info["size"] or 0), changed)


def location_of(path: str, name: str) -> str:
    """Where the file called `name` of the source with this path lies."""
    return f"{split_root(path)[0].rstrip('/')}/{name}"


def open_raw(location: str) -> BinaryIO:
    """The file's bytes. Reading them raises PartialError where the disk or the network fails."""
    name = location.rsplit("/", 1)[-1]
    try:
        if "://" not in location:
            return _Raw(open(location, "rb"), name)  # type: ignore[return-value]
        filesystem, inner = _filesystem(location)
        return _Raw(filesystem.open(inner, "rb"), name)  # type: ignore[return-value]
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise InputError(f"cannot be opened: {what}", file=name, hint="check the file") from None


class _Raw:
    """Tells a medium that failed, which passes, from bytes that are damaged, which stay so and are put on record."""

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name = file, name
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        return self._tried(self._file.read, size)  # type: ignore[no-any-return]

    def readinto(self, buffer: Any) -> int:
        return self._tried(self._file.readinto, buffer)  # type: ignore[no-any-return]

    def _tried(self, read: Callable[[Any], Any], argument: Any) -> Any:
        try:
            return read(argument)
        except OSError as error:
            what = f"reading failed: {error.strerror or type(error).__name__}"
            raise PartialError(what, file=self._name, hint="check the disk or the network and run again") from error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    def __enter__(self) -> _Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
