"""P9: an answer that the server has acknowledged is there after kill -9, once. 100 kills: tests/benchmarks/annotators.py."""

import asyncio

from tests.benchmarks.annotators import kill


def test_acknowledged_answers_survive_kills_and_none_is_doubled(tmp_path):
    got = asyncio.run(kill(tmp_path, kills=3, people=4))
    assert got["acknowledged"] > 0
    assert {
        name: got[name] for name in ("lost", "stored_twice", "double_assignments", "wrong_counts", "integrity")
    } == {
        "lost": 0,
        "stored_twice": 0,
        "double_assignments": 0,
        "wrong_counts": 0,
        "integrity": "ok",
    }
