"""Earlier data: a run drops what the index holds a near-duplicate of, a run after its own addition changes nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from dataforge import Store
from dataforge.identity import row_id
from tests.flows.calling import Call, Said, call
from tests.flows.demo import small_config


@pytest.fixture
def dataforge(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: object) -> Said:
        return call(*arguments, capsys=capsys)

    return run


def words(seed: int) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choice("abcdefgh") for _ in range(6)) for _ in range(60)).capitalize() + "."


def day(folder: Path, name: str, **texts: str) -> Path:
    rows = [json.dumps({"id": key, "text": text}).encode() for key, text in texts.items()]
    return small_config(folder / name, rows, name=name, dedupe="{index: ../index}")


def run(dataforge: Call, config: Path) -> str:
    return str(dataforge("run", config, "--direct", "--workers", "1", "-q", "--json").document["out"])


def dropped(config: Path) -> dict[str, tuple[Any, ...]]:
    tables = {table.step: table for table in Store(config.parent / "store").tables()}
    keys = {row["id"]: row["key"] for row in tables["corpus/documents"].to_table(["id", "key"]).to_pylist()}
    rows = tables["corpus/selected"].to_table(kind="dropped").to_pylist()
    return {keys[row["id"]]: (row["reason"], row["into"]) for row in rows}


def test_today_against_all_earlier_days(tmp_path: Path, dataforge: Call) -> None:
    monday = day(tmp_path, "monday", a=words(1), b=words(2))
    first = run(dataforge, monday)
    assert dropped(monday) == {}
    added = dataforge("index", "add", monday, "--json").document
    assert (added["added"], added["known"], added["version"]) == (2, 0, 1)
    assert run(dataforge, monday) == first, "a run that comes again after its rows were added is still done"
    assert dataforge("index", "add", monday, "--json").document["known"] == 2

    tuesday = day(tmp_path, "tuesday", c=words(1) + " Once more", d=words(3), e=words(3) + " also", b=words(2))
    run(dataforge, tuesday)
    assert dropped(tuesday)["c"] == ("near_duplicate_of_earlier", row_id("s", "a"))
    assert dropped(tuesday)["d"][0] == "near_duplicate" and set(dropped(tuesday)) == {"c", "d"}, "b itself was kept before"
    shown = dataforge("trace", tuesday, row_id("s", "c")).out
    assert f"near_duplicate_of_earlier (0.965517 against 0.8) → {row_id('s', 'a')}" in shown

    assert dataforge("index", "add", tuesday, "--json").document["added"] == 1
    told = dataforge("index", "info", tuesday, "--json").document
    assert (told["documents"], [a["documents"] for a in told["additions"]], told["matches_config"]) == (3, [2, 1], True)


def test_a_run_after_its_own_addition_changes_nothing_where_a_row_changed(tmp_path: Path, dataforge: Call) -> None:
    """b is like the old text of a, and only a's new text comes with it: what b was dropped for stays known to this input."""
    same = {f"same{i}": words(10 + i) for i in range(6)}
    first = day(tmp_path, "first", a=words(1), **same)
    run(dataforge, first)
    dataforge("index", "add", first)
    second = day(tmp_path, "second", a=words(2), b=words(1) + " Once more", **same)
    out = run(dataforge, second)
    assert dropped(second) == {"b": ("near_duplicate_of_earlier", row_id("s", "a"))}
    done = dataforge("index", "add", second, "--json").document
    assert (done["added"], done["replaced"], done["known"], done["version"]) == (1, 1, 6, 2)
    assert run(dataforge, second) == out and set(dropped(second)) == {"b"}
    done = dataforge("index", "add", second, "--json").document
    assert (done["added"], done["replaced"], done["known"], done["version"]) == (0, 0, 7, 2)
    third = day(tmp_path, "third", c=words(1) + " At last")
    run(dataforge, third)
    assert dropped(third) == {}, "to other inputs the old text is gone"


def test_a_damaged_index_is_told_with_the_way_out(tmp_path: Path, dataforge: Call) -> None:
    config = day(tmp_path, "monday", a=words(1))
    run(dataforge, config)
    dataforge("index", "add", config)
    (keys,) = tmp_path.glob("index/segments/*/band_keys.npy")
    keys.write_bytes(keys.read_bytes()[:-1] + b"?")
    error = dataforge("index", "query", config, "--text", words(1), "--json").error
    assert (error["code"], error["exit_code"], error["file"]) == ("VERIFY", 7, str(keys))
    assert "dataforge index add" in error["hint"]


def test_a_row_like_an_earlier_one_gives_way_to_one_that_is_not(tmp_path: Path, dataforge: Call) -> None:
    """c is like the earlier a, e is like c only: e stays although c is longer."""
    base, end = words(1).split(), ["v", "w", "x", "y", "z"]
    like_a, like_c = [*base[:-5], *end], ["m", "n", "o", *base[3:-5], *end]
    monday = day(tmp_path, "monday", a=" ".join(base))
    run(dataforge, monday)
    dataforge("index", "add", monday)
    tuesday = day(tmp_path, "tuesday", c=" ".join([*like_a, "longer"]), e=" ".join(like_c))
    run(dataforge, tuesday)
    assert dropped(tuesday) == {"c": ("near_duplicate_of_earlier", row_id("s", "a"))}


def test_query_and_remove(tmp_path: Path, dataforge: Call) -> None:
    config = day(tmp_path, "monday", a=words(1), b=words(2))
    assert dataforge("index", "info", config, "--json").document["there"] is False
    assert dataforge("index", "add", config, "--json").error["exit_code"] == 3, "nothing has run yet"
    run(dataforge, config)
    dataforge("index", "add", config)
    (tmp_path / "asked.txt").write_text(words(2) + " with more")
    (answer,) = dataforge("index", "query", config, "--file", tmp_path / "asked.txt", "--json").document["queries"]
    assert [match["id"] for match in answer["matches"]] == [row_id("s", "b")] and 0.9 < answer["matches"][0]["jaccard"] < 1
    assert dataforge("index", "query", config, "--text", words(9)).out == "nothing like it\n"
    gone = dataforge("index", "remove", config, row_id("s", "b"), row_id("s", "z"), "--json").document
    assert (gone["removed"], gone["unknown"], gone["version"]) == (1, 1, 2)
    assert dataforge("index", "query", config, "--file", tmp_path / "asked.txt").out == "nothing like it\n"


def test_what_the_index_cannot_answer_is_refused(tmp_path: Path, dataforge: Call) -> None:
    config = day(tmp_path, "monday", a=words(1))
    run(dataforge, config)
    dataforge("index", "add", config)
    config.write_text(config.read_text().replace("{index: ../index}", "{index: ../index, n: 7}"))
    said = dataforge("run", config, "--direct", "--workers", "1", "-q", "--json")
    assert said.code == 2 and said.error["key"] == "dedupe.index" and "n 5" in said.error["what"]
    config.write_text(config.read_text().replace("{index: ../index, n: 7}", "{near: true}"))
    assert dataforge("index", "info", config, "--json").error["key"] == "dedupe.index"
    assert dataforge("index", "remove", config, "abc", "--json").code == 2
    assert dataforge("index", "query", config, "--json").code == 2
