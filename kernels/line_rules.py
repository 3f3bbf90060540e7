"""Line rules of C4 and DCLM: which lines go, how the others are rewritten, what drops the whole text.

C4 (`c4@datatrove` of presets): rules run top down on the stripped line, a dropped line is not checked further.
"""

from __future__ import annotations

import re

from dataforge.kernels.text_words import BLANK, MARK, TERMINAL, kind, tokens_of

# Verdicts on a line. STOP_… drop the text.
KEEP, STOP_LOREM, STOP_CURLY, LONG_WORD, NO_END, FEW_WORDS, SCRIPT, POLICY = range(8)
STOPS = (STOP_LOREM, STOP_CURLY)
REASONS = ("", "lorem_ipsum", "curly_bracket", "too_long_word", "no_end_mark", "few_words", "javascript", "policy")
POLICIES = ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"]
CITATION = re.compile(r"\[[0-9]*\]|\[edit\]|\[citation needed\]")
END_MARKS = (".", "?", "!", '"', "'")
MOST_WORD, FEWEST_WORDS, FEWEST_SENTENCES = 1000, 3, 5


def c4_line(line: str, *, any_end: bool) -> tuple[int, str]:
    """(verdict, cleaned line); `any_end` leaves out the rule on end marks. The definition, one line at a time."""
    words = "".join(" " if kind(char) & int(BLANK) else char for char in line).split()
    if any(len(word) > MOST_WORD for word in words):
        return LONG_WORD, ""
    first = next((i for i, char in enumerate(line) if not kind(char) & int(BLANK)), len(line))
    last = next((i for i, char in enumerate(reversed(line)) if not kind(char) & int(BLANK)), 0)
    cleaned = CITATION.sub("", line[first : len(line) - last])
    lower = re.sub("[A-Z]", lambda match: match[0].lower(), cleaned)
    if not any_end and (not cleaned.endswith(END_MARKS) or cleaned.endswith("...")):
        return NO_END, ""
    for verdict, hit in (
        (FEW_WORDS, len(words) < FEWEST_WORDS),
        (STOP_LOREM, "lorem ipsum" in lower),
        (SCRIPT, "javascript" in lower),
        (STOP_CURLY, "{" in lower),
        (POLICY, any(policy in lower for policy in POLICIES)),
    ):
        if hit:
            return verdict, ""
    return KEEP, cleaned


def sentences(line: str) -> int:
    """A sentence begins with the line and with each token that is no punctuation and follows a terminal mark."""
    tokens, count, ended = tokens_of(line), 0, False
    for token in tokens:
        terminal = len(token) == 1 and bool(kind(token) & int(TERMINAL))
        marks = all(kind(char) & int(MARK) for char in token)
        if count == 0 or (ended and not marks and not terminal):
            count, ended = count + 1, terminal
        ended = ended or terminal
    return count
