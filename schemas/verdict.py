"""Rows that stand beside the data: what was dropped and why, what could not be read, spans found in a text.

Every Table has `dropped/` and `quarantine/` beside `data/` where its operator left rows out. These are their schemas.
"""

import pyarrow as pa

DROPPED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # the row that was left out
        pa.field("reason", pa.string(), nullable=False),  # machine-readable, e.g. "too_few_words", "near_duplicate"
        pa.field("score", pa.float64()),  # the value that decided, where there is one
        pa.field("threshold", pa.float64()),  # what it was compared with
        pa.field("detail", pa.string()),  # never text of the row: a rule's name, a count
        pa.field("into", pa.string()),  # id of the row it went into: merged, duplicate_of
    ]
)

QUARANTINED = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),  # relative to the source's root
        pa.field("line", pa.int64()),  # 1-based line or record number
        pa.field("offset", pa.int64()),  # byte offset in the decompressed file
        pa.field("code", pa.string(), nullable=False),  # ENCODING, SCHEMA, ROWSIZE, ...: an error code of the tree
        pa.field("reason", pa.string(), nullable=False),  # expected and actual, never text of the row
        pa.field("raw", pa.string()),  # base64 of the first 4 KiB, secrets masked
    ]
)

# Character (not byte) positions into the text of the row with the same id, end exclusive; `score` in 0..1.
SPAN = pa.struct(
    [
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # EMAIL_ADDRESS, PHONE_NUMBER, ..., SECRET
        pa.field("rule", pa.string(), nullable=False),  # the rule that found it, e.g. "github-token"
        pa.field("score", pa.float32(), nullable=False),
    ]
)

SPANS = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("spans", pa.list_(SPAN), nullable=False)])

# One row per row of the corpus: the first rule it fails, in the order of the presets; null where it passes all.
VERDICT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("score", pa.float64()),  # the value that the rule looked at
        pa.field("threshold", pa.float64()),
    ]
)
