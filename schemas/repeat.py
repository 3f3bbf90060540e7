"""Rows about pieces of texts that repeat in a corpus: units with their hashes, where they repeat, what goes.

Places are bytes of the UTF-8 text of the row with the same id, end exclusive.
"""

import pyarrow as pa

# One row per text that has units; the lists are of one length, in order of `starts`.
UNIT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("keys", pa.list_(pa.uint64()), nullable=False),  # 128 bits of hash of each unit: these …
        pa.field("checks", pa.list_(pa.uint64()), nullable=False),  # … and these
        pa.field("starts", pa.list_(pa.int32()), nullable=False),
        pa.field("ends", pa.list_(pa.int32()), nullable=False),
    ]
)

# A copy of a unit that stands earlier: in a smaller id, or before it in the same text.
REPEAT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("into", pa.string(), nullable=False),  # the row that holds the first copy
    ]
)

# One row per text that loses something.
REMOVAL = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("units", pa.int32(), nullable=False),  # how many spans go: units that overlap or touch are one
        pa.field("bytes", pa.int64(), nullable=False),  # how many bytes the removed spans have together
        pa.field("into", pa.string(), nullable=False),  # the row that holds what the first span repeats
        pa.field("starts", pa.list_(pa.int32()), nullable=False),  # of the removed spans: ascending, apart
        pa.field("ends", pa.list_(pa.int32()), nullable=False),
    ]
)

# Where in a text the anchors stand that also occur elsewhere.
PLACES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("places", pa.list_(pa.int32()), nullable=False),  # ascending
    ]
)
