"""One part of a Table: up to three Parquet files (data, dropped, quarantine) and the record that says it is done.

The record is committed last and holds the sha256 of the files and the row account, which must close first:
in = kept + dropped by reason + quarantined, in counts and in sums of ids.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataforge.commit import HashingFile, committed, file_sha256, proven, reach, write_json
from dataforge.errors import AccountError, VerifyError
from dataforge.identity import id_sum
from dataforge.operator import Contract, Rows
from dataforge.schemas.verdict import DROPPED, QUARANTINED

GROUP_BYTES = 4 << 20  # a row group of a Table holds about this much: what one batch of an operator weighs
GROUP_ROWS = 65_536


@dataclass
class Account:
    """The row account of one part. `unit` says what `rows_in` counts: rows of the input, or lines of a file."""

    rows_in: int = 0
    kept: int = 0
    rows_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    notes: dict[str, int] = field(default_factory=dict)

    def add(self, other: Account) -> Account:
        """Sum of two accounts, key by key."""
        dropped, notes = Counter(self.dropped), Counter(self.notes)
        dropped.update(other.dropped)
        notes.update(other.notes)
        sums = {k: getattr(self, k) + getattr(other, k) for k in ("rows_in", "kept", "rows_out", "quarantined")}
        return Account(**sums, dropped=dict(sorted(dropped.items())), notes=dict(sorted(notes.items())))


class PartWriter:
    """Writes the files of one part and commits them together with the record; use as a context manager.

    Leaving the block by an exception leaves nothing: the temporary files are removed, no final name is touched.
    """

    def __init__(self, table: Path, part: int, schema: pa.Schema, contract: Contract, *, step_id: str) -> None:
        self.table, self.part, self.schema, self.contract, self.step_id = table, part, schema, contract, step_id
        self.account = Account()
        self.bad_files: list[dict[str, Any]] = []
        self._sums = {"in": 0, "kept": 0, "dropped": 0}
        self._parents: list[pa.Array] = []
        self._open: dict[str, tuple[HashingFile, pq.ParquetWriter]] = {}
        self._stack = ExitStack()
        self._waiting: list[pa.Table] = []  # rows kept that do not fill a row group yet
        self._waiting_bytes = 0
        self._left: list[pa.Table] = []  # the same of rows dropped
        self._left_rows = 0

    def __enter__(self) -> PartWriter:
        self._stack.__enter__()
        try:
            self._writer("data", self.schema)  # writes the first bytes
        except BaseException as problem:
            self._stack.__exit__(type(problem), problem, problem.__traceback__)
            raise
        return self

    def _writer(self, kind: str, schema: pa.Schema) -> pq.ParquetWriter:
        if kind not in self._open:
            file = self._stack.enter_context(committed(self.table / kind / part_name(self.part)))
            self._open[kind] = file, pq.ParquetWriter(pa.PythonFile(file, "w"), schema, **PARQUET)
        return self._open[kind][1]

    def saw(self, ids: pa.Array | pa.ChunkedArray | None, count: int) -> None:
        """Counts rows that went in. `ids` is None where rows have no id yet (lines of a file)."""
        self.account.rows_in += count
        if ids is not None and self.contract is not Contract.ASIDE:
            self._sums["in"] += id_sum(ids)

    def write(self, rows: Rows, *, groups: bool = False) -> None:
        """Adds rows. With `groups`, all of `kept` becomes one row group; else groups of about GROUP_BYTES are cut,
        wherever one call ends and the next begins: ten thousand small files do not make ten thousand row groups.
        """
        kept = as_table(rows.kept, self.schema)
        self._count_kept(kept)
        if groups:
            self._write_waiting(all_of_it=True)
            self._write_group(kept)
        else:
            self._waiting.append(kept)
            self._waiting_bytes += kept.nbytes
            if self._waiting_bytes > 2 * GROUP_BYTES:
                self._write_waiting()
        if rows.dropped is not None and rows.dropped.num_rows:
            self._drop(as_table(rows.dropped, DROPPED))
        if rows.quarantined is not None and rows.quarantined.num_rows:
            quarantined = as_table(rows.quarantined, QUARANTINED)
            self._writer("quarantine", QUARANTINED).write_table(quarantined)
            self.account.quarantined += quarantined.num_rows
        for name, count in (rows.notes or {}).items():
            self.account.notes[name] = self.account.notes.get(name, 0) + int(count)

    def _write_group(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self._writer("data", self.schema).write_table(rows, row_group_size=rows.num_rows)

    def _write_waiting(self, *, all_of_it: bool = False) -> None:
        """Row groups that are full; the last one goes on waiting for more rows, unless there are none to come."""
        if not self._waiting:
            return
        groups = list(cut_groups(pa.concat_tables(self._waiting).combine_chunks()))
        self._waiting = [] if all_of_it else groups[-1:]
        self._waiting_bytes = sum(rows.nbytes for rows in self._waiting)
        for rows in groups[: len(groups) - len(self._waiting)]:
            self._write_group(rows)

    def _write_left(self) -> None:
        if self._left:
            self._writer("dropped", DROPPED).write_table(pa.concat_tables(self._left))
            self._left, self._left_rows = [], 0

    def _count_kept(self, kept: pa.Table) -> None:
        self.account.rows_out += kept.num_rows
        if self.contract in (Contract.SAME, Contract.SUBSET):
            self.account.kept += kept.num_rows
            self._sums["kept"] += id_sum(kept["id"])
        elif self.contract is Contract.DERIVED and kept.num_rows:
            self._parents.append(pc.unique(pc.list_flatten(kept["parents"])))

    def _drop(self, dropped: pa.Table) -> None:
        self._left.append(dropped)
        self._left_rows += dropped.num_rows
        if self._left_rows >= GROUP_ROWS:
            self._write_left()
        for reason, count in zip(*_value_counts(dropped["reason"]), strict=True):
            self.account.dropped[reason] = self.account.dropped.get(reason, 0) + count
        if self.contract is not Contract.ASIDE:
            self._sums["dropped"] += id_sum(dropped["id"])

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, trace)
            return
        try:
            self._close_account()
            reach("check")
            self._write_waiting(all_of_it=True)
            self._write_left()
            for _, writer in self._open.values():
                writer.close()
        except BaseException as problem:
            self._stack.__exit__(type(problem), problem, problem.__traceback__)
            raise
        self._stack.close()
        write_json(record_path(self.table, self.part), self._record())

    def _close_account(self) -> None:
        account = self.account
        account.dropped = dict(sorted(account.dropped.items()))
        account.notes = dict(sorted(account.notes.items()))
        if self.contract is Contract.ASIDE:
            account.kept = account.rows_in - sum(account.dropped.values()) - account.quarantined
            return
        if self.contract is Contract.DERIVED:
            used = (
                pc.unique(pa.chunked_array(self._parents, pa.string())) if self._parents else pa.array([], pa.string())
            )
            account.kept, self._sums["kept"] = len(used), id_sum(used)
        dropped = sum(account.dropped.values())
        if account.rows_in != account.kept + dropped + account.quarantined:
            raise AccountError(
                f"part {self.part}: {account.rows_in} rows in, but {account.kept} kept + {dropped} dropped"
                f" + {account.quarantined} quarantined"
            )
        off = (self._sums["kept"] + self._sums["dropped"] - self._sums["in"]) % (1 << 128)
        if off and self._sums["in"] and not account.quarantined:
            raise AccountError(f"part {self.part}: counts close but ids do not: a row was lost and another doubled")

    def _record(self) -> dict[str, Any]:
        files = {kind: {"sha256": f.sha256, "size_bytes": f.size_bytes} for kind, (f, _) in sorted(self._open.items())}
        return {
            "part": self.part,
            "step_id": self.step_id,
            "files": files,
            "account": asdict(self.account),
            "bad_files": self.bad_files,
        }


PARQUET: dict[str, Any] = {
    "compression": "lz4",  # beside zstd 1: a third faster to write, twice to read, half as large again; versions get zstd
    "write_page_checksum": True,
    "store_schema": True,
    "use_dictionary": False,  # ids and texts hardly repeat; the few columns that do compress well without
    "write_statistics": False,
    "data_page_size": 2 * GROUP_BYTES,  # a page per column and row group, which is read whole anyway
    "write_batch_size": GROUP_ROWS,
}


def part_name(part: int) -> str:
    return f"part-{part:05d}.parquet"


def record_path(table: Path, part: int) -> Path:
    return table / "records" / f"part-{part:05d}.json"


def read_record(table: Path, part: int, *, step_id: str, check: bool = True) -> dict[str, Any] | None:
    """The record of a finished part; None if it is missing, of another step, or (with `check`) its files differ."""
    try:
        record: dict[str, Any] = json.loads(record_path(table, part).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    if record.get("step_id") != step_id:
        return None
    if check:
        try:
            for kind, entry in record["files"].items():
                path = table / kind / part_name(part)
                if not path.exists() or file_sha256(path) != entry["sha256"]:
                    return None
        except (KeyError, TypeError, AttributeError):  # a damaged record is none: the part is filled again
            return None
    return record


def as_table(rows: pa.RecordBatch | pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with exactly the columns and types of `schema`; a KeyError names a missing one."""
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    if not table.schema.equals(schema):
        table = table.select(schema.names).cast(schema)
    return table.replace_schema_metadata(schema.metadata)


