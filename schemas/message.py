"""A Slack message a person can be asked about: text cleaned, people and private channels under pseudonyms."""

import pyarrow as pa

REACTION = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),  # short code without colons and skin tone
        pa.field("count", pa.int32(), nullable=False),  # never who
    ]
)

MESSAGE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # row id of source and `key`
        pa.field("source", pa.string(), nullable=False),  # `name` of the source in the config
        pa.field("key", pa.string(), nullable=False),  # channel id (pseudonym if not public), "/", ts
        pa.field("text", pa.string(), nullable=False),  # clean text, never empty
        pa.field("channel", pa.string(), nullable=False),  # pseudonym; the name of a public channel where names are kept
        pa.field("channel_kind", pa.string(), nullable=False),  # public, private, dm, group_dm
        pa.field("ts", pa.string(), nullable=False),  # as Slack wrote it: an id inside the channel
        pa.field("ts_us", pa.int64(), nullable=False),  # the same as microseconds since 1970-01-01 UTC
        pa.field("user", pa.string(), nullable=False),  # pseudonym "user_..."; "bot_..." where no person is behind it
        pa.field("is_bot", pa.bool_(), nullable=False),
        pa.field("subtype", pa.string()),  # Slack's subtype of a kept message, null for the plain kind
        pa.field(
            "thread_ts", pa.string()
        ),  # ts of the thread's root; the root's own ts on the root; null outside threads
        pa.field("parent_user", pa.string()),  # pseudonym of the root's author, on replies that say so
        pa.field("reply_count", pa.int32(), nullable=False),  # replies the root claims to have, 0 elsewhere
        pa.field("is_broadcast", pa.bool_(), nullable=False),  # a reply also shown in the channel
        pa.field("text_source", pa.string(), nullable=False),  # blocks, text, attachments, comment
        pa.field("edited_ts", pa.string()),
        pa.field("n_files", pa.int32(), nullable=False),  # names, titles and contents of files are not kept
        pa.field("reactions", pa.list_(REACTION), nullable=False),  # sorted by name
        pa.field("resolved", pa.bool_(), nullable=False),  # check mark by anyone, or thanks or +1 by the asker
        pa.field("disputed", pa.bool_(), nullable=False),  # cross mark or -1 by anyone
        pa.field("mentions", pa.list_(pa.string()), nullable=False),  # pseudonyms, in the order of the text, once each
        pa.field("version", pa.string(), nullable=False),  # of two copies with one id the larger one counts
    ]
)
