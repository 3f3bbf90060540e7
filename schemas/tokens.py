"""Rows of token ids: one text as ids, and several of them packed to one length. Ids are int32 in every column."""

import pyarrow as pa

IDS = pa.list_(pa.int32())

# Same ids as the rows that were encoded. Columns that the encoder was told to keep (split, source …) follow.
TOKENS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("input_ids", IDS, nullable=False),
        pa.field("labels", IDS, nullable=False),  # the same ids; -100 where nothing is to be learned
        pa.field("attention_mask", pa.list_(pa.int8()), nullable=False),  # all 1: padding is the collator's
        pa.field("length", pa.int32(), nullable=False),  # len(input_ids)
    ]
)

# With `positions`: characters (not bytes) of the text that a token covers, end exclusive; 0 and 0 for BOS and EOS.
POSITIONS = (pa.field("starts", IDS, nullable=False), pa.field("ends", IDS, nullable=False))

# What an instruct row says about its text: characters to be learned. Null: all of them.
SPANS_TRAINED = pa.list_(pa.struct([pa.field("start", pa.int32()), pa.field("end", pa.int32())]))

PACKED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # hash of the sequence length, first parent and place in it
        pa.field("parents", pa.list_(pa.string()), nullable=False),  # one row id per entry of seq_lengths
        pa.field("input_ids", IDS, nullable=False),
        pa.field("labels", IDS, nullable=False),  # -100 at the first token of each sequence
        pa.field("position_ids", IDS, nullable=False),  # restart at 0 for each sequence
        pa.field("seq_lengths", IDS, nullable=False),  # sum is len(input_ids)
        pa.field("split", pa.string(), nullable=False),
    ]
)
