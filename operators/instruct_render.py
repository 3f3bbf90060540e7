"""How a pair is written: the templates, the history that fits, the turns of a chat.

The landmark lines of a template must mean one thing only, so a line of somebody's text that begins like one is moved in
by a space. Everything here is a function of its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

# name → (mark of a heading's end, whether an empty Input is written)
TEMPLATES: dict[str, tuple[str, str, bool]] = {"book": ("###", "", True), "alpaca": ("### ", ":", False)}
LANDMARKS = tuple(f"###{blank}{part}" for blank in ("", " ") for part in ("Instruction", "Input", "Response"))
LANDMARK = re.compile(f"^({'|'.join(LANDMARKS)})", re.M)
ADDRESSED = re.compile(r"\A(?:@user(?:_[a-z2-7]{10})?[:,]?\s+)+")
BYTES_PER_TOKEN = 4
Turn = dict[str, Any]


def render(template: str, instruction: str, given: str, output: str) -> tuple[str, str]:
    """(prompt, completion): the prompt ends with the line before the answer, the completion is the answer alone.

    `("book", "Why?", "", "So.")` -> `("###Instruction\\nWhy?\\n\\n###Input\\n\\n\\n###Response\\n", "So.")`
    """
    before, after, keeps_empty = TEMPLATES[template]
    parts = [("Instruction", instruction), ("Input", given)]
    sections = [f"{before}{n}{after}\n{_plain(t)}\n\n" for n, t in parts if t or n == "Instruction" or keeps_empty]
    return "".join(sections) + f"{before}Response{after}\n", _plain(output)


def _plain(text: str) -> str:
    return LANDMARK.sub(r" \1", text) if "###" in text else text


def spoken(text: str) -> str:
    """Without the mentions it begins with: `"@user_k3fzzzzzzz: try it"` -> `"try it"`."""
    return ADDRESSED.sub("", text) or text


def fitting(turns: Sequence[Turn], max_tokens: int) -> int:
    """How many of the newest turns fit: history is cut at turn edges."""
    left, kept = max_tokens * BYTES_PER_TOKEN, 0
    for turn in reversed(turns):
        left -= len(turn["text"].encode()) + len(turn["user"]) + 3
        if left < 0:
            break
        kept += 1
    return kept


def chat(said: Sequence[Turn], asker: str, output: str, assistants: Collection[str]) -> list[dict[str, str]]:
    """user and assistant in turns, user first, the answer last. Others than the asker are named in their lines."""
    messages: list[dict[str, str]] = []
    for turn in said:
        role = "assistant" if turn["user"] in assistants and turn["user"] != asker else "user"
        named = role == "user" and turn["user"] != asker
        _say(messages, role, f"{turn['user']}: {turn['text']}" if named else turn["text"])
    _say(messages, "assistant", output)
    return messages


def _say(messages: list[dict[str, str]], role: str, content: str) -> None:
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += "\n" + content
    elif messages or role == "user":
        messages.append({"role": role, "content": content})
