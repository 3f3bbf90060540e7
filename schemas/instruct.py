"""A training pair: a question or directive, what came before it, and another person's answer."""

import pyarrow as pa

TRAINED = pa.struct([pa.field("start", pa.int32(), nullable=False), pa.field("end", pa.int32(), nullable=False)])
TURN_OF_CHAT = pa.struct(
    [pa.field("role", pa.string(), nullable=False), pa.field("content", pa.string(), nullable=False)]
)

INSTRUCT = pa.schema(
    [
        pa.field(
            "id", pa.string(), nullable=False
        ),  # row id of source, "instruct/" and the first message of the answer
        pa.field("parents", pa.list_(pa.string()), nullable=False),  # the conversation's id
        pa.field("source", pa.string(), nullable=False),
        pa.field("conversation", pa.string(), nullable=False),
        pa.field("message_ids", pa.list_(pa.string()), nullable=False),  # of question and answer: what erasure needs
        pa.field("instruction", pa.string(), nullable=False),
        pa.field("input", pa.string(), nullable=False),  # earlier turns, "user: text" a line, may be empty
        pa.field("output", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # the three rendered by the template
        pa.field("spans_trained", pa.list_(TRAINED), nullable=False),  # characters of `text` that bear loss
        pa.field("prompt", pa.string(), nullable=False),  # `text` up to the answer
        pa.field("completion", pa.string(), nullable=False),  # the rest of `text`
        pa.field("messages", pa.list_(TURN_OF_CHAT), nullable=False),  # user and assistant in turns, assistant last
        pa.field("act", pa.string(), nullable=False),  # of the instruction
        pa.field("meta", pa.string(), nullable=False),  # JSON: channel, acts, outcome, ts of the messages, score
    ]
)
