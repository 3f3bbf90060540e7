"""What speaks for a message of open talk joining a conversation, or opening one: named observations, no weights.

Closeness, same speaker, mentions either way, an answer to a question, rare words in common, how a message begins. The
names are the keys of `slack_weights`.
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
TO_ALL = re.compile(r"(?:@(?:here|channel|everyone)\b|(?:hi|hello|hey|good morning|morning)\b)", re.I)
GOES_ON = re.compile(
    r"(?:yes|yeah|yep|no|nope|ok|okay|sure|right|exactly|because|but|and|so|it|that|that's|they|thanks|thank|thx|\+1|same"
    r"|then|also|or|he|she|good|great|perfect|ah|oh|hm+|mm+-?hmm|uh)\b",
    re.I,
)
THANKS = re.compile(r"(?:@\S+\s+)?(?:thanks?|thx|ty|cheers|perfect|great|awesome|danke|merci)\b", re.I)
PLEA = re.compile(r"(?:please|pls|help|can|could|would|hi|hello|hey|@(?:here|channel|everyone))\b", re.I)
ANYONE = re.compile(  # asks all who read, whatever follows: "Can anyone look at this? The build is red."
    r"[^.!?\n]{0,80}\b(?:any(?:one|body)|some(?:one|body)|jemand|quelqu.un|alguien)\b[^.!?\n]{0,80}\?", re.I
)
LAST = 6  # messages of a conversation that a new one is compared with
SHORT = 20  # characters
AGES_S = (15, 45, 120, 300, 900, 1800)
DISTANCES = (0, 1, 3, 7)
OPEN_NEW = "new"


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
    return is_question(act, text) or (act == "directives" and bool(PLEA.match(text)))


def is_question(act: str, text: str) -> bool:
    """By its act, by its end, or because it asks anyone: "Have you tried X? That helped" stays an answer."""
    return act == "questions" or text.endswith("?") or bool(ANYONE.match(text))


def words_of(text: str) -> frozenset[str]:
    return frozenset(word for word in WORD.findall(text[:2000].lower()) if word not in COMMON)


@dataclass
class Talk:
    """A conversation. `weakest` is the least sure link in percent."""

    first: Said
    messages: list[int] = field(default_factory=list)
    recent: deque[Said] = field(default_factory=lambda: deque(maxlen=LAST))
    words: deque[frozenset[str]] = field(default_factory=lambda: deque(maxlen=LAST))
    people: dict[str, int] = field(default_factory=dict)  # → ts_us of their last message
    last_us: int = 0
    weakest: int = 100
    waits: bool = False  # the last word is a question, or nobody but the asker has spoken

    def add(self, said: Said, words: frozenset[str], percent: int) -> None:
        self.messages.append(said.at)
        self.recent.append(said)
        self.words.append(words)
        self.people[said.user] = self.last_us = said.ts_us
        self.weakest = min(self.weakest, percent)
        self.waits = asks(said.act, said.text) or (self.waits and said.user == self.first.user)


@dataclass(frozen=True)
class Context:
    """What is known of a message before it is compared."""

    words: frozenset[str]
    rare: frozenset[str]
    gap_us: int
    merge_us: int
    wants: bool
    goes_on: bool
    to_all: bool
    thanks: bool
    short: bool
    newest_us: int  # when anybody spoke last, 0 for never
    own_us: int  # when its author did, in an open conversation
    begun: int  # of open conversations that are alive, 3 at most

    @staticmethod
    def of(
        said: Said, talks: Sequence[Talk], words: frozenset[str], rare: frozenset[str], gap_s: int, merge_s: int
    ) -> Context:
        text = said.text
        own = max((talk.people.get(said.user, 0) for talk in talks), default=0)
        alive = sum(talk.last_us >= said.ts_us - 180_000_000 for talk in talks)
        flags = asks(said.act, text), bool(GOES_ON.match(text)), bool(TO_ALL.match(text)), bool(THANKS.match(text))
        newest = talks[-1].last_us if talks else 0
        return Context(
            words, rare, gap_s * 1_000_000, merge_s * 1_000_000, *flags, len(text) <= SHORT, newest, own, min(alive, 3)
        )


def evidence_for_new(said: Said, context: Context) -> Iterator[str]:
    """Names of what speaks for a new conversation."""
    yield OPEN_NEW
    yield f"new: silence {_bucket((said.ts_us - context.newest_us) // 1_000_000, AGES_S)}"
    yield f"new: alive {context.begun}"
    own = said.ts_us - context.own_us
    yield "new: author spoke lately" if own < 120_000_000 else "new: author spoke" if context.own_us else "new: stranger"
    for is_so, name in (
        (context.wants, "new: asks"),
        (context.to_all, "new: to all"),
        (context.goes_on, "new: goes on"),
        (context.thanks, "new: thanks"),
        (context.short, "new: short"),
        (bool(said.mentions), "new: mentions"),
    ):
        if is_so:
            yield name


def evidence(said: Said, talk: Talk, distance: int, context: Context) -> list[str]:
    """Names of what speaks for and against this conversation. `distance`: conversations that spoke since it did."""
    age_us, last = said.ts_us - talk.last_us, talk.recent[-1]
    to_it = any(person in talk.people for person in said.mentions)
    from_it = any(said.user in earlier.mentions for earlier in talk.recent)
    names = [f"age {_bucket(age_us // 1_000_000, AGES_S)}", f"after {_bucket(distance, DISTANCES)} others"]
    if age_us > context.gap_us:
        names.append("after silence")
    names += _speakers(said, talk, last, age_us, context)
    if said.mentions:
        to_last = last.user in said.mentions
        names.append("mentions the last" if to_last else "mentions one of it" if to_it else "mentions another")
    if from_it:
        names.append("was mentioned last" if said.user in last.mentions else "was mentioned")
    elif last.mentions:
        names.append("another was mentioned")
    if talk.waits and last.user != said.user:
        names.append("asks back" if context.wants else "answers")
    shared = max((len(context.rare & words) for words in talk.words), default=0)
    if shared:
        names.append(f"rare words {min(shared, 3)}")
    elif any(context.words & words for words in talk.words):
        names.append("common words")
    return names + _manner(said, talk, distance, context)


def _speakers(said: Said, talk: Talk, last: Said, age_us: int, context: Context) -> list[str]:
    if said.user == last.user:
        return ["goes on speaking" if age_us <= context.merge_us else "speaks again"]
    mine = talk.people.get(said.user)
    if mine is None:
        return ["joins it alone" if len(talk.people) == 1 else "joins it"]
    names = ["was here last" if mine == context.own_us else "was here before"]
    if len(talk.recent) > 1 and talk.recent[-2].user == said.user:
        names.append("takes turns")
    return names


def _manner(said: Said, talk: Talk, distance: int, context: Context) -> list[str]:
    names = []
    if context.goes_on:
        names.append("goes on at once" if distance == 0 else "goes on")
    if context.short:
        names.append("short at once" if distance == 0 else "short")
    if context.to_all:
        names.append("greets")
    if context.wants:
        names.append("asks")
    if context.thanks and said.user == talk.first.user and len(talk.people) > 1:
        names.append("thanks as asker")
    return names


def _bucket(value: int, edges: Sequence[int]) -> str:
    for edge in edges:
        if value <= edge:
            return f"<= {edge}"
    return f"> {edges[-1]}"
