"""What each published config holds: its columns, their types, and how rows of a store Table become such rows.

A config is data here: a tuple of (column, Arrow type). The Tables may carry more columns; those are ignored. Types
are the plain ones that every reader knows: `string` (never `large_string`), lists of int32, and for speech acts a
ClassLabel, which lives in the `huggingface` key of the schema's metadata.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError, SchemaError
from dataforge.schemas.act import ACTS

SPLITS = ("train", "validation", "test")
ORDER = ("instruct", "sft", "chat", "annotations", "corpus", "tokenized", "packed")  # of the card; packed-N come last

STRING, IDS, MASK = pa.string(), pa.list_(pa.int32()), pa.list_(pa.int8())
MESSAGES = pa.list_(pa.struct([pa.field("role", STRING), pa.field("content", STRING)]))
ACT = pa.int64()  # a column of CLASSES of this type is a ClassLabel over ACTS
CLASSES = ("act", "label")

COLUMNS: dict[str, tuple[tuple[str, pa.DataType], ...]] = {
    "instruct": (
        ("id", STRING),
        ("instruction", STRING),
        ("input", STRING),
        ("output", STRING),
        ("text", STRING),
        ("act", ACT),
        ("source", STRING),
        ("meta", STRING),
    ),
    "sft": (("id", STRING), ("prompt", STRING), ("completion", STRING)),
    "chat": (("id", STRING), ("messages", MESSAGES), ("act", ACT), ("meta", STRING)),
    "corpus": (
        ("id", STRING),
        ("text", STRING),
        ("source", STRING),
        ("language", STRING),
        ("licence", STRING),
        ("provenance", STRING),
    ),
    "tokenized": (
        ("id", STRING),
        ("input_ids", IDS),
        ("labels", IDS),
        ("attention_mask", MASK),
        ("length", pa.int32()),
    ),
    "packed": (
        ("input_ids", IDS),
        ("labels", IDS),
        ("position_ids", IDS),
        ("seq_lengths", IDS),
        ("parents", pa.list_(STRING)),
    ),
}
OPTIONAL = {"language", "licence", "provenance", "meta", "act", "source"}  # null where the Table has no such column

_PACKED = re.compile(r"packed-[1-9][0-9]*")


def kind_of(config: str) -> str:
    """The key of COLUMNS for a config name: "packed-2048" -> "packed". Raises ConfigError for an unknown name."""
    kind = "packed" if _PACKED.fullmatch(config) else config
    if kind != "annotations" and (kind not in COLUMNS or config == "packed"):
        raise ConfigError(f"'{config}' is no published config", hint=f"known: {', '.join(ORDER[:-1])}, packed-N")
    return kind


def in_card_order(configs: Sequence[str]) -> list[str]:
    """Config names as people read them: instruct first, packed last."""
    return sorted(configs, key=lambda name: (ORDER.index(kind_of(name)), len(name), name))


def default_config(configs: Sequence[str]) -> str:
    """instruct, else corpus, else the first."""
    return next((name for name in ("instruct", "corpus") if name in configs), configs[0])


def published_schema(
    config: str, table: pa.Schema, *, metadata: dict[str, str] | None = None, classes: Sequence[str] = ()
) -> pa.Schema:
    """Arrow schema of a config's files, with the `huggingface` features and `metadata`.

    `annotations` are published as the Table has them, but the columns `classes` as class labels; every other config
    has fixed columns.
    Raises SchemaError naming a column that the Table must have and lacks.
    """
    kind = kind_of(config)
    if kind == "annotations":
        fields = [pa.field(f.name, _plain(f.type)) for f in table if f.name not in ("split", "parents")]
        fields = [pa.field(f.name, ACT) if f.name in classes else f for f in fields]
    else:
        fields = [pa.field(name, column) for name, column in COLUMNS[kind]]
        missing = [f.name for f in fields if f.name not in {*table.names, *OPTIONAL}]
        if missing:
            raise SchemaError(f"config '{config}' needs column '{missing[0]}'; found {', '.join(table.names)}")
    if "split" not in table.names:
        raise SchemaError(f"config '{config}' needs column 'split'; found {', '.join(table.names)}")
    features = json.dumps({"info": {"features": {f.name: _feature(f.name, f.type) for f in fields}}})
    return pa.schema(fields, metadata={"huggingface": features, **(metadata or {})})


def columns_read(schema: pa.Schema, table: pa.Schema) -> list[str]:
    """Columns of the store's Table that the published rows and their split come from."""
    return [name for name in dict.fromkeys([*schema.names, "split"]) if name in table.names]


def published_rows(rows: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """The rows in the published columns and types."""
    arrays = [_column(rows, field) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(rows: pa.RecordBatch, field: pa.Field) -> pa.Array:
    if field.name not in rows.schema.names:
        return pa.nulls(rows.num_rows, field.type)
    column = rows.column(field.name)
    if field.name in CLASSES and field.type == ACT:
        return _act_labels(column, field.name)
    return column if column.type == field.type else column.cast(field.type)


def _act_labels(column: pa.Array, name: str) -> pa.Array:
    labels = pc.index_in(column, value_set=pa.array(ACTS)).cast(ACT)
    if labels.null_count != column.null_count:
        raise SchemaError(f"column '{name}' holds a name that is none of the eight speech acts", key=name)
    return labels


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type without large variants and dictionaries."""
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return STRING
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _plain(f.type)) for f in kind])
    return kind


def _feature(name: str, kind: pa.DataType) -> dict[str, Any]:
    """The JSON of a `datasets` feature; a test compares it with `Features(...).arrow_schema`."""
    if name in CLASSES and kind == ACT:
        return {"names": list(ACTS), "_type": "ClassLabel"}
    if pa.types.is_list(kind):
        return {"feature": _feature("", kind.value_type), "_type": "List"}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature("", kind.value_type), "length": kind.list_size, "_type": "List"}
    if pa.types.is_struct(kind):
        return {f.name: _feature("", f.type) for f in kind}
    names = {"float": "float32", "double": "float64"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}
