"""Rows → one TWINS row each: exact and near duplicates found, verified, clustered, the best row of a cluster chosen."""

from __future__ import annotations

from dataforge.flows.config_filters import DedupeConfig
from dataforge.flows.index import shape_of
from dataforge.operators.clusters import Clusters, Keep, Links, Members, Twins
from dataforge.operators.dedupe_exact import SameValue
from dataforge.operators.dedupe_near import Bands, Carry, Pairs, Verify
from dataforge.step import Step


def find_duplicates(
    rows: Step,
    config: DedupeConfig,
    *,
    parts: int,
    prefix: str,
    verdicts: Step | None = None,
    scores: Step | None = None,
    family: str = "",
    together: Step | None = None,
    sources: tuple[str, ...] = (),
    device: str = "cpu",
) -> Step:
    """`rows` have id, text, text_hash. `family` names a column whose equal values must share a split, `together` holds
    lists of further such values; `scores` hold `model_quality`, for the keep rule best_score.
    """
    edges = []
    if config.exact != "none":
        edges.append(Step(f"{prefix}/exact", SameValue(parts), (rows,)))
    if family:
        edges.append(Step(f"{prefix}/family", SameValue(parts, family, "family"), (rows,)))
    if together is not None:
        edges.append(Step(f"{prefix}/together", SameValue(parts, "group", "family"), (together,)))
    near = [_near(rows, config, parts, prefix, device)] if config.near else []
    clusters = Step(f"{prefix}/clusters", Clusters(), (*edges, *near))
    judged = tuple(step for step in (verdicts, scores) if step is not None)
    rule = Members(parts, config.keep, sources, config.protected, "model_quality" if scores is not None else "")
    members = Step(f"{prefix}/members", rule, (clusters, rows, *judged))
    links = [Step(f"{prefix}/links", Links(parts), (near[0], clusters))] if near and config.clusters == "star" else []
    keep = Step(f"{prefix}/keep", Keep(parts, bool(config.protected)), (members, *links))
    return Step(f"{prefix}/twins", Twins(parts), (keep, rows))


def _near(rows: Step, config: DedupeConfig, parts: int, prefix: str, device: str) -> Step:
    shape = shape_of(config)
    spec = shape.spec
    signed = Step(f"{prefix}/bands", Bands(shape.bands, shape.rows, spec, device), (rows,))
    pairs = Step(f"{prefix}/pairs", Pairs(parts), (signed,))
    carried = Step(f"{prefix}/carry", Carry(parts, spec), (pairs, rows))
    return Step(f"{prefix}/near", Verify(parts, config.threshold, spec), (carried, rows))
