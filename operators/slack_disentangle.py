"""Channel talk outside threads → groups of messages that belong together, each link with a score.

One pass in order of time. Every message joins the open conversation with the most evidence, or opens a new one.
Evidence is counted in points: closeness in time, same speaker, mentions either way, an open question, rare words.
Only integers and a fixed order of ties, so the result is a function of the messages. Threads are not its business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

WORD = re.compile(r"[^\W_]{4,}")
_COMMON = """
that this with have what when where which will would could should there their them they then than from your
about just like know need make here were been some does doing dont cant anyone someone please thanks
"""
COMMON = frozenset(_COMMON.split())
MENTION_OF_ALL = re.compile(r"@(here|channel|everyone)\b")
JOIN_POINTS = 4


@dataclass(frozen=True)
class Said:
    """One message, as far as this pass cares. `at` is its place in the channel's order of time."""

    at: int
    user: str
    text: str
    ts_us: int
    act: str
    mentions: Sequence[str]


@dataclass
class Talk:
    """An open or finished conversation. `weakest` is the least sure link in percent."""

    messages: list[int] = field(default_factory=list)
    people: dict[str, int] = field(default_factory=dict)  # → ts_us of the last message
    called: dict[str, int] = field(default_factory=dict)  # mentioned people → ts_us
    words: set[str] = field(default_factory=set)
    last_user: str = ""
    last_us: int = 0
    asker: str = ""  # of the question that is still open
    weakest: int = 100

    def add(self, said: Said, words: set[str], link: int) -> None:
        self.messages.append(said.at)
        self.weakest = min(self.weakest, link)
        if said.act in ("questions", "directives") and said.user != self.last_user:
            self.asker = said.user
        elif self.asker and said.user != self.asker:
            self.asker = ""
        self.people[said.user] = self.last_us = said.ts_us
        self.called.update(dict.fromkeys(said.mentions, said.ts_us))
        self.words |= words
        self.last_user = said.user


def disentangle(messages: Sequence[Said], *, gap_s: int, merge_s: int) -> list[Talk]:
    """All conversations in the order of their first message; every message is in exactly one. Sorted by time before."""
    finished: list[Talk] = []
    open_talks: list[Talk] = []
    for said in messages:  # a loop over rows: a handful of open conversations each, some 10 µs in all
        limit = said.ts_us - gap_s * 1_000_000
        still = [talk for talk in open_talks if talk.last_us >= limit]
        words = {word for word in WORD.findall(said.text.lower()) if word not in COMMON}
        best, points, rival = _best(said, words, still, merge_s)
        if best is None or points < JOIN_POINTS:
            best, link = Talk(), 100 if not still else _percent(JOIN_POINTS - points)
            finished.append(best)
            still.append(best)
        else:
            link = _percent(points - max(rival, JOIN_POINTS - 1))
        best.add(said, words, link)
        open_talks = still
    return finished


def _percent(margin: int) -> int:
    """How sure a decision is whose best choice leads by so many points: 1 → 55, 4 → 85, 6 and more → 99."""
    return max(10, min(99, 45 + 10 * margin))


def _best(said: Said, words: set[str], talks: list[Talk], merge_s: int) -> tuple[Talk | None, int, int]:
    """(talk with the most points, its points, points of the next). Ties go to the one that spoke last."""
    best, points, rival = None, -99, -99
    newest = max((talk.last_us for talk in talks), default=0)
    for talk in talks:
        found = _points(said, words, talk, merge_s, is_newest=talk.last_us == newest)
        if found > points or (found == points and best is not None and talk.last_us > best.last_us):
            best, points, rival = talk, found, points
        else:
            rival = max(rival, found)
    return best, points, rival


def _points(said: Said, words: set[str], talk: Talk, merge_s: int, *, is_newest: bool) -> int:
    age_s = (said.ts_us - talk.last_us) // 1_000_000
    asks = said.act in ("questions", "directives")
    points = 2 if is_newest else 0
    points += 2 if age_s <= 60 else 1 if age_s <= 300 else 0
    if said.user == talk.last_user:
        points += 4 if age_s <= merge_s else 1
    elif said.user in talk.people:
        points += 3
    elif asks and not said.mentions:
        points -= 4  # a question by someone new opens a conversation of its own
    if any(person in talk.people for person in said.mentions):
        points += 5
    elif said.mentions:
        points -= 2  # it speaks to somebody who is not here
    if said.user in talk.called:
        points += 4
    if talk.asker and said.user != talk.asker and not asks:
        points += 2
    if MENTION_OF_ALL.search(said.text):
        points -= 3
    return points + min(3, len(words & talk.words))
