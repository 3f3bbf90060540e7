"""Prefect: the only file that knows it. Flows are thin; what is done stands in the store's manifests, never here.

A task per scan (retried only where it touches the network), an artifact per step, the funnel as table and markdown, and
the state `AwaitingReview` when people are pending. Nothing is cached or persisted by Prefect; parameters and artifacts
hold ids, names and counts, never text, tokens or personal data. Every flow works without a server: `run_with_prefect`
says so on stderr and runs directly when the API does not answer.
"""

from __future__ import annotations

import os

# Before prefect is imported: no telemetry, quiet logs unless the user said otherwise.
for _name, _value in {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",  # its 20 are short for a busy machine
}.items():
    os.environ.setdefault(_name, _value)

import re  # noqa: E402
from collections.abc import Callable  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from dataforge.errors import EXIT_LOCKED, EXIT_PARTIAL, DataforgeError, LockedError, MissingExtraError, SecretError  # noqa: E402
from dataforge.flows.config import Config, load_config  # noqa: E402
from dataforge.flows.execute import Goal, Outcome, execute  # noqa: E402
from dataforge.funnel import is_aside  # noqa: E402

try:
    from prefect import flow, task
    from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
    from prefect.cache_policies import NO_CACHE
    from prefect.events import emit_event
    from prefect.states import Completed, Failed, State
    from prefect.tasks import exponential_backoff
except ImportError as error:
    raise MissingExtraError("Prefect is not installed", hint="pip install 'dataforge[flows]', or use --direct") from error

if TYPE_CHECKING:
    from dataforge.engine.run import Scan

NETWORK_RETRIES = {"retries": 5, "retry_delay_seconds": exponential_backoff(2), "retry_jitter_factor": 0.5}


# --- one run ----------------------------------------------------------------------------------------------------------


def run_with_prefect(
    config: Config,
    make: Callable[[], Any],
    *,
    device: str,
    say: Callable[[str], None],
    strict: bool = False,
    locked: bool = False,
    goal: Goal = "published",
) -> Outcome:
    """Runs a config as a flow on the configured server or on a temporary one.

    Where Prefect itself fails (no answer, a server that does not start or goes away) the run goes on directly: what was
    done stands in the store.
    """

    run = partial(execute, config, make, device=device, say=say, strict=strict, locked=locked, goal=goal)
    ours: list[Outcome | Exception] = []  # what our part of the flow came to; nothing if Prefect failed before
    if api_answers():
        why = _tried(_flow(config.name, run, ours), ours)
    else:
        why = f"the Prefect API at {os.environ.get('PREFECT_API_URL')} does not answer"
    if why:
        say(f"{why}: running directly")
        return run()
    if isinstance(ours[-1], Exception):
        raise ours[-1]
    return ours[-1]


def _flow(name: str, run: Callable[..., Outcome], ours: list[Outcome | Exception]) -> Any:
    """The flow of one run, a task per scan; what it comes to is added to `ours`."""

    def around(scan: Scan, fill_scan: Callable[[], None]) -> None:
        as_task(scan, lambda: _noted(fill_scan, ours))

    @flow(name="dataforge", flow_run_name=name, persist_result=False)
    def dataset() -> State[Any]:
        try:
            outcome = run(around=around)
        except DataforgeError as error:
            ours.append(error)
            return state_of_error(error)
        ours.append(outcome)
        tell(outcome)
        return state_of(outcome)

    return dataset


def _tried(dataset: Any, ours: list[Outcome | Exception]) -> str:
    """Runs the flow. Why Prefect failed, "" if what came of it stands in `ours`."""
    try:
        dataset(return_state=True)
    except Exception as error:
        return "" if ours else f"Prefect failed ({type(error).__name__})"
    except BaseException:
        _stop_temporary_servers()
        raise
    return "" if ours else "Prefect failed in the middle of the run"


