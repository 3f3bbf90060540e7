"""Publishing: store Tables → `<out>/<name>/<version>/`, a folder that `datasets.load_dataset` reads and `verify`
proves.

Two passes over the rows of each config: one counts (rows and bytes decide the shards), one writes. Memory holds a row
group per split. The folder is built under a temporary name beside its place, fsynced and appears by one rename. It
holds no time, engine, device, host or path, so equal Tables and parameters give equal bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dataforge.commit import disk_error, fsync_folder, reach
from dataforge.errors import InputError
from dataforge.identity import digest_of
from dataforge.operators import published_documents
from dataforge.operators.published import default_config, in_card_order
from dataforge.operators.published_config import write_config
from dataforge.operators.published_place import check_names, check_out, check_same, only_publisher, tokenizer_sha256
from dataforge.operators.shards import durable
from dataforge.table import Table
from dataforge.verify import check_ledger


@dataclass(frozen=True)
class Publish:
    """Parameters of publishing. `version` "auto" means the first 12 digits of the publish step's id."""

    VERSION: ClassVar[int] = 1

    name: str
    version: str = "auto"
    splits: tuple[tuple[str, float], ...] = (("train", 0.98), ("validation", 0.02))
    salt: str = ""  # of the split; said in the manifest
    pretty_name: str = ""
    description: str = ""
    licence: str = "other"  # of the whole, as the card's YAML names it
    citation: str = ""
    arrow: bool = False  # also a `save_to_disk` copy per config under arrow/
    shard_bytes: int = 500_000_000
    row_group_bytes: int = 100_000_000
    content_defined_chunking: bool = False  # smaller uploads of changed versions to the Hub


def publish(
    spec: Publish,
    configs: Mapping[str, Sequence[Table]],
    *,
    tokenizer: Path | None,
    out: Path,
    version: str,
    facts: Mapping[str, Any],
    each: Callable[[str, int], None] | None = None,
) -> Path:
    """Writes the version and returns its folder; does nothing when it is already there and whole.

    `configs` maps a config name to the Tables whose rows feed it, one after another; each has a column `split`.
    `tokenizer` is the folder of a tokenizer, needed by `tokenized` and `packed-N`. `facts` are those of
    `dataforge.report.facts`. `each` is called with (config, rows) as rows are written.
    Raises ConfigError for a name that loaders would misread or a version that exists with other content, VerifyError
    for one that is damaged or a ledger that does not close, LockedError while another run publishes under this name,
    PartialError when the disk refuses.
    """
    check_names(spec.name, version)
    check_out(out, spec.name)
    if off := check_ledger(facts.get("ledger", ())):
        off[0].hint = "a table of the store was changed: delete that step's folder and run again"
        raise off[0]
    final = out / spec.name / version
    build = {name: [table.id for table in tables] for name, tables in configs.items()}
    digest = digest_of({"spec": spec, "parents": build, "facts": dict(facts), "tokenizer": tokenizer_sha256(tokenizer)})
    with only_publisher(final.parent):
        if final.exists():
            check_same(final, digest)
            fsync_folder(final.parent, step="fsync_root")
        else:
            _appear(final, lambda root: _build(root, spec, configs, tokenizer, version, dict(facts), digest, each))
    return final


def _appear(final: Path, write: Callable[[Path], None]) -> None:
    """Builds the folder under a temporary name beside its place, and renames it when it is whole and on disk."""
    temporary = final.parent / f".{final.name}.tmp"
    try:
        for left in final.parent.glob(".*.tmp"):  # of a publish that was killed, also of another version
            shutil.rmtree(left, ignore_errors=True)
        reach("build_version")
        temporary.mkdir(parents=True)
        write(temporary)
        _fsync_tree(temporary)
        reach("rename_version")
        os.replace(temporary, final)
        for folder in (final.parent, final.parent.parent):  # the latter may be new
            fsync_folder(folder, step="fsync_root")
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise disk_error(error, final) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _fsync_tree(root: Path) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        fsync_folder(Path(folder))


# --- the build --------------------------------------------------------------------------------------------------------


def _build(
    root: Path,
    spec: Publish,
    configs: Mapping[str, Sequence[Table]],
    tokenizer: Path | None,
    version: str,
    facts: dict[str, Any],
    digest: str,
    each: Callable[[str, int], None] | None,
) -> None:
    token = tokenizer_sha256(tokenizer)
    found: list[dict[str, Any]] = []
    for config in in_card_order(list(configs)):
        found += write_config(root, spec, config, configs[config], token, each)
    if not found:
        raise InputError("no config has any row: there is nothing to publish", hint="see the funnel for where they went")
    if spec.arrow:
        from dataforge.operators.arrow_copy import write_arrow

        write_arrow(root, found)
    if tokenizer is not None:
        _copy_tree(tokenizer, root / "tokenizer")
    document = {
        "name": spec.name,
        "version": version,
        "default": default_config([entry["config"] for entry in found]),
        "configs": found,
        "tokenizer_sha256": token,
        "parents": {
            name: [{"step": t.step, "id": t.id, "rows": t.rows} for t in tables] for name, tables in configs.items()
        },
        "split": {"salt": spec.salt, "shares": dict(spec.splits)},
    }
    published_documents.write_documents(root, spec, document, facts, digest)


def _copy_tree(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and ".tmp" not in path.parts:
            with durable(target / path.relative_to(source)) as file, open(path, "rb") as raw:
                while piece := raw.read(1 << 20):
                    file.write(piece)
