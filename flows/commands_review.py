"""review sample, serve, user, stats, export, import, close, backup: each takes CONFIG first."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dataforge.errors import ConfigError, InputError, MissingExtraError
from dataforge.flows.cli import respond
from dataforge.flows.commands_data import figures
from dataforge.flows.commands_run import ConfigArgument, Json

Batch = Annotated[int | None, typer.Option(help="number of the batch; default: the newest")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The labeling step: queue, page, answers.", no_args_is_help=True)
    for name, command in {
        "sample": sample,
        "serve": serve,
        "user": user,
        "stats": stats,
        "export": export,
        "import": import_,
        "close": close,
        "backup": backup,
    }.items():
        group.command(name)(command)
    app.add_typer(group, name="review")


def _database(config: Path) -> str:
    from dataforge.flows.config import load_config
    from dataforge.flows.parameters import review_database

    return review_database(load_config(config))


def sample(config: ConfigArgument, as_json: Json = False) -> None:
    """Seed the queue from the sampled rows of the last run, and show the batches. Seeding twice seeds once."""
    from dataforge.engine.run import survey
    from dataforge.flows.build import build
    from dataforge.flows.config import load_config
    from dataforge.review import commands
    from dataforge.store import Store

    loaded = load_config(config)
    graph = build(loaded)
    if graph.slack is None or graph.slack.annotations is None:
        raise ConfigError(
            "review is off, or there are no messages to review", key="review.enabled", hint="set review.enabled: true"
        )
    steps = tuple(graph.steps())
    state = survey(Store(loaded.path(loaded.store)), steps, prepare=True)
    step = next(s for s in steps if s.name == "review/sample")
    if step not in state.tables:
        raise InputError("there is no sample yet", hint=f"dataforge run {config}")
    batches = commands.batches(_database(config))
    text = "\n".join(f"batch {b['id']}: {b['title']}, {b['done']} of {b['items']} labelled, {b['state']}" for b in batches)
    respond({"schema": 1, "batches": batches}, text or "no batch", as_json=as_json)


def serve(
    config: ConfigArgument,
    host: Annotated[str, typer.Option(help="loopback unless you know better")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8474,
    trusted_proxy: Annotated[str, typer.Option(help="address whose X-Forwarded-User is believed")] = "",
    public_url: Annotated[str, typer.Option(help="address under which annotators reach the page")] = "",
) -> None:
    """Serve the page for annotators until interrupted."""
    from dataforge.review import commands

    print(f"the review page is at http://{host}:{port}; Ctrl-C stops it", file=sys.stderr)
    commands.serve(
        _database(config), host=host, port=port, on_closed=_announcer(), trusted_proxy=trusted_proxy, public_url=public_url
    )


def _announcer() -> Callable[[dict[str, Any]], None] | None:
    """Tells Prefect about closed batches where an API is configured."""
    import os

    if not os.environ.get("PREFECT_API_URL"):
        return None
    try:
        from dataforge.flows.orchestrate import announce_closed
    except MissingExtraError:
        return None
    return announce_closed


def user(
    config: ConfigArgument,
    action: Annotated[str, typer.Argument(metavar="add|link|remove|list")],
    name: Annotated[str, typer.Argument()] = "",
    role: Annotated[str, typer.Option(help="annotator or lead")] = "annotator",
    url: Annotated[str, typer.Option(help="address of the page, for the link")] = "http://127.0.0.1:8474",
    as_json: Json = False,
) -> None:
    """Accounts of the page. `add` and `link` print a one-time link."""
    from dataforge.review import commands

    database = _database(config)
    if action == "list":
        users = commands.user_list(database)
        respond({"schema": 1, "users": users}, "\n".join(str(u) for u in users) or "no users", as_json=as_json)
        return
    if action not in ("add", "link", "remove") or not name:
        raise ConfigError(f"cannot {action} {name}".strip(), hint="dataforge review user CONFIG add NAME")
    if action == "remove":
        commands.user_remove(database, name)
        respond({"schema": 1, "removed": name}, f"{name} can no longer log in; the answers stay", as_json=as_json)
        return
    link = (
        commands.user_add(database, name, role, base_url=url)
        if action == "add"
        else commands.user_link(database, name, base_url=url)
    )
    respond({"schema": 1, "name": name, "link": link}, link, as_json=as_json)


def stats(config: ConfigArgument, batch: Batch = None, as_json: Json = False) -> None:
    """Progress, agreement with intervals, confusion, speed and gold accuracy."""
    from dataforge.review import commands

    document = commands.stats(_database(config), batch)
    respond(document, figures(document), as_json=as_json)


def export(
    config: ConfigArgument,
    out: Annotated[Path, typer.Argument(metavar="FILE")],
    batch: Batch = None,
    format: Annotated[str, typer.Option(help="jsonl, prodigy, doccano, label-studio or parquet")] = "jsonl",
    with_names: Annotated[bool, typer.Option("--with-names", help="annotators by name instead of a01, a02")] = False,
    as_json: Json = False,
) -> None:
    """Write a batch with all its answers to a file."""
    from dataforge.review import commands

    document = commands.export(_database(config), out, batch=batch, format=format, with_names=with_names)
    respond({"schema": 1, **document}, figures(document), as_json=as_json)


def import_(
    config: ConfigArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    batch: Batch = None,
    format: Annotated[str, typer.Option(help="jsonl (id, label, annotator), prodigy, doccano, label-studio")] = "jsonl",
    as_json: Json = False,
) -> None:
    """Read answers from a file; what is known already is left alone."""
    from dataclasses import asdict

    from dataforge.review import commands

    document = asdict(commands.import_file(_database(config), file, batch=batch, format=format))
    respond({"schema": 1, **document}, figures(document), as_json=as_json)


def close(
    config: ConfigArgument,
    batch: Batch = None,
    allow_unresolved: Annotated[
        bool, typer.Option("--allow-unresolved", help="close although people disagree on some")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="do not wait for items that are being worked on")] = False,
    as_json: Json = False,
) -> None:
    """Decide every item and close the batch; the waiting run goes on with the next `dataforge run`."""
    from dataforge.review import commands

    closing = commands.close_batch(
        _database(config), batch=batch, allow_unresolved=allow_unresolved, now=now, on_closed=_announcer()
    )
    document = {"schema": 1, **commands.as_json(closing)}
    respond(document, figures(document), as_json=as_json)


def backup(config: ConfigArgument, out: Annotated[Path, typer.Argument(metavar="FILE")], as_json: Json = False) -> None:
    """A consistent copy of the review database while people work."""
    from dataforge.review import commands

    path = commands.backup(_database(config), out)
    respond({"schema": 1, "path": str(path)}, f"wrote {path}", as_json=as_json)