def cut_groups(table: pa.Table) -> Iterator[pa.Table]:
    """Row groups of about GROUP_BYTES and at most GROUP_ROWS rows, cut by the rows' own sizes: a function of the rows."""
    if table.num_rows == 0:
        return
    ends = np.cumsum(row_bytes(table))
    start = 0
    while start < table.num_rows:
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + GROUP_BYTES, side="right"))
        end = min(max(end, start + 1), start + GROUP_ROWS, table.num_rows)
        yield table.slice(start, end - start)
        start = end


def row_bytes(table: pa.Table) -> np.ndarray:
    """int64[n]: about how many bytes each row weighs: 8 a column, the lengths of strings, 4 an element of lists."""
    total = np.full(table.num_rows, 8 * table.num_columns, np.int64)
    for column in table.columns:
        kind = column.type
        if column.null_count == table.num_rows:
            continue
        if any(test(kind) for test in BYTES):
            total += _without_nulls(pc.binary_length(column))
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            weight = 4 if pa.types.is_primitive(kind.value_type) else 64
            total += weight * _without_nulls(pc.list_value_length(column))
    return total


BYTES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)


def _without_nulls(lengths: pa.ChunkedArray) -> np.ndarray:
    found: np.ndarray = (pc.fill_null(lengths, 0) if lengths.null_count else lengths).to_numpy().astype(np.int64)
    return found


