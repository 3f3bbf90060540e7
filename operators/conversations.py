"""Messages → conversations: threads as Slack joined them, and the talk between threads by its evidence.

Takes MESSAGE rows with `act` beside them (text already masked), a whole channel at a time. Gives CONVERSATION rows,
whose parents are the messages. Dropped are messages of bots that nobody answered. No message is in two conversations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import part_of, row_id, row_ids
from dataforge.operator import Contract, Keyed, Rows
from dataforge.operators.slack_disentangle import disentangle
from dataforge.operators.slack_evidence import Said, is_question
from dataforge.schemas.conversation import CONVERSATION
from dataforge.schemas.verdict import DROPPED

_COLUMNS = """
id source key text channel channel_kind ts ts_us user is_bot thread_ts reply_count reactions resolved disputed
mentions act
"""
COLUMNS = tuple(_COLUMNS.split())
THANKS = re.compile(
    r"(?i)\b(thanks?|thx|ty|tysm|cheers|appreciated?|perfect|awesome|great|danke|merci|gracias|obrigad[oa])\b|[🙏👍❤🎉]"
)
ACCEPTED = re.compile(
    r"(?i)\b(that|it|this)( did| has)? (worked|works|fixed|helped|solved|did it)\b|\bworks (now|again)\b"
    r"|\b(fixed|solved) it\b|\bproblem solved\b|\bdid the trick\b"
)
ASKING = ("questions", "directives")
BATCH = 1024


@dataclass(frozen=True)
class Conversations(Keyed):
    """`gap_s`: silence that speaks for the end of channel talk; `merge_s`: pause within one turn.

    `parts` is a power of two. A channel is never cut: threads may go on after any silence. Memory holds the columns of one
    part (some 300 bytes a message of 100 characters; all of a channel lie in one), objects of a few thousand messages.
    """

    VERSION: ClassVar[int] = 4

    parts: int
    gap_s: int = 900
    merge_s: int = 120
    contract: ClassVar[Contract] = Contract.DERIVED

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (COLUMNS,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return CONVERSATION

    def route(self, index: int, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Any]:
        """To the part of its channel; `_key` is source and channel."""
        rows = pa.Table.from_batches([batch])
        channels = pc.binary_join_element_wise(rows["source"], rows["channel"], "/")
        encoded = channels.combine_chunks().dictionary_encode()
        targets = part_of(row_ids("channel", encoded.dictionary.to_pylist()), self.parts)
        rows = rows.append_column(pa.field("_key", pa.string(), nullable=False), channels)
        return rows.combine_chunks().to_batches()[0] if len(rows) else _empty(rows), _take(targets, encoded.indices)

    def gather(self, tables: Sequence[Any]) -> Iterator[Rows]:
        if not tables or tables[0] is None or not tables[0].num_rows:
            return
        for start, end in pairwise(_runs(tables[0]["_key"])):
            yield from self._channel(tables[0].slice(start, end - start).combine_chunks())

    def _channel(self, channel: pa.Table) -> Iterator[Rows]:
        """First whose conversation each message is, as columns; then the rows, a few thousand messages at a time. Texts are
        never copied for the whole channel: `by_time` says where the message of each place stands.
        """
        keys = [("ts_us", "ascending"), ("id", "ascending")]
        by_time = pc.sort_indices(channel.select(["ts_us", "id"]), sort_keys=keys).to_numpy().astype(np.int64)
        first, percent, is_thread = self._grouped(channel, by_time)
        noise = channel["id"].take(pa.array(by_time[first < 0])).to_pylist()
        dropped = pa.Table.from_pylist([{"id": i, "reason": "bot_noise"} for i in noise], schema=DROPPED)
        order = np.argsort(first, kind="stable")[len(noise) :]
        begins = np.flatnonzero(np.diff(first[order], prepend=-1)).tolist()
        for at in range(0, max(len(begins), 1), BATCH):
            edges = [*begins[at : at + BATCH + 1], len(order)][: BATCH + 1]
            m = Messages.of(channel.take(pa.array(by_time[order[edges[0] : edges[-1]]])))
            rows = []
            for begin, end in pairwise(edges):
                of = order[begin]
                kind = "thread" if is_thread[of] else "talk"
                ats = list(range(begin - edges[0], end - edges[0]))
                rows.append(self._conversation(m, ats, kind, int(percent[first[of]])))
            yield Rows(pa.Table.from_pylist(rows, schema=CONVERSATION), dropped)
            dropped = dropped.slice(dropped.num_rows)

    def _grouped(self, channel: pa.Table, by_time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Per message: place of the first one of its conversation or -1 for noise; per first one how sure in percent;
        per message whether a thread holds it. A bot's message counts only in a thread where people speak.
        """
        threads = _threads(channel.select(["ts", "thread_ts"]).take(pa.array(by_time)).combine_chunks())
        is_thread, is_bot = threads >= 0, channel["is_bot"].to_numpy(zero_copy_only=False)[by_time]
        _, first_of = np.unique(threads, return_index=True)
        first_of = first_of[int((~is_thread).any()) :]  # the first message of each thread
        first = np.where(is_thread, first_of[threads] if len(first_of) else -1, -1)
        peopled = np.zeros(len(first_of), bool)
        peopled[threads[is_thread & ~is_bot]] = True
        if len(first_of):
            first[is_thread & ~peopled[threads]] = -1
        percent = np.full(len(first), 100, np.int64)
        said = _said(channel, np.flatnonzero(~is_thread & ~is_bot), by_time)
        for talk in disentangle(said, gap_s=self.gap_s, merge_s=self.merge_s):
            first[talk.messages] = talk.messages[0]
            percent[talk.messages[0]] = talk.weakest
        return first, percent, is_thread

    def _conversation(self, m: Messages, ats: list[int], kind: str, percent: int) -> dict[str, Any]:
        first = ats[0]
        root = m.thread_ts[first] or m.ts[first]
        is_orphan = kind == "thread" and m.ts[first] != root
        turns = _turns(m, ats, self.merge_s)
        native = f"conversation/{m.key[first].rpartition('/')[0]}/{root}"
        return {
            "id": row_id(m.source[first], native),
            "parents": [m.id[at] for at in ats],
            "source": m.source[first],
            "channel": m.channel[first],
            "channel_kind": m.channel_kind[first],
            "kind": kind,
            "turns": turns,
            "text": "\n".join(f"{turn['user']}: {turn['text']}" for turn in turns),
            "n_turns": len(turns),
            "n_people": len({turn["user"] for turn in turns if not turn["is_bot"]}),
            "score": percent / 100,
            "resolved": any(m.resolved[at] for at in ats) or any(turn["resolved"] for turn in turns),
            "disputed": any(m.disputed[at] for at in ats),
            "orphan": is_orphan,
            "incomplete": kind == "thread" and not is_orphan and m.reply_count[first] > len(ats) - 1,
            "created_s": m.ts_us[first] // 1_000_000,
        }


