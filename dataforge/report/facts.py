"""The facts of a graph of Tables, found by the columns that Tables have, not by the names of steps.

A fact that no Table can answer is absent (an empty list or None), never guessed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataforge.funnel import by_source, funnel, is_reading, ledger
from dataforge.report import counts
from dataforge.report.counts import TextFacts
from dataforge.report.markup import markup_facts
from dataforge.report.samples import samples
from dataforge.table import Table

# Keys of a config that name places or secrets of this machine: they do not belong into what is published.
PRIVATE_KEYS = {
    "path",
    "paths",
    "store",
    "out",
    "database",
    "answers",
    "gold",
    "label_set",
    "guideline",
    "key",
    "keys",
    "url",
    "use",
    "link",
    "opt_out_users",
    "opt_out_channels",
    "channels",
    "persona",
    "team",
    "consent",
}


def facts(
    tables: Sequence[Table],
    configs: Mapping[str, Sequence[Table]] | None = None,
    *,
    tokenizer: Path | None = None,
    config: Mapping[str, Any] | None = None,
    findings: Sequence[str] = (),
) -> dict[str, Any]:
    """`tables` in graph order; `configs` as given to `publish`; `config` the parsed config file.

    `findings` are sentences of the flow about targets that its config sets and that were missed: they become alerts.
    A pure function of rows, manifests and config; about one read of each column that it needs.
    """
    configs = configs or {}
    row_tables = [table for table in tables if not table.is_files]
    corpus, instruct = (counts.text_facts(configs.get(name, ())) for name in ("corpus", "instruct"))
    return {
        "schema": 1,
        "funnel": funnel(tables),
        "ledger": ledger(tables),
        "sources": _sources(tables, corpus, instruct, config or {}),
        "languages": corpus.languages or counts.by_value(counts.having(row_tables, "language")[:1], "language"),
        "markup": markup_facts(configs.get("corpus", ())),
        "lengths": _lengths(configs, corpus, instruct),
        "duplicates": _duplicates(row_tables),
        "pii": _pii(row_tables, config or {}),
        "acts": _acts(row_tables, configs),
        "act_shares": _act_shares(row_tables, configs),
        "findings": list(findings),
        "review": review_facts(row_tables),
        "audit": audit_facts(row_tables),
        "retrained": _retrained(tables),
        "tokenizer": _tokenizer(row_tables, configs, tokenizer),
        "leaks": _leaks(row_tables),
        "samples": samples(row_tables, [t for name in ("corpus", "instruct") for t in configs.get(name, ())]),
        "config": public(config or {}),
        "tables": [{"step": t.step, "id": t.id, "rows": t.rows, "contract": t.manifest["contract"]} for t in tables],
    }


def public(value: Any) -> Any:
    """A config without places, secrets and names of channels and people."""
    if isinstance(value, Mapping):
        return {str(k): public(v) for k, v in value.items() if str(k) not in PRIVATE_KEYS}
    if isinstance(value, (list, tuple)):
        return [public(v) for v in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _sources(
    tables: Sequence[Table], corpus: TextFacts, instruct: TextFacts, config: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Per source: kind, licence, rows read, quarantined, bad files, the rows left of it, the columns that were not read."""
    kinds = {s["name"]: s["kind"] for s in config.get("sources", ()) if "kind" in s}
    left = {
        e["source"]: e["rows"] for e in [*instruct.sources, *corpus.sources]
    }  # instruct rows of what only they hold
    found = []
    entries = dict(zip([t.id for t in tables if is_reading(t)], by_source(tables), strict=True))
    for table in (t for t in tables if is_reading(t)):
        operator, entry = _underlying(table.manifest["operator"]), entries[table.id]
        name = str(operator.get("name", table.step))
        found.append(
            {
                "name": name,
                "kind": kinds.get(name, operator.get("", "")),
                "licence": operator.get("licence"),
                "rows_read": entry["in"],
                "quarantined": entry["quarantined"],
                "dropped": sum(entry["dropped"].values()),
                "bad_files": len(table.bad_files),
                "rows": left.get(name, 0),
                "unread": _unread(table.account.notes),
                "empty": empty_columns(table),
                "stopped": bool(table.account.notes.get("stopped_at_bad_rows")),
            }
        )
    return found


def _underlying(operator: Mapping[str, Any]) -> Mapping[str, Any]:
    """The source itself: a trial wraps it, see `operators/first_rows`."""
    inner = operator.get("source")
    return inner if isinstance(inner, Mapping) else operator


def empty_columns(table: Table) -> dict[str, str]:
    """{setting: column} of what a source was told to read and no row of it has: most often a name that is mistyped.
    Reading stops at the first value."""
    operator = _underlying(table.manifest["operator"])
    named = {setting: operator.get(setting) for setting in ("uri", "created") if setting in table.schema.names}
    return {s: str(column) for s, column in named.items() if column and table.rows and _is_empty(table, s)}


