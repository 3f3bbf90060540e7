"""What a reader should know first: the things in the facts that are off, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dataforge.errors import escape
from dataforge.reasons import group_of, is_own
from dataforge.report.charts import count
from dataforge.report.markup import markup_text

ERROR, WARNING, NOTE = "error", "warning", "note"
BIG_DROP, LOW_FILL, UNKNOWN_SHARE, ONE_LANGUAGE_WORSE = 0.5, 0.95, 0.2, 2.0
MANY_FALSE_DROPS, USUAL_ALPHA = 0.2, 0.667
FEW_KEPT, ENOUGH_ROWS, REASONS_TOLD = 0.1, 100, 3  # of fewer rows a share says little
MANY_FAILED, ENOUGH_FAILED_OF = 0.1, 10  # a method that raises says more than a filter that drops
WAYS_OUT = {  # by reason, else by the first word of its group in dataforge/reasons.py
    "few_stop_words": "it counts English words: `quality.min_stop_words: null` for texts in other languages",
    "language": "`language.keep`",
    "Quality": "`dataforge whatif` tries other thresholds of `quality`, null switches a rule off",
    "Duplicates": "`dataforge duplicates` shows what is alike",
    "Personal": "`pii.drop_above`",
    "": "`quality.lists` or `quality.models`",  # the user's own names
}


def complete(facts: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with what a publish wrote and with the alerts: the content of report.json.

    `document` says what was written: the manifest of a published version will do; {} where there is none yet.
    """
    published = [{k: v for k, v in entry.items() if k != "columns"} for entry in document.get("configs", [])]
    names = ("name", "version", "default", "tokenizer_sha256", "split")
    told = {name: document[name] for name in names if name in document}
    whole = {**facts, **told, "published": published}
    order = {ERROR: 0, WARNING: 1, NOTE: 2}
    return {**whole, "alerts": sorted(alerts(whole), key=lambda alert: order[alert["level"]])}


