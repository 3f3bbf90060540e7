"""P9: an answer that the server has acknowledged is there after kill -9, once. 100 kills: tests/benchmarks/annotators.py."""

import asyncio
import importlib.util
from pathlib import Path


def _annotators():
    spec = importlib.util.spec_from_file_location(
        "annotators", Path(__file__).parent.parent / "benchmarks" / "annotators.py"
    )
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_acknowledged_answers_survive_kills_and_none_is_doubled(tmp_path):
    got = asyncio.run(_annotators().kill(tmp_path, kills=3, people=4))
    assert got["acknowledged"] > 0
    assert {k: got[k] for k in ("lost", "stored_twice", "double_assignments", "wrong_counts", "integrity")} == {
        "lost": 0,
        "stored_twice": 0,
        "double_assignments": 0,
        "wrong_counts": 0,
        "integrity": "ok",
    }
