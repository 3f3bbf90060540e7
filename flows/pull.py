"""`dataforge slack pull`: fetches what is new of every slack_api source into `{store}/pull/<source>/`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dataforge.errors import ConfigError
from dataforge.flows.config import Config
from dataforge.flows.parameters import secret_place
from dataforge.flows.sources import slack_key, who
from dataforge.operators.slack_api import Pace, sdk_transport
from dataforge.operators.slack_pull import PullPlan, read_token
from dataforge.operators.slack_pull import pull as pull_source
from dataforge.store import Store

PER_MINUTE = {1: 1.0, 2: 20.0, 3: 50.0, 4: 100.0}  # requests by rate-limit tier, as Slack documents them


def _token(place: str, config: Config) -> str:
    if place.startswith("prefect:"):
        from dataforge.flows.orchestrate import secret_of_block

        return secret_of_block(place.removeprefix("prefect:"))
    return read_token(secret_place(place, config))


def pull(config: Config, *, full: bool = False) -> dict[str, Any]:
    """`{"schema", "sources": {name: counts}, "messages"}`. Under the store's lock; goes on where it stopped.

    `full` sweeps all threads again, for late replies to old ones.

    Raises AuthError before anything was fetched, PartialError (exit 6) afterwards.
    """
    names = [source.name for source in config.sources if source.kind == "slack_api"]
    if not names or config.slack.token is None:
        hint = "add a source of kind slack_api, and slack.token: env:NAME"
        raise ConfigError("there is nothing to pull", key="slack.token" if names else "sources", hint=hint)
    transport = sdk_transport(_token(config.slack.token, config))
    store = Store(config.path(config.store))
    counts: dict[str, Any] = {}
    with store.lock():
        for name in names:
            plan = PullPlan(
                folder=config.pull_folder(name),
                key=slack_key(config),
                who=who(config),
                pace=Pace(history_per_minute=PER_MINUTE[config.slack.tier], max_wait_s=float(config.slack.max_wait_s)),
                oldest=config.slack.oldest,
                lookback_days=config.slack.lookback_days,
                recheck_days=config.slack.recheck_days,
                full=full,
            )
            counts[name] = asdict(pull_source(plan, transport))
    return {"schema": 1, "sources": counts, "messages": sum(c["messages"] for c in counts.values())}
