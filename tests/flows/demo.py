"""The bundled demo in a folder of its own: what tests of whole runs start from."""

from __future__ import annotations

import shutil
from pathlib import Path

DEMO = Path(__file__).parent.parent.parent / "configs" / "demo"


def copy_demo(folder: Path, **changes: str) -> Path:
    """The demo's files in `folder`, store and out beside them; `changes` replaces whole lines by section name."""
    shutil.copytree(DEMO, folder)
    config = folder / "dataforge.yaml"
    lines = []
    for line in config.read_text().splitlines():
        key = line.partition(":")[0]
        line = line.replace("../../build/demo/", "")
        lines.append(f"{key}: {changes.pop(key)}" if key in changes else line)
    lines += [f"{key}: {value}" for key, value in changes.items()]
    config.write_text("\n".join(lines) + "\n")
    return config


def small_config(folder: Path, rows: list[bytes], **changes: str) -> Path:
    """A config over one JSONL file of raw lines."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "in.jsonl").write_bytes(b"".join(row + b"\n" for row in rows))
    sections = {
        "name": "small",
        "sources": "[{name: s, kind: jsonl, path: in.jsonl, key: id}]",
        "tokenizer": "{kind: bpe, vocab_size: 400}",
        "pack": "{sequence_length: 64}",
        **changes,
    }
    config = folder / "dataforge.yaml"
    config.write_text("".join(f"{key}: {value}\n" for key, value in sections.items()))
    return config
