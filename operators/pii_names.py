"""Names of people, organizations and places: lists of known names, or a model that the user has installed.

Lists (gazetteers) come from the corpus itself: Slack profiles, mail headers. They may hold keyed hashes instead of
names. A name counts where it stands as whole words with the capitals of the list; a lower-case word never does.
Models: spaCy or Presidio, loaded only when named; long texts are given to them in pieces that overlap.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.errors import ConfigError, InputError, MissingExtraError
from dataforge.operators.pii_finder import Found
from dataforge.operators.slack_name_words import COMMON_WORDS
from dataforge.operators.slack_users import read_key
from dataforge.schemas.verdict import SPAN

NAMES_FILE = "names.jsonl"
NAME_KINDS = frozenset(("PERSON", "ORGANIZATION", "LOCATION"))
PIECE, OVERLAP = 100_000, 1_000  # characters: spaCy refuses more than a million, and needs memory per character
MODEL_SCORE = 0.85
_LABELS = {
    "PERSON": "PERSON", "PER": "PERSON", "ORG": "ORGANIZATION", "ORGANIZATION": "ORGANIZATION",
    "GPE": "LOCATION", "LOC": "LOCATION", "LOCATION": "LOCATION", "FAC": "LOCATION",
}  # fmt: skip


@dataclass(frozen=True)
class KnownName:
    """`value`: the name as it is written, or, with `words` above 0, its `name_hash` in hex."""

    value: str
    kind: str = "PERSON"
    words: int = 0


def name_hash(name: str, key: bytes) -> str:
    """Keyed BLAKE2b of a name, 32 hex digits: a list of these can be stored beside the data without naming anyone."""
    return hashlib.blake2b(" ".join(name.split()).encode(), digest_size=16, key=key).hexdigest()


def hashed_names(names: Iterable[str], key: bytes, kind: str = "PERSON") -> Iterator[str]:
    """Lines of a keyed list: each name and, of a name of several words, each word of three letters or more that is no
    plain word too (`Will`, `Grant`).
    """
    whole = {" ".join(name.split()) for name in names}
    single = {word for name in whole if " " in name for word in name.split()}
    for part in sorted(part for part in whole | single if len(part) >= 3):
        if part in whole or part.lower() not in COMMON_WORDS:
            words = len(_WORDS.findall(part.encode()))
            yield json.dumps({"hash": name_hash(part, key), "words": words, "kind": kind})


def read_names_key(place: str) -> bytes:
    """The key of a list of names, made of the secret at `env:NAME` or `file:PATH`."""
    return hashlib.sha256(b"dataforge names" + read_key(place)).digest()


def read_names(file: Path) -> Iterator[KnownName]:
    """A file, or the folder of `names.jsonl`: lines `{"name": …, "kind": …}` or `{"hash": …, "words": …, "kind": …}`; a
    kind that is not given is PERSON.
    """
    file = file / NAMES_FILE if file.is_dir() else file
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                words = int(entry["words"]) if "hash" in entry else 0
                name = KnownName(str(entry["hash" if words else "name"]), entry.get("kind", "PERSON"), words)
            except (ValueError, KeyError, TypeError, AttributeError):
                expected = 'expected a line {"name": …, "kind": …} or {"hash": …, "words": …}'
                raise InputError(expected, file=file.name, row=number) from None
            if name.kind not in NAME_KINDS:
                raise InputError(f"kind of a name must be one of {sorted(NAME_KINDS)}", file=file.name, row=number)
            yield name


class NamesFinder:
    """Known names, longest first, in the bytes of a batch: one look-up per capitalised word and number of words."""

    trigger = r"[A-Z\x80-\xfe]"
    name = "names"

    def __init__(self, names: Iterable[KnownName], key: bytes = b"") -> None:
        self.key = key
        self.kinds: dict[bytes, str] = {}
        sizes = set()
        for name in sorted(names, key=lambda n: (n.value, n.kind), reverse=True):
            plain = " ".join(name.value.split())
            if name.words or (len(plain) >= 2 and (not plain.islower() or " " in plain)):
                self.kinds[bytes.fromhex(plain) if name.words else self._mark(plain.encode())] = name.kind
                sizes.add(name.words or len(_WORDS.findall(plain.encode())))
        self.sizes = sorted(sizes, reverse=True)

    def _mark(self, name: bytes) -> bytes:
        return hashlib.blake2b(name, digest_size=16, key=self.key).digest()

    def find(self, data: bytes) -> Iterator[Found]:
        places = [match.span() for match in _WORDS.finditer(data)]
        done = 0
        for i, (start, _) in enumerate(places):  # 1 µs a look-up, for words with a capital only
            if start < done or not (65 <= data[start] <= 90 or data[start] >= 0x80):
                continue
            for size in self.sizes:
                end = places[i + size - 1][1] if i + size <= len(places) else 0
                kind = self._kind(data[start:end], size) if 0 < end - start <= LONGEST_NAME else None
                if kind:
                    yield start, end, kind, "known-name", 0.8
                    done = end
                    break

    def _kind(self, value: bytes, size: int) -> str | None:
        """A name that is broken over two lines is the name."""
        return self.kinds.get(self._mark(b" ".join(value.split()) if size > 1 else value))


_WORDS = re.compile(rb"[A-Za-z0-9\x80-\xfe]+")
LONGEST_NAME = 100  # bytes


def recognizer(ner: str, kinds: frozenset[str]) -> Callable[[pa.Array], pa.Array]:
    """A function texts -> list<SPAN>[n] from `spacy:MODEL` or `presidio:LANGUAGE[:MODEL]`."""
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


def _presidio(named: str) -> Entities:
    """`LANGUAGE` or `LANGUAGE:MODEL`, a spaCy model that is installed or a folder. Only Presidio's recognizer of names is
    asked: its others are slower than the rules here, and some fetch lists from the network.
    """
    try:
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NlpEngineProvider
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer
        from spacy.util import is_package
    except ImportError:
        raise MissingExtraError("pii.ner: Presidio is not installed", hint="pip install dataforge[ner]") from None
    language, _, model = named.partition(":")
    model = model or f"{language}_core_web_lg"
    if not is_package(model) and not Path(model).is_dir():  # Presidio would download it
        hint = f"install it, or name another: presidio:{language}:MODEL"
        raise ConfigError(f"the spaCy model {model} is not installed", key="pii.ner", hint=hint)
    labels = {"labels_to_ignore": [], "model_to_presidio_entity_mapping": dict(_LABELS)}
    models = [{"lang_code": language, "model_name": model}]
    engine = {"nlp_engine_name": "spacy", "models": models, "ner_model_configuration": labels}
    names = sorted(NAME_KINDS)
    recognizer_ = SpacyRecognizer(supported_language=language, supported_entities=names)
    analyzer = AnalyzerEngine(
        nlp_engine=NlpEngineProvider(nlp_configuration=engine).create_engine(),
        registry=RecognizerRegistry([recognizer_], supported_languages=[language]),
        supported_languages=[language],
    )
    return lambda text: [
        (r.start, r.end, r.entity_type, float(r.score))
        for r in analyzer.analyze(text=text, language=language, entities=names)
    ]
