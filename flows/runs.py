"""Reports of runs, `{store}/runs/*.json`: what each step took, how the run ended. Nothing published holds any of it.

While a run goes on, its report stands in `running-NAME.json` and grows with every scan. One that is found there by the next
run was killed: it joins the others under the time of its beginning. Of a store the newest 200 are kept, and of each dataset
the newest, by which `gc` knows whom the store serves.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dataforge.commit import write_json
from dataforge.store import Store

KEPT = 200
ENDED = ("status", "ended", "seconds", "out", "error")  # what a report says of how its run ended


@dataclass(frozen=True)
class Running:
    """The report of a run that goes on."""

    store: Store
    name: str
    began: datetime
    input_bytes: int

    def write(self, scans: list[dict[str, Any]], now: datetime) -> None:
        """After each scan: what a killed run did is known by it."""
        head = {"name": self.name, "began": _second(self.began), "ended": _second(now), "status": "stopped"}
        more = {"seconds": round((now - self.began).total_seconds(), 3), "error": None, "out": None, "peak_rss_bytes": 0}
        peak = max((scan["peak_rss_bytes"] for scan in scans), default=0)
        document = {**head, **more, "peak_rss_bytes": peak, "input_bytes": self.input_bytes, "scans": scans}
        write_json(_running(self.store, self.name), document)

    def end(self, document: dict[str, Any], ended: datetime) -> None:
        """The whole report. Timings and memory stay in the store: published files never hold a clock or a machine."""
        known = {"name": self.name, "began": _second(self.began), "ended": _second(ended), "input_bytes": self.input_bytes}
        document = {**document, **known}
        write_json(self.store.root / "runs" / _name(ended), document)
        if document["out"] is not None:
            write_json(self.store.root / "runs" / "latest.json", document)
        _running(self.store, self.name).unlink(missing_ok=True)
        prune(self.store)


def begin(store: Store, name: str, input_bytes: int) -> Running:
    """Call under the store's lock."""
    (store.root / "runs").mkdir(exist_ok=True)
    if (killed := unfinished(store, name)) is not None:
        _running(store, name).replace(store.root / "runs" / _name(datetime.fromisoformat(killed["began"])))
    running = Running(store, name, datetime.now(UTC), input_bytes)
    running.write([], running.began)
    return running


def unfinished(store: Store, name: str) -> dict[str, Any] | None:
    """The report of a run of that dataset that has not ended: it goes on, or was killed."""
    try:
        report = _read(_running(store, name))
        datetime.fromisoformat(report["began"])
        return report if "scans" in report else None
    except (OSError, ValueError, KeyError):  # no report, or none of a run that was begun
        return None


def is_running(store: Store) -> bool:
    """True while some run holds the store."""
    try:
        with open(store.root / ".lock", "rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def runs(store: Store, name: str = "", *, needs: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Reports of earlier runs of the dataset of that name (or of all of the store), newest first.

    `needs`: keys without which a report is passed over. What is no report of a run is passed over in any case.
    """
    for path in _reports(store):
        with suppress(OSError, ValueError):
            report = _read(path)
            if name in ("", report["name"]) and report.keys() >= set(needs):
                yield report


def prune(store: Store) -> None:
    """Removes reports beyond the newest 200, except the newest of each dataset."""
    names: set[str] = set()
    for at, path in enumerate(_reports(store)):
        try:
            name = _read(path)["name"]
        except (OSError, ValueError):
            name = None
        if at >= KEPT and (name is None or name in names):
            path.unlink(missing_ok=True)
        names.add(name)


_TYPES: dict[str, Any] = {
    "name": str,
    "began": str,
    "ended": str,
    "status": str,
    "seconds": int | float,
    "out": str | None,
    "error": dict | None,
    "publish_seconds": int | float | None,
    "input_bytes": int | float,
    "peak_rss_bytes": int | float,
    "scans": list,
}
_SCAN_TYPES: dict[str, Any] = {"scan": str, "seconds": int | float, "peak_rss_bytes": int | float}


def _read(path: Path) -> dict[str, Any]:
    """A report as runs write it. Raises ValueError for anything else that lies in their folder."""
    try:
        report = json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not _has(report, {"name": str}) or not _has(report, {key: _TYPES[key] for key in _TYPES.keys() & report.keys()}):
        raise ValueError("no report of a run")
    if not all(_has(scan, _SCAN_TYPES) for scan in report.get("scans", [])):
        raise ValueError("no report of a run")
    if report.get("error") is not None and not _has(report["error"], {"code": str, "what": str}):
        raise ValueError("no report of a run")
    return report  # type: ignore[no-any-return]


def _has(value: Any, types: dict[str, Any]) -> bool:
    return isinstance(value, dict) and all(key in value and isinstance(value[key], kind) for key, kind in types.items())


def _reports(store: Store) -> list[Path]:
    return sorted((store.root / "runs").glob("2*.json"), reverse=True)


def _running(store: Store, name: str) -> Path:
    return store.root / "runs" / f"running-{name}.json"


def _name(moment: datetime) -> str:
    return f"{moment.strftime('%Y%m%dT%H%M%S.%fZ')}.json"


def _second(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
