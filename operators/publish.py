"""Publishing: store Tables → `<out>/<name>/<version>/`, a folder that `datasets.load_dataset` reads and `verify`
proves.

Two passes over the rows of each config: one counts (rows and bytes decide the shards), one writes. Memory holds a row
group per split. The folder is built under a temporary name beside its place, fsynced and appears by one rename. It
holds no time, engine, device, host or path, so equal Tables and parameters give equal bytes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.commit import disk_error, file_sha256, fsync_folder, reach
from dataforge.errors import AccountError, ConfigError, InputError, VerifyError
from dataforge.identity import digest_of
from dataforge.operators import published_documents
from dataforge.operators.published import (
    CLASSES,
    SPLITS,
    columns_read,
    default_config,
    in_card_order,
    kind_of,
    published_rows,
    published_schema,
)
from dataforge.operators.shards import ShardWriter, Written, durable, row_weights, shard_count
from dataforge.schemas.act import ACTS
from dataforge.table import Table

MANIFEST, CHECKSUMS, FORMAT = "dataset_manifest.json", "checksums.sha256", 1


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


@dataclass
class Tally:
    """What one split of one config holds."""

    rows: int = 0
    size_bytes: int = 0  # of the plain rows in memory
    tokens: int = 0
    trained: int = 0  # tokens that bear loss
    sequences: int = 0  # of packed rows

    def add(self, rows: pa.Table) -> None:
        self.rows += rows.num_rows
        self.size_bytes += int(row_weights(rows).sum())
        names = rows.column_names
        if "input_ids" in names:
            self.tokens += _elements(rows["input_ids"])
            self.trained += pc.sum(pc.not_equal(pc.list_flatten(rows["labels"]), -100)).as_py() or 0
        if "seq_lengths" in names:
            self.sequences += _elements(rows["seq_lengths"])


def _elements(column: pa.ChunkedArray) -> int:
    return pc.sum(pc.list_value_length(column)).as_py() or 0


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
    for one that is damaged, PartialError when the disk refuses.
    """
    check_names(spec.name, version)
    check_out(out)
    final = out / spec.name / version
    build = {name: [table.id for table in tables] for name, tables in configs.items()}
    digest = digest_of({"spec": spec, "parents": build, "facts": dict(facts), "tokenizer": tokenizer_sha256(tokenizer)})
    if final.exists():
        _check_same(final, digest)
        fsync_folder(final.parent, step="fsync_root")
        return final
    temporary = final.parent / f".{version}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        reach("build_version")
        temporary.mkdir(parents=True)
        _build(temporary, spec, configs, tokenizer, version, dict(facts), digest, each)
        _fsync_tree(temporary)
        reach("rename_version")
        os.replace(temporary, final)
        fsync_folder(final.parent, step="fsync_root")
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise disk_error(error, final) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return final


# --- names and places -------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_SPLIT_WORDS = {"train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation"}


def check_names(name: str, version: str) -> None:
    """Raises ConfigError for names that are no plain folder name or hold a word that loaders take for a split."""
    for key, value in (("name", name), ("version", version)):
        if not _NAME.fullmatch(value) or ".." in value:
            raise ConfigError(
                "must be 1 to 96 letters, digits, dots, hyphens and underscores, a letter or digit first", key=key
            )
        words = {word for word in re.split(r"[^a-z]+", value.lower()) if word}
        if words & _SPLIT_WORDS:
            word = sorted(words & _SPLIT_WORDS)[0]
            raise ConfigError(f"holds '{word}', which loaders read as the name of a split", key=key, hint="rename it")


def check_out(out: Path) -> None:
    """Raises ConfigError if the output folder is a link, a file or not writable. Makes it where it is missing."""
    if out.is_symlink():
        raise ConfigError("the output folder is a symbolic link", file=str(out), hint="name the real folder in `out:`")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        what = f"the output folder is not usable: {error.strerror}"
        raise ConfigError(what, file=str(out), hint="set `out:` to a folder you can write") from error


def tokenizer_sha256(folder: Path | None) -> str | None:
    """sha256 of `tokenizer.json`, or of the SentencePiece model where there is none: what decides the ids."""
    if folder is None:
        return None
    models = [folder / "tokenizer.json", *sorted(folder.glob("*.model"))]
    model = next((path for path in models if path.is_file()), None)
    if model is None:
        raise InputError("the folder holds no tokenizer.json and no .model", file=str(folder))
    return file_sha256(model)


