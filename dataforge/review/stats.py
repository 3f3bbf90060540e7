"""Numbers about a batch: progress, labels, agreement, people, gold, and how right the tagger or a filter was.

Accuracy of the tagger and the false-drop rate are estimated on the uniform random share where there is one, with a
Wilson interval; what is not defined says why.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.agreement import Agreement, Measure, Vote, agreement, weighted_share, wilson
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.database import Database
from dataforge.review.decisions import Decision, decisions_of
from dataforge.review.export import answers_of, suggestions_of

TOO_FAST_S = 0.7  # an answer given faster than one can read: counted per person, never removed
PACE_S = 3600.0  # answers of the last hour make the time-to-finish


@dataclass(frozen=True)
class Share:
    """hits of n, with its 95 % Wilson interval; `value` is None without any case."""

    hits: int
    n: int
    value: float | None
    low: float | None
    high: float | None


def share(hits: int, n: int) -> Share:
    interval = wilson(hits, n)
    return Share(hits, n, hits / n if n else None, *(interval or (None, None)))


def current_batch(database: Database, title: str) -> Any:
    """The batch of a title that counts: the one a flow asked for last. None if there is none."""
    select = sa.select(t.batch).where(t.batch.c.title == title, t.batch.c.state != "cancelled")
    with database.read() as c:
        return c.execute(select.order_by(t.batch.c.seeded_at.desc(), t.batch.c.id.desc()).limit(1)).first()


def progress(database: Database, batch_id: int) -> tuple[int, int]:
    """(items with all answers they need, items)."""
    with database.read() as c:
        return progress_of(c, batch_id)


ITEMS = sa.text("select count(*) from item where batch_id = :batch")
OPEN = sa.text("select count(*) from item where batch_id = :batch and done < need")  # served by the partial index alone


def progress_of(c: sa.Connection, batch_id: int) -> tuple[int, int]:
    items = int(c.scalar(ITEMS, {"batch": batch_id}) or 0)
    return items - int(c.scalar(OPEN, {"batch": batch_id}) or 0), items


SHOWN = ("id", "title", "kind", "state", "need", "deadline", "closed_at", "export_sha256")  # of the batch


def stats(database: Database, batch_id: int) -> dict[str, Any]:
    """Everything the stats page, the run report and `review stats --json` show, as plain values."""
    with database.read() as c:
        batch, now = batch_row(c, batch_id), database.now()
        labels = labels_of(c, batch.label_schema_id)
        answers, decisions, suggested = answers_of(c, batch_id), decisions_of(c, batch_id), suggestions_of(c, batch_id)
        items = {row.id: row for row in c.execute(sa.select(t.item).where(t.item.c.batch_id == batch_id))}
        skips = _skips(c, batch_id)
    measured = agreement(_votes(answers), labels.names, multi=bool(batch.allow_multi))
    everything = [a for given in answers.values() for a in given]
    return {
        "batch": {name: getattr(batch, name) for name in SHOWN},
        "progress": {**_progress(items, everything, now), "skips": skips},
        "labels": _label_counts(everything, labels.names),
        "decisions": dict(Counter(x.source for x in decisions.values())),
        "agreement": as_plain(measured),
        "people": _people(everything, items, measured),
        "tagger": _tagger(items, decisions, suggested) if batch.kind == "act" else None,
        "false_drops": _false_drops(items, decisions) if batch.kind == "dropped" else None,
    }


def _votes(answers: dict[int, list[Any]]) -> list[Vote]:
    labelled = [(i, a) for i, given in answers.items() for a in given if a.kind == "label"]
    return [Vote(i, a.name, frozenset(json.loads(a.labels_json))) for i, a in labelled]


def _progress(items: dict[int, Any], answers: list[Any], now: float) -> dict[str, Any]:
    left = sum(max(0, item.need - item.done) for item in items.values())
    return {
        "items": len(items),
        "done": sum(item.done >= item.need for item in items.values()),
        "answers": len(answers),
        "answers_left": left,
        "seconds_left": _seconds_left(answers, left, now),
    }


def _skips(c: sa.Connection, batch_id: int) -> int:
    a = t.annotation
    select = sa.select(sa.func.count()).select_from(a).join(t.item, t.item.c.id == a.c.item_id)
    return int(c.scalar(select.where(t.item.c.batch_id == batch_id, a.c.kind == "skip")) or 0)


def _seconds_left(answers: list[Any], left: int, now: float) -> float | None:
    """Answers left over the pace of the last hour; None without recent answers."""
    recent = [a.created_at for a in answers if now - a.created_at <= PACE_S]
    if left == 0:
        return 0.0
    return left * max(now - min(recent), 1.0) / len(recent) if len(recent) >= 5 else None


def _label_counts(answers: list[Any], names: tuple[str, ...]) -> dict[str, int]:
    counts = Counter(label for a in answers if a.kind == "label" for label in json.loads(a.labels_json))
    kinds = Counter(a.kind for a in answers if a.kind != "label")
    return {name: counts[name] for name in names} | {k: kinds[k] for k in ("unsure", "reject", "flag")}


def _people(answers: list[Any], items: dict[int, Any], measured: Agreement) -> list[dict[str, Any]]:
    mine: dict[str, list[Any]] = defaultdict(list)
    for a in answers:
        mine[a.name].append(a)
    return [_person(name, given, items, measured) for name, given in sorted(mine.items())]


def _person(name: str, given: list[Any], items: dict[int, Any], measured: Agreement) -> dict[str, Any]:
    timed = [a.seconds for a in given if a.seconds is not None]
    gold = [(a, json.loads(items[a.item_id].gold_json)) for a in given if items[a.item_id].gold_json]
    right = sum(a.kind == "label" and sorted(json.loads(a.labels_json)) == sorted(wanted) for a, wanted in gold)
    kappas = [m.value for pair, m in measured.kappa_of_pair.items() if name in pair and m.value is not None]
    return {
        "name": name,
        "answers": len(given),
        "median_seconds": median(timed) if timed else None,
        "too_fast": sum(s < TOO_FAST_S for s in timed),
        "unsure": sum(a.kind == "unsure" for a in given),
        "flagged": sum(bool(a.flagged) for a in given),
        "gold": asdict(share(right, len(gold))),
        "mean_kappa": sum(kappas) / len(kappas) if kappas else None,
    }


def _tagger(
    items: dict[int, Any], decisions: dict[int, Decision], suggested: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    """Accuracy of the suggestion on decided items: on the random share, and on all items weighted by 1/p_selected."""
    judged = [
        (items[i], suggested[i]["suggestion"], suggested[i]["suggestion_score"], x)
        for i, x in decisions.items()
        if i in suggested and x.kind == "label"
    ]
    random = [(s, x) for item, s, _, x in judged if item.is_random]
    by_label: dict[str, list[bool]] = defaultdict(list)
    for _, s, _, x in judged:
        by_label[x.labels[0]].append(s in x.labels)
    weights = [(1 / item.p_selected, s in x.labels) for item, s, _, x in judged if item.p_selected]
    return {
        "random_share": asdict(share(sum(s in x.labels for s, x in random), len(random))),
        "weighted": weighted_share(weights),
        "by_label": {label: asdict(share(sum(hits), len(hits))) for label, hits in sorted(by_label.items())},
        "calibration": _calibration([(score, s in x.labels) for _, s, score, x in judged if score is not None]),
    }


def _calibration(scored: list[tuple[float, bool]]) -> list[dict[str, Any]]:
    """Tenths of the score: how sure the tagger was against how often people agreed."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for score, hit in scored:
        bins[min(int(score * 10), 9)].append((score, hit))
    return [
        {"from": b / 10, "n": len(x), "score": sum(s for s, _ in x) / len(x), "right": sum(h for _, h in x) / len(x)}
        for b, x in sorted(bins.items())
    ]


