"""HTML to text with a choice of extractor, and boilerplate lines taken off what it gives.

`extract_text` is the function; extract_process.py runs it in a child process under limits of time and memory, so that
a page which hangs or swells costs only itself. files_warc.py and files_html.py call it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataforge.errors import ConfigError, InputError
from dataforge.operators.extract_boxes import drop_boxes
from dataforge.operators.extract_lines import drop_boilerplate

EXTRACTORS = ("trafilatura", "resiliparse", "none")
_FOCUS = ("balanced", "precision", "recall")
_SHORT = 300  # characters: below, the extractor may have taken a box for the article


@dataclass(frozen=True)
class Extraction:
    """How pages become text. The limits are per page: CPU seconds (so a busy machine changes nothing) and MiB."""

    focus: str = "balanced"  # precision: less boilerplate, more lost; recall: the other way round
    comments: bool = False  # readers' comments below an article
    tables: bool = True
    boilerplate: bool = True  # take off boxes and lines of cookies, sharing, subscription, see-also
    cpu_s: int = 20
    memory_mib: int = 3072

    def __post_init__(self) -> None:
        if self.focus not in _FOCUS:
            raise ConfigError(f"expected one of {', '.join(_FOCUS)}", key="extraction.focus")
        if self.cpu_s < 1 or self.memory_mib < 512:
            raise ConfigError("expected cpu_s of at least 1 and memory_mib of at least 512", key="extraction")


def extract_text(html: str, extractor: str, how: Extraction) -> str:
    """Main text of a page, "" where there is none."""
    if extractor == "none" or not html.strip():
        return html
    text = _trafilatura(html, how) if extractor == "trafilatura" else _resiliparse(html, how)
    return drop_boilerplate(text) if how.boilerplate else text


def _trafilatura(html: str, how: Extraction) -> str:
    text = _run_trafilatura(html, how, how.focus)
    if len(text) < _SHORT and how.focus == "balanced":
        wider = _run_trafilatura(html, how, "recall")
        text = wider if len(wider) > 2 * len(text) else text
    return text


def _run_trafilatura(html: str, how: Extraction, focus: str) -> str:
    import trafilatura

    page = trafilatura.load_html(html)
    if page is None:
        return ""
    if how.boilerplate and focus != "recall":
        drop_boxes(page)
    text: str | None = trafilatura.extract(
        page,
        include_comments=how.comments,
        include_tables=how.tables,
        favor_precision=focus == "precision",
        favor_recall=focus == "recall",
        deduplicate=False,  # its memory of earlier pages would make the result depend on their order
    )
    return text or ""


def _resiliparse(html: str, how: Extraction) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(
        html, main_content=how.focus != "recall", alt_texts=False, comments=how.comments, preserve_formatting=True
    )
    return text


def evaluate(
    warc: str, gold: str, extractor: str = "trafilatura", how: Extraction | None = None, *, library: bool = False
) -> dict[str, Any]:
    """Precision, recall and F1 of extraction over gold strings; the document of `dataforge extract evaluate`.

    `gold` is JSONL `url, must_contain, must_not_contain`. A must-contain string is a true positive where it is present
    and a false negative where not; a present must-not-contain string is a false positive. A missing page is empty.
    `library`: also under "library" what trafilatura gives for the same pages with its own defaults.
    """
    from dataforge.operators.files_warc import WarcFiles

    wanted = {row["url"]: row for row in _gold_rows(gold)}
    if not wanted:
        raise InputError("no labelled rows", file=Path(gold).name)
    source = WarcFiles("evaluate", warc, extractor=extractor, extraction=how or Extraction())
    document = {"schema": 1, **_scores(wanted, dict(_texts(source))), "pages": len(wanted)}
    if library:
        pages = _texts(WarcFiles("evaluate", warc, extractor="none"))
        document["library"] = _scores(wanted, {url: _library_alone(html) for url, html in pages if url in wanted})
    return document


def _library_alone(html: str) -> str:
    import trafilatura

    return trafilatura.extract(html) or ""


def _scores(wanted: dict[str, dict[str, Any]], texts: dict[str, str]) -> dict[str, float]:
    counts = [_score(row, texts.get(url, "")) for url, row in wanted.items()]
    true, false, missed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    return {
        "precision": _share(true, true + false),
        "recall": _share(true, true + missed),
        "f1": _share(2 * true, 2 * true + false + missed),
    }


def _score(row: dict[str, Any], text: str) -> tuple[int, int, int]:
    found = sum(piece in text for piece in row["must_contain"])
    return found, sum(piece in text for piece in row["must_not_contain"]), len(row["must_contain"]) - found


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _texts(source: Any) -> Iterable[tuple[str, str]]:
    for split in source.splits():
        for file in source.read(split):
            for rows in file.rows:
                yield from zip(rows.kept.column("uri").to_pylist(), rows.kept.column("text").to_pylist(), strict=True)


def _gold_rows(gold: str) -> Iterable[dict[str, Any]]:
    from dataforge.operators.decode import decode_object
    from dataforge.operators.files import open_raw
    from dataforge.operators.files_rows import RowFault
    from dataforge.operators.files_stream import ByteStream, LineCounter, split_lines

    with ByteStream(lambda: open_raw(gold), Path(gold).name) as stream:
        for group in split_lines(stream, LineCounter(), 16 << 20):
            for number, line in enumerate(group.lines, group.number):
                if line.strip():
                    try:
                        yield _gold_row(decode_object(line))
                    except RowFault as fault:
                        raise InputError(fault.reason, file=Path(gold).name, row=number, code=fault.code) from None


def _gold_row(row: dict[str, Any]) -> dict[str, Any]:
    from dataforge.operators.files_rows import RowFault

    lists = [row.get("must_contain"), row.get("must_not_contain")]
    if not isinstance(row.get("url"), str) or any(
        not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces) for pieces in lists
    ):
        raise RowFault("SCHEMA", "expected url (string), must_contain and must_not_contain (lists of strings)")
    return row
