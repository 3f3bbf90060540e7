"""HTML files: a page each, its text taken out while reading, as files_warc.py does with pages of an archive.

`PageFiles` is what both have in common: which extractor, and how.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dataforge.errors import ConfigError
from dataforge.operator import Rows, SourceFile, Split
from dataforge.operators.extract import EXTRACTORS, Extraction
from dataforge.operators.extract_process import Extractor
from dataforge.operators.files import FileSource
from dataforge.operators.files_http import page_text
from dataforge.operators.files_rows import RowBuffer, RowFault
from dataforge.operators.files_text import check_size, read_capped

UTF16 = (b"\xff\xfe", b"\xfe\xff")


def is_binary(body: bytes) -> bool:
    """True where a page calls itself text and is none."""
    return b"\0" in body[:1024] and not body.startswith(UTF16)


@dataclass(frozen=True)
class PageFiles(FileSource):
    """Files that hold pages. `extractor` turns HTML into text; "none" keeps the HTML."""

    extractor: str = "trafilatura"
    extraction: Extraction = field(default_factory=Extraction)

    def __post_init__(self) -> None:
        if self.extractor not in EXTRACTORS:
            raise ConfigError(f"expected one of {', '.join(EXTRACTORS)}", key="extractor")


@dataclass(frozen=True)
class HtmlFiles(PageFiles):
    """Documents of saved pages. The key and the address of one is its path; its encoding is found as browsers do."""

    suffixes = (".html", ".htm", ".xhtml")

    def read(self, split: Split) -> Iterator[SourceFile]:
        with Extractor(self.extractor, self.extraction) as extractor:  # one child for all files of a split
            for name in split.files:
                yield SourceFile(name, self._rows(name, extractor), lambda: 1)

    def _rows(self, name: str, extractor: Extractor) -> Iterator[Rows]:
        buffer = RowBuffer(self.name, name, self.licence)
        with self.open(name) as stream:
            raw, size = read_capped(stream, self.max_row_bytes)
        try:
            check_size(size, self.max_row_bytes)
            if is_binary(raw):
                buffer.drop(name, "binary")
            else:
                buffer.add(extractor.text(page_text(raw, "")), name, name, None)
        except RowFault as fault:
            buffer.quarantine(fault, raw, line=1, offset=0)
        yield buffer.take()