def alerts(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """[{"level": error | warning | note, "text"}]. An empty list is good news."""
    found = [*_of_reading(facts), *_of_funnel(facts), *_of_rows(facts), *_of_tokens(facts), *_of_people(facts)]
    return [{"level": level, "text": text} for level, text in found]


def _of_reading(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for source in facts.get("sources", []):
        if source["bad_files"]:
            yield (
                ERROR,
                f"{count(source['bad_files'], 'file')} of source {source['name']} could not be read and gave no row.",
            )
        if source["quarantined"]:
            yield (
                WARNING,
                f"{count(source['quarantined'], 'row')} of source {source['name']} could not be read: set aside.",
            )
        for setting, column in source.get("empty", {}).items():
            what = f"No row of source {source['name']} has a value in the column {escape(column, 64)} (`{setting}:`)"
            yield WARNING, f"{what}: `dataforge config check` names the columns that are there."
        if source.get("stopped"):
            yield WARNING, f"Source {source['name']} was read no further: too many of its rows could not be read."
        if source["rows_read"] and not source["rows"] and not source["kind"].startswith("slack"):
            yield WARNING, f"Nothing of source {source['name']} is left."
    silent = [source["name"] for source in facts.get("sources", []) if not source["licence"]]
    if len(silent) == 1:
        yield NOTE, f"Source {silent[0]} states no licence."
    elif silent:
        yield NOTE, f"{len(silent)} sources state no licence: {', '.join(silent[:10])}{', …' if silent[10:] else ''}."


def _of_funnel(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    derived = {table["step"] for table in facts.get("tables", []) if table["contract"] == "derived"}
    for entry in facts.get("funnel", []):
        if entry["step"] in derived:
            continue  # most messages answer no question: no sign of a fault
        told = step_warnings(entry)
        yield from ((WARNING, text) for text in told)
        if told:
            continue
        for reason, n in entry["dropped"].items():
            if n > BIG_DROP * entry["in"] and n > 10:
                yield WARNING, f"{entry['step']} dropped {n / entry['in']:.0%} of its rows for one reason: {reason}."


def step_warnings(entry: Mapping[str, Any]) -> list[str]:
    """What to say of a step of the funnel, in the report and at the end of a run."""
    return [text for text in (many_failed(entry), few_kept(entry)) if text]


def many_failed(entry: Mapping[str, Any]) -> str:
    """What to say of an operator of the user's own that set aside many of its rows (`on_error: quarantine`); "" of any
    other. The budget of bad rows counts all of a run together, so a high one hides that nearly every call failed."""
    failed, rows = entry["quarantined"], entry["in"]
    if not is_own(entry["step"]) or rows < ENOUGH_FAILED_OF or failed <= MANY_FAILED * rows:
        return ""
    return (
        f"{entry['step']} set aside {failed:,} of {rows:,} rows at which your code raised: "
        "`dataforge quarantine` shows where."
    )


def few_kept(entry: Mapping[str, Any]) -> str:
    """What to say of a step of the funnel that drops nearly all rows, with its main reasons and a way out of each; "" of
    any other: a preset made for another language or kind of text ends like that, and nothing else would tell."""
    kept = entry["in"] - sum(entry["dropped"].values()) - entry["quarantined"]
    if entry["in"] < ENOUGH_ROWS or kept >= FEW_KEPT * entry["in"] or not entry["dropped"]:
        return ""
    main = sorted(entry["dropped"].items(), key=lambda item: (-item[1], item[0]))[:REASONS_TOLD]
    told = ", ".join(f"{reason} {n:,}" for reason, n in main)
    ways = "your operator in `own`" if is_own(entry["step"]) else _ways_out(main)
    return f"{entry['step']} keeps {kept:,} of {entry['in']:,} rows: {told}. If that is not meant: {ways}."


def _ways_out(reasons: Iterable[tuple[str, int]]) -> str:
    found = [WAYS_OUT.get(reason) or WAYS_OUT.get(group_of(reason).split(" ")[0].rstrip(":")) for reason, _ in reasons]
    return "; ".join(dict.fromkeys(way or "`dataforge trace` shows why a row went" for way in found))


def _of_rows(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in facts.get("markup", []):
        if text := markup_text(entry):
            yield WARNING, text + "."
    shared = (facts.get("leaks") or {}).get("clusters_in_two_splits")
    if shared:
        verb = "stands" if shared == 1 else "stand"
        yield ERROR, f"{count(shared, 'cluster')} of near-duplicates {verb} in more than one split."
    unknown = sum(e["share"] for e in facts.get("languages", []) if e["language"] in ("unknown", "und"))
    if unknown > UNKNOWN_SHARE:
        yield WARNING, f"The language of {unknown:.0%} of the rows is unknown."
    there = {(e["config"], e["split"]) for e in facts.get("published", [])}
    configs = sorted({config for config, _ in there} - {"annotations"})  # labelled rows are no split's
    for split, share in ((facts.get("split") or {}).get("shares") or {}).items():
        without = [config for config in configs if share > 0 and (config, split) not in there]
        if without:
            yield NOTE, f"Split {split} has no rows" + ("." if without == configs else f" in {', '.join(without)}.")


def _of_tokens(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in facts.get("published", []):
        if entry.get("fill_rate", 1.0) < LOW_FILL and entry["rows"] > 20:
            yield (
                WARNING,
                f"{entry['config']}, {entry['split']}: only {entry['fill_rate']:.0%} of each sequence is filled.",
            )
        if entry.get("tokens") and not entry["tokens_trained"]:
            yield ERROR, f"{entry['config']}, {entry['split']}: no token bears loss."
    if text := small_vocabulary((facts.get("tokenizer") or {}).get("stated") or {}):
        yield WARNING, text[:1].upper() + text[1:] + "."
    languages = [e for e in (facts.get("tokenizer") or {}).get("languages", []) if e["rows"] >= 20]
    best = max((e["bytes_per_token"] for e in languages), default=0)
    for entry in languages:
        ratio = best / (entry["bytes_per_token"] or 1)
        if ratio > ONE_LANGUAGE_WORSE:
            yield NOTE, f"Language {entry['language']} takes {ratio:.1f} times as many tokens per byte as the best one."


def small_vocabulary(made: Mapping[str, Any]) -> str:
    """What to say of a trained tokenizer (tokenizer_report.json) with fewer tokens than were asked; "" of any other."""
    asked, size = made.get("asked"), made.get("vocab_size")
    if not isinstance(asked, int) or not isinstance(size, int) or size >= asked:
        return ""
    return f"tokenizer.vocab_size asked {asked:,} tokens, the text supports {size:,}: lower it, or bring more text"


def _of_people(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for finding in facts.get("findings", []):
        yield WARNING, finding[:1].upper() + finding[1:] + "."
    review = facts.get("review")
    mark = ((facts.get("config") or {}).get("review") or {}).get("min_alpha", USUAL_ALPHA)
    if review and review["alpha"] is not None and review["alpha"] < mark:
        yield WARNING, f"Annotators agree little: alpha {review['alpha']:.3f}, wanted {mark:g}."
    for entry in facts.get("audit") or []:
        if entry["judged"] and entry["low"] > MANY_FALSE_DROPS:
            yield (
                WARNING,
                f"People would have kept {entry['rate']:.0%} of what {entry['filter']} dropped "
                f"(at least {entry['low']:.0%}, 95 % interval).",
            )
