"""A trial: the same config over the first rows of each source, with a name, a store and an out folder of its own.

So nothing of it can enter the real tables or versions, nor be taken for them. People are not asked (the queue holds real
work), and no index of earlier data is looked at: it may hold these very rows.
"""

from __future__ import annotations

import shlex
from typing import Any

from dataforge.flows.config import Config

NAME_KEPT = 44  # letters of the dataset's name: a name has at most 64


def trial(config: Config, rows: int) -> Config:
    """The config of a trial on the first `rows` rows of each source."""
    mark = f"first-{rows}"
    title = f"{config.publish.pretty_name or config.name}, trial on the first {rows:,} rows of each source"
    changes: dict[str, Any] = {
        "name": f"{config.name[:NAME_KEPT]}-{mark}",
        "version": "auto",
        "store": f"{config.store.rstrip('/')}-{mark}",
        "out": f"{config.out.rstrip('/')}-{mark}",
        "dedupe": config.dedupe.model_copy(update={"index": None}),
        "review": type(config.review)(min_alpha=config.review.min_alpha),
        "publish": config.publish.model_copy(update={"pretty_name": title}),
    }
    made = config.model_copy(update=changes)
    made._first_rows, made._real_store = rows, config.store
    return made


def trial_lines(config: Config) -> list[str]:
    """What a trial says of itself; nothing for a real config."""
    if not config.first_rows:
        return []
    places = " ".join(shlex.quote(str(config.path(place))) for place in (config.store, config.out))
    said = f"trial on the first {config.first_rows:,} rows of each source, without review and dedupe.index"
    return [f"{said}: no part of the real dataset", f"to remove it: rm -r {places}"]
