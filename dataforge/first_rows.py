"""The first row of every config and split as `datasets` gives it, read in a process of its own.

Arrow may abort a process that ends while a scan of it stands half read (arrow#45214: "terminate called without an active
exception", exit 134; seen with pyarrow 25.0.1 in up to four of ten ends). This process leaves by `os._exit`, so what it
found counts and what its threads do at the end does not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dataforge.errors import VerifyError

CODE = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from dataforge.first_rows import tell; tell()"


def columns_found(out: Path, places: Sequence[tuple[str, str]]) -> list[list[str] | str] | None:
    """Per (config, split) of `out` the names of its columns, or the type of the error that loading raised.

    None where `datasets` is not installed. Raises VerifyError when the reading process dies.
    """
    asked = [json.dumps(sys.path), str(out.absolute()), json.dumps(list(places))]
    offline = os.environ | {"HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1")}  # a local folder needs no look-up
    done = subprocess.run([sys.executable, "-c", CODE, *asked], capture_output=True, text=True, env=offline)
    if done.returncode:
        raise VerifyError(f"the process that loads {out} ended with {done.returncode}", file=str(out))
    found: list[list[str] | str] | None = json.loads(done.stdout.splitlines()[-1])
    return found


def tell() -> None:
    """In the other process: prints the answer as the last line and leaves at once."""
    out, places = sys.argv[2], json.loads(sys.argv[3])
    try:
        import datasets  # noqa: F401
    except ImportError:
        answer = None
    else:
        answer = [_columns(out, config, split) for config, split in places]
    print("\n" + json.dumps(answer), flush=True)
    os._exit(0)


def _columns(out: str, config: str, split: str) -> list[str] | str:
    import datasets

    try:
        return list(next(iter(datasets.load_dataset(out, config, split=split, streaming=True))))
    except Exception as error:  # whatever a loader raises means that it does not load
        return type(error).__name__
