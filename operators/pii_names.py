"""Names of people, organizations and places: lists of known names, or a model that the user has installed.

Lists (gazetteers) come from the corpus itself: Slack profiles, mail headers. A name counts where it stands as a whole
word with the capitals of the list; a name of one common lower-case word never does. Models: spaCy or Presidio, loaded
only when named; long texts are given to them in pieces that overlap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.errors import ConfigError, InputError, MissingExtraError
from dataforge.operators.pii_finder import Found
from dataforge.schemas.verdict import SPAN

NAME_KINDS = frozenset(("PERSON", "ORGANIZATION", "LOCATION"))
PIECE, OVERLAP = 100_000, 1_000  # characters: spaCy refuses more than a million, and needs memory per character
MODEL_SCORE = 0.85
_LABELS = {
    "PERSON": "PERSON", "PER": "PERSON", "ORG": "ORGANIZATION", "ORGANIZATION": "ORGANIZATION",
    "GPE": "LOCATION", "LOC": "LOCATION", "LOCATION": "LOCATION", "FAC": "LOCATION",
}  # fmt: skip


def read_names(file: Path) -> Iterator[tuple[str, str]]:
    """(name, kind) of each line of a JSONL file `{"name": …, "kind": …}`; `kind` is PERSON where it is not given."""
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                name, kind = entry["name"], entry.get("kind", "PERSON")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InputError('expected a line {"name": …, "kind": …}', file=file.name, row=number) from None
            if kind not in NAME_KINDS:
                raise InputError(f"kind of a name must be one of {sorted(NAME_KINDS)}", file=file.name, row=number)
            yield name, kind


class NamesFinder:
    """Known names, longest first, in the bytes of a batch. One dictionary look-up per capitalised word."""

    trigger = r"[A-Z\x80-\xfe]"
    name = "names"

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        self.by_first: dict[bytes, list[tuple[bytes, str]]] = {}
        for name, kind in sorted(set(names), key=lambda pair: (-len(pair[0]), pair)):
            raw = " ".join(name.split()).encode()
            if len(raw) >= 2 and (not name.islower() or b" " in raw):
                self.by_first.setdefault(_first_word(raw), []).append((raw, kind))

    def find(self, data: bytes) -> Iterator[Found]:
        end = 0
        for match in _WORDS.finditer(data):
            if match.start() < end:
                continue
            for raw, kind in self.by_first.get(match.group(), ()):  # names that share a first word: a few
                stop = match.start() + len(raw)
                if data.startswith(raw, match.start()) and not _WORDS.match(data[stop : stop + 1]):
                    yield Found(match.start(), stop, kind, "known-name", 0.8)
                    end = stop
                    break


_WORDS = re.compile(rb"[A-Za-z0-9\x80-\xfe]+")


def _first_word(raw: bytes) -> bytes:
    match = _WORDS.match(raw)
    return match.group() if match else raw


def recognizer(ner: str, kinds: frozenset[str]) -> Callable[[pa.Array], pa.Array]:
    """A function texts -> list<SPAN>[n] from `spacy:MODEL` or `presidio:LANGUAGE`."""
    engine, _, model = ner.partition(":")
    if engine not in ("spacy", "presidio") or not model:
        raise ConfigError("expected spacy:MODEL or presidio:LANGUAGE", key="pii.ner")
    entities = _spacy(model) if engine == "spacy" else _presidio(model)

    def recognize(texts: pa.Array) -> pa.Array:
        # A loop over rows: the model behind it takes a thousand times as long.
        rows = [_in_pieces(text or "", entities, kinds) for text in texts.to_pylist()]
        return pa.array(rows, pa.list_(SPAN))

    return recognize


Entities = Callable[[str], Iterable[tuple[int, int, str, float]]]


def _in_pieces(text: str, entities: Entities, kinds: frozenset[str]) -> list[dict[str, Any]]:
    """Entities of all pieces; what two pieces both see in their overlap counts once."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for begin in range(0, max(len(text) - OVERLAP, 1), PIECE - OVERLAP):
        for start, end, label, score in entities(text[begin : begin + PIECE]):
            kind = _LABELS.get(label, "")
            cut = (start == 0 and begin > 0) or (end == PIECE and begin + PIECE < len(text))
            if kind in kinds and not cut:
                place = (begin + start, begin + end)
                found[place] = {"start": place[0], "end": place[1], "kind": kind, "rule": "model", "score": score}
    return [found[place] for place in sorted(found)]


def _spacy(model: str) -> Entities:
    try:
        import spacy
    except ImportError:
        raise MissingExtraError("pii.ner: spaCy is not installed", hint="pip install dataforge[ner]") from None
    try:
        pipeline = spacy.load(model, exclude=["lemmatizer", "textcat"])
    except OSError:
        raise ConfigError("no spaCy model of that name is installed", key="pii.ner", hint="install the model") from None
    return lambda text: [(e.start_char, e.end_char, e.label_, MODEL_SCORE) for e in pipeline(text).ents]


def _presidio(language: str) -> Entities:
    try:
        from presidio_analyzer import AnalyzerEngine
    except ImportError:
        raise MissingExtraError("pii.ner: Presidio is not installed", hint="pip install dataforge[ner]") from None
    analyzer = AnalyzerEngine(supported_languages=[language])
    entities: Sequence[str] = ["PERSON", "ORGANIZATION", "LOCATION"]
    return lambda text: [
        (r.start, r.end, r.entity_type, float(r.score))
        for r in analyzer.analyze(text=text, language=language, entities=list(entities))
    ]
