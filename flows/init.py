"""`dataforge init`: looks at inputs and writes a commented, runnable config. The same inputs give the same file.

Only the pseudonym key of a Slack export is random; it goes into a file of its own (mode 0600), never into the config.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataforge.errors import ConfigError
from dataforge.flows.config import load_config
from dataforge.flows.config_types import NAME, SPLIT_WORDS
from dataforge.operators.files_sniff import Sniffed, sniff

KEY_FILE = ".dataforge-key"


def write_config(folder: Path, inputs: Sequence[str], *, name: str = "") -> dict[str, Any]:
    """Writes DIR/dataforge.yaml for paths or URLs.

    Raises ConfigError if it is there already, InputError for an input nobody knows.
    """
    path = folder / "dataforge.yaml"
    if path.exists():
        raise ConfigError("is there already", file=str(path), hint="edit it, or name another folder")
    if not all(inputs):
        raise ConfigError("an input without a name", key="--input", hint="name a file, folder, glob or URL")
    found = [sniffed for place in inputs for sniffed in sniff(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot be made: {error.strerror}", file=str(folder), hint="name another folder") from None
    slack = any(sniffed.kind == "slack_export" for sniffed in found)
    notes = [_make_key(folder)] if slack else []
    title = name or clean_name(folder.absolute().name)
    sources = _sources(found, folder)
    notes += [f"note: {line.strip(' #')}" if "#" in line[:4] else f"reads {line.strip(' -')}" for line in sources]
    text = config_text(title, sources, slack=slack, vocabulary=vocabulary_of(found))
    path.write_text(text, encoding="utf-8")
    load_config(path)  # what init writes must be a config
    return {"config": str(path), "name": title, "sources": [s.kind for s in found], "notes": notes}


def clean_name(text: str) -> str:
    """A folder's name as a dataset's: "My data!" -> "My-data"."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64] or "dataset"
    return name if NAME.fullmatch(name) and name.lower() not in SPLIT_WORDS else f"{name}-data"


def _make_key(folder: Path) -> str:
    path = folder / KEY_FILE
    if path.exists():
        return f"kept {path}"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
    return f"wrote {path}: the key of the pseudonyms; keep it secret, and keep it to get the same pseudonyms again"


def _weight(sniffed: Sniffed) -> int:
    return sniffed.size_bytes * (4 if sniffed.path.endswith((".gz", ".zst", ".zip")) else 1)


def vocabulary_of(found: Sequence[Sniffed]) -> int:
    """A vocabulary that the text supports: about one token per 100 bytes, and where the first rows of all sources were
    looked at no more than bytes and different words; 512 to 32,000, a multiple of 256."""
    tokens = sum(map(_weight, found)) // 100
    words = [sniffed.words.expected(_weight(sniffed)) for sniffed in found if sniffed.words is not None]
    if len(words) == len(found):
        tokens = min(tokens, 256 + sum(words))
    return min(32_000, max(512, tokens // 256 * 256))


def _sources(found: list[Sniffed], folder: Path) -> list[str]:
    """A line of YAML per source, and before it comments on what was seen there and not chosen."""
    lines = []
    for sniffed, name in zip(found, _names(found), strict=True):
        settings = {"name": name, "kind": sniffed.kind, "path": _relative(sniffed.path, folder), **sniffed.settings}
        lines += [f"  # {name}: {note}" for note in sniffed.notes]
        lines.append("  - {" + ", ".join(f"{key}: {quoted(value)}" for key, value in settings.items()) + "}")
    return lines


def _names(found: list[Sniffed]) -> list[str]:
    """Names made from paths, kept apart by numbers. A Slack export is `slack`: its file's name holds the workspace's and
    the dates, and the next export must give the same rows the same ids."""
    names: list[str] = []
    for sniffed in found:
        stem = Path(re.sub(r"[*?\[].*", "", sniffed.path)).name.split(".")[0] or sniffed.kind
        base = "slack" if sniffed.kind == "slack_export" else clean_name(stem).lower()
        numbered = (base if count == 1 else f"{base}-{count}" for count in itertools.count(1))
        names.append(next(name for name in numbered if name not in names))
    return names


def _relative(path: str, folder: Path) -> str:
    """Relative to the config, so that both move together; an input outside of its parent, named absolutely, stays so."""
    if "://" in path or (os.path.isabs(path) and not Path(path).is_relative_to(folder.absolute().parent)):
        return path
    return os.path.relpath(os.path.abspath(path), folder.absolute())


def quoted(value: str) -> str:
    """A YAML scalar: plain where that is unmistakable, else in double quotes."""
    if re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", value) and value.lower() not in {
        "yes",
        "no",
        "true",
        "false",
        "null",
        "on",
        "off",
    }:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_HEAD = """\
# Every key: dataforge config schema. Every default: dataforge config show. Check: dataforge config check.
name: {name}
version: auto                     # a hash of everything that made the version
store: store                      # tables, review database, run reports
out: out                          # published versions
sources:                          # ids of rows hash the name of their source: keep it
{sources}
ingest:
  parts: auto
  max_bad_rows: 0                 # rows that cannot be read: one more ends the run; `dataforge quarantine` lists them
  max_bad_files: 0                # damaged files that may be left out whole
"""
_SLACK = """\
slack:
  key: file:{key}        # key of the pseudonyms; env:NAME works too
  private: false                  # private channels, DMs and group DMs are read only if switched on here
  dms: false
  group_dms: false
  opt_out_users: []               # ids of people whose messages must not be read
"""
_FILTERS = """\
quality: {preset: none}           # gopher, c4, fineweb, dclm: {preset: gopher, min_words: 40} changes a threshold
language: {keep: []}              # e.g. [en, de]; empty keeps all
dedupe: {exact: document, bands: [18, 7], threshold: 0.8, keep: [longest, smallest_id]}
pii: {action: mask}               # mask, pseudonym (needs key: env:NAME) or drop
"""
_LABELS = """\
review: {enabled: false, need: 2, size: 200}   # true: the run waits until people have labelled a sample
instruct: {template: book}        # book or alpaca
"""
_OUTPUT = """\
split: {{salt: dataforge}}
tokenizer: {{kind: bpe, vocab_size: {vocabulary}}}   # or {{path: tokenizer.json}}
pack: {{sequence_length: 2048}}
publish: {{splits: {{train: 0.98, validation: 0.02}}, arrow: false}}
"""


def config_text(name: str, sources: list[str], *, slack: bool, vocabulary: int) -> str:
    """The file. Comments say what people change first; everything else has defaults (`dataforge config show`)."""
    head = _HEAD.format(name=name, sources="\n".join(sources))
    talk = (_SLACK.format(key=KEY_FILE), _LABELS) if slack else ("", "")
    return head + talk[0] + _FILTERS + talk[1] + _OUTPUT.format(vocabulary=vocabulary)
