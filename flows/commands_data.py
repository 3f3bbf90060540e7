"""acts, quality, pii, dedupe, extract, slack: train, measure, pull."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dataforge.errors import ConfigError
from dataforge.flows.cli import respond
from dataforge.flows.commands_look import known_file
from dataforge.flows.commands_run import ConfigArgument, Json

PACKED = "plain, .gz or .zst"
LabelledFile = Annotated[Path, typer.Argument(metavar="FILE", help=f"JSONL, {PACKED}")]
LABELS = "JSONL of text and class7 (or label); none: the invented utterances alone"
ActsFile = Annotated[Path, typer.Argument(metavar="FILE", help=f"JSONL of text and class7 (null: other), {PACKED}")]
SpansFile = Annotated[Path, typer.Argument(metavar="FILE", help=f"JSONL of text, spans [{{start, end, label}}]; {PACKED}")]


def register(app: typer.Typer) -> None:
    groups = {
        "acts": ("Speech acts.", {"train": acts_train, "evaluate": acts_evaluate}),
        "quality": ("Text quality.", {"train": quality_train, "evaluate": quality_evaluate}),
        "pii": ("Personal data.", {"evaluate": pii_evaluate}),
        "dedupe": ("Near-duplicates.", {"evaluate": dedupe_evaluate}),
        "extract": ("Text out of HTML.", {"evaluate": extract_evaluate}),
        "slack": ("The Slack Web API.", {"pull": slack_pull}),
    }
    for name, (text, commands) in groups.items():
        group = typer.Typer(help=text, no_args_is_help=True)
        group.callback()(lambda: None)
        for verb, command in commands.items():
            group.command(verb)(command)
        app.add_typer(group, name=name)


def figures(document: dict[str, Any], depth: int = 0) -> str:
    """A document of figures as indented lines; what is unknown or empty is left out."""
    lines, space = [], "  " * depth
    for key, value in document.items():
        if key == "schema" or value is None or value in ("", [], {}):
            continue
        if isinstance(value, dict) and any(isinstance(v, (dict, list)) for v in value.values()):
            lines += [f"{space}{key}:", figures(value, depth + 1)]
        elif isinstance(value, dict):
            lines.append(f"{space}{key}: {_one_line(value)}")
        elif isinstance(value, list) and isinstance(value[0], dict):
            lines += [f"{space}{key}:", *(f"{space}  {_one_line(row)}" for row in value)]
        else:
            lines.append(f"{space}{key}: {_shown(value)}")
    return "\n".join(lines)


def _one_line(row: dict[str, Any]) -> str:
    """`precision 0.9500  recall 1.0000  n 12`."""
    known = {key: value for key, value in row.items() if value is not None and value not in ("", [], {})}
    pieces = {k: f"({_one_line(v)})" if isinstance(v, dict) else _shown(v) for k, v in known.items()}
    return "  ".join(f"{key} {text}" for key, text in pieces.items())


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def acts_train(
    out: Annotated[Path, typer.Option(help="folder of the new model")],
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help=LABELS)] = None,
    licence: Annotated[str, typer.Option(help="licence of the labelled data")] = "unstated",
    weight: Annotated[float, typer.Option(help="n rows of a file count as WEIGHT · √n invented ones")] = 60.0,
    force: Annotated[bool, typer.Option("--force", help="replace a model that is there")] = False,
    as_json: Json = False,
) -> None:
    """Teach the tagger from labelled files and the invented utterances; set acts.model to the folder to use it."""
    from dataforge.operators.acts_train import Fit, train

    if (out / "model.json").exists() and not force:
        raise ConfigError("there is a model already", file=str(out), key="--out", hint="another folder, or --force")
    document = train(files or [], out, licence=licence, fit=Fit(corpus=weight))
    rows = {corpus["source"]: sum(corpus["rows"].values()) for corpus in document["corpora"]}
    taught = ", ".join(f"{name} {count:,}" for name, count in rows.items())
    text = f"model written to {out}, taught by {sum(rows.values()):,} utterances: {taught}\nuse it with acts.model: {out}"
    respond({"schema": 1, **document}, text, as_json=as_json)


def acts_evaluate(
    file: ActsFile,
    model: Annotated[str, typer.Option(help="as acts.model: default, rules, or the folder of a trained model")] = "default",
    as_json: Json = False,
) -> None:
    """Precision, recall and F1 per class, macro-F1, confusion and calibration of the tagger."""
    from dataforge.flows.parameters import MODELS
    from dataforge.operators.acts_evaluate import evaluate

    with known_file(file):
        document = evaluate(file, model=MODELS.get(model, model))
    text = f"{figures(document | {'confusion': None})}\n{confusion_table(**document['confusion'])}"
    respond(document, text, as_json=as_json)


def confusion_table(labels: list[str], rows: list[list[int]]) -> str:
    """Counts under each other, a line per label; acts that neither the file nor the tagger names are left out."""
    met = [i for i in range(len(labels)) if any(rows[i]) or any(row[i] for row in rows)]
    name = max([len(labels[i]) for i in met], default=0)
    wide = [max(6, *(len(f"{rows[i][j]:,}") for i in met)) for j in met]
    head = " ".join(f"{labels[j][:6]:>{width}}" for j, width in zip(met, wide, strict=True))
    lines = ["confusion: a line per label of the file, a column per act found", f"  {'':{name}} {head}"]
    for i in met:
        counts = [f"{rows[i][j]:,}" if rows[i][j] else "·" for j in met]
        lines.append(f"  {labels[i]:{name}} {' '.join(map(str.rjust, counts, wide))}")
    return "\n".join(lines)


def quality_train(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="JSONL of texts and labels, plain, .gz or .zst")],
    out: Annotated[Path, typer.Option(help="folder of the new model")],
    text: Annotated[str, typer.Option(help="column of the text")] = "text",
    label: Annotated[str, typer.Option(help="column of the label: two to sixteen words or numbers")] = "label",
    score: Annotated[str, typer.Option(help="label whose probability is the score; good, high, 1, … need no naming")] = "",
    as_json: Json = False,
) -> None:
    """Train a linear model of text quality (or toxicity, …) on labelled files; set quality.model to the folder."""
    from dataforge.operators.text_model_train import train

    document = train(files, out, text=text, label=label, score=score)
    respond({"schema": 1, **document}, figures(document), as_json=as_json)


def quality_evaluate(
    file: LabelledFile,
    model: Annotated[Path, typer.Option(help="folder of the model")],
    text: Annotated[str, typer.Option(help="column of the text")] = "text",
    label: Annotated[str, typer.Option(help="column of the label")] = "label",
    as_json: Json = False,
) -> None:
    """Accuracy, AUC, and what each threshold of the score would keep."""
    from dataforge.operators.text_model_train import evaluate

    with known_file(file):
        document = evaluate(model, [file], text=text, label=label)
    respond(document, figures(document), as_json=as_json)


def pii_evaluate(file: SpansFile, as_json: Json = False) -> None:
    """Recall and precision of the finders of personal data, covering and exact, per kind."""
    from dataforge.operators.pii_evaluate import evaluate
    from dataforge.operators.pii_rules import KINDS

    with known_file(file):
        document = evaluate(file)
    if document["unscored"] and not document["kinds"]:
        print(f"nothing scored: no label of the file is a kind that is looked for: {', '.join(KINDS)}", file=sys.stderr)
    respond(document, figures(document), as_json=as_json)


def dedupe_evaluate(
    docs: Annotated[Path, typer.Argument(metavar="DOCS", help="JSONL of id and text")],
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="TSV with header id_a id_b jaccard")],
    threshold: Annotated[float, typer.Option(min=0.01, max=1.0)] = 0.8,
    margin: Annotated[float, typer.Option(min=0.0, max=0.5)] = 0.05,
    as_json: Json = False,
) -> None:
    """Recall and precision of verified near-duplicates against known pairs."""
    from dataforge.operators.dedupe_evaluate import evaluate

    with known_file(docs), known_file(pairs):
        document = evaluate(docs, pairs, threshold=threshold, margin=margin)
    respond(document, figures(document), as_json=as_json)


def extract_evaluate(
    warc: Annotated[Path, typer.Argument(metavar="WARC")],
    gold: Annotated[Path, typer.Argument(metavar="GOLD", help="JSONL of url, must_contain, must_not_contain")],
    library: Annotated[bool, typer.Option("--library", help="beside it trafilatura alone, by its defaults")] = False,
    as_json: Json = False,
) -> None:
    """Precision, recall and F1 of HTML extraction over gold strings."""
    from dataforge.operators.extract import evaluate

    with known_file(warc), known_file(gold):
        document = evaluate(str(warc), str(gold), library=library)
    respond(document, figures(document), as_json=as_json)


def slack_pull(
    config: ConfigArgument,
    full: Annotated[bool, typer.Option("--full", help="sweep all threads again for late replies")] = False,
    as_json: Json = False,
) -> None:
    """Fetch what is new since the last pull into {store}/pull. Goes on where it stopped."""
    from dataforge.flows.config import load_config
    from dataforge.flows.pull import pull

    document = pull(load_config(config), full=full)
    respond(document, figures(document), as_json=as_json)
