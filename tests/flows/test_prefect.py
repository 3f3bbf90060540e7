"""Runs as Prefect flows: a task per scan, an artifact per step, states by outcome, and nothing of ours in its database."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dataforge import Store
from dataforge.engine.local import Local
from dataforge.flows.config import load_config
from dataforge.flows.execute import Outcome
from dataforge.operators.slack_api import sdk_transport
from tests.flows.calling import CHEAP, files, line, published
from tests.flows.demo import DEMO, copy_demo, small_config
from tests.operators.slack_reading import USERS, message
from tests.slack_server import FakeSlack, serve

ROOT = Path(__file__).parent.parent.parent
CANARY = "canaryword7391"  # stands in a text; must stand nowhere in Prefect's database


@pytest.fixture(scope="session")
def server() -> Iterator[Path]:
    """One temporary server for all tests; the path of its database. Heartbeats off: each would cost a second a flow."""
    from prefect.settings import (
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_SERVER_ANALYTICS_ENABLED,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness

    with ExitStack() as stack:
        stack.enter_context(temporary_settings({PREFECT_SERVER_ANALYTICS_ENABLED: False}))
        stack.enter_context(prefect_test_harness(server_startup_timeout=120))
        stack.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
        from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

        yield Path(str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition(":///")[2])


def run(config: Path) -> tuple[Outcome, list[str]]:
    """A run as a flow, and what it said on stderr."""
    from dataforge.flows.orchestrate import run_with_prefect

    said: list[str] = []
    return run_with_prefect(load_config(config), lambda: Local(1), device="cpu", say=said.append), said


def ask(question: Callable[[Any], Any]) -> Any:
    """The answer of the server's client."""
    from prefect import get_client

    async def answer() -> Any:
        async with get_client() as client:
            return await question(client)

    return asyncio.run(answer())


def newest_run(name: str) -> Any:
    runs = [run for run in ask(lambda client: client.read_flow_runs()) if run.name == name]
    return max(runs, key=lambda run: run.created)


def test_a_run_is_a_flow_with_a_task_per_scan_and_an_artifact_per_step(server: Path, tmp_path: Path) -> None:
    from prefect.client.schemas.filters import FlowRunFilter

    from dataforge.flows.orchestrate import slug

    config = small_config(tmp_path, [line(1), line(2, f"The kite {CANARY} flew over the hill.")], name="tasks", **CHEAP)
    outcome, _ = run(config)
    assert outcome.exit_code == 0 and outcome.out is not None
    flow_run = newest_run("tasks")
    assert flow_run.state.name == "Completed"
    only_this = FlowRunFilter(id={"any_": [flow_run.id]})
    tasks = ask(lambda client: client.read_task_runs(flow_run_filter=only_this))
    assert sorted(t.name.rsplit("-", 1)[0] for t in tasks) == sorted(scan["scan"] for scan in outcome.scans)
    assert {t.state.name for t in tasks} == {"Completed"}
    artifacts = ask(lambda client: client.read_latest_artifacts())
    keys = {artifact.key for artifact in artifacts}
    assert {f"tasks-{slug(table.step)}" for table in outcome.tables()} <= keys
    assert {"tasks-funnel", "tasks-run-report"} <= keys


def test_the_same_bytes_come_out_with_and_without_prefect(server: Path, tmp_path: Path) -> None:
    from dataforge.flows.cli import main

    rows = [line(i) for i in range(8)]
    run(small_config(tmp_path / "flow", rows, **CHEAP))
    assert main(["run", str(small_config(tmp_path / "direct", rows, **CHEAP)), "--direct", "--workers", "1", "-q"]) == 0
    assert files(published(tmp_path / "flow")) == files(published(tmp_path / "direct"))


def test_outcomes_are_states(server: Path, tmp_path: Path) -> None:
    from dataforge.errors import LockedError

    waiting = copy_demo(tmp_path / "demo", name="waits", review="{enabled: true, need: 2, link: 'http://127.0.0.1:8474'}")
    waiting.write_text(
        "".join(s for s in waiting.read_text().splitlines(True) if "handbook.jsonl" not in s and "pages" not in s)
    )
    outcome, _ = run(waiting)
    assert outcome.exit_code == 5 and newest_run("waits").state.name == "AwaitingReview"
    assert newest_run("waits").state.is_completed()
    broken = small_config(tmp_path / "broken", [line(1), b"{"], name="broken", **CHEAP)
    outcome, _ = run(broken)
    state = newest_run("broken").state
    assert outcome.exit_code == 4 and state.name == "Failed" and "error[BUDGET]" in state.message
    with Store(tmp_path / "broken" / "store").lock(), pytest.raises(LockedError):
        run(broken)
    assert newest_run("broken").state.name == "SkippedLocked"


