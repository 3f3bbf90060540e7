"""Rows about pairs of rows: which belong together, and what became of them."""

import pyarrow as pa

# `a` < `b`. exact: equal text. near: verified Jaccard at or above the threshold. family: parts of one conversation.
EDGE = pa.schema(
    [
        pa.field("a", pa.string(), nullable=False),
        pa.field("b", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # exact, near, family
        pa.field("common", pa.int64()),  # shingles in both, for near
        pa.field("union", pa.int64()),  # shingles in either, for near
    ]
)

# One row per row of the corpus that has an edge.
CLUSTER = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("twin", pa.string(), nullable=False),  # smallest id among rows of equal text
        pa.field("cluster", pa.string(), nullable=False),  # smallest id among rows joined by exact and near edges
        pa.field("group", pa.string(), nullable=False),  # smallest id among rows joined by any edge: never split apart
        pa.field("jaccard", pa.float64(), nullable=False),  # with the row most like it, by near edges; 0 without one
    ]
)

# One row per row of the corpus, in its order.
TWINS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),  # the group that splits keep together; own id when alone
        pa.field("duplicate", pa.string()),  # exact or near when the row loses to another; null when it is kept
        pa.field("into", pa.string()),  # the row kept in its place
        pa.field("jaccard", pa.float64()),  # of a duplicate: 1 if exact, else with the row most like it
    ]
)

# One row per row of the corpus, in its order: what an index of earlier data holds that is like it.
EARLIER = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("earlier", pa.string()),  # id of the earlier text with the largest Jaccard; null where there is none
        pa.field("common", pa.int64()),  # shingles in both
        pa.field("union", pa.int64()),  # shingles in either
    ]
)

# A held-out row and a training row that contains it.
LEAK = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # of the held-out row
        pa.field("train", pa.string(), nullable=False),
        pa.field("found", pa.int32(), nullable=False),  # n-grams of the held-out row's sample that the training row holds
        pa.field("sampled", pa.int32(), nullable=False),
    ]
)

# A verified pair of near-duplicates and the cluster that holds both.
LINK = pa.schema(
    [
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("a", pa.string(), nullable=False),
        pa.field("b", pa.string(), nullable=False),
    ]
)
