"""What other thresholds would keep: answered from the stored score tables, nothing is computed again.

Documents are judged anew by their stored scores; of each cluster of duplicates the row stays that a run would keep, and
with `pii: {action: drop}` rows full of personal data go. So the number of documents is that of a run, before
evaluation texts are taken out. Tokens are those of the encoded rows; a document that no run has encoded yet counts its
bytes at the rate measured on the others, and the answer says how many such documents there are.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.engine.work_map import aligned
from dataforge.errors import ConfigError, InputError
from dataforge.flows.build import Graph
from dataforge.flows.parameters import judge, thresholds
from dataforge.flows.whatif_near import KEY, NearPairs, check
from dataforge.operators.cluster_choice import ranks_of, settled
from dataforge.operators.mask import spans_a_row
from dataforge.table import Table

STEPS, MOST_SETTINGS = 20, 1000  # settings of a range without a step; of an answer
GUESS = 4.0  # bytes a token where nothing has been encoded
SCORES = ("corpus/quality", "corpus/language", "corpus/lists", "corpus/models")


def settings(text: str) -> tuple[str, list[float]]:
    """`quality.min_words=30..200` -> ("quality.min_words", [30, …, 200]); also `30,50` and `30..200:10`."""
    key, separator, values = text.partition("=")
    try:
        if not separator:
            raise ValueError
        if ".." not in values:
            return key, [_number(v) for v in values.split(",")]
        ends, _, step = values.partition(":")
        low, high = (_number(end) for end in ends.split(".."))
        if high < low:
            raise ConfigError(f"{text!r} runs backwards", hint=f"{key}={high:g}..{low:g}")
        width = _number(step) if step else _round_step((high - low) / STEPS, whole=low.is_integer() and high.is_integer())
        if width <= 0 or (high - low) / width > MOST_SETTINGS:
            raise ValueError
        return key, [round(low + i * width, 9) for i in range(math.floor((high - low) / width + 1e-9) + 1)]
    except ValueError:
        hint = "e.g. quality.min_words=30..200 or quality.min_words=30,50,100"
        raise ConfigError(f"cannot read the setting {text!r}", hint=hint) from None


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _round_step(width: float, *, whole: bool) -> float:
    """A whole number between whole ends; but from 0 to 1 go shares."""
    return float(max(1, round(width))) if whole and width * STEPS > 1 else width


def whatif_document(graph: Graph, tables: list[Table], changes: list[str]) -> dict[str, Any]:
    """`{"schema", "keys": {key: {"now", "values"}}, "now": kept, "settings": [{"set": {key: value}, **kept}], "tokens"}`.

    kept: `{"documents", "tokens", "text_bytes", "dropped": {reason: n}}`. Several keys: every combination of their values.
    """
    wanted = dict(map(settings, changes))
    known = thresholds(graph.config)
    for key in wanted:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            some = (f"did you mean {close[0]}? " if close else "") + "known: " + (", ".join(known) or "none")
            if key.startswith("quality.") and graph.config.quality.preset == "none":
                some += "; those of quality rules once a quality.preset is set and the config has run"
            raise ConfigError("no threshold of this config", key=key, hint=some)
    check(wanted, graph.config.dedupe.threshold)
    grid = [dict(zip(wanted, values, strict=True)) for values in itertools.product(*wanted.values())]
    if not grid or len(grid) > MOST_SETTINGS:
        raise ConfigError(f"{len(grid)} combinations", hint=f"give --set, with up to {MOST_SETTINGS} combinations in all")
    counts, how = _answers(graph, tables, [{}, *grid])
    keys = {key: {"now": known[key], "values": values} for key, values in wanted.items()}
    rows = [{"set": setting, **kept} for setting, kept in zip(grid, counts[1:], strict=True)]
    return {"schema": 1, "keys": keys, "now": counts[0], "settings": rows, "tokens": how}


@dataclass
class Kept:
    """What one setting keeps. `passed` and `weights` are those of the rows that have duplicates, in their order."""

    documents: int = 0
    text_bytes: int = 0
    tokens: float = 0.0
    dropped: dict[str, int] = field(default_factory=dict)

    def add(self, keep: np.ndarray, size_bytes: np.ndarray, tokens: np.ndarray) -> None:
        self.documents += int(keep.sum())
        self.text_bytes += int(size_bytes[keep].sum())
        self.tokens += float(tokens[keep].sum())

    def drop(self, reason: str, count: int) -> None:
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def drop_all(self, reasons: pa.Array) -> None:
        for entry in pc.value_counts(pc.drop_null(reasons)).to_pylist():  # a few reasons
            self.drop(entry["values"], entry["counts"])

    def add_best(
        self, best: np.ndarray, passed: np.ndarray, personal: np.ndarray, size_bytes: np.ndarray, tokens: np.ndarray
    ) -> None:
        """Of the rows that have duplicates: the best of each cluster stays, unless it is full of personal data."""
        self.add(best & ~personal, size_bytes, tokens)
        self.drop("personal_data", int((best & personal).sum()))
        self.drop("duplicate", int((passed & ~best).sum()))

    def document(self) -> dict[str, Any]:
        dropped = dict(sorted(self.dropped.items()))
        return {
            "documents": self.documents,
            "tokens": round(self.tokens),
            "text_bytes": self.text_bytes,
            "dropped": dropped,
        }


def _answers(
    graph: Graph, tables: list[Table], grid: Sequence[Mapping[str, float]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One answer a setting, and how tokens were counted. One read of the scores; only rows with duplicates are held."""
    names = {table.step: table for table in tables}
    if missing := next((n for n in (*SCORES[:2], "corpus/members") if n not in names), None):
        raise InputError(f"{missing} has not run", hint="run the config first")
    members, judges, kept = _members(names["corpus/members"]), [judge(graph.config, s) for s in grid], [Kept() for _ in grid]
    links = names["corpus/links"].to_table() if "corpus/links" in names else None
    pairs = NearPairs(names["corpus/near"], members) if any(KEY in setting for setting in grid) else None
    rate = _bytes_a_token(names)
    passed = np.zeros((len(grid), len(members)), bool)
    full, sizes, lengths = np.zeros(len(members), bool), np.zeros(len(members), np.int64), np.zeros(len(members))
    guessed = 0
    for counters, languages, scores, spans, tokens, earlier in _scores(graph, names):
        place = pc.fill_null(pc.index_in(counters.column("id"), value_set=members["id"].combine_chunks()), -1).to_numpy()
        alone, size_bytes = place < 0, counters.column("bytes").to_numpy()
        counted = np.isfinite(tokens)
        guessed += int((~counted).sum())
        amount = np.where(counted, tokens, size_bytes / rate["bytes_a_token"])
        personal = spans > graph.config.pii.drop_above if graph.config.pii.action == "drop" else np.zeros(len(spans), bool)
        there = place[~alone]
        full[there], sizes[there], lengths[there] = personal[~alone], size_bytes[~alone], amount[~alone]
        for number, (chosen, total) in enumerate(zip(judges, kept, strict=True)):
            least = grid[number].get(KEY, graph.config.dedupe.threshold)
            reasons = _reasons(chosen.verdicts(counters, languages, scores), earlier >= least)
            good = pc.is_null(reasons).to_numpy(zero_copy_only=False)
            total.drop_all(reasons)
            total.add(good & alone & ~personal, size_bytes, amount)
            total.drop("personal_data", int((good & alone & personal).sum()))
            passed[number, there] = good[~alone]
    for number, total in enumerate(kept):
        least = grid[number].get(KEY)
        here = members if pairs is None or least is None else pairs.clusters(least)
        linked = links if pairs is None or least is None or links is None else pairs.links(least)
        best = passed[number] & _kept_of_clusters(graph, here, linked, passed[number])
        total.add_best(best, passed[number], full, sizes, lengths)
    return [total.document() for total in kept], {**rate, "documents_never_encoded": guessed}