def _is_empty(table: Table, column: str) -> bool:
    batches = (batch for part in range(table.n_parts) for batch in table.read(part, [column]))
    return all(batch.column(column).null_count == batch.num_rows for batch in batches)


def _unread(notes: Mapping[str, int]) -> dict[str, int]:
    """{column that no setting reads: rows that have it}"""
    return {name.removeprefix("unread_column:"): n for name, n in notes.items() if name.startswith("unread_column:")}


def _lengths(configs: Mapping[str, Sequence[Table]], corpus: TextFacts, instruct: TextFacts) -> list[dict[str, Any]]:
    found = [
        {"config": "corpus", "unit": "characters", **corpus.characters},
        {"config": "instruct", "unit": "characters", **instruct.characters},
        {
            "config": "tokenized",
            "unit": "tokens",
            **counts.lengths(counts.having(configs.get("tokenized", ()), "length"), "length"),
        },
    ]
    return [entry for entry in found if entry["rows"]]


def _duplicates(tables: Sequence[Table]) -> dict[str, Any] | None:
    found = counts.having(tables, "id", "cluster", "duplicate")
    twins = [t for t in found if t.manifest["contract"] != "aside"]  # one row per row, not one per row with an edge
    return counts.cluster_sizes(twins) if twins else None


def _pii(tables: Sequence[Table], config: Mapping[str, Any]) -> dict[str, Any] | None:
    found = [
        t for t in counts.having(tables, "spans") if set(t.schema.names) == {"id", "spans"}
    ]  # of finders, not passed on
    if not found:
        return None
    kinds = counts.span_kinds(found)
    return {"action": (config.get("pii") or {}).get("action"), "rows_read": sum(t.rows for t in found), "kinds": kinds}


def _acts(tables: Sequence[Table], configs: Mapping[str, Sequence[Table]]) -> list[dict[str, Any]]:
    """Of the tagged rows as people left them; where no table of tags is there, of the published rows."""
    tagged = counts.having(tables, "act", "act_score", "act_by")[-1:] or counts.having(
        configs.get("instruct", ()), "act"
    )
    return counts.by_value(tagged, "act")


def _tokenizer(
    tables: Sequence[Table], configs: Mapping[str, Sequence[Table]], folder: Path | None
) -> dict[str, Any] | None:
    if folder is None:
        return None
    report = folder / "tokenizer_report.json"
    stated = json.loads(report.read_bytes()) if report.is_file() else {}
    sums: dict[str, Counter[str]] = {}
    for tokens in counts.having(configs.get("tokenized", ()), "id", "length"):
        base = next((t for t in tables if t.id == tokens.manifest["inputs"][0]["id"]), None)
        if base is None or "text" not in base.schema.names:
            continue
        languages = None if "language" in base.schema.names else _languages_of(tables, base)
        for language, (rows, size, count) in counts.bytes_per_token(tokens, base, languages).items():
            sums.setdefault(language, Counter()).update(rows=rows, bytes=size, tokens=count)
    found = [
        {"language": name, **dict(s), "bytes_per_token": round(s["bytes"] / max(1, s["tokens"]), 3)}
        for name, s in sums.items()
    ]
    return {
        "vocabulary": _vocabulary(folder),
        "stated": {k: v for k, v in public(stated).items() if isinstance(v, (str, int, float, bool))},
        "languages": sorted(found, key=lambda e: (-int(e["rows"]), str(e["language"]))),
    }


def _languages_of(tables: Sequence[Table], base: Table) -> Table | None:
    return next((t for t in counts.having(tables, "id", "language") if t.n_parts == base.n_parts), None)


def _vocabulary(folder: Path) -> int | None:
    """Ids in tokenizer.json: the model's and the added ones that it lacks."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    document = json.loads(path.read_bytes())
    model = document.get("model", {}).get("vocab", [])
    known = set(model) if isinstance(model, dict) else {entry[0] for entry in model}
    return len(known | {token["content"] for token in document.get("added_tokens", [])})


def _leaks(tables: Sequence[Table]) -> dict[str, Any]:
    """Clusters of near-duplicates that stand in more than one split: 0, or None where there is nothing to compare."""
    twins = {table.id: table for table in counts.having(tables, "id", "cluster", "duplicate")}
    splits = [t for t in counts.having(tables, "id", "split") if t.manifest["inputs"]]
    pairs = [(twins[t.manifest["inputs"][0]["id"]], t) for t in splits if t.manifest["inputs"][0]["id"] in twins]
    return {"clusters_in_two_splits": sum(counts.straddling(*pair) for pair in pairs) if pairs else None}


def _act_shares(tables: Sequence[Table], configs: Mapping[str, Sequence[Table]]) -> list[dict[str, Any]]:
    """Messages of each act by source and split; split None: in no training pair."""
    tagged = counts.having(tables, "source", "act", "act_score", "act_by")[-1:]
    return counts.acts_by_split(tagged[0], configs.get("instruct", ())).to_pylist() if tagged else []


ANSWERED = ["label", "labels", "answers", "decided_by", "filter", "kind", "random", "p_selected", "suggestion"]


def _answered(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Rows of closed batches: people answered these, a few thousand at most."""
    decided = [t for t in counts.having(tables, "label", "answers", "decided_by") if t.manifest["contract"] == "source"]
    return [row for batch in counts.batches(decided, ANSWERED) for row in batch.to_pylist()]


