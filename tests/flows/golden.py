"""What each step of the demo gives, as digests of its rows. `python -m tests.flows.golden` writes them anew.

A digest is over the rows in order, not over the bytes of Parquet files, so a new release of Arrow changes nothing here.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from dataforge import Store, Table

GOLDEN = Path(__file__).parent / "golden.json"


def digest(table: Table) -> str:
    """sha256 of all rows and dropped rows as JSON, or of the files of a Fold."""
    total = hashlib.sha256()
    for entry in table.manifest["files"]:
        if not entry["path"].endswith("_report.json"):
            total.update(f"{entry['path']} {entry['sha256']}\n".encode())
    for kind in () if table.is_files else ("data", "dropped"):
        for row in table.to_table(kind=kind).to_pylist():
            total.update(json.dumps(row, sort_keys=True, default=str).encode() + b"\n")
    return total.hexdigest()[:16]


def observed(store: Path) -> dict[str, dict[str, Any]]:
    """{step: {"operator", "version", "rows"}} of a store that holds one run of the demo."""
    return {
        table.step: {"operator": table.manifest["operator"][""], "version": table.manifest["version"], "rows": digest(table)}
        for table in Store(store).tables()
    }


if __name__ == "__main__":
    from dataforge.flows.cli import main
    from tests.flows.demo import copy_demo

    with tempfile.TemporaryDirectory() as folder:
        config = copy_demo(Path(folder) / "demo")
        if main(["run", str(config), "--direct", "-q"]):
            sys.exit(1)
        GOLDEN.write_text(json.dumps(observed(Path(folder) / "demo" / "store"), indent=1, sort_keys=True) + "\n")
