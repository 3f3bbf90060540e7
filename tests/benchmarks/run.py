"""`python -m tests.benchmarks.run`: runs every bench_*.py beside this file and writes build/bench.json.

Options: --only WORK …, --data FOLDER (or DATAFORGE_BENCH_DATA; else generated texts), --peers FOLDER, --out FILE.
Rows of works that were not run stay in the file. A peer that is missing costs its rows, says so and fails the run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.frame import PeerMissing, Row, Setup

FOLDER = Path(__file__).parent


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    setup = Setup(options.data, options.peers, options.seconds, options.documents)
    rows: list[Row] = []
    missing = 0
    for work in options.only:
        start = time.monotonic()
        try:
            for row in importlib.import_module(f"tests.benchmarks.bench_{work}").rows(setup):
                rows.append(row)
                print(_line(row), flush=True)
        except PeerMissing as error:
            missing += 1
            print(f"{work}: {error}", file=sys.stderr)
        print(f"{work}: {time.monotonic() - start:.0f} s", flush=True)
    write(options.out, rows, options.only)
    return 1 if missing or not all(row.exact for row in rows) else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    works = sorted(file.stem.removeprefix("bench_") for file in FOLDER.glob("bench_*.py"))
    data = os.environ.get("DATAFORGE_BENCH_DATA")
    parser = argparse.ArgumentParser(description="Compare with peers and write build/bench.json.")
    parser.add_argument("--only", nargs="+", choices=works, default=works)
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--peers", type=Path, default=Path(".venv-bench"))
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--documents", type=int, default=100_000, help="of the dedupe benchmark")
    return parser.parse_args(arguments)


def _line(row: Row) -> str:
    ratio = "" if row.ratio is None else f"{row.ratio:8.2f}x"
    oracle = "exact" if row.exact else "NOT EXACT"
    return f"{row.work:9} {row.corpus:13} {row.ours:9.2f} {row.unit} {ratio} {row.peer} {row.variant} [{oracle}]"


def write(out: Path, rows: list[Row], works: list[str]) -> None:
    """Rows of `works` in the file are replaced, the others stay."""
    old = json.loads(out.read_text("utf8")) if out.exists() else []
    kept = [row for row in old if row["work"] not in works]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([*kept, *map(asdict, rows)], indent=1) + "\n", "utf8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