def _reasons(verdicts: pa.Table, earlier: np.ndarray) -> pa.Array:
    """Why each row is dropped, null for one that stays; `earlier` are those like a text of the index."""
    reasons = verdicts["reason"].combine_chunks()
    return pc.if_else(pc.and_(pc.is_null(reasons), pa.array(earlier)), "near_duplicate_of_earlier", reasons)


def _scores(graph: Graph, names: Mapping[str, Table]) -> Iterator[tuple[Any, ...]]:
    """Per row group: counters, languages, further scores, spans a row, tokens a row (nan: never encoded), and how much
    alike a row is to the text of an index of earlier data that it is most like (0: to none)."""
    wanted = [names[name] for name in (*SCORES, "corpus/pii", "corpus/encoded", "corpus/earlier") if name in names]
    counters = ["id", *judge(graph.config, {}).counters(), "bytes"]
    columns: list[Any] = [list(dict.fromkeys(counters))]
    columns += [{"corpus/pii": ["id", "spans"], "corpus/encoded": ["id", "length"]}.get(t.step) for t in wanted[1:]]
    for part in range(wanted[0].n_parts):
        for batches in aligned(wanted, part, columns):
            found = dict(zip([table.step for table in wanted], batches, strict=True))
            scores = [found[name] for name in SCORES[2:] if name in found]
            rows, none = batches[0].num_rows, pa.nulls(batches[0].num_rows)
            length = found["corpus/encoded"].column("length") if "corpus/encoded" in found else none
            tokens = length.cast(pa.float64()).to_numpy(zero_copy_only=False)
            spans = spans_a_row(found["corpus/pii"].column("spans")) if "corpus/pii" in found else np.zeros(rows, np.int64)
            earlier = _alike(found["corpus/earlier"]) if "corpus/earlier" in found else np.zeros(rows)
            yield batches[0], batches[1], scores, spans, np.asarray(tokens, np.float64).reshape(rows), earlier


