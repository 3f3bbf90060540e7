"""Which answers teach nothing: one word, "see DM", just a link, an emoji, a file, a mention, or what masking left over.

`reason_against` gives a machine-readable reason for `dropped/`, or "". Patterns are plain and linear; they look at the
answer alone, never at who gave it.
"""

from __future__ import annotations

import re

from dataforge.operators.instruct_fillers import told

MASKED = re.compile(r"<[A-Z][A-Z_]{2,30}>")
LINK = re.compile(r"(?:https?://|www\.).+|[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.[a-z]{2,10}(?:/.*)?")
MENTION = re.compile(r"@[\w.-]+|\buser_[a-z2-7]{10}\b|#[\w-]+")
SHORT_CODE = re.compile(r":[a-z0-9_+'-]+:")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
ELSEWHERE = re.compile(
    r"(?i)\b(?:dm(?:'?d|ed|ing)?|pm(?:'?d|ed)?)\b[^.\n]{0,20}\b(?:you|me|u)\b|\b(?:see|check|sent|in|via|by)\b[^.\n]{0,20}"
    r"\bdms?\b|\bmessaged you\b|\b(?:call(?:ed)?|ring) (?:you|me)\b"
    r"|\b(?:sent|mailed|emailed) (?:it |that |them )?(?:to )?you\b"
    r"|\bsee (?:above|below|attached|attachment|screenshot|thread)\b"
)
LONG_ENOUGH = 25  # words: an answer that long says something even if it also points elsewhere


def reason_against(text: str, min_words: int) -> str:
    """`"see DM"` -> "see_dm"; `"https://x.org"` -> "link_only"; `"Restart the agent first."` -> ""."""
    bare = MASKED.sub(" ", text)
    words = _words(bare)
    if not words:
        return "removed_by_pii" if bare != text else "no_words"
    without_links = _without_links(bare)
    if not _words(without_links):
        return "link_only"
    without_mentions = MENTION.sub(" ", without_links)
    if not _words(without_mentions):
        return "mention_only"
    left = _words(SHORT_CODE.sub(" ", without_mentions))
    if not left:
        return "emoji_only"
    if len(left) < LONG_ENOUGH and ELSEWHERE.search(text):
        return "see_dm"
    if len(left) >= min_words or "`" in text:
        return "removed_by_pii" if 3 * len(MASKED.findall(text)) > len(left) else ""
    if bare != text:
        return "removed_by_pii"
    return "one_word" if len(left) == 1 else "too_short"


def reason_unhelpful(text: str, min_words: int) -> str:
    """Why an answer of more than one word is none: `"Let me check."` -> "deferred"; not for a persona, whose voice it is."""
    left, reason = told(text)
    bare = SHORT_CODE.sub(" ", MENTION.sub(" ", _without_links(MASKED.sub(" ", left))))
    return reason if reason and "`" not in left and len(_words(bare)) < min_words else ""


def _without_links(text: str) -> str:
    """Without words that are links, and without a link's one-word label: `"docs (x.org) helps"` -> `"helps"`."""
    kept: list[str] = []
    for word in text.split():
        if LINK.fullmatch(word.strip("()<>.,;:!?")):
            if word.startswith("(") and kept:
                kept.pop()
        else:
            kept.append(word)
    return " ".join(kept)


def _words(text: str) -> list[str]:
    return WORD.findall(text)
