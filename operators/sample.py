"""Sample: a small table of rows for annotators, drawn from a corpus of any size in one pass.

Four shares: the uncertain rows of each stratum (predicted act × source), an equal draw from each stratum, a uniform
random draw (the only one for unbiased accuracy), and gold rows with known answers. Draws go by hash of
the id: order, parts and workers do not matter. `p_selected` is each row's chance of being drawn: weight estimates by
1 / p. Where draws meet in one row, the next uncertain rows fill the sample.
`Candidates` puts text, source, context and act side by side, which the fold cannot do itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dataforge.errors import ConfigError
from dataforge.operator import Contract, Fold, Map, Rows
from dataforge.operators.acts import CONTEXT
from dataforge.schemas.act import ACTS

CANDIDATE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("act", pa.string(), nullable=False),
        pa.field("act_scores", pa.list_(pa.float32(), len(ACTS)), nullable=False),
        pa.field("prev_text", pa.string()),
        pa.field("prev_same_speaker", pa.bool_()),
        pa.field("next_text", pa.string()),
        pa.field("next_same_speaker", pa.bool_()),
    ]
)
GOLD = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("id", "text", "label")])
SHARES = ("uncertain", "stratum", "random", "gold")
SAMPLE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("act", pa.string(), nullable=False),  # the tagger's suggestion
        pa.field("act_score", pa.float32(), nullable=False),
        pa.field("stratum", pa.string(), nullable=False),  # act/source
        pa.field("share", pa.string(), nullable=False),  # uncertain, stratum, random, gold: why it is here
        pa.field("p_selected", pa.float64(), nullable=False),  # chance of being drawn at all, 0-1
        pa.field("priority", pa.int32(), nullable=False),  # 0 is shown first
        pa.field("gold_label", pa.string()),
        *[CANDIDATE.field(name) for name in CONTEXT],
    ]
)
# State of the fold: candidates that may still be drawn, and for each stratum a row that only counts (n > 0, id empty).
STATE = pa.schema(
    [
        *CANDIDATE,
        pa.field("stratum", pa.string()),
        pa.field("doubt", pa.float32()),  # 1 - (best score - second score)
        pa.field("lot_random", pa.uint64()),
        pa.field("lot_stratum", pa.uint64()),
        pa.field("n", pa.int64()),
        pa.field("gold_label", pa.string()),
    ]
)


@dataclass(frozen=True)
class Candidates(Map):
    """Text, source, context and act of every row (contract SAME): inputs are the messages and their acts.

    `context`: the messages have the columns CONTEXT; `beside`: a third table has them. A base without `source` belongs
    to the source "".
    """

    context: bool = False
    beside: bool = False
    source: bool = True
    contract: ClassVar[Contract] = Contract.SAME
    VERSION: ClassVar[int] = 1

    def needs(self) -> Sequence[Sequence[str] | None]:
        columns = ("id", "text", *(("source",) if self.source else ()), *(CONTEXT if self.context else ()))
        return columns, ("id", "act", "act_scores"), *((("id", *CONTEXT),) if self.beside else ())

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return CANDIDATE

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        def join(base: pa.RecordBatch, acts: pa.RecordBatch, context: pa.RecordBatch | None = None) -> Rows:
            given = {name: base.column(name) for name in base.schema.names}
            given |= {name: context.column(name) for name in CONTEXT if context is not None}
            given |= {name: acts.column(name) for name in ("act", "act_scores")}
            given.setdefault("source", pa.repeat(pa.scalar(""), base.num_rows))
            columns = [
                given[field.name].cast(field.type) if field.name in given else pa.nulls(base.num_rows, field.type)
                for field in CANDIDATE
            ]
            return Rows(pa.RecordBatch.from_arrays(columns, schema=CANDIDATE))

        return join


@dataclass(frozen=True)
class Mix:
    """Shares of the sample; they add up to 1."""

    uncertain: float = 0.55
    stratum: float = 0.20
    random: float = 0.20
    gold: float = 0.05


@dataclass(frozen=True)
class Sample(Fold):
    """`size` rows in the given mix. With `gold`, a second table input (schema GOLD) holds rows with known answers."""

    size: int = 500
    mix: Mix = Mix()
    seed: str = "sample"
    gold: bool = False
    VERSION: ClassVar[int] = 1

    def __post_init__(self) -> None:
        shares = [getattr(self.mix, name) for name in SHARES]
        if self.size < 1 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise ConfigError("size must be at least 1 and the shares add up to 1", key="review.sample")

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (tuple(CANDIDATE.names), tuple(GOLD.names)) if self.gold else (tuple(CANDIDATE.names),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return SAMPLE

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        return self.trim(gold_state(batch, self.seed) if index == 1 else candidate_state(batch, self.seed))

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        return self.trim(pa.concat_tables([left, right]))

    def trim(self, state: pa.Table) -> pa.Table:
        """Counts added up; of the candidates only those that could still be among the `size` first of any draw."""
        counts = state.filter(pc.greater(state["n"], 0))
        totals = counts.group_by("stratum").aggregate([("n", "sum")]).sort_by("stratum")
        rows = state.filter(pc.equal(state["n"], 0)).sort_by("id")
        kept = rows.filter(pa.array(self.reachable(rows)))
        return pa.concat_tables([kept, count_rows(totals["stratum"], totals["n_sum"])])

    def reachable(self, rows: pa.Table) -> np.ndarray:
        """bool[n]: among the `size` first by random lot, or of the stratum by lot or by doubt. Gold rows: by lot."""
        gold = pc.is_valid(rows["gold_label"]).to_numpy()
        strata = pc.fill_null(rows["stratum"], "").combine_chunks().dictionary_encode().indices.to_numpy()
        lots, inner = rows["lot_random"].to_numpy(), rows["lot_stratum"].to_numpy()
        by_doubt = np.where(gold, 0.0, -rows["doubt"].to_numpy())
        keep = ranks(np.where(gold, -2, -1), lots) < self.size
        return keep | (ranks(strata, inner) < self.size) | (ranks(strata, inner, by_doubt) < self.size)

    def finish(self, state: pa.Table | None, out: Path) -> pa.Table:
        if state is None or state.num_rows == 0:
            return SAMPLE.empty_table()
        return draw(self, state)


def lots(ids: pa.Array, seed: str, purpose: str) -> np.ndarray:
    """uint64[n]: a place in a lottery, by id. A loop over rows is cheap here: 0.4 µs each."""
    prefix = f"{seed}\0{purpose}\0"
    return np.array([xxhash.xxh3_64_intdigest((prefix + row).encode()) for row in ids.to_pylist()], np.uint64)


def candidate_state(batch: pa.RecordBatch, seed: str) -> pa.Table:
    scores = np.asarray(batch.column("act_scores").flatten()).reshape(-1, len(ACTS))
    best = np.sort(scores, axis=1)
    stratum = pc.binary_join_element_wise(batch.column("act"), batch.column("source"), "/")
    ids, n = batch.column("id"), batch.num_rows
    extra = [
        stratum,
        pa.array((1 - (best[:, -1] - best[:, -2])).astype(np.float32)),
        pa.array(lots(ids, seed, "random")),
        pa.array(lots(ids, seed, "stratum")),
        pa.array(np.zeros(n, np.int64)),
        pa.nulls(n, pa.string()),
    ]
    rows = pa.table([*(batch.column(name) for name in CANDIDATE.names), *extra], names=STATE.names).cast(STATE)
    counted = pc.value_counts(stratum)
    return pa.concat_tables([rows, count_rows(counted.field("values"), counted.field("counts"))])


def count_rows(strata: pa.ChunkedArray | pa.Array, counts: pa.ChunkedArray | pa.Array) -> pa.Table:
    n, empty = len(strata), {"id": "", "source": "", "text": "", "act": ""}
    scores = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n * len(ACTS), np.float32)), len(ACTS))
    given = {name: pa.repeat(pa.scalar(value), n) for name, value in empty.items()} | {"act_scores": scores}
    given |= {"stratum": strata, "n": pc.cast(counts, pa.int64())}
    return pa.table([given.get(f.name, pa.nulls(n, f.type)) for f in STATE], schema=STATE)


def gold_state(batch: pa.RecordBatch, seed: str) -> pa.Table:
    n, ids = batch.num_rows, batch.column("id")
    scores = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n * len(ACTS), np.float32)), len(ACTS))
    given = {"id": ids, "text": batch.column("text"), "act": batch.column("label"), "act_scores": scores}
    given |= {"source": pa.repeat(pa.scalar("gold"), n), "stratum": pa.repeat(pa.scalar("gold"), n)}
    given |= {"lot_random": pa.array(lots(ids, seed, "gold")), "lot_stratum": pa.array(lots(ids, seed, "gold"))}
    given |= {"doubt": pa.array(np.zeros(n, np.float32)), "n": pa.array(np.zeros(n, np.int64))}
    given |= {"gold_label": batch.column("label")}
    return pa.table([given.get(f.name, pa.nulls(n, f.type)) for f in STATE], schema=STATE)


def ranks(groups: np.ndarray, lot: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
    """int64[n]: 0, 1, 2 ... inside each group, by `first`, then by lot (rows come sorted by id, which breaks ties)."""
    keys = (lot, groups) if first is None else (lot, first, groups)
    order = np.lexsort(keys)
    sorted_groups = groups[order]
    starts = np.r_[0, np.flatnonzero(sorted_groups[1:] != sorted_groups[:-1]) + 1] if len(order) else np.zeros(0, int)
    lengths = np.diff(np.r_[starts, len(order)])
    out = np.empty(len(order), np.int64)
    out[order] = np.arange(len(order)) - np.repeat(starts, lengths)
    return out


def quotas(room: int, sizes: np.ndarray) -> np.ndarray:
    """Equal shares of `room` for strata of these sizes; what a small stratum cannot fill goes to the others.

    quotas(10, [2, 100, 100]) -> [2, 4, 4]
    """
    given = np.zeros(len(sizes), np.int64)
    for _ in range(room):  # at most `size` steps
        open_strata = np.flatnonzero(given < sizes)
        if not len(open_strata):
            break
        given[open_strata[np.argmin(given[open_strata])]] += 1
    return given


def draw(sample: Sample, state: pa.Table) -> pa.Table:
    counts = state.filter(pc.greater(state["n"], 0))
    sizes = dict(zip(counts["stratum"].to_pylist(), counts["n"].to_pylist(), strict=True))
    names = sorted(sizes)
    total = np.array([sizes[name] for name in names], np.int64)
    rows = state.filter(pc.equal(state["n"], 0)).sort_by("id")
    gold = pc.is_valid(rows["gold_label"]).to_numpy()
    code = np.array([names.index(s) if s in sizes else -1 for s in rows["stratum"].to_pylist()], np.int64)
    lot, inner, doubt = (rows[name].to_numpy() for name in ("lot_random", "lot_stratum", "doubt"))
    wanted = {name: round(sample.size * getattr(sample.mix, name)) for name in SHARES}
    golden = gold & (ranks(np.where(gold, 0, 1), lot) < wanted["gold"])

    at_random = ~gold & (ranks(np.where(gold, 1, 0), lot) < wanted["random"])
    quota = quotas(wanted["stratum"], total)
    in_stratum = ~gold & (ranks(code, inner) < quota[code])
    left = sample.size - int((golden | at_random | in_stratum).sum())
    free = ~(gold | at_random | in_stratum)
    available = np.bincount(code[free], minlength=len(names))
    room = quotas(min(left, int(free.sum())), available)
    unsure = free & (ranks(np.where(free, code, -1), inner, -doubt) < room[code])

    chance_random = min(1.0, wanted["random"] / max(1, int(total.sum())))
    chance_stratum = np.minimum(1.0, quota / np.maximum(total, 1))
    p = np.where(unsure, 1.0, 1 - (1 - chance_random) * (1 - chance_stratum[code]))
    p[gold] = 1.0
    share = np.select([gold, at_random, in_stratum], [3, 2, 1], 0)
    chosen = golden | at_random | in_stratum | unsure
    return as_table(rows.filter(pa.array(chosen)), share[chosen], p[chosen], doubt[chosen], lot[chosen])


def as_table(rows: pa.Table, share: np.ndarray, p: np.ndarray, doubt: np.ndarray, lot: np.ndarray) -> pa.Table:
    """Uncertain rows first; random and gold rows stand at places of their lot, so that nobody can tell them apart."""
    n = rows.num_rows
    place = ranks(np.zeros(n, np.int64), lot, -doubt.astype(np.float64)) / max(1, n)
    place = np.where(share >= 2, lot.astype(np.float64) / 2.0**64, place)
    best = np.asarray(rows["act_scores"].combine_chunks().flatten()).reshape(-1, len(ACTS)).max(axis=1)
    given = {name: rows[name] for name in rows.schema.names}
    given |= {
        "act_score": pa.array(best.astype(np.float32)),
        "share": pa.array(SHARES).take(pa.array(share)),
        "p_selected": pa.array(p),
        "priority": pa.array(ranks(np.zeros(n, np.int64), lot, place).astype(np.int32)),
    }
    return pa.table([given[name] for name in SAMPLE.names], schema=SAMPLE)