def _false_drops(items: dict[int, Any], decisions: dict[int, Decision]) -> dict[str, Any]:
    """Per filter: of the dropped rows that people judged, the share that should have stayed."""
    by_filter: dict[str, list[bool]] = defaultdict(list)
    for i, x in decisions.items():
        meta = json.loads(items[i].meta_json or "{}")
        if x.kind == "label":
            by_filter[str(meta.get("filter") or meta.get("reason") or "unknown")].append("wrong" in x.labels)
    return {name: asdict(share(sum(wrong), len(wrong))) for name, wrong in sorted(by_filter.items())}


def as_plain(measured: Agreement) -> dict[str, Any]:
    def plain(m: Measure) -> dict[str, Any]:
        return asdict(m)

    return {
        "raw": plain(measured.raw),
        "alpha": plain(measured.alpha),
        "alpha_of_label": {label: plain(m) for label, m in measured.alpha_of_label.items()},
        "kappa_of_pair": [{"a": a, "b": b, **plain(m)} for (a, b), m in measured.kappa_of_pair.items()],
        "confusion": [{"a": a, "b": b, "n": n} for (a, b), n in measured.confusion.items()],
    }


def below(measure: dict[str, Any], mark: float) -> bool:
    """Whether an alpha is defined and under the mark (`review.min_alpha`, usually 0.667)."""
    return measure["value"] is not None and measure["value"] < mark