def _alike(earlier: pa.RecordBatch) -> np.ndarray:
    shares = pc.divide(earlier.column("common").cast(pa.float64()), earlier.column("union").cast(pa.float64()))
    return np.asarray(pc.fill_null(shares, 0.0).to_numpy(zero_copy_only=False), np.float64)


def _members(table: Table) -> pa.Table:
    """Rows with duplicates: MEMBER rows, sorted by (cluster, id) as `Keep` has them."""
    return table.to_table().sort_by([("cluster", "ascending"), ("id", "ascending")])


def _kept_of_clusters(graph: Graph, members: pa.Table, links: pa.Table | None, passed: np.ndarray) -> np.ndarray:
    """bool[n]: the rows that `Keep` would choose: those that passed go first, then the stored ranks decide."""
    if not len(members):
        return np.zeros(0, bool)
    by_rank = ranks_of(members)
    by_rank[-1] = ~passed
    kept = settled(members, by_rank, links, protected=bool(graph.config.dedupe.protected))
    return kept == np.arange(len(members))


def _bytes_a_token(names: Mapping[str, Table]) -> dict[str, Any]:
    """`{"bytes_a_token", "measured_on_documents"}`: text bytes of the encoded rows by their tokens; a guess without any."""
    if "corpus/encoded" not in names:
        return {"bytes_a_token": GUESS, "measured_on_documents": 0}
    wanted, total, tokens, rows = [names["corpus/encoded"], names["corpus/quality"]], 0, 0, 0
    for part in range(wanted[0].n_parts):
        for encoded, counters in aligned(wanted, part, [["id", "length"], ["id", "bytes"]]):
            total += pc.sum(counters.column("bytes")).as_py() or 0
            tokens += pc.sum(encoded.column("length")).as_py() or 0
            rows += encoded.num_rows
    return {"bytes_a_token": round(total / tokens, 4) if total and tokens else GUESS, "measured_on_documents": rows}


def whatif_text(document: dict[str, Any]) -> str:
    """A table with a bar a setting: the longest bar is the most documents."""
    most = max([row["documents"] for row in document["settings"]] + [document["now"]["documents"], 1])
    keys, now = document["keys"], document["now"]
    lines = [", ".join(f"{key} is {entry['now']:g}" for key, entry in keys.items())]
    lines[0] += f": {now['documents']:,} documents, {now['tokens']:,} tokens"
    widths = {key: max(10, len(key)) for key in keys}
    head = "  ".join(f"{key:>{width}}" for key, width in widths.items())
    lines.append(f"{head}  {'documents':>10}  {'tokens':>13}")
    for row, alike in _runs(document["settings"], {key: entry["now"] for key, entry in keys.items()}):
        values = "  ".join(f"{value:>{widths[key]}g}" for key, value in row["set"].items())
        here = "  ← now" if all(value == keys[key]["now"] for key, value in row["set"].items()) else ""
        bar = "█" * round(30 * row["documents"] / most)
        lines += [f"{'⋮':>{len(values)}}  {alike} settings that keep the same"] if alike else []
        lines.append(f"{values}  {row['documents']:>10,}  {row['tokens']:>13,}  {bar}{here}")
    return "\n".join([*lines, how_tokens(document["tokens"])])


def _runs(rows: Sequence[dict[str, Any]], now: Mapping[str, float]) -> Iterator[tuple[dict[str, Any], int]]:
    """(row, how many are left out before it): of a run of settings that keep the same, the first, the last and the one
    that holds now; a single one between them is shown. Combinations of several keys are shown in full: what is alike
    there is no run.
    """
    hidden: list[dict[str, Any]] = []
    for at, row in enumerate(rows):
        beside = [rows[i] for i in (at - 1, at + 1) if 0 <= i < len(rows)]
        inside = len(beside) == 2 and all(_same(row, other) for other in beside)
        if inside and len(now) == 1 and row["set"] != now:
            hidden.append(row)
            continue
        if len(hidden) == 1:  # a line of its own would take no less room
            yield hidden.pop(), 0
        yield row, len(hidden)
        hidden = []


def _same(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(row["documents"] == other["documents"] and row["tokens"] == other["tokens"])


def how_tokens(how: Mapping[str, Any]) -> str:
    """Where the numbers of tokens come from, in a sentence."""
    if not how["measured_on_documents"]:
        return f"tokens are a guess: nothing is encoded, {how['bytes_a_token']:g} bytes of text count as one"
    guessed, rate = how["documents_never_encoded"], how["bytes_a_token"]
    rest = f"; {guessed:,} never encoded, there {rate:g} bytes count as one, as measured" if guessed else ""
    return f"tokens as encoded in {how['measured_on_documents']:,} documents{rest}"
