"""What a run would do, without doing it: which tables are there, which are missing and why, how much input, how long.

"Why" compares a missing step with the newest finished table of the same name: the first parameter that differs, or the
first input that is new. Times are estimates from the last runs of this store (rows a second of the same scan).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataforge.engine.run import State
from dataforge.flows.build import Graph, build, decompressed_bytes, look
from dataforge.flows.config import Config
from dataforge.flows.estimate import estimate, estimate_text
from dataforge.flows.index import info as index_info
from dataforge.flows.plan_names import config_key
from dataforge.flows.runs import ENDED, is_running, runs, unfinished
from dataforge.identity import canonical
from dataforge.kernels.bands import s_curve
from dataforge.operator import Source
from dataforge.step import Step, in_order
from dataforge.store import Store
from dataforge.table import Table

OTHER = "another operator"


def plan_document(config: Config) -> dict[str, Any]:
    """`{"schema", "name", "parts", "input", "steps": [{"step", "state", "why", "rows"}], "dedupe", "index",
    "estimate"}`."""
    graph = build(config)
    store = Store(config.path(config.store))
    state = look(graph)
    steps = [_step(store, step, state) for step in graph.steps()]
    inputs = [_input(step, store) for step in graph.sources.values()]
    todo = [step["step"] for step in steps if step["state"] == "run"]
    return {
        "schema": 1,
        "name": config.name,
        "first_rows": config.first_rows or None,
        "parts": graph.parts,
        "input": inputs,
        "input_bytes": sum(entry["decompressed_bytes"] for entry in inputs),
        "steps": steps,
        "dedupe": _curve(config),
        "index": _index(config),
        "estimate": estimate(todo, _history(store, config.name), sum(entry["decompressed_bytes"] for entry in inputs)),
    }


def _history(store: Store, name: str) -> Iterator[dict[str, Any]]:
    """Its own runs, then those of other datasets of the store."""
    yield from runs(store, name)
    yield from (report for report in runs(store) if report.get("name") != name)


def _input(step: Step, store: Store) -> dict[str, Any]:
    source = step.operator
    splits = source.splits() if isinstance(source, Source) else ()
    return {
        "source": step.name.removeprefix("sources/"),
        "files": sum(len(split.files) for split in splits),
        "bytes": sum(split.size_bytes for split in splits),
        "decompressed_bytes": decompressed_bytes(step, store),
    }


def _step(store: Store, step: Step, state: State) -> dict[str, Any]:
    if step in state.tables:
        table = state.tables[step]
        return {"step": step.name, "state": "done", "why": "", "rows": table.rows, "id": table.id[:12]}
    if step in state.waiting:
        return {"step": step.name, "state": "waiting", "why": _behind(step, state), "rows": None, "id": None}
    return {"step": step.name, "state": "run", "why": _why(store, step, state), "rows": None, "id": state.ids[step][:12]}


def _behind(step: Step, state: State) -> str:
    """What a waiting step waits for: people, or the first step before it that must run first."""
    before = next((s for s in in_order((step,)) if s in state.waiting), step)
    return state.waiting[before].what if before is step else f"after {before.name}"


def _why(store: Store, step: Step, state: State) -> str:
    earlier = _newest(store, step.name)
    if earlier is None:
        return "never run"
    old, new = earlier.manifest["operator"], canonical(step.operator)
    changed = _first_difference(old, new)
    if changed:
        parameter, _, values = changed.partition(" ")
        return changed if changed == OTHER else f"{config_key(old[''], parameter)} {values}"
    if earlier.manifest["version"] != type(step.operator).VERSION:
        return "the operator's version changed"
    ids = {entry["step"]: entry["id"] for entry in earlier.manifest["inputs"]}
    renewed = next((s.name for s in step.inputs if ids.get(s.name) != state.ids.get(s)), None)
    return f"{renewed} is new" if renewed else "the input changed"


def _first_difference(old: Any, new: Any, key: str = "") -> str:
    """`keep.threshold 0.8 → 0.7`: the first parameter that differs, with its values where they are short; else ""."""
    if old == new:
        return ""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        old, new = ({str(i): value for i, value in enumerate(values)} for values in (old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        key = f"{key}.{new['key']}" if new.get("key") else key  # a rule is known by its name
        if old.get("") != new.get(""):
            return OTHER
        names = {**old, **new}
        return next(found for n in names if (found := _first_difference(old.get(n), new.get(n), f"{key}.{n}".strip("."))))
    shown = [str(v) if v is None or isinstance(v, (int, float)) else v if isinstance(v, str) else "" for v in (old, new)]
    short = all(0 < len(text) <= 20 for text in shown)
    return f"{key} {shown[0]} → {shown[1]}" if short else f"{key} changed"


def _newest(store: Store, name: str) -> Table | None:
    manifests = sorted((store.root / name).glob("*/manifest.json"), key=lambda path: (path.stat().st_mtime, path))
    return Table.open(manifests[-1].parent) if manifests else None


def _curve(config: Config) -> dict[str, Any] | None:
    """Chance that a pair of this Jaccard similarity becomes a candidate: the S-curve of the bands, the threshold on it."""
    if not config.dedupe.near:
        return None
    bands, rows = config.dedupe.shape()
    points = sorted({0.5, 0.6, 0.7, 0.8, 0.9, config.dedupe.threshold})
    chances = {f"{s:g}": round(float(s_curve(bands, rows, s)), 3) for s in points}
    return {"bands": bands, "rows": rows, "threshold": config.dedupe.threshold, "chance": chances}


def _index(config: Config) -> dict[str, Any] | None:
    """What the living index holds that documents are compared with; null where the config names none."""
    if config.dedupe.index is None:
        return None
    told = index_info(config)
    return {name: told.get(name) for name in ("index", "there", "documents", "matches_config")}


def plan_text(document: dict[str, Any], *, every_step: bool = False) -> str:
    """Inputs, then the steps; neighbours in the same state for the same reason share a line unless all are asked for."""
    first = document["first_rows"]
    read = f"a trial on the first {first:,} rows of each source" if first else f"{size(document['input_bytes'])} of input"
    lines = [f"{document['name']}: {document['parts']} parts, {read}"]
    for entry in document["input"]:
        lines.append(f"  {entry['source']}: {entry['files']} file(s), {size(entry['bytes'])} on disk")
    groups = [[step] for step in document["steps"]] if every_step else _grouped(document["steps"])
    names = [_span([step["step"] for step in group]) for group in groups]
    width = max(map(len, names))
    lines.append("")
    for group, name in zip(groups, names, strict=True):
        head = group[0]
        reason = f"{head['rows']:,} rows" if len(group) == 1 and head["rows"] is not None else head["why"]
        lines.append(f"  {head['state']:<8} {name:<{width}}  {reason}".rstrip())
    if document["dedupe"]:
        d = document["dedupe"]
        chances = "  ".join(f"{s}: {p:.3f}" for s, p in d["chance"].items())
        lines += ["", f"near-duplicates, {d['bands']} bands of {d['rows']}: chance to compare a pair by Jaccard  {chances}"]
    if index := document["index"]:
        held = f"{index['documents']:,} documents" if index["there"] else "not there yet: `dataforge index add` makes it"
        fits = "" if index["matches_config"] else "; of other bands or shingles than dedupe says: a run would refuse it"
        lines += ["", f"living index {index['index']}: {held}{fits}; pairs of chats are not compared with it"]
    waiting = sum(step["state"] == "waiting" for step in document["steps"])
    return "\n".join([*lines, "", estimate_text(document["estimate"], waiting)])


def _grouped(steps: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: list[list[dict[str, Any]]] = []
    for step in steps:
        last = groups[-1][-1] if groups else None
        if last is not None and last["state"] == step["state"] and _same_reason(last["why"], step["why"]):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _same_reason(one: str, other: str) -> bool:
    """Steps whose input is new just follow the step before them."""
    return one == other or other.endswith(" is new")


def _span(names: list[str]) -> str:
    """`corpus/exact … corpus/twins (9 steps)`."""
    return ", ".join(names) if len(names) < 3 else f"{names[0]} … {names[-1]} ({len(names)} steps)"


def status_document(config: Config) -> dict[str, Any]:
    """`{"schema", "name", "done", "to_run", "waiting", "published", "unfinished", "last_run"}`."""
    graph: Graph = build(config)
    store = Store(config.path(config.store))
    state = look(graph)
    steps = list(graph.steps())
    out = config.path(config.out) / config.name
    versions = sorted(p.parent.name for p in out.glob("*/dataset_manifest.json") if not p.parent.name.startswith("."))
    last = next(runs(store, config.name, needs=ENDED), None)
    return {
        "schema": 1,
        "name": config.name,
        "done": [s.name for s in steps if s in state.tables],
        "to_run": [s.name for s in steps if s in state.ids and s not in state.tables],
        "waiting": {s.name: _behind(s, state) for s in steps if s in state.waiting},
        "published": [str(out / version) for version in versions],
        "unfinished": _unfinished(store, config.name),
        "last_run": {k: last[k] for k in ENDED} if last else None,
    }


def _unfinished(store: Store, name: str) -> dict[str, Any] | None:
    """A run that was begun and has not ended: when, whether it goes on, which steps it filled."""
    report = unfinished(store, name)
    if report is None:
        return None
    steps = [step for scan in report["scans"] for step in scan["scan"].split(" + ")]
    return {"began": report["began"], "running": is_running(store), "steps": steps}


def status_text(document: dict[str, Any], config: str) -> str:
    counts = {"done": len(document["done"]), "to run": len(document["to_run"]), "waiting": len(document["waiting"])}
    lines = [f"{document['name']}: " + ", ".join(f"{n} steps {name}" for name, n in counts.items() if n)]
    people = {name: why for name, why in document["waiting"].items() if not why.startswith("after ")}
    lines += [f"  waiting    {name}: {why}" for name, why in people.items()]
    if document["to_run"]:
        lines.append(f"  to run     {_span(document['to_run'])}")
    if begun := document["unfinished"]:
        did = f"it did {_span(begun['steps'])}" if begun["steps"] else "no step was done"
        end = f"goes on; {did}" if begun["running"] else f"did not end; {did}; go on: dataforge run {shlex.quote(config)}"
        lines.append(f"  a run      was begun {begun['began']} and {end}")
    last = document["last_run"]
    given = (last or {}).get("out")
    note = {folder: "  (of the last run)" for folder in document["published"] if folder == given and given is not None}
    lines += [f"  published  {f}{note.get(f, '')}" for f in document["published"]] or ["  nothing published yet"]
    if last:
        lines.append(f"  last run   {last['status']} in {last['seconds']:.0f} s, ended {last['ended']}")
        if last["error"]:
            state = "waiting" if last["status"] == "waiting" else "error"
            lines.append(f"             {state}[{last['error']['code']}]: {last['error']['what']}")
    return "\n".join(lines)


def size(n_bytes: float) -> str:
    """1536 -> "1.5 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"


def latest_version(config: Config) -> Path | None:
    """The folder of the version that was published last, by its manifest's time."""
    out = config.path(config.out) / config.name
    manifests = [p for p in out.glob("*/dataset_manifest.json") if not p.parent.name.startswith(".")]
    return max(manifests, key=lambda p: (p.stat().st_mtime_ns, p)).parent if manifests else None
