"""Sentences of an answer that answer nothing: "no idea", "let me check", "ask Bob", "same here", "which version?".

`told` takes them away; an answer of nothing else teaches only to put people off. A sentence goes if none of its words tells
of the matter (`instruct_empty_words`), or if it begins like one of the patterns here, which are English and plain;
sentences of more than MOST_WORDS words match none, so "Not sure, but I think the cache needs a purge" stays. German,
French and Spanish are known by their words alone; in other languages everything stays.
"""

from __future__ import annotations

import re

from dataforge.operators.instruct_empty_words import emptiness

MOST_WORDS, MOST_CHARACTERS = 9, 120
SENTENCE = re.compile(r"(?<=[.!?…])\s+|(?<=,)\s+(?=but\b)|\n+")
_LEAD = (
    r"(?i)(?:\W|@\S+\s|(?:hm+|hey|hi|sorry|ok|okay|yes|yeah|yep|sure|no|so|well|oh|ah"
    r"|lol|haha|wow|honestly|actually|maybe|perhaps|i think|i guess|thanks|thx|unfortunately"
    r"|good|great|and)\b)*"
)
_WHO = r"(?:let me|lemme|(?:i|we)(?:'ll| will| can|'d have to|'d need to| have to| need to|'m going to|'m gonna))"
_PRONOUN = r"(?:you|we|i|it|they|this|that|there|anyone|anybody|someone|somebody|u)"
_AUX = r"(?:did|do|does|are|is|was|were|have|has|had|can|could|would|will|should)"
_PATTERNS = {
    "not_known": (
        r"(?:i |i've |i have |got |absolutely )*(?:no|not a|zero) (?:idea|clue)\b",
        r"(?:i'm |i am )?(?:not|never) (?:really |quite |too |so )?(?:sure|certain)\b",
        r"(?:i )?(?:really |honestly )?(?:don't|dont|do not|wouldn't) know\b|idk\b|dunno\b|beats me\b"
        r"|it depends$|depends$",
        r"(?:keine ahnung|aucune idée|ni idea)\b",
    ),
    "deferred": (
        rf"{_WHO} (?:\w+ )?(?:have a|take a|look|check|see|find out|ask|try|get back|let you know"
        r"|follow up|ping|report|fix)\b",
        r"(?:(?:i'm |we're )?(?:already )?(?:(?:looking into|working on) (?:it|this|that|a fix)|investigating|on it)"
        r"|will do|hang on|hold on)\b",
        r"(?:give me|one|just|in) (?:a |one |an )?(?:sec|second|min|minute|minutes|moment|hour|bit)s?\b",
        r"(?:(?:i|we)(?:'ve| have)? )?(?:just )?(?:escalated|forwarded|assigned|passed) (?:it|this|that|on|to)\b",
        r"(?:i )?(?:\S+ )?(?:created|opened|filed|raised|made) (?:a|you a|the|you the) (?:ticket|issue|bug)\b",
        r"(?:i've|i have|we've) (?:just )?(?:created|opened|filed|raised|made)\b|created ticket\b",
        r"(?:please |pls |can you |could you )?(?:open|create|file|raise) (?:a|an) (?:ticket|issue)\b",
        r"let's (?:discuss|talk|see|sync|chat|do (?:this|it|that) later)\b",
    ),
    "see_dm": (
        r"(?:i )?(?:already )?(?:replied|answered|posted|wrote|responded|explained"
        r"|said)\b[^:]*\b(?:thread|channel|above|yesterday|already|dm|before|earlier)\b",
        r"(?:i )?already (?:replied|answered|posted|said|explained)\b|as (?:i )?(?:said|mentioned"
        r"|written)\b|\^",
        r"(?:see|check|read|look at|same as)\b[^:]*\b(?:thread|above|below|attached|attachment"
        r"|screenshot|pinned)\b",
        r"(?:moving|let's move|let's take|taking|move|take) (?:this|it|that)\b[^:]*\b(?:dm|offline"
        r"|thread|private|call|channel)\b",
        r"(?:can we|let's|happy to|want to|we could|i can|shall we|free to|up for)\b[^:]*\b(?:call"
        r"|huddle|zoom|meet|chat|dm|offline)\b",
        r"(?:just )?(?:pinged|messaged|called|texted|emailed|mailed) (?:you|u)\b|here(?:'s| is) (?:the|a"
        r"|my) (?:file|screenshot|doc|document|link)\W*$",
    ),
    "refers": (
        r"(?:maybe |perhaps |you (?:can|could|should|might) |please |better |try |best )*(?:ask|ping"
        r"|contact|cc|fyi|talk to|speak to|check with|reach out to)\b(?=.*(?:@\w|#\w|<[A-Z_]+>))",
        r"(?:please |better |best |try )*(?:post|ask|write|try|raise)\b(?: (?:it|this|that|there|again))* in #\w",
        r"(?:this is|that's|you(?:'re| are) in|it's) (?:probably )?the wrong channel\b",
        r"(?:i think |maybe |perhaps )?(?:@\S+|<[A-Z_]+>)(?: \w+)?(?: \w+)? (?:be the right|is the right"
        r"|know|knows|help|helps|did"
        r"|does|owns|has|can|will)\b",
        r"(?:what|as) (?:@\S+|<[A-Z_]+>)(?: \w+)? (?:said|wrote)\b",
    ),
    "no_answer": (
        r"(?:same|me too|me neither|\+1|this|bump|following|agreed|likewise|interesting|nice|lol|haha"
        r"|wow|cool|perfect)\b(?: \S+){0,4}$",
        r"(?:(?:it )?works (?:for me|here|now|on my)|that(?: would|'d) be|sounds (?:good|great"
        r"|like a plan)|can confirm|please do|yes please)\b",
        r"(?:never ?mind\b[\s,.]*(?:fixed|found|solved|got) it|never ?mind|nvm|found it|fixed it"
        r"|solved it|thanks?|thank you|thx|good question|great question)\b(?: \S+){0,5}$",
        r"(?:it(?:'s| is)? |should be |is )*(?:fixed|done|merged|deployed|resolved|solved|back up)\b(?:\W+\w+){0,5}\W*$",
        r"(?:deployed|pushed|merged|made) (?:a|the) fix\b|(?:that's |it's |it is )?a known (?:issue|bug|problem)\b",
        r"(?:i |we )?(?:have |had |see |get )(?:the |exactly the )?same\b|could be anything\b|no (?:problem|issue)s? here\b",
        r"it was (?:already )?(?:answered|discussed|posted)\b",
    ),
    "asks_back": (
        rf"(?:what|which|where|who|how|why)\b[^,:;]{{0,30}}\b{_AUX} (?:the|your|his|her|their|our) [^:;]*$",
        rf"{_AUX}(?:n't)? {_PRONOUN}\b[^:;]*$",
        rf"(?:which|what|where|who|how|why)\b[^,:;]{{0,40}}\b{_AUX}(?:n't)? {_PRONOUN}\b[^:;]*$",
        r"(?:please |pls |can you |could you )*(?:share|send|show|tell|give|dm|forward)(?: (?:me|us))\b",
        r"(?:please |pls )(?:share|send|post|paste|attach|add|provide) (?:the|your|a|an|some|more|full)\b",
        r"any (?:update|updates|news|progress|luck|ideas?|idea|chance)\b",
    ),
}
FILLERS = {reason: re.compile(_LEAD + "(?:" + "|".join(patterns) + ")") for reason, patterns in _PATTERNS.items()}


def told(text: str) -> tuple[str, str]:
    """(what is left without fillers, the reason of the first that was taken away or "").

    `"Let me check... yes, it expired."` -> `("yes, it expired.", "deferred")`
    """
    left, first = [], ""
    for sentence in SENTENCE.split(text):
        reason = _filler(sentence)
        first = first or reason
        if not reason:
            left.append(sentence)
    return " ".join(left), first


def _filler(sentence: str) -> str:
    if sentence.rstrip().endswith("?"):
        return "asks_back"
    words = sentence.split()
    if "`" not in sentence and (reason := emptiness(sentence)):
        return reason
    if "`" in sentence or len(sentence) > MOST_CHARACTERS or len(words) > MOST_WORDS:
        return ""
    plain = " ".join(words)
    return next((reason for reason, pattern in FILLERS.items() if pattern.match(plain)), "")
