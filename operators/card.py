"""The dataset card: README.md with the YAML that loaders read and a body for people. Generated, never typed.

Every number comes from what was written or from the facts of the report, so a card cannot disagree with its data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from dataforge.operators.language import iso639_1
from dataforge.operators.published import CLASSES, in_card_order, kind_of
from dataforge.reasons import explained
from dataforge.report.charts import count
from dataforge.schemas.act import ACTS

ACT_MEANING = {
    "expressives": "shows a feeling toward the hearer or an event: greeting, thanks, apology, complaint",
    "commissives": "binds the speaker to a future act: promise, offer, threat",
    "directives": "tries to make the hearer act: command, request, invitation, suggestion",
    "declarations": "makes it so by being said: hiring, sentence, blessing, opening or closing something",
    "verdictives": "gives a judgement or ranking: assessment, appraisal",
    "questions": "asks for information",
    "representatives": "claims something is so: statement, description, answer, report",
    "other": "does none of these: backchannel, filler, fragment, bare link",
}
READERS = {
    "instruct": "alpaca readers; `text` is the three columns rendered, without an end-of-text token",
    "sft": "prompt and completion: loss on the completion only",
    "chat": "messages with role and content",
    "annotations": "the people's labels",
    "corpus": "plain text for pre-training",
    "tokenized": 'token ids; some trainers want just `columns=["input_ids", "attention_mask", "labels"]`',
    "packed": "rows of at most N tokens, not padded: pad a batch to its longest, do not pack again. No attention_mask: "
    "use position_ids",
}


def card_text(spec: Any, document: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The whole README.md. `document` holds configs with splits and files; `facts` are those of the report."""
    parts = [
        _summary(spec, document),
        _loading(document),
        _splits(document),
        _columns(document),
        _acts(facts),
        _making(facts),
        _personal_data(facts),
        _limits(facts),
        _licences(spec, facts),
        _tokenizer(document, facts),
        _checksums(),
        _citation(spec, document),
    ]
    return f"---\n{front_matter(spec, document, facts)}---\n\n" + "\n".join(part for part in parts if part)