def _noted(fill_scan: Callable[[], None], ours: list[Outcome | Exception]) -> None:
    """Fills a scan; an exception of ours is kept, to tell it from one of Prefect's."""
    try:
        fill_scan()
    except Exception as error:
        ours.append(error)
        raise


def _stop_temporary_servers() -> None:
    """Ends Prefect's own server at once: it takes five seconds for that, which a stopped run does not have. What it
    stored is whole, SQLite sees to that."""
    from prefect.server.api.server import SubprocessASGIServer

    for server in getattr(SubprocessASGIServer, "_instances", {}).values():
        if server.server_process is not None:
            server.server_process.kill()


def api_answers() -> bool:
    """True if the configured API answers within two seconds, or if none is configured: then Prefect starts its own."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        return True
    try:
        return httpx.get(f"{url.rstrip('/')}/health", timeout=2.0).status_code < 500
    except httpx.HTTPError:
        return False


def as_task(scan: Scan, fill_scan: Callable[[], None]) -> None:
    """One scan as one task. Sources are retried, because they may read over a network; pure steps never are."""
    from dataforge.operator import Source

    network = any(isinstance(step.operator, Source) and _is_remote(step.operator) for step in scan.steps)
    options: dict[str, Any] = NETWORK_RETRIES if network else {}

    @task(name=scan.name, cache_policy=NO_CACHE, persist_result=False, retry_condition_fn=_may_pass, **options)
    def fill() -> None:
        fill_scan()

    fill()


def _is_remote(source: Any) -> bool:
    return "://" in str(getattr(source, "path", ""))


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """Typed errors are final (bad input stays bad); anything else may be the network."""
    try:
        state.result()
    except DataforgeError as error:
        return error.exit_code == EXIT_PARTIAL
    except Exception:
        return True
    return False


# --- what Prefect shows -----------------------------------------------------------------------------------------------


def tell(outcome: Outcome) -> None:
    """Artifacts: counts per step, the funnel, a link to the review page or the published folder; and events."""
    name = slug(outcome.graph.config.name)
    for table in outcome.tables():
        account = table.account
        row = {"step": table.step, "kind": "aside" if is_aside(table) else table.manifest["contract"], "in": account.rows_in}
        row |= {"out": account.rows_out, "quarantined": account.quarantined}
        create_table_artifact([{**row, **account.dropped}], key=f"{name}-{slug(table.step)}", description=table.id[:12])
    entries = outcome.document()["funnel"]
    rows = [{**entry, "dropped": sum(entry["dropped"].values())} for entry in entries]
    create_table_artifact(rows, key=f"{name}-funnel", description="rows per step")
    create_markdown_artifact(_markdown(outcome, entries), key=f"{name}-run-report")
    if outcome.waiting is not None:
        link = outcome.graph.config.review.link
        if link:
            create_link_artifact(link, key=f"{name}-review", link_text=outcome.waiting.what)
        emit("review.opened", "dataset", name, {"message": outcome.waiting.what})
    if outcome.out is not None:
        emit("dataset.published", "dataset", name, {"version": outcome.out.name})


def _markdown(outcome: Outcome, entries: list[dict[str, Any]]) -> str:
    from dataforge.funnel import funnel_text

    lines = [f"# {outcome.graph.config.name}: {outcome.status}", "", "```", funnel_text(entries).rstrip(), "```"]
    if outcome.out is not None:
        lines += ["", f"Published: `{outcome.out}`"]
    problem = outcome.error or outcome.waiting
    if problem is not None:
        lines += ["", f"`{problem.code}`: {problem.what}"]
    return "\n".join(lines)


def slug(name: str) -> str:
    """`slack/conversations-by-channel` -> `slack-conversations-by-channel`: what artifact keys may be."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def emit(event: str, kind: str, name: str, payload: dict[str, Any]) -> None:
    """An event after the fact; a lost one only delays (the sweep finds it)."""
    emit_event(f"dataforge.{event}", resource={"prefect.resource.id": f"dataforge.{kind}.{name}"}, payload=payload)


