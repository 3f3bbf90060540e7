"""Verification of a published version: every byte, every count, the ledger, the tokenizer, the splits, and that it
loads.

`checksums.sha256` and `dataset_manifest.json` vouch for each other and for all other files, so a changed, missing or
added byte anywhere in the folder is found. Reading happens with page checksums on and in batches: memory stays flat but
for the ids of the held-out rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataforge.commit import file_sha256
from dataforge.errors import VerifyError
from dataforge.first_rows import columns_found
from dataforge.version_bytes import CHECKSUMS, MANIFEST, check_bytes, differs, not_a_version, read_manifest, refuse_wildcards
from dataforge.version_splits import check_splits


def verify(out: Path) -> dict[str, Any]:
    """What was checked and counted. Raises VerifyError (exit 7) naming the first thing that is off and how many more.

    The error's `problems` holds them all. Raises InputError when `out` is no published version, ConfigError when its path
    is one that `datasets` misreads.
    """
    out = Path(out)
    if not out.is_dir() or not ((out / MANIFEST).exists() or (out / CHECKSUMS).exists()):
        raise not_a_version(out)
    refuse_wildcards(out, "move or rename the folder: it would not load from here")
    problems = check_bytes(out)
    if not problems:  # what does not have its bytes is not worth reading
        manifest = read_manifest(out)
        problems = [
            *_check_rows(out, manifest),
            *check_ledger(manifest["ledger"]),
            *_check_tokenizer(out, manifest),
            *check_splits(out, manifest),
        ]
        problems = problems or _check_loads(out, manifest)
    if problems:
        raise _summed(problems)
    return _report(manifest)


def _summed(problems: list[VerifyError]) -> VerifyError:
    first, more = problems[0], len(problems) - 1
    what = first.what + (f" (and {more} more)" if more else "")
    hint = first.hint or "delete this version's folder and run again"
    error = VerifyError(what, file=first.file, key=first.key, hint=hint)
    error.problems = problems  # type: ignore[attr-defined]
    return error


def _report(manifest: Mapping[str, Any]) -> dict[str, Any]:
    rows: dict[str, dict[str, int]] = {}
    for entry in manifest["configs"]:
        rows.setdefault(entry["config"], {})[entry["split"]] = entry["rows"]
    return {
        "name": manifest["name"],
        "version": manifest["version"],
        "files": len(manifest["files"]) + 2,
        "size_bytes": sum(f["size_bytes"] for f in manifest["files"]),
        "rows": rows,
        "checked": [
            "sha256",
            "file set",
            "rows",
            "schemas",
            "page checksums",
            "ledger",
            "tokenizer",
            "splits",
            "loads",
        ],
    }


# --- rows -------------------------------------------------------------------------------------------------------------


def _check_rows(out: Path, manifest: Mapping[str, Any]) -> list[VerifyError]:
    """Reads every row of every file: counts, columns, types, UTF-8, shapes of token rows."""
    problems: list[VerifyError] = []
    for entry in manifest["configs"]:
        columns = [(c["name"], c["type"]) for c in entry["columns"]]
        total = 0
        for file in entry["files"]:
            try:
                rows = _read_all(out / file["path"], columns, entry["config"])
            except (VerifyError, pa.ArrowException, OSError) as error:
                what = error.what if isinstance(error, VerifyError) else f"does not read: {type(error).__name__}"
                problems.append(VerifyError(what, file=str(out / file["path"])))
                continue
            total += rows
            if rows != file["rows"]:
                problems.append(
                    VerifyError(f"{file['rows']} rows expected, {rows} found", file=str(out / file["path"]))
                )
        if not problems and total != entry["rows"]:
            key = f"{entry['config']}/{entry['split']}"
            problems.append(VerifyError(f"{entry['rows']} rows expected, {total} found", file=str(out), key=key))
    return problems + _check_parents(out, manifest)


def _read_all(path: Path, columns: list[tuple[str, str]], config: str) -> int:
    rows = 0
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        found = [(f.name, str(f.type)) for f in file.schema_arrow]
        if [name for name, _ in found] != [name for name, _ in columns]:
            raise VerifyError(f"columns {[c for c, _ in columns]} expected, {[c for c, _ in found]} found")
        if (wrong := [(f, c) for f, c in zip(found, columns) if _type(f[1]) != _type(c[1])]) and wrong:
            raise VerifyError(f"type {wrong[0][1][1]} expected, {wrong[0][0][1]} found", key=wrong[0][0][0])
        for batch in file.iter_batches(batch_size=16_384, use_threads=False):
            batch.validate(full=True)
            _check_shapes(batch, config)
            rows += batch.num_rows
    return rows


def _type(name: str) -> str:
    return name.replace("element: ", "item: ")


def _check_shapes(batch: pa.RecordBatch, config: str) -> None:
    """Token rows: labels, positions and mask as long as the ids; the lengths of a packed row add up to it."""
    if "input_ids" not in batch.schema.names:
        return
    length = pc.list_value_length(batch.column("input_ids"))
    for name in ("labels", "position_ids", "attention_mask"):
        if name in batch.schema.names and not pc.list_value_length(batch.column(name)).equals(length):
            raise VerifyError(f"column '{name}' is not as long as 'input_ids'", key=name)
    if "seq_lengths" not in batch.schema.names:
        return
    lengths = batch.column("seq_lengths")
    ends = np.concatenate([[0], np.cumsum(lengths.values.to_numpy())])
    offsets = lengths.offsets.to_numpy()
    if not np.array_equal(ends[offsets[1:]] - ends[offsets[:-1]], length.to_numpy()):
        raise VerifyError("the sequence lengths of a row do not add up to its tokens", key="seq_lengths")
    if not pc.list_value_length(batch.column("parents")).equals(pc.list_value_length(lengths)):
        raise VerifyError("a row has not one parent for each sequence", key="parents")
    if config.startswith("packed-") and (pc.max(length).as_py() or 0) > int(config.removeprefix("packed-")):
        raise VerifyError(f"a row is longer than {config.removeprefix('packed-')} tokens", key="input_ids")


def _check_parents(out: Path, manifest: Mapping[str, Any]) -> list[VerifyError]:
    """As many rows published as the store's Tables held."""
    problems = []
    for config, parents in manifest["parents"].items():
        expected = sum(parent["rows"] for parent in parents)
        found = sum(entry["rows"] for entry in manifest["configs"] if entry["config"] == config)
        if expected != found:
            problems.append(VerifyError(f"{expected} rows in its tables, {found} published", file=str(out), key=config))
    return problems


