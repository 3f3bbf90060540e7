"""Committed pages of a pulled channel, and which message of which page counts now.

A page is one immutable file. A later page wins over an earlier one; a message that a finished run should have seen
again and did not is gone. Everything is derived from the pages that `state.json` counts, nothing else is believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from dataforge.commit import committed
from dataforge.errors import CorruptError
from dataforge.operators.slack_fields import TS


@dataclass
class State:
    """Where a channel's pull stands. Written after every page, never before."""

    pages: int = 0
    run: int = 0
    phase: str = "done"  # history, threads, done
    oldest: str = "0"
    latest: str = ""  # of the window, fixed when the run begins
    top: str = ""  # newest ts still to be listed: moves down when a cursor has expired
    cursor: str = ""
    thread: str = ""
    watermark: str = ""  # newest ts committed by finished runs


@dataclass
class Place:
    """Where the newest copy of a message stands, and the run that saw it last."""

    page: int
    index: int
    run: int
    thread_ts: str  # of a reply; "" for roots and plain messages
    replies: tuple[int, str] = (0, "")  # of a root: how many, and the newest


@dataclass
class Folded:
    """What counts after the committed pages: ts → place; rows without a ts by page and place."""

    places: dict[str, Place] = field(default_factory=dict)
    loose: dict[bytes, Place] = field(default_factory=dict)
    fetched: dict[str, tuple[int, tuple[int, str]]] = field(default_factory=dict)  # thread → run, replies seen then
    newest: str = ""

    def winners(self) -> dict[int, list[int]]:
        """Page → indexes of its messages that count, both in order."""
        found: dict[int, list[int]] = {}
        for place in [*self.places.values(), *self.loose.values()]:
            found.setdefault(place.page, []).append(place.index)
        return {page: sorted(found[page]) for page in sorted(found)}


def micros(ts: str) -> int:
    seconds, _, fraction = ts.partition(".")
    return int(seconds or 0) * 1_000_000 + int(fraction.ljust(6, "0")[:6] or 0)


def page_name(number: int) -> str:
    return f"{number:06d}.json"


def load_state(folder: Path) -> State:
    path = folder / "state.json"
    return State(**orjson.loads(path.read_bytes())) if path.exists() else State()


def save(path: Path, value: Any) -> None:
    """Beside, fsync, rename: the commit of all files here."""
    with committed(path) as file:
        file.write(orjson.dumps(value))


def read_page(folder: Path, number: int) -> dict[str, Any]:
    try:
        page: dict[str, Any] = orjson.loads((folder / page_name(number)).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise CorruptError("a committed page is missing or damaged", file=page_name(number)) from error
    return page


def pages_of(folder: Path, state: State) -> Iterator[tuple[int, dict[str, Any]]]:
    for number in range(1, state.pages + 1):
        yield number, read_page(folder, number)


def fold(pages: Iterator[tuple[int, dict[str, Any]]]) -> Folded:
    """One pass over the pages in the order of their commits."""
    folded, threads = Folded(), dict[str, set[str]]()
    for number, page in pages:
        if page["kind"] == "end":
            _end_run(folded, threads, page)
            continue
        for index, message in enumerate(page["messages"]):
            _add(folded, threads, number, index, page["run"], message)
        if page["kind"] == "replies" and page["complete"]:
            root = folded.places.get(page["thread_ts"])
            folded.fetched[page["thread_ts"]] = (page["run"], root.replies if root else (0, ""))
    return folded


def _add(folded: Folded, threads: dict[str, set[str]], page: int, index: int, run: int, message: Any) -> None:
    ts = message.get("ts") if isinstance(message, dict) else None
    if not isinstance(ts, str) or not TS.fullmatch(ts):
        folded.loose.setdefault(orjson.dumps(message), Place(page, index, run, ""))
        return
    thread = message.get("thread_ts")
    thread = thread if isinstance(thread, str) and thread != ts else ""
    count, latest = message.get("reply_count"), message.get("latest_reply")
    replies = (count if isinstance(count, int) else 0, latest if isinstance(latest, str) else "")
    known = folded.places.get(ts)
    if known is not None and known.run == run and not replies[0]:
        replies = known.replies
    folded.places[ts] = Place(page, index, run, thread, replies)
    folded.newest = max(folded.newest, ts, key=micros)
    if thread:
        threads.setdefault(thread, set()).add(ts)


def _end_run(folded: Folded, threads: dict[str, set[str]], end: dict[str, Any]) -> None:
    """Drops what the run looked for and did not find: messages of its window, replies of threads read to the end."""
    run, oldest, latest = end["run"], micros(end["oldest"]), micros(end["latest"])
    gone = [
        ts
        for ts, place in folded.places.items()
        if not place.thread_ts and place.run < run and oldest <= micros(ts) <= latest
    ]
    for ts in gone:
        del folded.places[ts]
        _forget(folded, threads, ts, run)
    for thread, (fetched, _) in folded.fetched.items():
        if fetched == run:
            _forget(folded, threads, thread, run)


def _forget(folded: Folded, threads: dict[str, set[str]], thread: str, run: int) -> None:
    for ts in [t for t in threads.get(thread, ()) if folded.places[t].run < run]:
        del folded.places[ts]
        threads[thread].discard(ts)
