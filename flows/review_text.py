"""What `dataforge review …` prints for people: batches, statistics of one, what closing did, accounts, what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

WEAK_ALPHA = 0.8  # Krippendorff's mark for reliable data: labels below it are named


def batches_text(batches: Sequence[dict[str, Any]], *, config: str) -> str:
    """A line per batch."""
    if not batches:
        return f"no batch yet: `dataforge run {config}` with review.enabled seeds one"
    head = ("batch", "title", "kind", "state", "labelled", "until")
    rows = [
        (b["id"], b["title"], b["kind"], b["state"], f"{b['done']} of {b['items']}", moment(b["deadline"])) for b in batches
    ]
    return columns([head, *rows])


def stats_text(s: dict[str, Any], *, config: str, min_alpha: float) -> str:
    """The statistics of one batch, most asked-for first."""
    batch, progress = s["batch"], s["progress"]
    state = f"closed {moment(batch['closed_at'])}" if batch["closed_at"] else batch["state"]
    until = f", until {moment(batch['deadline'])}" if batch["deadline"] and not batch["closed_at"] else ""
    each = "1 answer" if batch["need"] == 1 else f"{batch['need']} answers"
    lines = [
        f"batch {batch['id']}, {batch['title']}: {state}{until}",
        f"  progress    {progress['done']} of {progress['items']} rows have the {each} they need"
        f" ({progress['answers']} answers, {progress['skips']} skips)",
        f"  decided     {counted(s['decisions'])}",
        f"  answers     {counted(s['labels'])}",
        *_agreement(s["agreement"], min_alpha),
        *_tagger(s["tagger"]),
        *_false_drops(s["false_drops"]),
        *_people(s["people"]),
        f"  next        {_next(s, config)}",
    ]
    return "\n".join(lines)


def counted(counts: dict[str, int]) -> str:
    """`questions 32, other 7`, most first, what is 0 left out."""
    order = sorted(((n, name) for name, n in counts.items() if n), key=lambda e: (-e[0], e[1]))
    return ", ".join(f"{name} {n}" for n, name in order) or "none yet"


def interval(share: dict[str, Any], *, percent: bool = False) -> str:
    """`0.934 (0.864 to 0.984)`, or why there is no number."""
    if share["value"] is None:
        return str(share.get("why") or "no case yet")

    def shown(value: float) -> str:
        return f"{value * 100:.1f} %" if percent else f"{value:.3f}"

    bounds = f" ({shown(share['low'])} to {shown(share['high'])})" if share.get("low") is not None else ""
    return shown(share["value"]) + bounds


def _agreement(a: dict[str, Any], min_alpha: float) -> list[str]:
    if a["alpha"]["value"] is None:
        return [f"  agreement   {a['alpha']['why']}"]
    low = f"; below review.min_alpha {min_alpha:g}" if a["alpha"]["value"] < min_alpha else ""
    lines = [f"  agreement   alpha {interval(a['alpha'])}{low}; equal pairs {interval(a['raw'], percent=True)}"]
    worst = sorted((m["value"], name) for name, m in a["alpha_of_label"].items() if m["value"] is not None)[:3]
    weak = [f"{name} {value:.2f}" for value, name in worst if value < WEAK_ALPHA]
    if weak:
        lines.append("              least agreed: " + ", ".join(weak))
    mixed = sorted(((c["n"], c["a"], c["b"]) for c in a["confusion"] if c["a"] != c["b"]), reverse=True)[:3]
    if mixed:
        lines.append("              mixed up: " + ", ".join(f"{one} / {other} {n}" for n, one, other in mixed))
    return lines


def _tagger(tagger: dict[str, Any] | None) -> list[str]:
    if tagger is None or tagger["weighted"]["value"] is None:
        return []
    random = f"; on {tagger['random_share']['n']} random rows {interval(tagger['random_share'], percent=True)}"
    return [
        f"  tagger      right on {interval(tagger['weighted'], percent=True)}, rows weighted by their chance to be asked"
        + (random if tagger["random_share"]["n"] else "")
    ]


def _false_drops(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    rows = [(name, f"{x['hits']} of {x['n']}", interval(x, percent=True)) for name, x in found.items()]
    return ["  wrongly dropped", *indented(columns([("filter", "wrong", "rate (95 % interval)"), *rows]))]


def _people(people: Sequence[dict[str, Any]]) -> list[str]:
    if not people:
        return []
    head = ("name", "answers", "median s", "too fast", "unsure", "flagged", "gold right", "mean kappa")
    rows = [
        (
            p["name"],
            p["answers"],
            "–" if p["median_seconds"] is None else f"{p['median_seconds']:.1f}",
            p["too_fast"],
            p["unsure"],
            p["flagged"],
            f"{p['gold']['hits']} of {p['gold']['n']}" if p["gold"]["n"] else "–",
            "–" if p["mean_kappa"] is None else f"{p['mean_kappa']:.2f}",
        )
        for p in people
    ]
    return ["  people", *indented(columns([head, *rows]))]


def _next(s: dict[str, Any], config: str) -> str:
    batch, progress, open_ = s["batch"], s["progress"], s["decisions"].get("unresolved", 0)
    if batch["state"] == "closed":
        return f"dataforge run {config} goes on"
    if batch["state"] == "cancelled":
        return "nothing: a newer batch took its place"
    if progress["answers_left"]:
        left = progress["seconds_left"]
        pace = f", about {max(1, round(left / 60))} min at the pace of the last hour" if left else ""
        return f"{progress['answers_left']} answers are missing{pace}: dataforge review serve {config}"
    if open_:
        return f"a lead decides {open_} row{'s' if open_ > 1 else ''} on the page (Adjudicate), then closes"
    return f"dataforge review close {config} --batch {batch['id']}, then dataforge run {config}"


def closing_text(closing: dict[str, Any], *, config: str) -> str:
    if closing["state"] == "closing":
        wait = f"{closing['leased']} rows are being worked on"
        return f"closing: {closing['sentence']}; {wait}. Close again when they are done, or now with --now"
    left = closing["counts"].get("unresolved", 0)
    lost = f"; {left} unresolved rows never become training data" if left else ""
    return f"closed: {closing['sentence']}{lost}\nnext: dataforge run {config}"


def users_text(users: Sequence[dict[str, Any]], *, config: str) -> str:
    if not users:
        return f"nobody yet: dataforge review user {config} add NAME"
    rows = [(u["name"], u["role"], "can log in" if u["active"] else "cannot log in (answers stay)") for u in users]
    return columns([("name", "role", ""), *rows])


def moment(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def columns(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as aligned columns; numbers to the right."""
    texts = [[str(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in texts) for i in range(len(texts[0]))]
    numeric = [all(row[i].replace(".", "").isdigit() or row[i] == "–" for row in texts[1:]) for i in range(len(widths))]
    return "\n".join(
        "  ".join(v.rjust(w) if right else v.ljust(w) for v, w, right in zip(row, widths, numeric, strict=True)).rstrip()
        for row in texts
    )


def indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]
