"""A Table is an immutable folder of Parquet parts and a `manifest.json` that is written last.

    {store}/{step name}/{id[:12]}/data/part-00000.parquet     rows, sorted by id, hash-partitioned by id
                                  dropped/ quarantine/        rows left out, with reasons
                                  files/                      what a Fold wrote, for example a tokenizer
                                  records/part-00000.json     sha256 and row account of a finished part
                                  manifest.json               all of the above; no manifest, no Table

Readers open parts by manifest only, never by listing the folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.commit import file_sha256, fsync_folder, write_json
from dataforge.errors import VerifyError, VersionError
from dataforge.part import Account, part_name, read_groups

FORMAT = 1
REQUIRED = {"step", "id", "operator", "version", "contract", "inputs", "parts", "files", "schema", "seal"}


@dataclass(frozen=True)
class Table:
    """An opened Table. `path` is its folder; `manifest` the parsed document."""

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Table | None:
        """The Table in a folder, or None if it has no manifest. Raises VersionError for a manifest of another format."""
        try:
            manifest = json.loads((path / "manifest.json").read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise VerifyError(
                "the manifest is not JSON", file=str(path / "manifest.json"), hint="delete the folder and run again"
            ) from error
        if isinstance(manifest, dict) and manifest.get("format") == FORMAT and not manifest.keys() >= REQUIRED:
            what = f"the manifest lacks {', '.join(sorted(REQUIRED - manifest.keys()))}"
            raise VerifyError(what, file=str(path / "manifest.json"), hint="delete the folder and run again")
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
            raise VersionError(
                f"manifest format {found}, expected {FORMAT}",
                file=str(path / "manifest.json"),
                hint="use another store, or the version of dataforge that wrote it",
            )
        if manifest["seal"] != _seal(manifest):
            what = "the manifest is not the one that was written: its seal differs"
            raise VerifyError(what, file=str(path / "manifest.json"), hint="delete the folder and run again")
        return cls(path, manifest)

    @property
    def id(self) -> str:
        return str(self.manifest["id"])

    @property
    def step(self) -> str:
        return str(self.manifest["step"])

    @property
    def n_parts(self) -> int:
        return len(self.manifest["parts"])

    @cached_property
    def schema(self) -> pa.Schema:
        """Schema of the rows; empty for a Fold that wrote files."""
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.manifest["schema"])))

    @cached_property
    def account(self) -> Account:
        """Sum of the parts' row accounts."""
        total = Account()
        for record in self.manifest["parts"]:
            total = total.add(Account(**record["account"]))
        return total

    @property
    def rows(self) -> int:
        return self.account.rows_out

    @property
    def size_bytes(self) -> int:
        return sum(f["size_bytes"] for record in self.manifest["parts"] for f in record["files"].values())

    @property
    def bad_files(self) -> list[dict[str, Any]]:
        return [bad for record in self.manifest["parts"] for bad in record["bad_files"]]

    @property
    def is_files(self) -> bool:
        """True for a Fold that wrote files instead of rows."""
        return bool(self.manifest["files"])

    @property
    def files(self) -> Path:
        """Folder of the files that a Fold wrote."""
        return self.path / "files"

    def checked_files(self) -> Path:
        """The folder of the files, after comparing each with its sha256; raises VerifyError for one that differs."""
        for entry in self.manifest["files"]:
            _same(self.files / entry["path"], entry["sha256"])
        return self.files

    def read(self, part: int, columns: Sequence[str] | None = None, *, kind: str = "data") -> Iterator[pa.RecordBatch]:
        """The row groups of a part, in order, one RecordBatch each; `kind` is data, dropped or quarantine."""
        entry = self.manifest["parts"][part]["files"].get(kind)
        if entry is not None:
            yield from read_groups(self.path / kind / part_name(part), columns, sha256=entry["sha256"])

    def to_table(self, columns: Sequence[str] | None = None, *, kind: str = "data") -> pa.Table:
        """All rows in memory: for small tables and tests."""
        batches = [batch for part in range(self.n_parts) for batch in self.read(part, columns, kind=kind)]
        if batches:
            return pa.Table.from_batches(batches)
        if kind != "data":
            return pa.table({})
        names = self.schema.names if columns is None else list(columns)
        return pa.schema([self.schema.field(name) for name in names]).empty_table()

    def verify(self) -> None:
        """Compares every file with its sha256; raises VerifyError naming the first that differs."""
        for record in self.manifest["parts"]:
            for kind, entry in record["files"].items():
                _same(self.path / kind / part_name(record["part"]), entry["sha256"])
        for entry in self.manifest["files"]:
            _same(self.files / entry["path"], entry["sha256"])


def _same(path: Path, sha256: str) -> None:
    found = file_sha256(path) if path.exists() else "no file"
    if found != sha256:
        raise VerifyError(
            f"sha256 expected {sha256}, found {found}", file=str(path), hint="delete the table's folder and run again"
        )


def _seal(manifest: dict[str, Any]) -> str:
    """sha256 of a manifest's content without its seal: a part lost from a list closes every other sum."""
    content = {key: value for key, value in manifest.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def list_files(folder: Path) -> list[dict[str, Any]]:
    """Relative path, sha256 and size of every file below a folder, sorted."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and ".tmp" not in p.parts)
    return [
        {"path": str(p.relative_to(folder)), "sha256": file_sha256(p), "size_bytes": p.stat().st_size} for p in paths
    ]


def write_manifest(path: Path, manifest: dict[str, Any], schema: pa.Schema) -> Table:
    """Commits the manifest of a Table whose parts and files are all in place."""
    encoded = base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode()
    document = {"format": FORMAT, **manifest, "schema": encoded, "columns": [str(f) for f in schema]}
    document = json.loads(json.dumps(document))  # as a reader will see it
    document["seal"] = _seal(document)
    fsync_folder(path)  # the names of `data` and `records`: a manifest must not outlast what it lists
    write_json(path / "manifest.json", document, replace_step="replace_manifest", fsync_step="fsync_manifest")
    table = Table.open(path)
    if table is None:
        raise VerifyError("the manifest vanished", file=str(path))
    return table