def check_ledger(ledger: Sequence[Mapping[str, Any]]) -> list[VerifyError]:
    """in = kept + dropped + quarantined for every step that led here."""
    problems = []
    for entry in ledger:
        accounted = entry["kept"] + sum(entry["dropped"].values()) + entry["quarantined"]
        if entry["in"] != accounted:
            what = f"the ledger does not close: {entry['in']} rows in, {accounted} accounted for"
            problems.append(VerifyError(what, file=MANIFEST, key=entry["step"]))
    return problems


def _check_tokenizer(out: Path, manifest: Mapping[str, Any]) -> list[VerifyError]:
    """The token rows, the manifest and the tokenizer folder name one and the same tokenizer."""
    expected = manifest["tokenizer_sha256"]
    problems = []
    if expected is not None:
        models = [out / "tokenizer" / "tokenizer.json", *sorted((out / "tokenizer").glob("*.model"))]
        model = next((path for path in models if path.exists()), None)
        found = file_sha256(model) if model else "no file"
        if found != expected:
            problems.append(differs(out, "tokenizer", expected, found))
    for entry in manifest["configs"]:
        if "tokens" not in entry:
            continue
        for file in entry["files"]:
            metadata = pq.read_schema(out / file["path"]).metadata or {}
            found = metadata.get(b"dataforge.tokenizer_sha256", b"none").decode()
            if found != expected:
                problems.append(VerifyError(f"tokenizer sha256 expected {expected}, found {found}", file=file["path"]))
    return problems


# --- loads ------------------------------------------------------------------------------------------------------------


def _check_loads(out: Path, manifest: Mapping[str, Any]) -> list[VerifyError]:
    """Every config and split gives its first row through `datasets`, with its columns; skipped where it is missing."""
    places = [(entry["config"], entry["split"]) for entry in manifest["configs"]]
    problems = []
    for entry, columns in zip(manifest["configs"], columns_found(out, places) or [], strict=False):
        key = f"{entry['config']}/{entry['split']}"
        expected = [c["name"] for c in entry["columns"]]
        if isinstance(columns, str):
            problems.append(VerifyError(f"does not load: {columns}", file=str(out), key=key))
        elif columns != expected:
            problems.append(VerifyError(f"loads with columns {columns}, {expected} expected", file=str(out), key=key))
    return problems
