"""Channel talk outside threads → groups of messages that belong together, each link with a probability.

One pass in order of time. Every message either joins one of the open conversations or opens a new one: each choice is
given points by the evidence for it (`slack_evidence`), and the most points win. Points are thousandths of a nat, fitted
as a choice model by `tests/benchmarks/disentangle.py`, so the share of the winner among all choices is its probability.
Integers and a fixed order of ties: the result is a function of the messages. Threads are not its business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from dataforge.operators.slack_evidence import Context, Said, Talk, evidence, evidence_for_new, words_of
from dataforge.operators.slack_weights import WEIGHTS

RIVALS = 10  # conversations a message is compared with: the ones that spoke last
LINGER = 4  # times the silence after which talk is over whatever speaks for it
CONTESTED = 5, 8  # of the probability is left to an answer while somebody else waits for one: else it promises too much
WINDOW = 400  # messages over which a word counts as rare
_EXP = [round(1_000_000 * 2.718281828459045 ** (-k / 10)) for k in range(140)]  # e^-x in steps of a tenth


def disentangle(messages: Iterable[Said], *, gap_s: int, merge_s: int) -> Iterator[Talk]:
    """All conversations, each as soon as nothing can join it any more; every message is in exactly one.

    Sorted by time before. Only conversations that may go on are held.
    """
    talks: list[Talk] = []  # the one that spoke last stands last
    rarity = _Rarity()
    for said in messages:  # a loop over rows: ten comparisons at most, each some microseconds
        limit = said.ts_us - LINGER * gap_s * 1_000_000
        if talks and talks[0].last_us < limit:
            yield from (talk for talk in talks if talk.last_us < limit)
            talks = [talk for talk in talks if talk.last_us >= limit]
        context = rarity.context(said, talks, gap_s, merge_s)
        place, percent = _choice(said, talks, context)
        talk = talks.pop(place) if place >= 0 else Talk(said)
        talk.add(said, context.words, percent)
        talks.append(talk)
    yield from talks


def _choice(said: Said, talks: list[Talk], context: Context) -> tuple[int, int]:
    """(place of the conversation it joins or -1, how sure in percent). Ties go to the one that spoke last."""
    best, place = sum(map(WEIGHTS.__getitem__, evidence_for_new(said, context))), -1
    points = [best]
    for at in range(len(talks) - 1, max(-1, len(talks) - 1 - RIVALS), -1):
        found = sum(map(WEIGHTS.__getitem__, evidence(said, talks[at], len(talks) - 1 - at, context)))
        points.append(found)
        if found > best:
            best, place = found, at
    percent = 100_000_000 // sum(_EXP[min((best - other) // 100, 139)] for other in points)
    if place >= 0 and not context.wants and _is_contested(said, talks, place, context):
        percent = percent * CONTESTED[0] // CONTESTED[1]
    return place, percent


def _is_contested(said: Said, talks: list[Talk], place: int, context: Context) -> bool:
    """Whether another conversation waits for an answer too. Of answers to generated help talk (`disentangle.py`, six
    channels in one) that join at 50 to 80 percent 0.63 are right then, above 0.7 otherwise; from 80 on all are.
    """
    oldest = said.ts_us - context.gap_us
    return any(
        talk.waits and at != place and talk.last_us >= oldest and talk.first.user != said.user
        for at, talk in enumerate(talks)
    )


class _Rarity:
    """In how many of the last messages each word stood."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.window: deque[frozenset[str]] = deque()
        self.at = 0

    def context(self, said: Said, talks: list[Talk], gap_s: int, merge_s: int) -> Context:
        words = words_of(said.text)
        self._add(words)
        limit = max(4, len(self.window) // 50)
        rare = frozenset(word for word in words if self.counts[word] <= limit)
        return Context.of(said, talks, words, rare, gap_s, merge_s)

    def _add(self, words: frozenset[str]) -> None:
        self.window.append(words)
        for word in words:
            self.counts[word] = self.counts.get(word, 0) + 1
        if len(self.window) > WINDOW:
            for word in self.window.popleft():
                self.counts[word] -= 1
                if not self.counts[word]:
                    del self.counts[word]
