"""A label set: what may be answered, which key says it, and what it means. Read from configs/labels/NAME.yaml.

A file is a list of {name, singular, key, letter, definition, examples}, or a mapping with name, version, question,
multi and that list as `labels`. Keys that clash with each other or with the page's own keys are refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dataforge.errors import ConfigError

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
PAGE_KEYS = {"0", "a", "x", "f", "u", "n", "i", "g", "/", "?", " "}  # actions of the item page
RESERVED_NAMES = {"unsure", "reject", "flag", "skip"}
KINDS = {"act": "speech_acts", "instruct": "instruct", "dropped": "dropped", "preference": "preference"}


@dataclass(frozen=True)
class Label:
    name: str  # stored
    singular: str  # shown
    key: str  # a digit
    letter: str
    definition: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelSet:
    name: str
    labels: tuple[Label, ...]
    question: str = ""
    version: str = ""
    multi: bool = False  # a second label may be given

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    def json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.json().encode()).hexdigest()

    def stored_name(self, word: str) -> str | None:
        """The stored name of a label given as it is stored or shown: "question" -> "questions"; None if unknown."""
        return next((x.name for x in self.labels if word in (x.name, x.singular)), None)


def label_set_from_json(text: str) -> LabelSet:
    value = json.loads(text)
    labels = tuple(Label(**{**x, "examples": tuple(x["examples"])}) for x in value.pop("labels"))
    return LabelSet(labels=labels, **value)


@lru_cache(maxsize=64)
def load_label_set(name: str) -> LabelSet:
    """`name`: a file of configs/labels without its ending, or the path of a YAML file."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else CONFIGS / "labels" / f"{name}.yaml"
    value = _read_yaml(path)
    head = {"labels": value} if isinstance(value, list) else value
    if not isinstance(head, dict) or not isinstance(head.get("labels"), list):
        raise ConfigError("a label set is a list of labels, or a mapping with `labels`", file=str(path))
    known = {"name", "labels", "question", "version", "multi"}
    label_set = LabelSet(
        name=str(head.get("name", path.stem)),
        labels=tuple(_label(entry, path, number) for number, entry in enumerate(head["labels"], 1)),
        question=str(head.get("question", "Which label fits?")),
        multi=bool(head.get("multi", False)),
        version=str(head.get("version", "")),
    )
    if unknown := set(head) - known - {"description", "licence", "source"}:
        raise ConfigError(f"unknown key {sorted(unknown)[0]!r}; known are {', '.join(sorted(known))}", file=str(path))
    _check(label_set, path)
    return label_set if label_set.version else _versioned(label_set)


def _read_yaml(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError("the label set cannot be read", file=str(path), key="review.label_set") from None
    except YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        raise ConfigError("not YAML", file=str(path), row=None if line is None else line + 1) from None


def _label(entry: Any, path: Path, number: int) -> Label:
    if not isinstance(entry, dict) or not entry.get("name"):
        raise ConfigError("a label needs a name", file=str(path), row=number)
    return Label(
        name=str(entry["name"]),
        singular=str(entry.get("singular", entry["name"])),
        key=str(entry.get("key", number if number < 10 else "")),
        letter=str(entry.get("letter", "")).lower(),
        definition=str(entry.get("definition", "")).strip(),
        examples=tuple(str(x) for x in entry.get("examples") or ()),
    )


def _check(label_set: LabelSet, path: Path) -> None:
    taken: dict[str, str] = dict.fromkeys(PAGE_KEYS, "an action of the page")
    seen: set[str] = set()
    for label in label_set.labels:
        if label.name in seen or label.name in RESERVED_NAMES:
            raise ConfigError(f"label {label.name!r} is given twice or reserved", file=str(path))
        seen.add(label.name)
        for key in filter(None, (label.key, label.letter)):
            if len(key) != 1 or key in taken:
                raise ConfigError(
                    f"key {key!r} of {label.name!r} is not one free key: {taken.get(key, 'too long')}",
                    file=str(path),
                    hint="digits 1-9 and letters other than a f g i n u x are free",
                )
            taken[key] = f"label {label.name}"


def _versioned(label_set: LabelSet) -> LabelSet:
    return LabelSet(label_set.name, label_set.labels, label_set.question, label_set.sha256[:8], label_set.multi)


@dataclass(frozen=True)
class Guideline:
    name: str
    version: str
    markdown: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(f"{self.name}\0{self.version}\0{self.markdown}".encode()).hexdigest()


def load_guideline(name: str) -> Guideline:
    """configs/guidelines/NAME.md (or a path). A first line `version: 2` gives the version, else a hash of the text."""
    path = Path(name) if name.endswith(".md") else CONFIGS / "guidelines" / f"{name}.md"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise ConfigError("the guideline cannot be read", file=str(path), key="review.guideline") from None
    head, _, rest = text.partition("\n")
    if head.startswith("version:"):
        return Guideline(path.stem, head.removeprefix("version:").strip(), rest.lstrip("\n"))
    return Guideline(path.stem, hashlib.sha256(text.encode()).hexdigest()[:8], text)
