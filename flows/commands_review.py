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

Batch = Annotated[int | None, typer.Option(help="number of the batch; default: the open one, else the newest")]


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


def sample(
    config: ConfigArgument,
    rows: Annotated[Path | None, typer.Option(help="JSONL or Parquet with id and text: a batch of your own rows")] = None,
    title: Annotated[str, typer.Option(help="title of that batch")] = "",
    kind: Annotated[str, typer.Option(help="act, instruct, preference or dropped")] = "act",
    label_set: Annotated[str, typer.Option(help="name or path of a label set; default: the kind's own")] = "",
    need: Annotated[int, typer.Option(min=1, max=20, help="answers per row")] = 2,
    as_json: Json = False,
) -> None:
    """Show the batches. Seeds what the last run sampled, or with --rows a batch beside the flow: personal data in
    its texts is masked first. Seeding twice seeds once."""
    from dataforge.flows.config import load_config
    from dataforge.flows.review_text import batches_text
    from dataforge.review import commands

    loaded = load_config(config)
    if rows is not None:
        from dataforge.flows.review_rows import masked_rows
        from dataforge.review.seed import BatchSpec

        spec = BatchSpec(title or rows.name, kind, label_set, need=need, lease_s=loaded.review.lease_s)
        commands.sample(_database(config), masked_rows(rows), spec)
    else:
        _seed_again(config)
    batches = commands.batches(_database(config))
    respond({"schema": 1, "batches": batches}, batches_text(batches, config=str(config)), as_json=as_json)


def _seed_again(config: Path) -> None:
    """Seeds what the finished sampling steps of the config gave."""
    from dataforge.engine.run import survey
    from dataforge.flows.build import build
    from dataforge.flows.config import load_config
    from dataforge.operators.labels import Labels
    from dataforge.store import Store

    loaded = load_config(config)
    steps = tuple(build(loaded).steps())
    asking = [step for step in steps if isinstance(step.operator, Labels)]
    if not asking:
        hint = "set review.enabled or review.audit.enabled, or give --rows"
        raise ConfigError("review is off, or there is nothing to review", key="review.enabled", hint=hint)
    state = survey(Store(loaded.path(loaded.store)), steps, prepare=True)
    if not any(step.inputs[0] in state.tables for step in asking):
        raise InputError("there is no sample yet", hint=f"dataforge run {config}")


def serve(
    config: ConfigArgument,
    host: Annotated[str, typer.Option(help="loopback unless you know better")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8474,
    trusted_proxy: Annotated[str, typer.Option(help="address whose X-Forwarded-User is believed")] = "",
    public_url: Annotated[str, typer.Option(help="address under which annotators reach the page")] = "",
) -> None:
    """Serve the page for annotators until interrupted."""
    from dataforge.flows.config import load_config
    from dataforge.review import commands

    place = public_url or f"http://{host}:{port}"
    print(f"the review page is at {place}; Ctrl-C stops it", file=sys.stderr)
    print(f"people get in by a link of their own: dataforge review user {config} add NAME", file=sys.stderr)
    commands.serve(
        _database(config),
        host=host,
        port=port,
        on_closed=_announcer(),
        trusted_proxy=trusted_proxy,
        public_url=public_url,
        min_alpha=load_config(config).review.min_alpha,
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
    action: Annotated[str, typer.Argument(metavar="add|link|role|remove|list")],
    name: Annotated[str, typer.Argument()] = "",
    new_role: Annotated[str, typer.Argument(metavar="[ROLE]", help="of `role`: annotator or lead")] = "",
    role: Annotated[str, typer.Option(help="of `add`: annotator or lead")] = "annotator",
    url: Annotated[str, typer.Option(help="address of the page, for the link")] = "http://127.0.0.1:8474",
    as_json: Json = False,
) -> None:
    """Accounts of the page. `add` and `link` print a one-time link; `role` alone changes the role of an account."""
    from dataforge.flows.review_text import users_text
    from dataforge.review import commands

    database = _database(config)
    if action == "list":
        users = commands.user_list(database)
        respond({"schema": 1, "users": users}, users_text(users, config=str(config)), as_json=as_json)
        return
    if action not in ("add", "link", "role", "remove") or not name or bool(new_role) != (action == "role"):
        hint = "dataforge review user CONFIG add NAME --role ROLE, or role NAME ROLE"
        raise ConfigError(f"cannot {action} {name} {new_role}".strip(), hint=hint)
    if action == "role":
        commands.user_role(database, name, new_role)
        respond({"schema": 1, "name": name, "role": new_role}, f"{name} is {new_role} now", as_json=as_json)
        return
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
    """Progress, agreement with intervals, who mixes up what, speed and gold accuracy; every open batch, or the newest."""
    from dataforge.flows.config import load_config
    from dataforge.flows.review_text import stats_text
    from dataforge.review import commands

    database, mark = _database(config), load_config(config).review.min_alpha
    wanted = [batch] if batch is not None else commands.current(database) or [None]
    documents = [commands.stats(database, number) for number in wanted]
    text = "\n\n".join(stats_text(document, config=str(config), min_alpha=mark) for document in documents)
    one = documents[0] if len(documents) == 1 else {"schema": 1, "batches": documents}
    respond(one, text, as_json=as_json)


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
    from dataforge.flows.review_text import closing_text
    from dataforge.review import commands

    closing = commands.close_batch(
        _database(config), batch=batch, allow_unresolved=allow_unresolved, now=now, on_closed=_announcer()
    )
    document = {"schema": 1, **commands.as_json(closing)}
    respond(document, closing_text(document, config=str(config)), as_json=as_json)


def backup(config: ConfigArgument, out: Annotated[Path, typer.Argument(metavar="FILE")], as_json: Json = False) -> None:
    """A consistent copy of the review database while people work."""
    from dataforge.review import commands

    path = commands.backup(_database(config), out)
    respond({"schema": 1, "path": str(path)}, f"wrote {path}", as_json=as_json)
