"""funnel, quarantine, trace, verify, report, whatif, duplicates, gc, doctor, config: they change nothing, but for gc."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from dataforge.errors import ConfigError, InputError
from dataforge.flows.cli import print_json, respond
from dataforge.flows.commands_run import ConfigArgument, Json, Trial, loaded_config


def register(app: typer.Typer) -> None:
    for command in (funnel, quarantine, trace, verify, report, whatif, duplicates, gc, doctor):
        app.command()(command)
    group = typer.Typer(help="The config: its schema, its problems, its defaults.", no_args_is_help=True)
    group.command("schema")(config_schema)
    group.command("check")(config_check)
    group.command("show")(config_show)
    app.add_typer(group, name="config")


def _tables(config: Path, trial: int | None) -> tuple[Any, list[Any]]:
    """The graph of a config and its finished tables in order."""
    from dataforge.flows.build import build, look

    graph = build(loaded_config(config, trial))
    tables = look(graph).tables
    return graph, [tables[step] for step in graph.steps() if step in tables]


def finished(config: Path, trial: int | None = None) -> tuple[Any, list[Any]]:
    graph, tables = _tables(config, trial)
    if not tables:
        way = f"dataforge run {config}" + (f" --limit {trial}" if trial else "")
        raise InputError("nothing has run yet", file=str(config), hint=way)
    return graph, tables


def funnel(
    config: ConfigArgument,
    every: Annotated[bool, typer.Option("--all", help="every step")] = False,
    trial: Trial = None,
    as_json: Json = False,
) -> None:
    """Rows in, out, dropped by reason and quarantined, step by step."""
    from dataforge.funnel import aside, funnel_text
    from dataforge.funnel import funnel as entries_of

    _graph, tables = finished(config, trial)
    entries, beside = entries_of(tables), aside(tables)
    text = funnel_text(entries, every_step=every, beside=beside)
    respond({"schema": 1, "funnel": entries, "aside": beside}, text, as_json=as_json)


def quarantine(
    config: ConfigArgument,
    limit: Annotated[int, typer.Option(min=1, help="rows listed")] = 20,
    raw: Annotated[bool, typer.Option("--raw", help="also the beginning of each row: it may hold personal data")] = False,
    trial: Trial = None,
    as_json: Json = False,
) -> None:
    """Rows that could not be read: file, line, key, why, and where their bytes are. Files that were left out whole."""
    from dataforge.flows.quarantine import quarantine_document, quarantine_text

    document = quarantine_document(*finished(config, trial), limit, raw=raw)
    respond(document, quarantine_text(document, raw=raw), as_json=as_json)


def trace(
    config: ConfigArgument,
    row: Annotated[str, typer.Argument(metavar="ID", help="a row's id, 8 or more of its digits, or its key in the source")],
    of_trial: Trial = None,
    as_json: Json = False,
) -> None:
    """What happened to one row at every step, down to shard, row and token range of the published data."""
    from dataforge.flows.plan import latest_version
    from dataforge.trace import trace as trace_row
    from dataforge.trace import trace_text

    graph, tables = finished(config, of_trial)
    document = trace_row(tables, row, latest_version(graph.config), sources=list(graph.sources))
    respond(document, trace_text(document), as_json=as_json)


def verify(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="folder of a published version")], as_json: Json = False
) -> None:
    """Every sha256, every count, ledger sums, splits, tokenizer; loads every config. Exit code 7 names what is off."""
    from dataforge.flows.commands_data import figures
    from dataforge.verify import verify as verify_version

    refuse_config(out)
    found = verify_version(out)
    respond({"schema": 1, "status": "ok", **found}, f"{out}: ok\n{figures(found)}", as_json=as_json)


def refuse_config(out: Path) -> None:
    """Raises InputError for a config or its folder, naming the version that its last run published."""
    from dataforge.flows.config import config_file, load_config
    from dataforge.flows.plan import latest_version

    file = config_file(out)
    if not file.is_file() or file.suffix not in (".yaml", ".yml"):
        return
    version = latest_version(load_config(file))
    way = f"dataforge verify {shlex.quote(str(version))}" if version else f"first: dataforge run {shlex.quote(str(out))}"
    raise InputError("a config, not the folder of a published version", file=str(out), hint=way)


def report(config: ConfigArgument, as_json: Json = False) -> None:
    """Write report.html and report.json with timings into the store, and say where the published one is."""
    from dataforge.flows.reports import write_store_report

    graph, tables = finished(config)
    document = write_store_report(graph, tables)
    respond(document, "\n".join(f"{k}: {v}" for k, v in document.items() if k != "schema"), as_json=as_json)


def whatif(
    config: ConfigArgument,
    set_: Annotated[
        list[str],
        typer.Option("--set", help="e.g. quality.min_words=30..200 or 30,50,100 or 50..200:25; several: all combinations"),
    ],
    plot: Annotated[Path | None, typer.Option(help="also draw it: FILE.svg or FILE.html")] = None,
    as_json: Json = False,
) -> None:
    """Documents and tokens kept per setting, from the stored scores: nothing is computed again."""
    from dataforge.flows.whatif import whatif_document, whatif_text
    from dataforge.flows.whatif_plot import write_plot

    graph, tables = finished(config)
    document = whatif_document(graph, tables, set_)
    if plot is not None:
        write_plot(document, plot)
    respond(document, whatif_text(document), as_json=as_json)


def duplicates(config: ConfigArgument, limit: Annotated[int, typer.Option(min=1)] = 10, as_json: Json = False) -> None:
    """Clusters of duplicates, largest first, with what differs inside them."""
    from dataforge.flows.clusters import clusters_document, clusters_text

    _, tables = finished(config)
    document = clusters_document(tables, limit)
    respond(document, clusters_text(document), as_json=as_json)


def gc(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="every config that uses the store")],
    hours: Annotated[float, typer.Option(min=0, help="spare what is younger")] = 24.0,
    drop: Annotated[list[str], typer.Option(help="name of a dataset of this store that is given up")] = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Remove tables that no config names any more. Name every config of a shared store: a forgotten one is an error."""
    from dataforge.flows.config import load_config
    from dataforge.flows.garbage import collect

    removed, spared = collect([load_config(config) for config in configs], grace_s=hours * 3600, given_up=set(drop))
    lines = [f"removed {path}" for path in removed] or ["nothing to remove"]
    if spared:
        lines.append(f"spared {len(spared)} that are as needless but younger than {hours:g} h; --hours 0 takes them too")
    document = {"schema": 1, "removed": [str(path) for path in removed], "spared": [str(path) for path in spared]}
    respond(document, "\n".join(lines), as_json=as_json)


