"""A document: one text of a raw corpus, as every corpus step reads it."""

import pyarrow as pa

DOCUMENT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # 32 hex digits: xxh3-128 of source name, NUL, native key
        pa.field("source", pa.string(), nullable=False),  # `name` of the source in the config
        pa.field("key", pa.string(), nullable=False),  # native key inside the source: key column, path, URI and offset
        pa.field("text", pa.string(), nullable=False),
        pa.field("uri", pa.string()),  # where it came from, if the source says so
        pa.field("created_s", pa.int64()),  # seconds since 1970-01-01 UTC, if the source says so
        pa.field("licence", pa.string()),  # of the source, as the config states it
    ]
)

# After cleaning: the same rows and ids, text rewritten, and what was done to it.
CLEAN = DOCUMENT.append(pa.field("text_hash", pa.string(), nullable=False)).append(
    pa.field("rewrites", pa.list_(pa.string()), nullable=False)  # names of the repairs that changed this text
)  # text_hash: 32 hex digits, xxh3-128 of the cleaned text's UTF-8 bytes

# What Select lets through: masked text, ready to encode and to publish.
SELECTED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("language", pa.string()),  # ISO 639-3, "und" where it cannot be told
        pa.field("licence", pa.string()),
        pa.field("provenance", pa.string()),  # the URI, else the native key; masked like the text
        pa.field("split", pa.string(), nullable=False),
    ]
)
