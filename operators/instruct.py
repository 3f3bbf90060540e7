"""Conversations → training pairs: a question or directive, what came before it, the answer that another person gave.

In persona mode the answers are one chosen person's messages, and whatever others said before asks for them. Each pair
is rendered by a template; only the characters of the answer bear loss. A conversation gives pairs or is dropped with
the reason that kept it from giving one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pyarrow as pa

from dataforge.errors import ConfigError
from dataforge.identity import row_id
from dataforge.operator import Contract, Map, Rows
from dataforge.operators.instruct_answer import reason_against, reason_unhelpful
from dataforge.operators.instruct_render import TEMPLATES, chat, fitting, render, spoken
from dataforge.operators.slack_evidence import is_question
from dataforge.schemas.instruct import INSTRUCT
from dataforge.schemas.verdict import DROPPED

COLUMNS = ("id", "source", "channel", "kind", "turns", "score", "resolved", "disputed", "orphan")
Turn = dict[str, Any]


@dataclass(frozen=True)
class Instruct(Map):
    """`persona` and `team` hold pseudonyms. A persona needs `consent`: where that agreement is written down."""

    template: str = "book"  # book | alpaca
    answers: str = "one"  # one | all
    require_resolved: bool = False  # only answers that a reaction or thanks accepted
    allow_disputed: bool = False
    allow_orphans: bool = False  # threads whose root is missing
    expressives: str = "drop"  # drop | keep: thanks, greetings and jokes as answers
    min_words: int = 3  # of an answer
    min_score: float = 0.5  # of the conversation: how surely its messages belong together
    max_history_tokens: int = 512  # four bytes are counted as a token
    timestamps: str = "keep"  # keep | drop: ts of the messages in `meta`, by which insiders find them
    persona: str = ""
    team: tuple[str, ...] = ()  # only answers of these people; their turns are the assistant's
    consent: str = ""
    contract: ClassVar[Contract] = Contract.DERIVED
    VERSION: ClassVar[int] = 6

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise ConfigError(f"unknown template; known: {', '.join(sorted(TEMPLATES))}", key="instruct.template")
        for name, value, known in (
            ("answers", self.answers, ("one", "all")),
            ("expressives", self.expressives, ("drop", "keep")),
            ("timestamps", self.timestamps, ("drop", "keep")),
        ):
            if value not in known:
                raise ConfigError(f"expected {' or '.join(known)}", key=f"instruct.{name}")
        if self.persona and not self.consent.strip():
            raise ConfigError(
                "a persona needs that person's consent", key="instruct.consent", hint="say where it is written down"
            )

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (COLUMNS,)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return INSTRUCT

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        return self._batch

    def _batch(self, conversations: pa.RecordBatch) -> Rows:
        """A loop over rows: conversations are a tenth of the messages, and pairing one is a few string joins."""
        rows: list[dict[str, Any]] = []
        dropped: list[dict[str, Any]] = []
        for conversation in conversations.to_pylist():
            pairs, reason = self._pairs(conversation)
            if pairs:
                rows += [self._row(conversation, asked, answer) for asked, answer in pairs]
            else:
                dropped.append({"id": conversation["id"], "reason": reason})
        return Rows(pa.Table.from_pylist(rows, schema=INSTRUCT), pa.Table.from_pylist(dropped, schema=DROPPED))

    def _pairs(self, conversation: dict[str, Any]) -> tuple[list[tuple[int, list[int]]], str]:
        """Pairs as (place of the question, places of the answer's turns), or the reason that there is none."""
        if conversation["orphan"] and not self.allow_orphans:
            return [], "orphan_thread"
        if conversation["score"] < self.min_score:
            return [], "low_score"
        turns = conversation["turns"]
        pairs: list[tuple[int, list[int]]] = []
        reasons: list[str] = []
        for asked, candidates in self._candidates(turns):
            good = [c for c in candidates if not self._reason(turns, c, reasons)]
            good.sort(key=lambda c: self._rank(turns, c))
            pairs += [(asked, c) for c in (good if self.answers == "all" else good[:1])]
            if not candidates:
                reasons.append("unanswered")
        if pairs:
            return pairs, ""
        nothing = "persona_silent" if self.persona else "no_question"
        return [], min(reasons, key=lambda r: (r == "unanswered", reasons.index(r)), default=nothing)

    def _candidates(self, turns: list[Turn]) -> Iterator[tuple[int, list[list[int]]]]:
        """Per question: for each other person who spoke before the next question, the places of their turns."""
        if self.persona:
            yield from self._persona_candidates(turns)
            return
        asks = _asks(turns)
        for asked, end in pairwise([*asks, len(turns)]):
            by_user: dict[str, list[int]] = {}
            for at in range(asked + 1, end):
                turn = turns[at]
                asks_back = is_question(turn["act"], turn["text"])
                if turn["user"] != turns[asked]["user"] and not asks_back and self._may_answer(turn):
                    by_user.setdefault(turn["user"], []).append(at)
            yield asked, list(by_user.values())

    def _persona_candidates(self, turns: list[Turn]) -> Iterator[tuple[int, list[list[int]]]]:
        at = 0
        while at < len(turns):
            if turns[at]["user"] != self.persona:
                at += 1
                continue
            run = [at]
            while run[-1] + 1 < len(turns) and turns[run[-1] + 1]["user"] == self.persona:
                run.append(run[-1] + 1)
            if at > 0 and not turns[at - 1]["is_bot"]:
                yield at - 1, [run]
            at = run[-1] + 1

    def _may_answer(self, turn: Turn) -> bool:
        if turn["is_bot"] or (self.team and turn["user"] not in self.team):
            return False
        return self.expressives == "keep" or turn["act"] != "expressives"

    def _reason(self, turns: list[Turn], places: list[int], reasons: list[str]) -> str:
        """Why an answer is not used; also noted in `reasons`."""
        answer = [turns[at] for at in places]
        text = "\n".join(turn["text"] for turn in answer)
        reason = reason_against(text, self.min_words)
        if not reason and not self.persona:
            reason = reason_unhelpful(text, self.min_words)
        if not reason and self.persona and self.expressives == "drop" and all(t["act"] == "expressives" for t in answer):
            reason = "expressive"
        if not reason and self.require_resolved and not any(turn["resolved"] for turn in answer):
            reason = "unresolved"
        if not reason and not self.allow_disputed and any(turn["disputed"] for turn in answer):
            reason = "disputed"
        if reason:
            reasons.append(reason)
        return reason

    def _rank(self, turns: list[Turn], places: list[int]) -> tuple[bool, int, int]:
        answer = [turns[at] for at in places]
        return not any(t["resolved"] for t in answer), -sum(t["n_reactions"] for t in answer), places[0]

    def _row(self, conversation: dict[str, Any], asked: int, places: list[int]) -> dict[str, Any]:
        turns = conversation["turns"]
        question, answer = turns[asked], [turns[at] for at in places]
        before = [at for at in range(places[0]) if at != asked]  # clarifications stand between question and answer
        before = before[len(before) - fitting([turns[at] for at in before], self.max_history_tokens) :]
        asks, output = spoken(question["text"]), spoken("\n".join(turn["text"] for turn in answer))
        lines = "\n".join(f"{turns[at]['user']}: {turns[at]['text']}" for at in before)
        prompt, completion = render(self.template, asks, lines, output)
        used = [turns[at] for at in sorted([*before, asked, *places])]
        said = [turns[at] | {"text": asks} if at == asked else turns[at] for at in sorted([*before, asked])]
        assistants = set(self.team) | {answer[0]["user"]}
        message_ids = [i for turn in used for i in turn["message_ids"]]
        return {
            "id": row_id(conversation["source"], f"instruct/{question['message_ids'][0]}/{answer[0]['message_ids'][0]}"),
            "parents": [conversation["id"]],
            "source": conversation["source"],
            "conversation": conversation["id"],
            "message_ids": message_ids,
            "instruction": asks,
            "input": lines,
            "output": output,
            "text": prompt + completion,
            "spans_trained": [{"start": len(prompt), "end": len(prompt) + len(completion)}],
            "prompt": prompt,
            "completion": completion,
            "messages": chat(said, question["user"], output, assistants),
            "act": question["act"],
            "meta": _meta(conversation, used, answer, with_ts=self.timestamps == "keep"),
        }


def _asks(turns: list[Turn]) -> list[int]:
    """Places of the turns that ask. While a question of A is open, B's "try this" is an answer to it, and B's "which
    version?" a clarification; only A, or anybody after an answer, asks anew.
    """
    found: list[int] = []
    asker, answered = "", False
    for at, turn in enumerate(turns):
        if turn["is_bot"]:
            continue
        other = asker not in ("", turn["user"])
        asks = is_question(turn["act"], turn["text"])
        asking = asks or turn["act"] == "directives"
        if asking and not (other and (not asks or not answered)):
            found.append(at)
            asker, answered = turn["user"], False
        elif other and not asks:
            answered = True
    return found


def _meta(conversation: dict[str, Any], used: list[Turn], answer: list[Turn], *, with_ts: bool) -> str:
    """JSON with sorted keys: where the pair comes from and how it ended. No text, pseudonyms only."""
    resolved = any(turn["resolved"] for turn in answer)
    outcome = "resolved" if resolved else "disputed" if any(turn["disputed"] for turn in answer) else "open"
    facts = {
        "acts": [turn["act"] for turn in used],
        "answered_by": answer[0]["user"],
        "channel": conversation["channel"],
        "kind": conversation["kind"],
        "outcome": outcome,
        "score": round(conversation["score"] * 100),
        "users": [turn["user"] for turn in used],
    }
    if with_ts:
        facts["ts"] = [f"{turn['ts_us'] // 1_000_000}.{turn['ts_us'] % 1_000_000:06d}" for turn in used]
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
