"""Selected rows → the same without held-out rows that a training row of the dataset contains."""

from __future__ import annotations

from dataforge.flows.config import Config
from dataforge.operators.leaks import Contained, DropLeaks, HeldOut, Leaks
from dataforge.step import Step


def held_out_apart(selected: Step, config: Config, *, parts: int, prefix: str) -> Step:
    """`selected` have id, text, split. They stay as they are where nothing is held out or the config asks for it."""
    if config.split.own_splits != "contained" or not set(config.publish.splits) - {"train"}:
        return selected
    words = config.split.words
    known = Step(f"{prefix}/held-out", HeldOut(words), (selected,))
    contained = Step(f"{prefix}/contained", Contained(words), (selected, known))
    leaks = Step(f"{prefix}/leaks", Leaks(parts), (contained,))
    return Step(f"{prefix}/without-leaks", DropLeaks(), (selected, leaks))
