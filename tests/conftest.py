"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
settings.register_profile("any machine", deadline=None)  # the first example of a law may meet a compiler
settings.load_profile("any machine")


@pytest.fixture(params=["local-1", "local-2", "beam"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each engine in turn: a test that takes it runs on all of them."""
    if request.param == "beam":
        from dataforge.engine.beam import Beam

        with Beam() as beam:
            yield beam
    else:
        from dataforge.engine.local import Local

        with Local(int(request.param[-1])) as local:
            yield local
