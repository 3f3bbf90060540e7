"""Texts that look like HTML: left in a column of JSONL or Parquet, tags are trained on, and nothing else would tell.

Looked at is a sample that depends on the table alone: the first rows of some of its parts, their first characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.table import Table

MOST_PARTS, PART_ROWS, CHARACTERS = 16, 250, 20_000  # of a table, of a part, of a text
TAG = (
    r"(?i)<(?:/?(?:p|br|div|span|a|ul|ol|li|table|tr|td|th|h[1-6]|b|i|em|strong|img|font|body|html|head|script|style)"
    r"(?:\s[^<>]*)?/?|!doctype html[^<>]*)>"
)
FEWEST_TAGS, CHARACTERS_PER_TAG = 3, 400  # a text about HTML shows a few tags; one that is HTML has them all over
MUCH, ENOUGH_ROWS = 0.1, 5  # share of the rows of a source that is worth a word; of fewer rows it says little


def markup_facts(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """`[{"source", "rows", "html"}]`: rows looked at, and how many of them look like HTML."""
    rows: Counter[str] = Counter()
    html: Counter[str] = Counter()
    for table in tables:
        if {"text", "source"} <= set(table.schema.names):
            for sources, found in _looked_at(table):
                rows.update(sources.to_pylist())
                html.update(sources.filter(found).to_pylist())
    return [{"source": source, "rows": count, "html": html[source]} for source, count in sorted(rows.items())]


def _looked_at(table: Table) -> Iterator[tuple[pa.Array, pa.Array]]:
    """(sources, which of their texts look like HTML) of the first rows of parts that lie evenly."""
    count = min(MOST_PARTS, table.n_parts)
    for number in range(count):
        batch = next(table.read(number * table.n_parts // count, ["text", "source"]), None)
        if batch is not None:
            first = batch.slice(0, PART_ROWS)
            yield first["source"], is_html(first["text"])


def is_html(texts: pa.Array) -> pa.Array:
    """bool[n]: three tags or more, and one in every 400 characters."""
    heads = pc.utf8_slice_codeunits(texts, 0, CHARACTERS)
    tags = pc.count_substring_regex(heads, TAG)
    dense = pc.less_equal(pc.utf8_length(heads), pc.multiply(tags, CHARACTERS_PER_TAG))
    return pc.and_(pc.greater_equal(tags, FEWEST_TAGS), dense)


def markup_text(entry: dict[str, Any]) -> str:
    """What to say of a source; "" if few of its rows look like HTML."""
    if entry["rows"] < ENOUGH_ROWS or entry["html"] < MUCH * entry["rows"]:
        return ""
    share = f"{entry['html'] / entry['rows']:.0%} of the rows of source {entry['source']} look like HTML"
    way = "a mapper under `own` (`at: after_clean`) can take the tags out; of files, `kind: html` and `warc` read text alone"
    return f"{share} ({entry['rows']:,} looked at) and are kept as they are: {way}"