def _undecided(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Answers to rows of acts on which people did not agree: they have no label, but count for agreement."""
    found = []
    for table in counts.having(tables, "label", "answers", "decided_by"):
        if table.manifest["contract"] == "source" and table.manifest["operator"].get("kind", "act") == "act":
            found += table.to_table(kind="dropped").to_pylist()
    return [{"answers": json.loads(row["detail"] or "[]"), "decided_by": row["reason"]} for row in found]


def review_facts(tables: Sequence[Table]) -> dict[str, Any] | None:
    """What people decided and how far they agreed, and how right the tagger was. Names are the queue's pseudonyms."""
    rows = [row for row in _answered(tables) if row["kind"] == "act"]
    undecided = _undecided(tables)
    if not rows and not undecided:
        return None
    everything = [*rows, *undecided]
    labels = Counter(row["label"] or "rejected" for row in rows)
    return {
        "items": len(rows),
        "answers": sum(len(row["answers"]) for row in everything),
        "decided_by": dict(sorted(Counter(row["decided_by"] for row in everything).items())),
        "labels": [{"label": k, "rows": v} for k, v in sorted(labels.items(), key=lambda e: (-e[1], e[0]))],
        "tagger": _tagger(rows),
        **_agreement(everything),
    }


def _tagger(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """How often the suggestion was what people decided: on the random rows, and on all, each weighing 1 / p_selected."""
    from dataforge.review.agreement import weighted_share

    judged = [(row, row["suggestion"] in row["labels"]) for row in rows if row["suggestion"] and row["label"]]
    if not judged:
        return None
    return {
        "random": _rounded(weighted_share([(1.0, hit) for row, hit in judged if row["random"]])),
        "weighted": _rounded(weighted_share([(1 / (row["p_selected"] or 1.0), hit) for row, hit in judged])),
    }


def _rounded(share: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in share.items()}


def audit_facts(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Per filter: rows it dropped, rows people judged, and the share that should have stayed, with its interval."""
    from dataforge.review.agreement import weighted_share

    rows = [row for row in _answered(tables) if row["kind"] == "dropped"]
    sampled = counts.batches(counts.having(tables, "filter", "n_dropped"), ["filter", "n_dropped"])
    drawn = [row for batch in sampled for row in batch.to_pylist()]
    dropped, asked = {row["filter"]: row["n_dropped"] for row in drawn}, Counter(row["filter"] for row in drawn)
    wrong: dict[str, list[bool]] = {name: [] for name in sorted({*dropped, *(row["filter"] for row in rows)})}
    for row in rows:
        if row["label"]:
            wrong[row["filter"]].append(row["label"] == "wrong")
    if not rows:
        return []
    shares = {name: _rounded(weighted_share([(1.0, hit) for hit in hits])) for name, hits in wrong.items()}
    return [
        {
            "filter": name,
            "dropped": dropped.get(name),
            "asked": asked[name] or len(hits),
            "judged": len(hits),
            "wrong": sum(hits),
            "rate": shares[name]["value"],
            "low": shares[name]["low"],
            "high": shares[name]["high"],
        }
        for name, hits in wrong.items()
    ]


def _retrained(tables: Sequence[Table]) -> dict[str, Any] | None:
    """What retraining the tagger on the labels gave."""
    written = [path for t in tables if t.is_files and (path := t.files / "retrain.json").is_file()]
    return json.loads(written[0].read_bytes()) if written else None


def _agreement(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Raw agreement and Krippendorff's alpha (MASI, which is nominal where one label is given); if undefined, why."""
    from dataforge.review.agreement import alpha, raw

    votes = [
        [frozenset(a["labels"]) for a in sorted(row["answers"], key=lambda a: a["annotator"]) if a["kind"] == "label"]
        for row in rows
    ]
    agreed, krippendorff = raw(votes), alpha(votes, multi=True)
    return {
        "raw_agreement": None if agreed.value is None else round(agreed.value, 4),
        "alpha": None if krippendorff.value is None else round(krippendorff.value, 4),
        "alpha_why": krippendorff.why,
        "items_with_two": krippendorff.n_items,
    }
