"""The bytes of a published version: its manifest, its checksums, and every file compared with both.

`checksums.sha256` and `dataset_manifest.json` vouch for each other and for all other files, so a changed, missing or
added byte anywhere in the folder is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from glob import has_magic
from pathlib import Path
from typing import Any

from dataforge.commit import file_sha256
from dataforge.errors import ConfigError, DataforgeError, InputError, VerifyError, VersionError, escape

MANIFEST, CHECKSUMS, FORMAT = "dataset_manifest.json", "checksums.sha256", 1


def not_a_version(folder: Path) -> InputError:
    """The error for a folder that is none; where it holds versions, the hint names some."""
    manifests = (path for depth in ("*/", "*/*/") for path in folder.glob(depth + MANIFEST))
    versions = sorted(str(p.parent.relative_to(folder)) for p in manifests if not p.parent.name.startswith("."))
    hint = f"name a version in it: {', '.join(versions[:3])}" if versions else "name the folder that holds README.md"
    return InputError("not a published version", file=str(folder), hint=hint)


def refuse_wildcards(folder: Path, hint: str) -> None:
    """Raises ConfigError for a path with `*`, `?` or `[`: `datasets` takes these for wildcards and finds no file."""
    if has_magic(str(folder.absolute())):
        raise ConfigError("the path holds `*`, `?` or `[`, which loaders take for wildcards", file=str(folder), hint=hint)


def read_manifest(out: Path) -> dict[str, Any]:
    """The parsed manifest. Raises VerifyError if it is missing or broken, VersionError if it is of another format."""
    path = out / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise VerifyError("missing", file=str(path)) from None
    except ValueError:
        raise VerifyError("is not JSON", file=str(path)) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise VersionError(f"manifest format {escape(found)}, expected {FORMAT}", file=str(path))
    return manifest


def check_bytes(out: Path) -> list[VerifyError]:
    """Compares every file with `checksums.sha256`, that with the manifest, and both with what lies in the folder."""
    try:
        stated = _read_checksums(out / CHECKSUMS)
    except VerifyError as error:
        return [error]
    found = {p.relative_to(out).as_posix(): p for p in sorted(out.rglob("*")) if not p.is_dir() or p.is_symlink()}
    actual = {n: "a link" if p.is_symlink() else file_sha256(p) for n, p in found.items() if n != CHECKSUMS}
    problems = [VerifyError("missing", file=str(out / name)) for name in sorted(stated.keys() - found.keys())]
    problems += [_added(out, name) for name in sorted(actual.keys() - stated.keys())]
    shared = sorted(stated.keys() & actual.keys())
    problems += [differs(out, n, stated[n], actual[n]) for n in shared if stated[n] != actual[n]]
    if problems and _manifest_agrees(out, actual) and {problem.file for problem in problems} != {str(out / MANIFEST)}:
        return [VerifyError("differs from the manifest and from the files, which agree", file=str(out / CHECKSUMS))]
    return problems or _compare_with_manifest(out, stated)


def _manifest_agrees(out: Path, actual: Mapping[str, str]) -> bool:
    """True if the manifest lists just the files that are there: then the list of checksums is what is off."""
    try:
        listed = {f["path"]: f["sha256"] for f in read_manifest(out)["files"]}
    except (DataforgeError, KeyError, TypeError):
        return False
    return listed == {name: sha256 for name, sha256 in actual.items() if name != MANIFEST}


def _compare_with_manifest(out: Path, stated: Mapping[str, str]) -> list[VerifyError]:
    try:
        manifest = read_manifest(out)
    except VerifyError as error:
        return [error]
    listed = {f["path"]: f["sha256"] for f in manifest["files"]}
    problems = [
        differs(out, name, listed.get(name, "not listed"), stated.get(name, "not listed"))
        for name in sorted(listed.keys() | (stated.keys() - {MANIFEST}))
        if listed.get(name) != stated.get(name)
    ]
    listed_rows = [f for entry in manifest["configs"] for f in entry["files"]]
    problems += [
        differs(out, f["path"], f["sha256"], listed.get(f["path"], ""))
        for f in listed_rows
        if listed.get(f["path"]) != f["sha256"]
    ]
    return problems


def _read_checksums(path: Path) -> dict[str, str]:
    """{path: sha256}. The file is a function of its content, so a doubled, unsorted or odd line is an error."""
    try:
        text = path.read_bytes().decode()
        stated = {line[66:]: line[:64] for line in text.splitlines()}
    except FileNotFoundError:
        raise VerifyError("missing", file=str(path)) from None
    except UnicodeDecodeError:
        raise VerifyError("is not UTF-8", file=str(path)) from None
    if text != "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(stated.items())):
        raise VerifyError("is not a sorted list of sha256 and path", file=str(path))
    return stated


def _added(out: Path, name: str) -> VerifyError:
    return VerifyError("added: no manifest lists it", file=str(out / name), hint="remove it")


def differs(out: Path, name: str, expected: str, actual: str) -> VerifyError:
    return VerifyError(f"sha256 expected {expected}, found {actual}", file=str(out / name))