def test_deployed_flows_end_in_the_same_states(server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataforge.flows import orchestrate

    config = small_config(tmp_path, [line(1), line(2)], name="deployed", **CHEAP)
    assert orchestrate.prepare(str(config), workers=1, return_state=True).name == "Completed"
    assert orchestrate.finalize(str(config), workers=1, return_state=True).name == "Completed"
    with Store(tmp_path / "store").lock():
        assert orchestrate.prepare(str(config), workers=1, return_state=True).name == "SkippedLocked"
    config.write_text(config.read_text() + "ingest: {max_bad_rows: -1}\n")
    assert orchestrate.prepare(str(config), return_state=True).name == "Failed"


def test_no_text_and_no_token_is_in_prefects_database(server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "xoxb-7391-canarytoken")
    rows = [line(i, f"Mail ana@example.org about {CANARY} number {i} before noon.") for i in range(3)]
    sections = {**CHEAP, "slack": "{token: env:CANARY_TOKEN, key: env:CANARY_TOKEN}"}
    run(small_config(tmp_path / "whole", rows, name="canary", **sections))
    run(small_config(tmp_path / "bad", [*rows, f'{{"id": "{CANARY}", "text": '.encode()], name="canary-bad", **sections))
    everything = b"".join(path.read_bytes() for path in server.parent.glob(f"{server.name}*"))
    assert b"canary-run-report" in everything, "this is the database"
    assert [c for c in (CANARY, "ana@example.org", "canarytoken") if c.encode() in everything] == []


TOKEN = "xoxb-7391-canarytoken"


@pytest.mark.parametrize("place", ["env:CANARY_TOKEN", "file:token", "prefect:slack-token"])
def test_a_pull_as_a_flow_takes_its_token_from_the_environment_a_file_or_a_block_and_tells_nobody(
    server: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    place: str,
) -> None:
    from prefect.blocks.system import Secret

    from dataforge.flows import orchestrate
    from dataforge.flows import pull as pulling

    monkeypatch.setenv("CANARY_TOKEN", TOKEN)
    monkeypatch.setenv("SLACK_KEY_OF_TEST", "0123456789abcdef0123")
    (tmp_path / "token").write_text(TOKEN)
    config = tmp_path / "dataforge.yaml"
    config.write_text(
        "name: help\nstore: store\nout: out\nsources:\n  - {name: api, kind: slack_api}\n"
        f'slack: {{key: "env:SLACK_KEY_OF_TEST", token: "{place}"}}\n'
    )
    rows = [message(f"170000000{at}.000000", text=f"{CANARY} {at}") for at in range(9)]
    fake = FakeSlack(USERS, [{"id": "C1", "name": "general"}], {"C1": rows}, script={4: "503"})
    tokens = []
    with serve(fake) as url:

        def transport(token: str) -> Any:
            tokens.append(token)
            return sdk_transport(token, base_url=url, timeout_s=5)

        monkeypatch.setattr(pulling, "sdk_transport", transport)
        if place.startswith("prefect:"):
            assert orchestrate.ingest_slack(str(config), return_state=True).name != "Completed", "no such block yet"
            Secret(value=TOKEN).save("slack-token", overwrite=True, _sync=True)
        assert orchestrate.ingest_slack(str(config), return_state=True).name == "Completed"
    assert tokens == [TOKEN]
    pages = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*.json"))
    assert all(f"{CANARY} {at}".encode() in pages for at in range(9))
    said = "".join(capfd.readouterr()) + caplog.text
    told = b"".join(path.read_bytes() for path in server.parent.glob(f"{server.name}*")) + pages + said.encode()
    assert b"canarytoken" not in told and CANARY not in said


def test_an_api_that_does_not_answer_means_a_direct_run_with_the_same_bytes(tmp_path: Path) -> None:
    rows = [line(i) for i in range(8)]
    config = small_config(tmp_path / "a", rows, **CHEAP)
    environment = {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "dataforge.flows.cli", "run", str(config), "--workers", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert "the Prefect API at http://127.0.0.1:9/api does not answer: running directly" in ended.stderr
    from dataforge.flows.cli import main

    assert main(["run", str(small_config(tmp_path / "b", rows, **CHEAP)), "--direct", "--workers", "1", "-q"]) == 0
    assert files(published(tmp_path / "a")) == files(published(tmp_path / "b"))


# --- deployments ------------------------------------------------------------------------------------------------------


def deployments() -> list[dict[str, Any]]:
    from ruamel.yaml import YAML

    return list(YAML(typ="safe").load((ROOT / "prefect.yaml").read_text())["deployments"])


@pytest.mark.parametrize("fails_at", [1, 3])
def test_where_prefect_fails_the_run_goes_on_directly(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    from dataforge.flows import orchestrate

    real, calls = orchestrate.as_task, []

    def as_task(scan: Any, fill_scan: Callable[[], None]) -> None:
        calls.append(scan)
        if len(calls) == fails_at:
            raise RuntimeError("the server went away")
        real(scan, fill_scan)

    monkeypatch.setattr(orchestrate, "as_task", as_task)
    outcome, said = run(small_config(tmp_path, [line(1), line(2)], name="broken", **CHEAP))
    assert outcome.exit_code == 0 and outcome.out is not None
    assert any("Prefect failed" in text for text in said)


def test_a_fault_of_ours_is_not_taken_for_one_of_prefect(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataforge.flows import orchestrate

    def broken() -> None:
        raise ZeroDivisionError

    real = orchestrate._noted
    monkeypatch.setattr(orchestrate, "_noted", lambda fill_scan, ours: real(broken, ours))
    with pytest.raises(ZeroDivisionError):
        run(small_config(tmp_path, [line(1)], name="bug", **CHEAP))


def test_entrypoints_exist_and_parameters_are_theirs() -> None:
    from dataforge.flows import orchestrate

    for deployment in deployments():
        path, _, name = deployment["entrypoint"].partition(":")
        assert (ROOT / path).is_file()
        known = set(getattr(orchestrate, name).parameters.properties)
        given = set(deployment["parameters"])
        given |= {key for trigger in deployment.get("triggers", ()) for key in trigger.get("parameters", ())}
        assert given <= known, deployment["name"]
        assert set(getattr(orchestrate, name).parameters.required or ()) <= given


def test_names_and_slugs_are_unique_and_events_are_emitted_somewhere() -> None:
    names = [d["name"] for d in deployments()]
    slugs = [s["slug"] for d in deployments() for s in d.get("schedules", ())]
    assert len(set(names)) == len(names) and len(set(slugs)) == len(slugs)
    source = (ROOT / "flows" / "orchestrate.py").read_text()
    emitted = {f"dataforge.{name}" for name in re.findall(r'emit\("([a-z.]+)"', source)}
    expected = {event for d in deployments() for t in d.get("triggers", ()) for event in t["expect"]}
    assert expected <= emitted


def test_the_configs_of_deployments_exist() -> None:
    assert {ROOT / d["parameters"]["config"] for d in deployments()} == {DEMO / "dataforge.yaml"}


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_prefect_accepts_every_deployment_and_plans_cron_runs(server: Path, tmp_path: Path) -> None:
    """`deploy --all` against the test's server; one pass of its scheduler gives a schedule that is on its runs.

    With SQLAlchemy 2.1 that pass makes none and only logs it. The server of the tests runs no services of its own.
    """
    from prefect.settings import PREFECT_API_URL

    environment = {
        **os.environ,
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "PREFECT_HOME": str(tmp_path),
        "DATAFORGE_HOME": str(ROOT),
    }
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    pool = [*prefect, "work-pool", "create", "local", "--type", "process"]
    for command in (pool, [*prefect, "deploy", "--all"]):
        ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=120)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    registered = ask(lambda client: client.read_deployments())
    assert {d["name"] for d in deployments()} <= {d.name for d in registered}
    sweep = next(d for d in registered if d.name == "sweep-reviews")
    (schedule,) = sweep.schedules
    assert not schedule.active, "nothing starts by itself after deploy"
    ask(lambda client: client.update_deployment_schedule(sweep.id, schedule.id, active=True))
    schedule_once = (
        "import asyncio; from prefect.server.services import scheduler as s; asyncio.run(s.schedule_deployments())"
    )
    database = {**environment, "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{server}"}
    ended = subprocess.run([sys.executable, "-c", schedule_once], capture_output=True, text=True, env=database, timeout=120)
    assert ended.returncode == 0, ended.stderr
    runs = [run for run in ask(lambda client: client.read_flow_runs()) if run.deployment_id == sweep.id]
    assert runs and {run.state.name for run in runs} == {"Scheduled"}