def _check_same(final: Path, digest: str) -> None:
    from dataforge.verify import check_bytes, read_manifest

    if read_manifest(final).get("build") != digest:
        raise ConfigError(
            f"version {final.name} exists with other content",
            file=str(final),
            key="version",
            hint="choose another version, or `version: auto`",
        )
    problems = check_bytes(final)
    if problems:
        raise VerifyError(problems[0].what, file=problems[0].file, hint="delete that version's folder and run again")


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
        raise InputError(
            "no config has any row: there is nothing to publish", hint="see the funnel for where they went"
        )
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


def write_config(
    root: Path,
    spec: Publish,
    config: str,
    tables: Sequence[Table],
    token: str | None,
    each: Callable[[str, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Writes one config and returns an entry per split that has rows, in the order train, validation, test."""
    tables = [table for table in tables if table.rows]
    if not tables:
        return []
    metadata = {}
    if kind_of(config) in ("tokenized", "packed"):
        if token is None:
            raise InputError(f"config '{config}' needs the tokenizer that made it")
        metadata = {"dataforge.tokenizer_sha256": token}
    classes = _classes(tables) if config == "annotations" else ()
    schema = published_schema(config, tables[0].schema, metadata=metadata, classes=classes)
    tallies = _count(config, tables, schema)
    writers = {
        split: ShardWriter(
            root,
            config,
            split,
            tally.rows,
            shard_count(tally.rows, tally.size_bytes, spec.shard_bytes),
            schema,
            group_bytes=spec.row_group_bytes,
            cdc=spec.content_defined_chunking,
        )
        for split, tally in tallies.items()
        if tally.rows
    }
    try:
        for split, rows in _split_rows(tables, schema):
            writers[split].write(rows)
            if each is not None:
                each(config, rows.num_rows)
    finally:
        for writer in writers.values():
            writer.abort()
    columns = [{"name": f.name, "type": str(f.type)} for f in schema]
    return [_entry(config, split, tallies[split], columns, writer.written) for split, writer in writers.items()]


def _classes(tables: Sequence[Table]) -> list[str]:
    """Columns whose values are all speech acts: where people judged dropped rows, `label` holds other words."""
    found = []
    for name in CLASSES:
        if name in tables[0].schema.names:
            values = (batch.column(0) for t in tables for part in range(t.n_parts) for batch in t.read(part, [name]))
            if all(set(v.unique().drop_null().to_pylist()) <= set(ACTS) for v in values):
                found.append(name)
    return found


def _count(config: str, tables: Sequence[Table], schema: pa.Schema) -> dict[str, Tally]:
    """Rows, bytes and tokens per split. Every row of the Tables must belong to one of the three splits."""
    tallies = {split: Tally() for split in SPLITS}
    for split, rows in _split_rows(tables, schema):
        tallies[split].add(rows)
    counted, expected = sum(t.rows for t in tallies.values()), sum(t.rows for t in tables)
    if counted != expected:
        raise AccountError(f"config '{config}': {expected} rows, {counted} of them in {', '.join(SPLITS)}")
    return tallies


def _split_rows(tables: Sequence[Table], schema: pa.Schema) -> Any:
    """(split, published rows) over all row groups of all parts, in order."""
    for table in tables:
        columns = columns_read(schema, table.schema)
        for part in range(table.n_parts):
            for batch in table.read(part, columns):
                rows, place = published_rows(batch, schema), batch.column("split")
                for split in SPLITS:
                    chosen = rows.filter(pc.equal(place, split))
                    if chosen.num_rows:
                        yield split, chosen


def _entry(
    config: str, split: str, tally: Tally, columns: list[dict[str, str]], files: list[Written]
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "config": config,
        "split": split,
        "rows": tally.rows,
        "bytes_in_memory": tally.size_bytes,
        "bytes": sum(f.size_bytes for f in files),
        "files": [{"path": f.path, "sha256": f.sha256, "size_bytes": f.size_bytes, "rows": f.rows} for f in files],
        "columns": columns,
    }
    if kind_of(config) in ("tokenized", "packed"):
        entry |= {"tokens": tally.tokens, "tokens_trained": tally.trained}
    if kind_of(config) == "packed":
        length = int(config.removeprefix("packed-"))
        entry |= {"sequences": tally.sequences, "fill_rate": round(tally.tokens / (tally.rows * length), 6)}
    return entry


def _copy_tree(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and ".tmp" not in path.parts:
            with durable(target / path.relative_to(source)) as file, open(path, "rb") as raw:
                while piece := raw.read(1 << 20):
                    file.write(piece)
