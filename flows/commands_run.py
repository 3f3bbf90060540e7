"""init, plan, run, status: make a config, see what a run would do, do it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dataforge.errors import ConfigError
from dataforge.flows.cli import respond

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="dataforge.yaml or the folder that holds it")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="no progress on stderr")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="a trial on the first N rows of each source, beside the real dataset", metavar="N")
]
Trial = Annotated[int | None, typer.Option("--trial", min=1, help="of the trial that run --limit N made", metavar="N")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="traces of unexpected errors")]


def register(app: typer.Typer) -> None:
    for command in (init, plan, run, status):
        app.command()(command)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="folder of the new config")],
    input: Annotated[list[str], typer.Option("--input", help="file, folder, glob or URL to read; repeat for more")],
    name: Annotated[str, typer.Option(help="name of the dataset; default: the folder's")] = "",
    as_json: Json = False,
) -> None:
    """Look at inputs and write a commented, runnable DIR/dataforge.yaml."""
    from dataforge.flows.init import write_config

    made = write_config(folder, input, name=name)
    text = "\n".join([f"wrote {made['config']}", *made["notes"], _next(shlex.quote(str(made["config"])))])
    respond({"schema": 1, **made}, text, as_json=as_json)


def _next(config: str) -> str:
    return f"next: dataforge run {config} --limit 1000  (a trial on the first rows), then dataforge run {config}"


def plan(
    config: ConfigArgument,
    every: Annotated[bool, typer.Option("--all", help="a line for every step")] = False,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """What a run would do: steps that are there, steps to run and why, input bytes, estimates. Runs nothing."""
    from dataforge.flows.plan import plan_document, plan_text

    document = plan_document(loaded_config(config, limit))
    respond(document, plan_text(document, every_step=every), as_json=as_json)


def run(
    config: ConfigArgument,
    direct: Annotated[bool, typer.Option("--direct", help="without Prefect")] = False,
    engine: Annotated[str, typer.Option(help="local or beam")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="processes; default: one per core")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    beam_option: Annotated[list[str], typer.Option("--beam-option", help="passed to Beam, e.g. --runner=…")] = [],  # noqa: B006
    strict: Annotated[bool, typer.Option("--strict", help="warnings end the run with exit code 4")] = False,
    limit: Limit = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fill what is missing and publish. The same command goes on after a crash, and does nothing when all is done."""
    _check_choice("--engine", engine, ("local", "beam"))
    _check_choice("--device", device, ("auto", "cpu", "cuda"))
    make = engine_maker(engine, workers or os.cpu_count() or 1, beam_option)
    outcome = run_config(loaded_config(config, limit), make, direct=direct, quiet=quiet, device=device, strict=strict)
    raise typer.Exit(report_outcome(outcome, str(config), as_json=as_json))


def loaded_config(path: Path, first_rows: int | None = None) -> Any:
    """The config of a file, or of the trial on so many rows of each of its sources."""
    from dataforge.flows.config import load_config
    from dataforge.flows.trial import trial

    loaded = load_config(path)
    return trial(loaded, first_rows) if first_rows else loaded


def run_config(loaded: Any, make: Callable[[], Any], *, direct: bool, quiet: bool, **how: Any) -> Any:
    """The Outcome of a run, with Prefect or without, under the store's lock."""
    from dataforge.store import Store

    say: Callable[[str], None] = (lambda line: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    with Store(loaded.path(loaded.store)).lock():  # before anything heavy loads: a store in use is told at once
        return _run_locked(loaded, make, direct=direct, say=say, **how)


def _run_locked(loaded: Any, make: Callable[[], Any], *, direct: bool, say: Callable[[str], None], **how: Any) -> Any:
    from dataforge.kernels.cpu import were_compiled

    if not were_compiled():
        say("the first run compiles its kernels, once: a minute or two")
    if direct:
        from dataforge.flows.execute import execute

        return execute(loaded, make, say=say, locked=True, **how)
    from dataforge.flows.orchestrate import run_with_prefect

    return run_with_prefect(loaded, make, say=say, locked=True, **how)


def _check_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{option} {value}: must be one of {', '.join(known)}")


def engine_maker(engine: str, workers: int, beam_options: list[str]) -> Callable[[], Any]:
    """A function that opens the engine; its library is loaded only then."""

    def local() -> Any:
        from dataforge.engine.local import Local

        return Local(workers)

    def beam() -> Any:
        from dataforge.engine.beam import Beam

        return Beam(beam_options, workers=workers)

    return beam if engine == "beam" else local


def report_outcome(outcome: Any, config: str, *, as_json: bool) -> int:
    """Result on stdout, error lines on stderr; returns the exit code."""
    from dataforge.flows.run_text import outcome_text

    tell_problems(outcome, config)
    respond(outcome.document(), outcome_text(outcome, config), as_json=as_json)
    return int(outcome.exit_code)


def tell_problems(outcome: Any, config: str) -> None:
    """Warnings, and why a run failed or waits, on stderr."""
    from dataforge.errors import escape

    for warning in (*outcome.warnings, *(outcome.findings if outcome.error is None else ())):
        print(f"warning: {escape(warning, 400)}", file=sys.stderr)
    problem = outcome.error or outcome.waiting
    if problem is not None:
        print(problem.naming(config).line(), file=sys.stderr)
        for line in problem.details:
            print(f"  {escape(line, 600)}", file=sys.stderr)


def status(config: ConfigArgument, trial: Trial = None, as_json: Json = False) -> None:
    """Where a dataset stands: steps done, waiting or missing, the published version, the last run."""
    from dataforge.flows.plan import status_document, status_text

    document = status_document(loaded_config(config, trial))
    respond(document, status_text(document, str(config)), as_json=as_json)
