"""`dataforge gc`: removes tables of a store that none of its configs names any more. Published versions are left alone.

A store may serve several configs, and only they say what is needed: so all of them must be given, and those that ran
here but are not given are an error. Tables behind a step that has yet to run have no known id: they are spared by name.
"""

from __future__ import annotations

from pathlib import Path

from dataforge.engine.run import survey
from dataforge.errors import ConfigError
from dataforge.flows.build import build
from dataforge.flows.config import Config
from dataforge.flows.runs import runs
from dataforge.store import Store


def collect(configs: list[Config], *, grace_s: float, given_up: set[str]) -> tuple[list[Path], list[Path]]:
    """The folders that were removed, and those that only their age spared.

    Raises ConfigError for configs of two stores, or if a dataset of the store is not named.
    """
    stores = {config.path(config.store) for config in configs}
    if len(stores) != 1:
        raise ConfigError(f"the configs use {len(stores)} stores", key="store", hint="collect one store at a time")
    store = Store(stores.pop())
    with store.lock():
        served = {str(report["name"]) for report in runs(store) if "name" in report}
        forgotten = sorted(served - {config.name for config in configs} - given_up)
        if forgotten:
            hint = f"name its config too, or --drop {forgotten[0]}"
            raise ConfigError(f"the store also serves {', '.join(forgotten)}", file=str(store.root), hint=hint)
        return store.collect(needed(store, configs), grace_s=grace_s)


def needed(store: Store, configs: list[Config]) -> set[str]:
    """Ids of the tables that must stay."""
    ids: set[str] = set()
    unknown: set[str] = set()
    for config in configs:
        state = survey(store, tuple(build(config).steps()))
        ids |= set(state.ids.values())
        unknown |= {step.name for step in state.waiting}
    return ids | {table.id for table in store.tables() if table.step in unknown}
