"""What a run would do, without doing it: which tables are there, which are missing and why, how much input, how long.

"Why" compares a missing step with the newest finished table of the same name: the first parameter that differs, or the
first input that is new. Times are estimates from the last runs of this store (rows a second of the same scan).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataforge.engine.run import State, survey
from dataforge.flows.build import Graph, build, decompressed_bytes
from dataforge.flows.config import Config
from dataforge.identity import canonical
from dataforge.kernels.bands import s_curve
from dataforge.operator import Source
from dataforge.step import Step
from dataforge.store import Store
from dataforge.table import Table


def plan_document(config: Config) -> dict[str, Any]:
    """`{"schema", "name", "parts", "input", "steps": [{"step", "state", "why", "rows"}], "dedupe", "estimate"}`."""
    graph = build(config)
    store = Store(config.path(config.store))
    state = survey(store, tuple(graph.steps()))
    steps = [_step(store, step, state) for step in graph.steps()]
    inputs = [_input(step, store) for step in graph.sources.values()]
    return {
        "schema": 1,
        "name": config.name,
        "parts": graph.parts,
        "input": inputs,
        "input_bytes": sum(entry["decompressed_bytes"] for entry in inputs),
        "steps": steps,
        "dedupe": _curve(config),
        "estimate": _estimate(store, steps, sum(entry["decompressed_bytes"] for entry in inputs)),
    }


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
        return {"step": step.name, "state": "waiting", "why": state.waiting[step].what, "rows": None, "id": None}
    return {"step": step.name, "state": "run", "why": _why(store, step, state), "rows": None, "id": state.ids[step][:12]}


def _why(store: Store, step: Step, state: State) -> str:
    earlier = _newest(store, step.name)
    if earlier is None:
        return "never run"
    old, new = earlier.manifest["operator"], canonical(step.operator)
    changed = next((key for key in {**old, **new} if old.get(key) != new.get(key)), None)
    if changed is not None:
        return f"{changed} changed" if changed else "another operator"
    if earlier.manifest["version"] != type(step.operator).VERSION:
        return "the operator's version changed"
    ids = {entry["step"]: entry["id"] for entry in earlier.manifest["inputs"]}
    renewed = next((s.name for s in step.inputs if ids.get(s.name) != state.ids.get(s)), None)
    return f"{renewed} is new" if renewed else "the input changed"


def _newest(store: Store, name: str) -> Table | None:
    manifests = sorted((store.root / name).glob("*/manifest.json"), key=lambda path: (path.stat().st_mtime, path))
    return Table.open(manifests[-1].parent) if manifests else None


def _curve(config: Config) -> dict[str, Any] | None:
    """Chance that a pair of this Jaccard similarity becomes a candidate: the S-curve of the bands."""
    if not config.dedupe.near:
        return None
    bands, rows = config.dedupe.bands
    chances = {f"{s:.1f}": round(float(s_curve(bands, rows, s)), 3) for s in (0.5, 0.6, 0.7, 0.8, 0.9)}
    return {"bands": bands, "rows": rows, "threshold": config.dedupe.threshold, "chance": chances}


def runs(store: Store) -> Iterator[dict[str, Any]]:
    """Reports of earlier runs, newest first."""
    for path in sorted((store.root / "runs").glob("2*.json"), reverse=True):
        try:
            yield json.loads(path.read_bytes())
        except ValueError:
            continue


def _estimate(store: Store, steps: list[dict[str, Any]], input_bytes: int) -> dict[str, Any]:
    """Seconds and memory from the newest full run of this store, scaled by input; null where there was none."""
    todo = [step["step"] for step in steps if step["state"] == "run"]
    for report in runs(store):
        scans = {name: scan["seconds"] for scan in report.get("scans", []) for name in scan["scan"].split(" + ")}
        if todo and all(name in scans for name in todo):
            seconds = sum(
                {
                    scan["scan"]: scan["seconds"] for scan in report["scans"] if set(scan["scan"].split(" + ")) & set(todo)
                }.values()
            )
            return {
                "steps": len(todo),
                "seconds": round(seconds, 1),
                "peak_rss_bytes": report["peak_rss_bytes"],
                "from": "the last run",
            }
    guess = input_bytes / 1e6 if todo else 0.0  # about 1 MB/s through everything on two cores, measured on mixed text
    return {"steps": len(todo), "seconds": round(guess, 1), "peak_rss_bytes": None, "from": "1 MB/s of input"}


def plan_text(document: dict[str, Any]) -> str:
    width = max(len(step["step"]) for step in document["steps"])
    lines = [f"{document['name']}: {document['parts']} parts, {size(document['input_bytes'])} of input"]
    for entry in document["input"]:
        lines.append(f"  {entry['source']}: {entry['files']} file(s), {size(entry['bytes'])} on disk")
    lines.append("")
    for step in document["steps"]:
        rows = f"{step['rows']:,} rows" if step["rows"] is not None else step["why"]
        lines.append(f"  {step['state']:<8} {step['step']:<{width}}  {rows}")
    if document["dedupe"]:
        d = document["dedupe"]
        chances = "  ".join(f"{s}: {p:.3f}" for s, p in d["chance"].items())
        lines += ["", f"near-duplicates, {d['bands']} bands of {d['rows']}: chance to compare a pair by Jaccard  {chances}"]
    e = document["estimate"]
    lines += [
        "",
        f"{e['steps']} step(s) to run, about {e['seconds']:.0f} s (estimate from {e['from']})"
        if e["steps"]
        else "nothing to run",
    ]
    return "\n".join(lines)


def status_document(config: Config) -> dict[str, Any]:
    """`{"schema", "name", "done", "to_run", "waiting", "published", "last_run"}`."""
    graph: Graph = build(config)
    store = Store(config.path(config.store))
    state = survey(store, tuple(graph.steps()))
    steps = list(graph.steps())
    out = config.path(config.out) / config.name
    versions = sorted(p.parent.name for p in out.glob("*/dataset_manifest.json") if not p.parent.name.startswith("."))
    last = next(runs(store), None)
    return {
        "schema": 1,
        "name": config.name,
        "done": [s.name for s in steps if s in state.tables],
        "to_run": [s.name for s in steps if s in state.ids and s not in state.tables],
        "waiting": {s.name: state.waiting[s].what for s in steps if s in state.waiting},
        "published": [str(out / version) for version in versions],
        "last_run": {k: last[k] for k in ("status", "ended", "seconds", "error")} if last else None,
    }


def status_text(document: dict[str, Any]) -> str:
    lines = [f"{document['name']}: {len(document['done'])} steps done, {len(document['to_run'])} to run"]
    lines += [f"  waiting  {name}: {why}" for name, why in document["waiting"].items()]
    lines += [f"  to run   {name}" for name in document["to_run"]]
    lines += [f"  published {folder}" for folder in document["published"]] or ["  nothing published yet"]
    if document["last_run"]:
        lines.append(f"  last run {document['last_run']['status']}, {document['last_run']['ended']}")
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
