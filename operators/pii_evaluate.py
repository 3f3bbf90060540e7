"""Scores FindPii on a labelled file: JSONL `text, spans[{start, end, label}]`, plain, .gz or .zst.

Per kind, over all rows:
- recall_covering: share of gold spans of which every character lies in found spans of that kind
- precision_covering: share of found spans of that kind with at least half of their characters in gold spans of it
- recall_exact, precision_exact: the same start and end
A share of nothing is null. Only kinds that are labels in the file are scored, and only if something looks for them; the
other labels are named in `unscored`. `total` is over the scored kinds together. Presidio's labels of national numbers
(UK_NHS, ES_NIF, …) count as NATIONAL_ID.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from dataforge.errors import CorruptError, InputError, SchemaError
from dataforge.operators.pii import FindPii
from dataforge.operators.pii_names import NAME_KINDS

# What presidio calls, country by country, what is one kind here.
NATIONAL_LABELS = frozenset((
    "US_ITIN", "US_PASSPORT", "US_DRIVER_LICENSE", "UK_NHS", "UK_NINO", "UK_PASSPORT", "UK_DRIVING_LICENCE", "ES_NIF",
    "ES_NIE", "IT_FISCAL_CODE", "IT_DRIVER_LICENSE", "IT_PASSPORT", "IT_IDENTITY_CARD", "PL_PESEL", "SG_NRIC_FIN",
    "AU_ABN", "AU_TFN", "AU_MEDICARE", "IN_PAN", "IN_AADHAAR", "IN_PASSPORT", "FI_PERSONAL_IDENTITY_CODE", "KR_RRN",
    "KR_PASSPORT", "KR_DRIVER_LICENSE", "TH_TNIN", "DE_TAX_ID", "DE_PASSPORT", "DE_ID_CARD", "DE_SOCIAL_SECURITY",
    "DE_HEALTH_INSURANCE", "CA_SIN", "SE_PERSONNUMMER", "TR_NATIONAL_ID", "ZA_ID_NUMBER", "BR_CPF",
))  # fmt: skip
Span = tuple[int, int]
BATCH_ROWS = 4096
_COUNTS = ("gold", "covered", "found", "right", "exact")


def evaluate(path: Path | str, finder: FindPii | None = None) -> dict[str, Any]:
    """`{"schema", "total": {four shares}, "kinds": {kind: the same}, "unscored": [label, …]}`.

    Raises InputError for a file without rows; rows without spans are texts in which nothing should be found.
    """
    finder = finder or FindPii()
    find = finder.start([])
    looked_for = frozenset(finder.kinds) | (NAME_KINDS if finder.ner else frozenset())
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    labels: set[str] = set()
    rows = 0
    for batch in _batches(Path(path)):
        rows += len(batch)
        ids = pa.array([str(i) for i in range(len(batch))])
        spans = find(pa.record_batch({"id": ids, "text": pa.array([text for text, _ in batch])})).kept.column("spans")
        for (_, gold), found in zip(batch, spans.to_pylist(), strict=True):  # labelled files are small
            labels.update(gold)
            _count(gold, _by_kind(found), counts)
    if not rows:
        raise InputError("no rows", file=str(path))
    scored = sorted(labels & looked_for)
    total: Counter[str] = sum((counts[kind] for kind in scored), Counter())
    return {
        "schema": 1,
        "total": _shares(total),
        "kinds": {kind: _shares(counts[kind]) for kind in scored},
        "unscored": sorted(labels - looked_for),
    }


def _by_kind(found: list[dict[str, Any]]) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = defaultdict(list)
    for span in found:
        spans[span["kind"]].append((span["start"], span["end"]))
    return spans


def _count(gold: dict[str, list[Span]], found: dict[str, list[Span]], counts: dict[str, Counter[str]]) -> None:
    for kind in gold.keys() | found.keys():
        want, have = gold.get(kind, []), found.get(kind, [])
        covered = sum(_inside(span, have) == span[1] - span[0] for span in want)
        right = sum(2 * _inside(span, want) >= span[1] - span[0] for span in have)
        exact = len(set(want) & set(have))
        counts[kind].update(dict(zip(_COUNTS, (len(want), covered, len(have), right, exact), strict=True)))


def _inside(span: Span, others: list[Span]) -> int:
    """How many characters of a span lie in the others."""
    total, reach = 0, span[0]
    for start, end in sorted(others):
        start, end = max(start, reach), min(end, span[1])
        if end > start:
            total, reach = total + end - start, end
    return total


def _shares(count: Counter[str]) -> dict[str, float | None]:
    def share(part: str, whole: str) -> float | None:
        return round(count[part] / count[whole], 6) if count[whole] else None

    return {
        "recall_covering": share("covered", "gold"),
        "precision_covering": share("right", "found"),
        "recall_exact": share("exact", "gold"),
        "precision_exact": share("exact", "found"),
    }


def _batches(path: Path) -> Iterator[list[tuple[str, dict[str, list[Span]]]]]:
    batch = []
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            batch.append(_row(line, path.name, number))
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _row(line: bytes, file: str, number: int) -> tuple[str, dict[str, list[Span]]]:
    gold: dict[str, set[Span]] = defaultdict(set)
    try:
        entry = orjson.loads(line)
        text = entry["text"]
        if not isinstance(text, str):
            raise TypeError
        for span in entry["spans"]:
            if not 0 <= span["start"] < span["end"] <= len(text):
                raise SchemaError("a span lies outside its text or is empty", file=file, row=number)
            label = str(span["label"])
            gold["NATIONAL_ID" if label in NATIONAL_LABELS else label].add((span["start"], span["end"]))
    except (ValueError, KeyError, TypeError):
        raise SchemaError("expected JSON with text and spans of start, end, label", file=file, row=number) from None
    return text, {label: sorted(spans) for label, spans in gold.items()}


def _lines(path: Path) -> Iterator[bytes]:
    import zstandard

    try:
        with open(path, "rb") as file:
            stream: Any = file
            if path.suffix == ".gz":
                stream = gzip.GzipFile(fileobj=file)
            elif path.suffix == ".zst":
                stream = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
            yield from stream
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError):
        raise CorruptError("the compressed file is cut or damaged", file=path.name) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path.name) from None