def front_matter(spec: Any, document: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """YAML for the Hub and `datasets`. Values are JSON, which YAML reads; counts in `dataset_info` are exact."""
    configs = _by_config(document)
    rows = sum(entry["rows"] for entry in configs[document["default"]])
    languages = [e["language"] for e in facts.get("languages", []) if len(e["language"]) in (2, 3) and e["share"] >= 0.01]
    kinds = {kind_of(config) for config in configs}
    people = "annotations" in kinds or bool(facts.get("review"))
    head: dict[str, Any] = {
        "pretty_name": spec.pretty_name or spec.name,
        "license": spec.licence,
        "language": [iso639_1(code) for code in languages if code not in ("und", "unk")],
        "size_categories": [_size_category(rows)],
        "task_categories": ["text-generation", *(["text-classification"] if facts.get("acts") else [])],
        "annotations_creators": ["machine-generated", *(["expert-generated"] if people else [])],
        "source_datasets": ["original"],
        "tags": [
            "dataforge",
            *(["instruct"] if "instruct" in kinds else []),
            *(["speech-acts"] if facts.get("acts") else []),
        ],
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items() if value]
    lines += ["configs:", *_data_files(configs, document["default"]), "dataset_info:", *_dataset_info(configs)]
    return "\n".join(lines) + "\n"


def _data_files(configs: Mapping[str, Sequence[Mapping[str, Any]]], default: str) -> Iterator[str]:
    for config, entries in configs.items():
        yield f"  - config_name: {config}"
        if config == default:
            yield "    default: true"
        yield "    data_files:"
        for entry in entries:
            yield f'      - {{split: {entry["split"]}, path: "{config}/{entry["split"]}-*.parquet"}}'


def _dataset_info(configs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for config, entries in configs.items():
        yield f"  - config_name: {config}"
        yield "    splits:"
        for entry in entries:
            sizes = f"num_bytes: {entry['bytes_in_memory']}, num_examples: {entry['rows']}"
            yield f"      - {{name: {entry['split']}, {sizes}}}"
        yield f"    download_size: {sum(entry['bytes'] for entry in entries)}"
        yield f"    dataset_size: {sum(entry['bytes_in_memory'] for entry in entries)}"


def _by_config(document: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    names = in_card_order(list(dict.fromkeys(entry["config"] for entry in document["configs"])))
    return {name: [e for e in document["configs"] if e["config"] == name] for name in names}


def _size_category(rows: int) -> str:
    """The Hub's words: 456 -> "n<1K", 45,600 -> "10K<n<100K"."""
    names = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    edges = [(10**power, name) for power, name in enumerate(names, 3)]
    if rows < edges[0][0]:
        return "n<1K"
    for (_, low), (high, name) in pairwise(edges):
        if rows < high:
            return f"{low}<n<{name}"
    return "n>1B"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers get thousands separators, pipes and line breaks in names are escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _summary(spec: Any, document: Mapping[str, Any]) -> str:
    configs = _by_config(document)
    rows = sum(entry["rows"] for entry in configs[document["default"]])
    about = (
        spec.description or "Training data made from raw sources: cleaned, deduplicated, free of the personal data found."
    )
    names = ", ".join(f"`{name}`" for name in configs)
    return (
        f"# {spec.pretty_name or spec.name}\n\n{about}\n\nVersion `{document['version']}`. Configs: {names};"
        f" `{document['default']}` is the default, with {count(rows, 'row')}. `report.html` shows how they came about.\n"
    )


def _loading(document: Mapping[str, Any]) -> str:
    configs = _by_config(document)
    default = document["default"]
    last = list(configs)[-1]
    split = configs[last][0]["split"]
    lines = [
        "from datasets import load_dataset",
        f'folder = "{document["name"]}/{document["version"]}"  # where this file lies; "." itself does not load',
        "rows = load_dataset(folder)  # the default config, every split",
        f'rows = load_dataset(folder, "{last}", split="{split}")',
        f'rows = load_dataset(folder, "{default}", split="{configs[default][0]["split"]}", streaming=True)',
    ]
    return "## Loading\n\n```python\n" + "\n".join(lines) + "\n```\n"


def _splits(document: Mapping[str, Any]) -> str:
    rows = [
        (e["config"], e["split"], e["rows"], e.get("tokens"), e["bytes"], len(e["files"]))
        for entries in _by_config(document).values()
        for e in entries
    ]
    text = "A row's split follows from a salted hash of its group, so near-duplicates never straddle splits.\n"
    return "## Splits\n\n" + text + "\n" + table(["config", "split", "rows", "tokens", "bytes", "files"], rows)


def _columns(document: Mapping[str, Any]) -> str:
    rows = [
        (f"`{config}`", ", ".join(f"{c['name']} ({_type(c)})" for c in entries[0]["columns"]), READERS[kind_of(config)])
        for config, entries in _by_config(document).items()
    ]
    return "## Columns\n\n" + table(["config", "columns", "for"], rows)


def _type(column: Mapping[str, str]) -> str:
    if column["name"] in CLASSES and column["type"] == "int64":
        return "class label"
    return column["type"].replace("item: ", "")


def _acts(facts: Mapping[str, Any]) -> str:
    counts = {entry["act"]: entry["rows"] for entry in facts.get("acts", [])}
    if not counts:
        return ""
    rows = [(name, ACT_MEANING[name], counts.get(name, 0)) for name in ACTS]
    return "## Speech acts\n\n" + table(["class", "the utterance …", "rows"], rows)


def _making(facts: Mapping[str, Any]) -> str:
    steps = [e for e in facts.get("funnel", []) if e["in"] != e["out"] or e["dropped"] or e["quarantined"]]
    if not steps:
        return ""
    rows = [(e["step"], e["in"], e["out"], _left_out(e), e["quarantined"]) for e in steps]
    told = "## How it was made\n\nSteps that changed the number of rows:\n\n"
    told += table(["step", "in", "out", "dropped, joined", "quarantined"], rows)
    reasons = sorted({reason for e in steps for reason in e["dropped"]})
    meant = [(f"`{reason}`", explained(reason)) for reason in reasons if explained(reason)]
    return told + ("\n" + table(["dropped", "why"], meant) if meant else "") + _review(facts)


def _left_out(entry: Mapping[str, Any]) -> str:
    """`no_question 18; unanswered 5; 2 made of 1`: fewer rows because they were joined is no loss."""
    kept = entry["in"] - sum(entry["dropped"].values()) - entry["quarantined"]
    joined = [f"{entry['out']:,} made of {kept:,}"] if entry["out"] != kept else []
    return "; ".join([*(f"{reason} {n:,}" for reason, n in entry["dropped"].items()), *joined])


def _review(facts: Mapping[str, Any]) -> str:
    review = facts.get("review")
    if not review:
        return ""
    alpha = review.get("alpha")
    stated = f"Krippendorff's alpha {alpha:.3f}" if alpha is not None else "agreement is not defined here"
    return f"\nPeople labelled {review.get('items', 0):,} rows; {stated}.\n"


def _personal_data(facts: Mapping[str, Any]) -> str:
    pii = facts.get("pii")
    if not pii:
        return ""
    rows = [(e["kind"], e["spans"], e["rows"]) for e in pii["kinds"]]
    action = f" What was found is treated by `{pii['action']}`." if pii.get("action") else ""
    found = f"Found by patterns and validators.{action}" if rows else "Patterns and validators found nothing."
    return (
        f"## Personal data\n\n{found} Names and other free text about people that no pattern finds may remain:"
        " treat the rows as possibly personal.\n" + ("\n" + table(["kind", "found", "rows"], rows) if rows else "")
    )


def _limits(facts: Mapping[str, Any]) -> str:
    alerts = [f"- {alert['text']}" for alert in facts.get("alerts", [])]
    base = "- Languages, speech acts and personal data are found by rules and small models, which err."
    return "## Known limits\n\n" + "\n".join([base, *alerts]) + "\n"


def _licences(spec: Any, facts: Mapping[str, Any]) -> str:
    rows = [(s["name"], s.get("licence") or "not stated", s.get("rows")) for s in facts.get("sources", [])]
    if not rows:
        return ""
    return f"## Licences\n\nOf the whole: {spec.licence}. Per source:\n\n" + table(["source", "licence", "rows"], rows)


def _tokenizer(document: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if document.get("tokenizer_sha256") is None:
        return ""
    facts_of = facts.get("tokenizer") or {}
    size = f"{facts_of['vocabulary']:,} tokens, " if facts_of.get("vocabulary") else ""
    text = f"## Tokenizer\n\n`tokenizer/`: {size}sha256 `{document['tokenizer_sha256']}`.\n"
    rows = [(e["language"], e["rows"], e["bytes_per_token"]) for e in facts_of.get("languages", [])]
    return text + ("\n" + table(["language", "rows", "bytes per token"], rows) if rows else "")


def _checksums() -> str:
    return (
        "## Checksums\n\n`sha256sum --check --quiet checksums.sha256` checks every file;"
        " `dataforge verify .` also the rows, the ledger, the splits and that every config loads.\n"
    )


def _citation(spec: Any, document: Mapping[str, Any]) -> str:
    default = f"{spec.name}, version {document['version']}."
    return f"## Citation\n\n{spec.citation or default}\n"