def doctor(as_json: Json = False) -> None:
    """Versions, optional parts, GPU, disk, locale: what works here and what to install for the rest."""
    from dataforge.flows.doctor import doctor_document, doctor_text

    document = doctor_document()
    respond(document, doctor_text(document), as_json=as_json)


def config_schema(as_json: Json = False) -> None:
    """JSON Schema of the config, for editors: JSON in any case."""
    from dataforge.flows.config import schema

    print_json({"schema": 1, **schema()} if as_json else schema())


def config_check(config: ConfigArgument, as_json: Json = False) -> None:
    """Every problem of a config with line and column, exit code 2; exit code 3 if all it lacks is input files."""
    from dataforge.config_file import read_yaml
    from dataforge.flows.config import config_file, load_config
    from dataforge.flows.config_columns import absent_columns
    from dataforge.flows.config_inputs import check_config, read_with_markup

    file = config_file(config)
    check_config(file)
    loaded = load_config(config)
    warnings = read_with_markup(loaded) + absent_columns(read_yaml(file), file.parent)[1]
    text = "\n".join([f"{config}: ok", *(f"warning: {warning}" for warning in warnings)])
    respond({"schema": 1, "name": loaded.name, "problems": [], "warnings": warnings}, text, as_json=as_json)


def config_show(config: ConfigArgument, as_json: Json = False) -> None:
    """Every key with its value and where it comes from: the file or the default."""
    from dataforge.config_file import read_yaml
    from dataforge.flows.config import config_file, load_config

    loaded = load_config(config)
    document = read_yaml(config_file(config))
    rows = list(_leaves(loaded.model_dump(mode="json"), ()))
    shown = [{"key": ".".join(map(str, k)), "value": v, "from": _origin(document, k)} for k, v in rows]
    text = "\n".join(f"{row['key']}: {row['value']!r}  # {row['from']}" for row in shown)
    respond({"schema": 1, "keys": shown}, text, as_json=as_json)


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, child in enumerate(value):
            yield from _leaves(child, (*path, index))
    else:
        yield path, value


def _origin(document: Any, path: tuple[str | int, ...]) -> str:
    if path in document.places:
        return f"line {document.places[path][0]}"
    return "default"


@contextmanager
def known_file(path: Path) -> Iterator[Path]:
    """Raises a clear error for a file that is not there."""
    if not path.exists():
        raise InputError("no such file", file=str(path))
    if path.is_dir():
        raise ConfigError("is a folder, a file is needed", file=str(path))
    yield path
