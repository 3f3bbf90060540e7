"""A conversation: a thread, or a run of channel messages that belong together. Every message is in at most one."""

import pyarrow as pa

TURN = pa.struct(
    [
        pa.field("user", pa.string(), nullable=False),  # pseudonym
        pa.field("text", pa.string(), nullable=False),  # messages of one author in a row, joined by newline
        pa.field(
            "act", pa.string(), nullable=False
        ),  # a question or directive in the turn, else of its longest message
        pa.field("ts_us", pa.int64(), nullable=False),  # of the first message
        pa.field("message_ids", pa.list_(pa.string()), nullable=False),
        pa.field("is_bot", pa.bool_(), nullable=False),
        pa.field("n_reactions", pa.int32(), nullable=False),
        pa.field("resolved", pa.bool_(), nullable=False),  # this turn was accepted: mark, or thanks that followed it
        pa.field("disputed", pa.bool_(), nullable=False),
    ]
)

CONVERSATION = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # row id of source, "conversation/" and key of its first message
        pa.field("parents", pa.list_(pa.string()), nullable=False),  # message ids, in order of time
        pa.field("source", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("channel_kind", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # thread, talk
        pa.field("turns", pa.list_(TURN), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # the transcript, "user: text" a line
        pa.field("n_turns", pa.int32(), nullable=False),
        pa.field("n_people", pa.int32(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),  # how sure: 1 for threads, the weakest link for talk
        pa.field("resolved", pa.bool_(), nullable=False),
        pa.field("disputed", pa.bool_(), nullable=False),
        pa.field("orphan", pa.bool_(), nullable=False),  # a thread whose root is not there
        pa.field("incomplete", pa.bool_(), nullable=False),  # fewer replies than the root claims: a gap in it
        pa.field("created_s", pa.int64(), nullable=False),  # of the first message, seconds since 1970-01-01 UTC
    ]
)
