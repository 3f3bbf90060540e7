"""`dataforge doctor`: what is installed, what works here, and what to install for the rest. Touches no network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import locale
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

PARTS = {
    "flows": ("prefect", "fastapi", "sqlalchemy"),
    "beam": ("apache-beam",),
    "gpu": ("cupy-cuda13x",),
    "web": ("trafilatura", "lxml_html_clean", "resiliparse", "brotli"),
    "review": ("starlette", "uvicorn", "sqlalchemy", "argon2-cffi", "markdown-it-py"),
    "language": ("py3langid",),
    "ner": ("spacy", "presidio-analyzer"),
}
CORE = ("pyarrow", "numpy", "numba", "tokenizers", "sentencepiece", "gigatoken", "datasets", "pydantic", "typer")


def doctor_document() -> dict[str, Any]:
    """`{"schema", "python", "cores", "core": {package: version}, "extras", "device", "disk", "problems"}`."""
    extras = {extra: {name: _version(name) for name in names} for extra, names in PARTS.items()}
    return {
        "schema": 1,
        "dataforge": _version("dataforge"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "locale": locale.getlocale()[1] or "unknown",
        "core": {name: _version(name) for name in CORE},
        "extras": extras,
        "device": _device(),
        "disk_free_bytes": shutil.disk_usage(Path.cwd()).free,
        "problems": list(_problems(extras)),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> str:
    from dataforge.kernels.device import choose, why_no_cuda

    missing = why_no_cuda()
    device = choose("auto")
    return f"{device.kind} ({device.name})" + (f"; no GPU: {missing}" if missing is not None else "")


def _problems(extras: dict[str, dict[str, str | None]]) -> list[str]:
    found = []
    missing = [name for name in CORE if _version(name) is None]
    if missing:
        found.append(f"not installed: {', '.join(missing)}; pip install -c constraints.txt '.[all]'")
    fastapi = extras["flows"]["fastapi"]
    if fastapi is not None and tuple(int(n) for n in fastapi.split(".")[:2]) >= (0, 151):
        found.append(f"fastapi {fastapi} breaks Prefect 3.8: pip install 'fastapi<0.151'")
    alchemy = extras["flows"]["sqlalchemy"]
    if alchemy is not None and not alchemy.startswith("2.0."):
        found.append(f"sqlalchemy {alchemy} silently creates no scheduled Prefect runs: pip install 'sqlalchemy<2.1'")
    try:
        with tempfile.NamedTemporaryFile(dir=Path.cwd()):
            pass
    except OSError as error:
        found.append(f"this folder is not writable: {error.strerror}")
    return found


def doctor_text(document: dict[str, Any]) -> str:
    lines = [
        f"dataforge {document['dataforge']}, Python {document['python']}, {document['platform']}",
        f"cores {document['cores']}, disk {document['disk_free_bytes'] / 1e9:.0f} GB free, locale {document['locale']}",
        f"device: {document['device']}",
        "core:   " + ", ".join(f"{name} {version or 'MISSING'}" for name, version in document["core"].items()),
    ]
    for extra, packages in document["extras"].items():
        missing = [name for name, version in packages.items() if version is None]
        state = "ok" if not missing else f"not installed; pip install 'dataforge[{extra}]'"
        lines.append(f"extra {extra:<8} {state}")
    lines += [f"problem: {problem}" for problem in document["problems"]] or ["no problems"]
    return "\n".join(lines)
