"""tokenizer train, compare: the tokenizer of a config without the rest of the run, and beside it others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from dataforge.errors import ConfigError, InputError
from dataforge.flows.cli import respond
from dataforge.flows.commands_run import ConfigArgument, Json, Quiet, Verbose, engine_maker, run_config, tell_problems

SAMPLE_BYTES = 4 << 20
SampleBytes = Annotated[int, typer.Option(min=1024, max=1 << 30, help="bytes of text that the figures are measured on")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The tokenizer of a config.", no_args_is_help=True)
    group.command()(train)
    group.command()(compare)
    app.add_typer(group, name="tokenizer")


def train(
    config: ConfigArgument,
    out: Annotated[Path | None, typer.Option(help="copy its folder there, for tokenizers and transformers")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace another tokenizer in --out")] = False,
    direct: Annotated[bool, typer.Option("--direct", help="without Prefect")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; default: one per core")] = None,
    sample_bytes: SampleBytes = SAMPLE_BYTES,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fill what the tokenizer needs and train it, as `run` would; say where it is and how well it compresses. The same
    command goes on after a crash, and `run` goes on from here."""
    from dataforge.flows.config import load_config
    from dataforge.flows.tokenizer import check_target
    from dataforge.flows.tokenizer_text import trained_text

    loaded = load_config(config)
    if loaded.tokenizer.path is not None:
        hint = "dataforge tokenizer compare CONFIG measures it"
        raise ConfigError("names a tokenizer that is there: nothing is trained", key="tokenizer.path", hint=hint)
    if out is not None:
        check_target(out)
    make = engine_maker("local", workers or os.cpu_count() or 1, [])
    outcome = run_config(loaded, make, direct=direct, quiet=quiet, device="auto", goal="tokenizer")
    tell_problems(outcome, str(config))
    document = _document(outcome, out, force=force, size_bytes=sample_bytes)
    respond(document, trained_text(document, loaded.name), as_json=as_json)
    raise typer.Exit(outcome.exit_code)


def _document(outcome: Any, out: Path | None, *, force: bool, size_bytes: int) -> dict[str, Any]:
    from dataforge.flows.tokenizer import copy_folder, trained_document

    graph, problem = outcome.graph, outcome.error or outcome.waiting
    head = {"status": outcome.status, "seconds": round(outcome.seconds, 3)}
    table = outcome.state.tables.get(graph.tokens.tokenizer)
    if problem is not None:
        return {**head, "error": problem.as_dict()}
    if table is None:
        raise InputError("no row is left: there is no text to train a tokenizer on", hint="dataforge funnel CONFIG")
    selected = [outcome.state.tables[step] for step in graph.selected()]
    found = trained_document(table, graph, selected, size_bytes)
    copied = copy_folder(Path(found["folder"]), out, force=force) if out is not None else None
    return {**head, **found, "out": str(out) if out is not None else None, "copied": copied, "error": None}


def compare(
    config: ConfigArgument,
    others: Annotated[
        list[Path] | None,
        typer.Argument(metavar="OTHER...", help="tokenizer.json, *.model, *.tiktoken, or a folder that holds one"),
    ] = None,
    pattern: Annotated[str, typer.Option(help="how *.tiktoken files of unknown names cut text, as tokenizer.pattern")] = "",
    sample_bytes: SampleBytes = SAMPLE_BYTES,
    as_json: Json = False,
) -> None:
    """The config's tokenizer and others on the same texts of the config: bytes per token, tokens per word, shares."""
    from dataforge.flows.commands_look import finished
    from dataforge.flows.tokenizer import compared_document
    from dataforge.flows.tokenizer_text import compared_text

    graph, tables = finished(config)
    document = compared_document(graph, tables, others or [], pattern=pattern, size_bytes=sample_bytes)
    respond(document, compared_text(document), as_json=as_json)
