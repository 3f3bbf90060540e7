"""Channel talk outside threads → groups of messages that belong together, each link with a score.

One pass in order of time. Every message is compared with the last messages of the open conversations and joins the one
that holds its best partner, or opens a new one. Evidence is counted in points: closeness, same speaker, mentions
either way, an answer to a question, rare words in common. Only integers and a fixed order of ties, so the result is a
function of the messages. Threads are not its business. Weights: by hand, checked against talks mixed on purpose.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

WORD = re.compile(r"[^\W_]{4,}")
_COMMON = """
that this with have what when where which will would could should there their them they then than from your
about just like know need make here were been some does doing dont cant anyone someone please thanks
"""
COMMON = frozenset(_COMMON.split())
TO_ALL = re.compile(r"@(?:here|channel|everyone)\b|^(?:hi|hello|hey|good morning|morning)\b", re.I)
GOES_ON = re.compile(
    r"(?:yes|yeah|yep|no|nope|ok|okay|sure|right|exactly|because|but|and|so|it|that|that's|they|thanks|thank|thx|\+1|same"
    r"|then|also|or|he|she|good|great|perfect|ah|oh|hm+|mm+-?hmm|uh)\b",
    re.I,
)
JOIN_POINTS = 5
CROWD = 5  # one point more is needed for each conversation that is lively, up to so many
LIVELY_US = 180 * 1_000_000
PRESENT_US = 600 * 1_000_000  # somebody counts as present in a conversation for so long
LAST = 6  # messages of a conversation that a new one is compared with
WINDOW = 400  # messages over which a word counts as rare
PLEA = re.compile(r"(?:please|pls|help|can|could|would|hi|hello|hey|@(?:here|channel|everyone))\b", re.I)


@dataclass(frozen=True)
class Said:
    """One message, as far as this pass cares. `at` is its place in the channel's order of time."""

    at: int
    user: str
    text: str
    ts_us: int
    act: str
    mentions: Sequence[str]


def asks(act: str, text: str) -> bool:
    """Whether a message wants an answer. The tagger may take "…, what can I do?" for another act; the mark tells.

    A directive wants one only if it pleads: "try this" is advice, mostly an answer itself.
    """
    return act == "questions" or text.endswith("?") or (act == "directives" and bool(PLEA.match(text)))


@dataclass
class Talk:
    """A conversation. `weakest` is the least sure link in percent."""

    messages: list[int] = field(default_factory=list)
    recent: deque[tuple[Said, set[str]]] = field(default_factory=lambda: deque(maxlen=LAST))
    people: dict[str, int] = field(default_factory=dict)  # → ts_us of their last message
    last_us: int = 0
    weakest: int = 100

    def add(self, said: Said, words: set[str], link: int) -> None:
        self.messages.append(said.at)
        self.recent.append((said, words))
        self.people[said.user] = self.last_us = said.ts_us
        self.weakest = min(self.weakest, link)


def disentangle(messages: Sequence[Said], *, gap_s: int, merge_s: int) -> list[Talk]:
    """All conversations in the order of their first message; every message is in exactly one. Sorted by time before."""
    talks: list[Talk] = []
    open_talks: list[Talk] = []
    rarity = _Rarity()
    for said in messages:  # a loop over rows: a few dozen comparisons each, some 30 µs in all
        limit = said.ts_us - gap_s * 1_000_000
        open_talks = [talk for talk in open_talks if talk.last_us >= limit]
        words = rarity.add(said.text)
        needed = JOIN_POINTS + min(CROWD, sum(talk.last_us >= said.ts_us - LIVELY_US for talk in open_talks))
        best, points, rival = _best(said, words, open_talks, rarity, merge_s)
        if best is None or points < needed:
            best, link = Talk(), 100 if not open_talks else _percent(needed - points)
            talks.append(best)
            open_talks.append(best)
        else:
            link = _percent(points - max(rival, needed - 1))
        best.add(said, words, link)
    return talks


def _percent(margin: int) -> int:
    """How sure a decision is whose best choice leads by so many points: 1 → 55, 4 → 85, 6 and more → 99."""
    return max(10, min(99, 45 + 10 * margin))


class _Rarity:
    """In how many of the last messages each word stood."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.window: deque[set[str]] = deque()

    def add(self, text: str) -> set[str]:
        words = {word for word in WORD.findall(text.lower()[:2000]) if word not in COMMON}
        self.window.append(words)
        for word in words:
            self.counts[word] = self.counts.get(word, 0) + 1
        if len(self.window) > WINDOW:
            for word in self.window.popleft():
                self.counts[word] -= 1
                if not self.counts[word]:
                    del self.counts[word]
        return words

    def points(self, shared: set[str]) -> int:
        """Two points for a word of at most 1 in 50 messages, at most 6 in all."""
        limit = max(4, len(self.window) // 50)
        return min(6, 2 * sum(self.counts.get(word, 0) <= limit for word in shared))


def _best(
    said: Said, words: set[str], talks: list[Talk], rarity: _Rarity, merge_s: int
) -> tuple[Talk | None, int, int]:
    """(talk with the most points, its points, points of the next). Ties go to the one that spoke last."""
    best, points, rival = None, -99, -99
    newest = max((talk.last_us for talk in talks), default=0)
    for talk in talks:
        found = max(_points(said, words, talk, rarity, merge_s)) + (1 if talk.last_us == newest else 0)
        if found > points or (found == points and best is not None and talk.last_us > best.last_us):
            best, points, rival = talk, found, points
        else:
            rival = max(rival, found)
    return best, points, rival


def _points(said: Said, words: set[str], talk: Talk, rarity: _Rarity, merge_s: int) -> Iterator[int]:
    """Points of the message with each of the last messages of a conversation."""
    wants = asks(said.act, said.text)
    goes_on = 1 if GOES_ON.match(said.text) else 0
    stranger = said.ts_us - talk.people.get(said.user, -PRESENT_US) > PRESENT_US
    about_talk = goes_on - (3 if TO_ALL.match(said.text) or (wants and stranger and not said.mentions) else 0)
    if said.mentions and not any(person in talk.people for person in said.mentions):
        about_talk -= 3
    about_talk += -2 if stranger else 2
    for earlier, its_words in talk.recent:
        age_s = (said.ts_us - earlier.ts_us) // 1_000_000
        points = 4 if age_s <= 45 else 3 if age_s <= 120 else 2 if age_s <= 300 else 0 if age_s <= 900 else -2
        if said.user == earlier.user:
            points += 2 if age_s <= merge_s else 0
        elif not wants and asks(earlier.act, earlier.text):
            points += 3
        between = said.at - earlier.at
        points += 2 if between == 1 else 1 if between <= 3 else 0
        points += 6 if earlier.user in said.mentions else 0
        points += 5 if said.user in earlier.mentions else 0
        yield points + about_talk + rarity.points(words & its_words)
