"""How well open talk is taken apart: pairwise F1, conversations found exactly, variation of information, v-measure.

`python -m tests.benchmarks.disentangle UTTERANCES.jsonl.gz [--fit]`. Real dialogue (the AMI meetings in UTTERANCES, a
public corpus) is cut into conversations that are laid over each other as in a busy channel; all meetings but ES*
measure. `--fit` fits on ES*. The weights of `operators/slack_weights.py` saw, laid over in the same way, ES* and
dialogues made from half of the LibreOffice help pages. Threads of the generated workspace with their ids hidden are
never fitted. Beside each figure stands that of silence alone, below it how many questions got an answer that was meant
for them, and at the end how sure the score should be.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dataforge.operators import slack_disentangle as ours
from dataforge.operators.slack_evidence import Said, Talk, asks, evidence, evidence_for_new
from dataforge.operators.slack_weights import WEIGHTS
from tests.operators.slack_talking import act_of
from tests.slack_workspace import Workspace

Case = tuple[list[Said], list[Hashable]]  # messages and the conversation each belongs to; None: not known
Labeller = Callable[[list[Said]], list[int]]
LOADS = (0.4, 1.2, 2.5, 5)  # conversations that are open at once, on average
# Crowded channels lose more by one wrong join than by one missed: what opening is given on top, in nats / 1000.
CROWD = {"new: alive 1": 300, "new: alive 2": 600, "new: alive 3": 840}


def conversations(path: Path, wanted: Callable[[str], bool], rng: random.Random) -> list[list[tuple[str, str]]]:
    """Runs of 2 to 25 messages of a meeting by two people or more, as (speaker, text)."""
    meetings: dict[str, list[list[str]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["source"] == "ami" and wanted(row["dialog"]):
                said = meetings[row["dialog"]]
                if said and said[-1][0] == row["speaker"] and len(said[-1][1].split()) < rng.randint(6, 30):
                    said[-1][1] += " " + row["text"]
                else:
                    said.append([row["speaker"], row["text"]])
    found = []
    for _, said in sorted(meetings.items()):
        rows = [(speaker, text) for speaker, text in said if len(text.split()) > 1 or rng.random() < 0.2]
        at = 0
        while at < len(rows) - 3:
            count = min(2 + int(rng.expovariate(1 / 5)), 25)
            if len({speaker for speaker, _ in rows[at : at + count]}) > 1:
                found.append(rows[at : at + count])
            at += count + rng.randint(0, 6)
    rng.shuffle(found)
    return found


def laid_over(
    found: Sequence[list[tuple[str, str]]], load: float, rng: random.Random, *, people: int = 15, mention: float = 0.2
) -> Case:
    """About 4,000 messages; pauses are log-normal around 36 s, one in 16 lasts up to an hour."""
    rows: list[tuple[float, int, str, str, list[str]]] = []
    start = 0.0
    for number, conversation in enumerate(found):
        names: dict[str, str] = {}
        seats = rng.sample(range(people), k=min(people, len({speaker for speaker, _ in conversation})))
        at = start
        for place, (speaker, text) in enumerate(conversation):
            user = names.setdefault(speaker, f"U{seats[min(len(names), len(seats) - 1)]}")
            if place:
                pause = rng.lognormvariate(3.6, 1.0) if rng.random() > 0.06 else rng.uniform(300, 3600)
                at += min(pause, rng.uniform(3, 40)) if rows[-1][2] == user and rng.random() < 0.7 else pause
            others = [names[other] for other, _ in reversed(conversation[:place]) if names[other] != user]
            mentions = []
            if rng.random() < mention * (1 if others else 0.4):
                mentions = [others[0] if others and rng.random() < 0.85 else f"U{rng.randrange(people)}"]
            rows.append((at, number, user, " ".join([*(f"@{m}" for m in mentions), text]), mentions))
        start += rng.expovariate(load / (at - start + 30))
        if len(rows) > 4000:
            break
    rows.sort(key=lambda row: row[:2])
    said = [
        Said(place, user, text, 1_700_000_000_000_000 + int(at * 1e6), act_of(text), mentions)
        for place, (at, _, user, text, mentions) in enumerate(rows)
    ]
    return said, [row[1] for row in rows]


def hidden_threads(seed: int, *, mixed: bool) -> list[Case]:
    """Channels of the generated workspace without thread ids; `mixed`: the threads of all channels in one."""
    channels: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry, rows in Workspace(seed=seed, messages=4000, canaries=False, old=True).days():
        plain = [r for r in rows if r.get("user") and r.get("text") and not r.get("subtype")]
        channels["" if mixed else entry.split("/")[0]] += [r for r in plain if r.get("thread_ts") or not mixed]
    cases: list[Case] = []
    for _, rows in sorted(channels.items()):
        rows.sort(key=lambda row: str(row["ts"]))
        said = [
            Said(at, r["user"], r["text"], int(r["ts"].replace(".", "")), act_of(r["text"]), _mentions(r["text"]))
            for at, r in enumerate(rows)
        ]
        cases.append((said, [row.get("thread_ts") for row in rows]))
    return cases


def _mentions(text: str) -> list[str]:
    return re.findall("<@(U[0-9]+)", text)


def silence(said: list[Said]) -> list[int]:
    """The labels that a pause of 900 s alone gives."""
    gaps = [b.ts_us - a.ts_us > 900_000_000 for a, b in pairwise(said)]
    return [0, *np.cumsum(gaps).tolist()]


def disentangled(said: list[Said]) -> list[int]:
    labels = [0] * len(said)
    for number, talk in enumerate(ours.disentangle(said, gap_s=900, merge_s=120)):
        for at in talk.messages:
            labels[at] = number
    return labels


def measure(cases: Sequence[Case], labeller: Labeller) -> dict[str, float]:
    """Sums over the cases; messages whose conversation is not known do not count."""
    both = found = true = exact = groups = total = 0
    information, v_measure = 0.0, 0.0
    for said, truth in cases:
        pairs = [(t, g) for t, g in zip(truth, labeller(said), strict=True) if t is not None]
        truths, labels = [t for t, _ in pairs], [g for _, g in pairs]
        both, found, true = both + _together(pairs), found + _together(labels), true + _together(truths)
        mine, theirs = _groups(labels), _groups(truths)
        exact, groups = exact + 2 * len(mine & theirs), groups + len(mine) + len(theirs)
        h_truth, h_label, h_both = _entropy(truths), _entropy(labels), _entropy(pairs)
        information += (2 * h_both - h_truth - h_label) * len(pairs)
        shared = h_truth + h_label - h_both
        v_measure += (2 * shared / (h_truth + h_label) if h_truth + h_label else 1.0) * len(pairs)
        total += len(pairs)
    precision, recall = both / max(found, 1), both / max(true, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    names = ("precision", "recall", "F1", "exact", "VI", "V")
    values = (precision, recall, f1, exact / max(groups, 1), information / total, v_measure / total)
    return dict(zip(names, values, strict=True))


def _together(labels: Sequence[Hashable]) -> int:
    return sum(count * (count - 1) // 2 for count in Counter(labels).values())


def _groups(labels: Sequence[Hashable]) -> set[frozenset[int]]:
    found: dict[Hashable, set[int]] = defaultdict(set)
    for at, label in enumerate(labels):
        found[label].add(at)
    return {frozenset(places) for places in found.values() if len(places) > 1}


def _entropy(labels: Sequence[Hashable]) -> float:
    shares = [count / len(labels) for count in Counter(labels).values()]
    return -sum(share * math.log2(share) for share in shares)


def calibration(cases: Sequence[Case]) -> dict[int, tuple[int, float]]:
    """Score in tenths → (conversations of two messages or more, share of them that mixes nothing)."""
    counts: dict[int, list[bool]] = defaultdict(list)
    for said, truth in cases:
        for talk in ours.disentangle(said, gap_s=900, merge_s=120):
            if len(talk.messages) > 1:
                counts[talk.weakest // 10].append(len({truth[at] for at in talk.messages}) == 1)
    return {tenth: (len(pure), sum(pure) / len(pure)) for tenth, pure in sorted(counts.items())}


def answered(cases: Sequence[Case], least: int = 50) -> tuple[int, float]:
    """(first messages that ask and somebody else answers, in conversations that are sure enough for a training pair;
    share of them whose answer was meant for them). Messages whose conversation is not known do not count.
    """
    right: list[bool] = []
    for said, truth in cases:
        for talk in ours.disentangle(said, gap_s=900, merge_s=120):
            first, *others = (said[at] for at in talk.messages)
            answer = next((m for m in others if m.user != first.user and not asks(m.act, m.text)), None)
            known = answer is not None and truth[first.at] is not None and truth[answer.at] is not None
            if answer is not None and known and talk.weakest >= least and asks(first.act, first.text):
                right.append(truth[first.at] == truth[answer.at])
    return len(right), sum(right) / max(len(right), 1)


def states(case: Case, names: dict[str, int], *, forced: bool) -> Iterator[tuple[list[list[int]], int]]:
    """Per message its choices as numbers of evidence, and the right one: the talk with the newest message of its own
    conversation. `forced` follows the truth, else the present weights, with whatever they do wrong.
    """
    said_all, truth = case
    rarity, talks = ours._Rarity(), list[Talk]()
    for said in said_all:
        talks = [t for t in talks if t.last_us >= said.ts_us - ours.LINGER * 900_000_000]
        context = rarity.context(said, talks, 900, 120)
        rivals = range(len(talks) - 1, max(-1, len(talks) - 1 - ours.RIVALS), -1)
        choices = [list(evidence_for_new(said, context))]
        choices += [evidence(said, talks[at], len(talks) - 1 - at, context) for at in rivals]
        newest = [max((m for m in talks[at].messages if truth[m] == truth[said.at]), default=-1) for at in rivals]
        right = 1 + newest.index(max(newest)) if newest and max(newest) >= 0 else 0
        if newest:
            yield [[names.setdefault(name, len(names)) for name in choice] for choice in choices], right
        place = (rivals[right - 1] if right else -1) if forced else ours._choice(said, talks, context)[0]
        talk = talks.pop(place) if place >= 0 else Talk(said)
        talk.add(said, context.words, 100)
        talks.append(talk)


def fit(cases: Sequence[Case], rounds: int = 3) -> dict[str, int]:
    """A choice model by maximum likelihood: first on the truth, then also on what its own errors lead to."""
    names = {name: number for number, name in enumerate(WEIGHTS)}
    true = [state for case in cases for state in states(case, names, forced=True)]
    weights = _maximum(true, len(names))
    for _ in range(rounds):
        WEIGHTS.update({name: round(1000 * weights[number]) for name, number in names.items()})
        made = [state for case in cases for state in states(case, names, forced=False)]
        weights = _maximum([*true, *made], len(names))
    found = {name: round(1000 * weights[number]) for name, number in names.items()}
    return {name: found[name] + CROWD.get(name, 0) for name in sorted(found)}


def _maximum(data: Sequence[tuple[list[list[int]], int]], size: int, steps: int = 250) -> np.ndarray:
    """Adam on the penalised likelihood of the right choices."""
    choice_of = np.repeat(np.arange(len(data)), [len(choices) for choices, _ in data])
    first = np.searchsorted(choice_of, np.arange(len(data)))
    right = first + np.array([right for _, right in data])
    flat = [choice for choices, _ in data for choice in choices]
    row_of, column = np.repeat(np.arange(len(flat)), [len(c) for c in flat]), np.concatenate(flat)
    weights, mean, square = np.zeros(size), np.zeros(size), np.zeros(size)
    for step in range(1, steps + 1):
        points = np.bincount(row_of, weights[column], len(flat))
        shares = np.exp(points - np.maximum.reduceat(points, first)[choice_of])
        shares /= np.bincount(choice_of, shares)[choice_of]
        shares[right] -= 1
        slope = np.bincount(column, shares[row_of], size) / len(data) + 1e-3 * weights
        mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope**2
        weights -= 0.08 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("utterances", type=Path)
    parser.add_argument("--fit", action="store_true", help="print weights fitted on the ES meetings instead")
    options = parser.parse_args()

    def laid(name: str, load: float, **more: Any) -> list[Case]:
        rng = random.Random(f"{name} {load}")
        found = conversations(options.utterances, lambda m: m.startswith("ES") == (name == "fit"), rng)
        return [laid_over(found, load, rng, **more)]

    if options.fit:
        print(json.dumps(fit([case for load in LOADS[:3] for case in laid("fit", load)]), indent=4))
        return
    sets = {f"meetings, {load} open": laid("test", load) for load in LOADS}
    sets["meetings, 2.5 open, 6 people"] = laid("test", 2.5, people=6)
    sets["meetings, 2.5 open, no mentions"] = laid("test", 2.5, mention=0)
    scored = [case for cases in sets.values() for case in cases]
    sets["hidden threads by channel"] = hidden_threads(4, mixed=False)
    sets["hidden threads of 6 channels in one"] = hidden_threads(3, mixed=True)
    for name, cases in sets.items():
        for how, labeller in (("silence", silence), ("ours", disentangled)):
            figures = " ".join(f"{key} {value:.3f}" for key, value in measure(cases, labeller).items())
            print(f"{name:36s} {how:8s} {figures}")
        count, share = answered(cases)
        print(f"{name:36s} {count} questions with an answer, {share:.3f} of them with their own")
    for tenth, (count, pure) in calibration(scored).items():
        print(f"score {tenth / 10:.1f}-{tenth / 10 + 0.1:.1f}: {count} conversations, {pure:.2f} of them mix nothing")


if __name__ == "__main__":
    main()
