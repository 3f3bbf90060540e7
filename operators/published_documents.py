"""The papers beside the data: report, licence statement, Croissant, card, manifest, checksums; written in that order.

The manifest names every file with its sha256 but itself and the checksums; `checksums.sha256` names every file but
itself in the format of `sha256sum`. So no byte of the folder stands outside of both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.commit import file_sha256
from dataforge.operators.card import card_text
from dataforge.operators.shards import durable
from dataforge.version_bytes import CHECKSUMS, FORMAT, MANIFEST


def write_documents(root: Path, spec: Any, document: dict[str, Any], facts: Mapping[str, Any], digest: str) -> None:
    """`document` says what was written (configs with files, parents, splits); `facts` how it came about."""
    from dataforge.report import complete, html

    facts = complete(facts, document)
    write_text(root / "report.json", json_text(facts))
    write_text(root / "report.html", html(facts))
    write_text(root / "LICENSE", licence_text(spec.licence, facts))
    write_text(root / "croissant.json", json_text(croissant(spec, document)))
    write_text(root / "README.md", card_text(spec, document, facts))
    files = _files(root, {f["path"]: f for entry in document["configs"] for f in entry["files"]})
    write_text(root / MANIFEST, json_text(manifest(document, facts, files, digest)))
    own = {"path": MANIFEST, "sha256": file_sha256(root / MANIFEST)}
    write_text(root / CHECKSUMS, checksums_text([*files, own]))


def json_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def write_text(path: Path, text: str) -> None:
    with durable(path) as file:
        file.write(text.encode())


def checksums_text(files: list[dict[str, Any]]) -> str:
    """Lines that `sha256sum --check checksums.sha256` reads, sorted by path."""
    return "".join(f"{f['sha256']}  {f['path']}\n" for f in sorted(files, key=lambda f: str(f["path"])))


def _files(root: Path, known: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Path, sha256 and size of every file so far. Data files were hashed as they were written."""
    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = path.relative_to(root).as_posix()
        sha256 = str(known[name]["sha256"]) if name in known else file_sha256(path)
        found.append({"path": name, "sha256": sha256, "size_bytes": path.stat().st_size})
    return found


def manifest(document: dict[str, Any], facts: Mapping[str, Any], files: list[dict[str, Any]], digest: str) -> dict[str, Any]:
    """`dataset_manifest.json`: all that `verify` compares and all that a reader needs to trace a row back."""
    from dataforge import __version__

    return {
        "format": FORMAT,
        "name": document["name"],
        "version": document["version"],
        "build": digest,
        "default": document["default"],
        "configs": document["configs"],
        "files": files,
        "tokenizer_sha256": document["tokenizer_sha256"],
        "parents": document["parents"],
        "split": document["split"],
        "sources": facts.get("sources", []),
        "ledger": facts.get("ledger", []),
        "config": facts.get("config", {}),
        "versions": {"dataforge": __version__, "pyarrow": pa.__version__},
    }


def licence_text(licence: str, facts: Mapping[str, Any]) -> str:
    """A statement, not a licence of its own: what each source says of itself."""
    lines = [
        f"Licence of this dataset as stated by its maker: {licence}",
        "",
        "The rows come from the sources below and stay under the licence of their source.",
        "'not stated' means that the maker gave none: ask before you share such rows.",
        "",
    ]
    lines += [f"- {s['name']}: {s.get('licence') or 'not stated'}" for s in facts.get("sources", [])]
    return "\n".join(lines) + "\n"


def croissant(spec: Any, document: dict[str, Any]) -> dict[str, Any]:
    """Croissant 1.0 JSON-LD: a file set and a record set per config."""
    columns = {entry["config"]: entry["columns"] for entry in document["configs"]}
    folder = {
        "@type": "cr:FileObject",
        "@id": "folder",
        "name": "folder",
        "contentUrl": ".",
        "encodingFormat": "application/x-directory",
        "sha256": document["configs"][0]["files"][0]["sha256"],  # the format asks for one; a folder has none
    }
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": spec.name,
        "description": spec.description or f"Training data {spec.name}.",
        "version": document["version"],
        "license": spec.licence,
        "distribution": [folder, *map(_croissant_files, columns)],
        "recordSet": [_croissant_rows(config, fields) for config, fields in columns.items()],
    }


def _croissant_files(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"files-{config}",
        "name": f"files-{config}",
        "containedIn": {"@id": "folder"},
        "encodingFormat": "application/x-parquet",
        "includes": f"{config}/*.parquet",
    }


def _croissant_rows(config: str, columns: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    fields = [_croissant_field(config, column) for column in columns]
    return {"@type": "cr:RecordSet", "@id": config, "name": config, "field": fields}


def _croissant_field(config: str, column: Mapping[str, str]) -> dict[str, Any]:
    kind = "sc:Integer" if "int" in column["type"] else "sc:Float" if "float" in column["type"] else "sc:Text"
    field = {
        "@type": "cr:Field",
        "@id": f"{config}/{column['name']}",
        "name": column["name"],
        "dataType": kind,
        "source": {"fileSet": {"@id": f"files-{config}"}, "extract": {"column": column["name"]}},
    }
    return {**field, "repeated": True} if column["type"].startswith("list") else field


_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "includes": "cr:includes",
    "recordSet": "cr:recordSet",
    "repeated": "cr:repeated",
    "sc": "https://schema.org/",
    "source": "cr:source",
}