def _value_counts(column: pa.ChunkedArray) -> tuple[list[str], list[int]]:
    counts = pc.value_counts(column)
    return counts.field("values").to_pylist(), counts.field("counts").to_pylist()


def read_groups(path: Path, columns: Sequence[str] | None, *, sha256: str | None = None) -> Iterator[pa.RecordBatch]:
    """The row groups of a part file, one RecordBatch each, after comparing its `sha256`, or else page checksums.

    Raises VerifyError when the file differs from `sha256` or does not read.
    """
    try:
        if sha256 is not None and not proven(path, sha256):
            raise VerifyError(
                "sha256 differs from the record", file=str(path), hint="delete the table's folder and run again"
            )
        file = pq.ParquetFile(path, page_checksum_verification=sha256 is None)
        names = None if columns is None else [c for c in columns if c in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=names, use_threads=False)
            if names is not None:
                table = table.select(names)
            yield one_batch(table)
    except (OSError, pa.ArrowException) as error:
        raise VerifyError(
            f"does not read: {type(error).__name__}", file=str(path), hint="delete the table's folder and run again"
        ) from error


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """The table as a single RecordBatch."""
    batches = table.combine_chunks().to_batches()
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return pa.RecordBatch.from_pylist([], schema=table.schema)
    return pa.concat_batches(batches)
