"""Loading of a published version as a `datasets` object, after its checksums held. Nobody has to use it:
`datasets.load_dataset(folder)` reads the same rows without the checks.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataforge.commit import file_sha256
from dataforge.errors import ConfigError, VerifyError
from dataforge.version_bytes import not_a_version, read_manifest, refuse_wildcards


def load(
    path: str | Path,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    verify: bool = True,
) -> Any:
    """Rows of one config; without `split` a dict of all splits.

    With `rank` and `world_size` each rank gets its share: whole shards when their number divides, as it does for 1,
    2, 4 and 8 ranks of a large split. `verify` compares the sha256 of the files of this config and of the tokenizer
    first. Raises InputError for a folder that is no published version, ConfigError for an unknown config or split or
    a path that `datasets` misreads, VerifyError.
    """
    folder = Path(path)
    if not (folder / "dataset_manifest.json").is_file():
        raise not_a_version(folder)
    refuse_wildcards(folder, "move or rename the folder")
    _check_ranks(rank, world_size, split)
    manifest = read_manifest(folder)
    config = _known("config", config or manifest["default"], [e["config"] for e in manifest["configs"]])
    entries = [e for e in manifest["configs"] if e["config"] == config]
    if split is not None:
        _known("split", split.split("[")[0], [e["split"] for e in entries])
    if verify:
        _check_files(folder, manifest, entries)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a local folder needs no look-up outside
    import datasets

    rows = datasets.load_dataset(str(folder.absolute()), config, split=split, streaming=streaming)
    if world_size is None:
        return rows
    from datasets.distributed import split_dataset_by_node

    return split_dataset_by_node(rows, rank=rank, world_size=world_size)


def _check_ranks(rank: int | None, world_size: int | None, split: str | None) -> None:
    if (rank is None) != (world_size is None):
        raise ConfigError("give rank and world_size together", key="rank")
    if rank is None or world_size is None:
        return
    if not 0 <= rank < world_size:
        raise ConfigError(f"rank {rank} is not below world_size {world_size}", key="rank")
    if split is None:
        raise ConfigError("ranks share one split", key="split", hint="name it: split='train'")


def _known(kind: str, name: str, names: Sequence[str]) -> str:
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(dict.fromkeys(names))}"
        raise ConfigError(f"there is no {kind} '{name}'", key=kind, hint=hint)
    return name


def _check_files(folder: Path, manifest: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> None:
    """sha256 of this config's files, and of the tokenizer where the rows are tokens. No file may lie beside them."""
    listed = {f["path"]: f["sha256"] for f in manifest["files"]}
    names = [f["path"] for entry in entries for f in entry["files"]] + ["README.md"]
    if any("tokens" in entry for entry in entries):
        names += [name for name in listed if name.startswith("tokenizer/")]
    for name in names:
        found = file_sha256(folder / name) if (folder / name).is_file() else "no file"
        if found != listed[name]:
            raise VerifyError(f"sha256 expected {listed[name]}, found {found}", file=str(folder / name))
    config = str(entries[0]["config"])
    strangers = sorted({f"{config}/{p.name}" for p in (folder / config).iterdir()} - listed.keys())
    if strangers:
        raise VerifyError("added: no manifest lists it", file=str(folder / strangers[0]), hint="remove it")