@dataclass(frozen=True)
class Messages:
    """Messages of some conversations as Python lists. Turns are a few steps of work per message."""

    id: list[str]
    source: list[str]
    key: list[str]
    text: list[str]
    channel: list[str]
    channel_kind: list[str]
    ts: list[str]
    ts_us: list[int]
    user: list[str]
    is_bot: list[bool]
    thread_ts: list[str | None]
    reply_count: list[int]
    reactions: list[int]  # counts summed
    resolved: list[bool]
    disputed: list[bool]
    mentions: list[list[str]]
    act: list[str]

    @staticmethod
    def of(table: pa.Table) -> Messages:
        columns = {name: table[name].to_pylist() for name in COLUMNS if name != "reactions"}
        columns["act"] = [act or "other" for act in columns["act"]]
        columns["reactions"] = [sum(r["count"] for r in row) for row in table["reactions"].to_pylist()]
        return Messages(**columns)


def _threads(channel: pa.Table) -> np.ndarray:
    """int64[n]: the number of the thread each message is in, -1 for none. A root read before it got replies counts."""
    named = channel["thread_ts"].combine_chunks()
    is_root = pc.is_in(channel["ts"].combine_chunks(), value_set=named.unique().drop_null())
    encoded = pc.coalesce(named, pc.if_else(is_root, channel["ts"].combine_chunks(), None)).dictionary_encode()
    numbers: np.ndarray = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy()
    return numbers


