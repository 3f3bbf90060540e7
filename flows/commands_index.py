"""index add, query, remove, info: a living index of what earlier runs kept. Each takes CONFIG first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dataforge.errors import ConfigError, InputError
from dataforge.flows.cli import respond
from dataforge.flows.commands_data import figures
from dataforge.flows.commands_run import ConfigArgument, Json


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="A living index of near-duplicates over earlier data (dedupe.index).", no_args_is_help=True)
    for command in (add, query, remove, info):
        group.command()(command)
    app.add_typer(group, name="index")


def add(config: ConfigArgument, as_json: Json = False) -> None:
    """Add the documents that the last run of CONFIG kept. Adding them twice adds them once."""
    from dataforge.flows.commands_look import finished
    from dataforge.flows.index import add_run

    document = add_run(*finished(config))
    respond(document, figures(document), as_json=as_json)


def query(
    config: ConfigArgument,
    text: Annotated[str, typer.Option(help="the text itself")] = "",
    file: Annotated[Path | None, typer.Option(help="a text file; - reads stdin")] = None,
    threshold: Annotated[float | None, typer.Option(min=0.01, max=1.0, help="default: dedupe.threshold")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 10,
    as_json: Json = False,
) -> None:
    """Ids of earlier texts that a text is a near-duplicate of, with their verified Jaccard similarity."""
    from dataforge.flows.config import load_config
    from dataforge.flows.index import query as ask

    if bool(text) == (file is not None):
        raise ConfigError("give either --text or --file", hint="--file - reads stdin")
    document = ask(load_config(config), [text or _read(file)], threshold=threshold, limit=limit)
    (answer,) = document["queries"]
    lines = [f"{m['id']}  {m['jaccard']:.4f}  ({m['common']} of {m['union']} shingles)" for m in answer["matches"]]
    hidden = answer["found"] - len(lines)
    respond(document, "\n".join([*lines, *([f"and {hidden} more"] if hidden else [])]) or "nothing like it", as_json=as_json)


def _read(file: Path | None) -> str:
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else Path(file or "").read_bytes()
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("does not read as UTF-8 text", file=str(file)) from error


def remove(
    config: ConfigArgument, ids: Annotated[list[str], typer.Argument(metavar="ID...")], as_json: Json = False
) -> None:
    """Take documents out by id; nothing of them stays on disk."""
    from dataforge.flows.config import load_config
    from dataforge.flows.index import remove_rows

    if wrong := next((i for i in ids if len(i) != 32 or set(i) - set("0123456789abcdef")), None):
        raise ConfigError(f"{wrong!r} is no id", hint="an id is 32 hex digits, as `dataforge trace` shows them")
    document = remove_rows(load_config(config), ids)
    respond(document, figures(document), as_json=as_json)


def info(config: ConfigArgument, as_json: Json = False) -> None:
    """What the index holds: documents, size, parameters, additions; whether the config fits it."""
    from dataforge.flows.config import load_config
    from dataforge.flows.index import info as look

    document: dict[str, Any] = look(load_config(config))
    respond(document, figures(document), as_json=as_json)