def state_of(outcome: Outcome) -> State[Any]:
    """Exit codes as states: 0 Completed, 5 AwaitingReview, everything else Failed with the error's line."""
    if outcome.error is not None:
        return Failed(message=outcome.error.line())
    if outcome.waiting is not None:
        return Completed(name="AwaitingReview", message=outcome.waiting.what)
    return Completed(message=str(outcome.out))


def state_of_error(error: DataforgeError) -> State[Any]:
    if error.exit_code == EXIT_LOCKED:
        return Completed(name="SkippedLocked", message=error.what)
    return Failed(message=error.line())


# --- deployments ------------------------------------------------------------------------------------------------------


def _deployed(config: str, engine: str, workers: int) -> State[Any]:
    """What `prepare`, `finalize` and `publish` all do: the same idempotent run; the store knows how far it is."""
    from dataforge.flows.commands_run import engine_maker

    try:
        make = engine_maker(engine, workers or os.cpu_count() or 1, [])
        outcome = execute(load_config(Path(config)), make, around=as_task, say=print)
    except LockedError as error:
        return state_of_error(error)
    for warning in (*outcome.warnings, *outcome.findings):
        print(f"warning: {warning}")
    tell(outcome)
    return state_of(outcome)


@flow(persist_result=False)
def prepare(config: str, engine: str = "local", workers: int = 0) -> State[Any]:
    """Everything up to the labeling step, and on to publishing where none is pending."""
    return _deployed(config, engine, workers)


@flow(persist_result=False)
def finalize(config: str, batch: str = "", engine: str = "local", workers: int = 0) -> State[Any]:
    """Goes on after a review batch was closed; does nothing when that is done already. `batch` is which one, for those who
    look at the run in Prefect: prefect.yaml fills it from the event."""
    return _deployed(config, engine, workers)


@flow(persist_result=False)
def ingest_slack(config: str) -> State[Any]:
    """Pulls what is new from the Slack API; the next `prepare` reads it."""
    from dataforge.flows.pull import pull

    loaded = load_config(Path(config))

    @task(name="slack pull", cache_policy=NO_CACHE, persist_result=False, retry_condition_fn=_may_pass, **NETWORK_RETRIES)
    def fetch() -> dict[str, Any]:
        return pull(loaded)

    try:
        document = fetch()
    except DataforgeError as error:
        return state_of_error(error)
    emit("ingest.finished", "dataset", slug(loaded.name), {"messages": document.get("messages", 0)})
    return Completed(message="pulled")


def secret_of_block(name: str) -> str:
    """What a Secret block of the Prefect server holds. Neither it nor the server's answer is in the error."""
    from prefect.blocks.system import Secret

    try:
        value = Secret.load(name, _sync=True).get()
    except Exception as error:
        what = f"Secret block {name!r} cannot be read: {type(error).__name__}"
        raise SecretError(what, key="slack.token", hint="make it in Prefect, under this name") from None
    if not isinstance(value, str) or not value:
        raise SecretError(f"Secret block {name!r} holds no text", key="slack.token")
    return value


@flow(persist_result=False)
def sweep_reviews(config: str) -> State[Any]:
    """Applies the deadline policy of open batches and repeats the event of closed ones."""
    from dataforge.flows.parameters import review_database
    from dataforge.review.commands import sweep_reviews as sweep

    loaded = load_config(Path(config))
    try:
        closed = sweep(review_database(loaded), on_closed=announce_closed)
    except DataforgeError as error:
        return state_of_error(error)
    return Completed(message=f"{len(closed)} batch(es) closed")


def announce_closed(event: dict[str, Any]) -> None:
    """The review page calls this after its commit, with the batch's id, title and export sha256."""
    batch = str(event.get("batch_id", event.get("batch", "")))
    emit("review.closed", "batch", batch or "unknown", {k: v for k, v in event.items() if isinstance(v, (str, int))})