def _said(channel: pa.Table, places: np.ndarray, by_time: np.ndarray) -> Iterator[Said]:
    """The messages at these places in time, as disentangling wants them; a few thousand are Python objects at a time."""
    columns = channel.select(["user", "text", "ts_us", "act", "mentions"])
    for at in range(0, len(places), BATCH):
        some = places[at : at + BATCH]
        values = [column.to_pylist() for column in columns.take(pa.array(by_time[some])).columns]
        for place, user, text, ts_us, act, mentions in zip(some.tolist(), *values, strict=True):
            yield Said(place, user, text, ts_us, act or "other", mentions)


def _turns(m: Messages, ats: list[int], merge_s: int) -> list[dict[str, Any]]:
    """Runs of one author, without the lone thanks of somebody who asked: that accepts the answer before it instead."""
    turns: list[dict[str, Any]] = []
    askers: set[str] = set()
    last_us = 0
    for at in ats:
        user = m.user[at]
        thanks, accepts = _accepts(m.text[at], m.act[at])
        answer = next((turn for turn in reversed(turns) if turn["user"] != user), None)
        if (thanks or accepts) and user in askers and answer is not None:
            answer["resolved"] = True
            if thanks:
                continue
        if m.act[at] in ASKING or is_question(m.act[at], m.text[at]):
            askers.add(user)
        if turns and turns[-1]["user"] == user and m.ts_us[at] - last_us <= merge_s * 1_000_000:
            _extend(turns[-1], m, at)
        else:
            turns.append(_turn(m, at))
        last_us = m.ts_us[at]
    for turn in turns:
        del turn["longest"]
    return turns


def _accepts(text: str, act: str) -> tuple[bool, bool]:
    """(is it a lone thanks, does it say that the answer worked)"""
    few = len(text) <= 60 and len(text.split()) <= 7 and "?" not in text
    return few and act in ("expressives", "other") and bool(THANKS.search(text)), bool(ACCEPTED.search(text))


def _turn(m: Messages, at: int) -> dict[str, Any]:
    return {
        "user": m.user[at],
        "text": m.text[at],
        "act": m.act[at],
        "ts_us": m.ts_us[at],
        "message_ids": [m.id[at]],
        "is_bot": m.is_bot[at],
        "n_reactions": m.reactions[at],
        "resolved": m.resolved[at],
        "disputed": m.disputed[at],
        "longest": len(m.text[at]),
    }


def _extend(turn: dict[str, Any], m: Messages, at: int) -> None:
    turn["text"] += "\n" + m.text[at]
    turn["message_ids"].append(m.id[at])
    turn["n_reactions"] += m.reactions[at]
    turn["resolved"] |= m.resolved[at]
    turn["disputed"] |= m.disputed[at]
    if turn["act"] not in ASKING and (m.act[at] in ASKING or len(m.text[at]) > turn["longest"]):
        turn["act"] = m.act[at]
    turn["longest"] = max(turn["longest"], len(m.text[at]))


def _runs(keys: pa.ChunkedArray) -> list[int]:
    """Where each run of equal keys begins, and the end."""
    indices = keys.combine_chunks().dictionary_encode().indices.to_numpy()
    return [0, *(np.flatnonzero(np.diff(indices)) + 1).tolist(), len(indices)]


def _take(targets: np.ndarray, indices: pa.Array) -> np.ndarray:
    return targets[indices.to_numpy(zero_copy_only=False)] if len(indices) else np.zeros(0, np.int32)


def _empty(rows: pa.Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in rows.schema], schema=rows.schema)
