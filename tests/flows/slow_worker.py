"""`dataforge run CONFIG --direct …` in which part 3 of the language step hangs, or kills the worker that does it.

`python -m tests.flows.slow_worker CONFIG OPTIONS…` with `sleep` or `kill` in $DATAFORGE_TEST_TRIGGER; for tests of runs
that are interrupted. The step has the identity of the real one, so that the real command goes on from there.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataforge.operators import language

TRIGGER = "DATAFORGE_TEST_TRIGGER"
PART_3_OF_8 = "67"  # first digits of its ids


@dataclass(frozen=True)
class Language(language.Language):
    def start(self, files: Sequence[Path]) -> Any:
        found = super().start(files)

        def batch(rows: Any) -> Any:
            if rows.num_rows and rows.column("id")[0].as_py()[0] in PART_3_OF_8:
                make_trouble(os.environ.get(TRIGGER, ""))
            return found(rows)

        return batch


def make_trouble(how: str) -> None:
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "sleep":
        print("working", file=sys.stderr, flush=True)
        time.sleep(120)


if __name__ == "__main__":
    from dataforge.flows import corpus
    from dataforge.flows.cli import main
    from tests.flows import slow_worker  # not `Language` of __main__: workers must find it by name

    corpus.Language = slow_worker.Language  # type: ignore[misc]
    sys.argv[1:1] = ["run"]
    main()
