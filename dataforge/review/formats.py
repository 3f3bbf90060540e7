"""Bridges by files: Prodigy JSONL, doccano JSONL, Label Studio JSON, Hugging Face Parquet, and CSV (out only).

Every record carries the row's id and item key, every answer its annotator and kind, so that a team may label elsewhere
and bring the answers back: export, then import into a batch of the same rows, gives the same decisions. Items without
an answer are exported as tasks. Annotators are a01, a02, ... unless names are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from dataforge.errors import ConfigError
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.export import export_lines
from dataforge.review.format_hf import hf_table, read_hf
from dataforge.review.format_lines import harmless, read_doccano, read_prodigy, write_csv, write_doccano, write_prodigy
from dataforge.review.format_records import exported
from dataforge.review.format_studio import label_studio_config, read_label_studio, write_label_studio

__all__ = ["ENDINGS", "FORMATS", "READERS", "export_text", "exported", "harmless", "hf_table", "label_studio_config"]

WRITERS = {"prodigy": write_prodigy, "doccano": write_doccano, "label-studio": write_label_studio, "csv": write_csv}
READERS = {"prodigy": read_prodigy, "doccano": read_doccano, "label-studio": read_label_studio, "parquet": read_hf}
FORMATS = ("jsonl", *WRITERS, "parquet")
ENDINGS = {
    "jsonl": "jsonl",
    "prodigy": "jsonl",
    "doccano": "jsonl",
    "label-studio": "json",
    "csv": "csv",
    "parquet": "parquet",
}


def export_text(c: sa.Connection, batch_id: int, name: str, *, with_names: bool = False) -> Iterator[str]:
    """A batch in a text format of FORMATS (all but parquet)."""
    if name == "jsonl":
        yield from export_lines(c, batch_id)
        return
    if name not in WRITERS:
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}")
    label_set = labels_of(c, batch_row(c, batch_id).label_schema_id)
    yield from WRITERS[name](exported(c, batch_id, with_names=with_names), label_set)
