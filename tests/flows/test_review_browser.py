"""The labeling step as people meet it: a run stops, twenty rows are labelled by keyboard, a lead closes, it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dataforge.flows.cli import main
from dataforge.review import auth
from dataforge.review.database import open_database
from dataforge.schemas.act import ACTS
from tests.flows.demo import copy_demo
from tests.review.invented import free_port
from tests.review.served import Server, browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
RUN = ["--direct", "--workers", "1", "-q", "--json"]


def test_a_run_waits_for_twenty_rows_labelled_by_keyboard_and_publishes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with browser() as chrome:
        config = copy_demo(tmp_path / "demo", review="{enabled: true, need: 1, size: 20}")
        assert main(["run", str(config), *RUN]) == 5
        assert json.loads(capsys.readouterr().out)["error"]["what"] == "demo speech acts: 0 of 20 labelled"
        location = str(tmp_path / "demo" / "store" / "review.sqlite")
        database = open_database(location)
        for name, role in (("ana", "annotator"), ("lea", "lead")):
            auth.add_user(database, name, role)
        server = Server(location, free_port())
        try:
            page = chrome.new_page()
            page.goto(f"{server.base}/login#{auth.new_link(database, 'ana')}")
            page.wait_for_url(server.base + "/")
            page.goto(f"{server.base}/b/1/next")
            for k in range(20):
                page.wait_for_function("n => document.getElementById('own').innerText === n", arg=f"{k} by me" if k else "")
                page.locator("#desk:not([aria-busy], [data-settling]) #labels button[aria-pressed=false]").nth(7).wait_for()
                page.keyboard.press("6")
            page.locator("#empty-title", has_text="All done").wait_for()
            page.wait_for_function("() => !localStorage.length || Object.values(localStorage).every(v => v === '[]')")
            page.context.clear_cookies()
            page.goto(f"{server.base}/login#{auth.new_link(database, 'lea')}")
            page.wait_for_url(server.base + "/")
            page.goto(f"{server.base}/b/1/stats")
            page.locator("#close button").click()
            page.get_by_role("button", name="Close for good").click()
            page.locator("#closing", has_text="Closed").wait_for()
        finally:
            server.stop()
            database.dispose()
    assert main(["run", str(config), *RUN]) == 0
    out = Path(json.loads(capsys.readouterr().out)["out"])
    rows = pq.read_table(next(out.glob("annotations/*.parquet"))).to_pylist()
    assert [(ACTS[row["label"]], row["decided_by"]) for row in rows] == [("questions", "single")] * 20
