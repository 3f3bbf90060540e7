"""The report: the right numbers, one quiet page, nothing of what was found or dropped that is personal."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge import Step
from dataforge.operator import Contract
from dataforge.operators.files_jsonl import JsonlFiles
from dataforge.report import charts, complete, facts, html
from dataforge.report.alerts import alerts, few_kept, many_failed
from dataforge.report.counts import Histogram, cluster_sizes, straddling
from dataforge.report.facts import public
from dataforge.report.samples import cut, mask
from dataforge.schemas.label import LABEL
from tests.dataforge.small_tables import SPLIT, Graph, tokenizer_folder, write
from tests.literal import fill

CONFIG = {"name": "harbour", "store": "/secret/place", "pii": {"action": "mask", "key": "env:KEY"}}
DOCUMENT = {
    "name": "harbour",
    "version": "1.0",
    "default": "corpus",
    "split": {"salt": "s", "shares": {"train": 0.9, "validation": 0.1, "test": 0.0}},
    "configs": [
        {"config": "corpus", "split": "train", "rows": 28, "bytes": 2_000_000, "files": [{}], "columns": []},
        {"config": "corpus", "split": "validation", "rows": 5, "bytes": 10, "files": [{}], "columns": []},
        {"config": "packed-64", "split": "train", "rows": 30, "bytes": 10, "files": [{}], "columns": [], "tokens": 960,
         "tokens_trained": 900, "fill_rate": 0.5},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return Graph(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def found(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tokenizer_folder(tmp_path_factory.mktemp("tokenizer"))
    return complete(facts(graph.tables(), graph.configs(), tokenizer=folder, config=CONFIG), DOCUMENT)


def test_counts_are_those_of_the_tables(graph: Graph, found: dict[str, Any]) -> None:
    assert [(s["name"], s["rows_read"], s["quarantined"]) for s in found["sources"]] == [
        ("notes", 21, 1),
        ("manuals", 20, 0),
    ]
    assert sum(s["rows"] for s in found["sources"]) == 33
    assert found["pii"] == {
        "action": "mask",
        "rows_read": 40,
        "kinds": [{"kind": "EMAIL_ADDRESS", "spans": 100, "rows": 36}],
    }
    assert sum(a["rows"] for a in found["acts"]) == 40
    assert found["languages"] == [{"language": "en", "rows": 33, "bytes": found["languages"][0]["bytes"], "share": 1.0}]
    assert found["tokenizer"]["vocabulary"] == 40
    texts = sum(len(t.encode()) for t in graph.clean.to_table(["text"])["text"].to_pylist())
    tokens = sum(graph.tokens.to_table(["length"])["length"].to_pylist())
    assert found["tokenizer"]["languages"][0]["bytes_per_token"] == round(texts / tokens, 3)


def test_clusters_are_counted_by_size(found: dict[str, Any]) -> None:
    assert found["duplicates"] == {
        "clusters": 1,
        "rows": 4,
        "largest": 4,
        "kinds": {"near": 3},
        "sizes": [{"from": 4, "to": 4, "clusters": 1}],
    }


def test_a_cluster_in_two_splits_is_an_alert(graph: Graph, found: dict[str, Any], tmp_path: Path) -> None:
    assert found["leaks"] == {"clusters_in_two_splits": 0}
    places = ["train" if n % 2 else "validation" for n in range(40)]
    torn = write(tmp_path, "corpus/split", pa.table([graph.ids, places], schema=SPLIT))
    assert straddling(graph.twins, torn) == 1
    whole = complete({**found, "leaks": {"clusters_in_two_splits": 1}}, DOCUMENT)
    assert whole["alerts"][0] == {
        "level": "error",
        "text": "1 cluster of near-duplicates stands in more than one split.",
    }


def test_alerts_come_worst_first(found: dict[str, Any]) -> None:
    assert [alert["level"] for alert in found["alerts"]] == ["warning", "warning", "note"]
    assert "1 row of source notes" in found["alerts"][0]["text"]
    assert found["alerts"][1]["text"] == "packed-64, train: only 50% of each sequence is filled."


@pytest.mark.parametrize(
    ("dropped", "ways"),
    [
        (
            {"few_stop_words": 150, "top_2_gram": 30, "short_lines": 4, "empty": 1},
            "it counts English words: `quality.min_stop_words: null` for texts in other languages; "
            "`dataforge whatif` tries other thresholds of `quality`, null switches a rule off",
        ),
        ({"near_duplicate": 185}, "`dataforge duplicates` shows what is alike"),
        ({"language": 100, "rude": 85}, "`language.keep`; `quality.lists` or `quality.models`"),
        ({"contaminated": 1, "personal_data": 184}, "`pii.drop_above`; `dataforge duplicates` shows what is alike"),
    ],
    ids=["quality", "duplicates", "own-list", "personal"],
)
def test_a_step_that_drops_nearly_all_is_told_with_a_way_out(dropped: dict[str, int], ways: str) -> None:
    entry = {"step": "corpus/selected", "in": 200, "out": 15, "dropped": dropped, "quarantined": 0}
    main = ", ".join(f"{reason} {n}" for reason, n in sorted(dropped.items(), key=lambda item: -item[1])[:3])
    text = f"corpus/selected keeps 15 of 200 rows: {main}. If that is not meant: {ways}."
    assert alerts({"funnel": [entry]}) == [{"level": "warning", "text": text}]


@pytest.mark.parametrize(("rows", "gone", "told"), [(100, 90, False), (100, 91, True), (99, 99, False)])
def test_few_rows_or_a_tenth_kept_are_no_sign(rows: int, gone: int, told: bool) -> None:
    entry = {"step": "s", "in": rows, "out": rows - gone, "dropped": {"empty": gone}, "quarantined": 0}
    assert bool(few_kept(entry)) == told


@pytest.mark.parametrize(
    ("step", "rows", "failed", "told"),
    [
        ("corpus/own-Json", 10, 2, True),
        ("corpus/own-Json", 10, 1, False),
        ("corpus/own-Json", 9, 9, False),
        ("corpus/own-Json", 80, 79, True),
        ("sources", 80, 79, False),
    ],
)
def test_more_than_a_tenth_at_which_an_own_operator_fails_is_told(step: str, rows: int, failed: int, told: bool) -> None:
    entry = {"step": step, "in": rows, "out": rows - failed, "dropped": {}, "quarantined": failed}
    text = f"{step} set aside {failed} of {rows} rows at which your code raised: `dataforge quarantine` shows where."
    assert many_failed(entry) == (text if told else "")
    assert alerts({"funnel": [entry]}) == ([{"level": "warning", "text": text}] if told else [])


def test_an_own_operator_that_fails_and_drops_is_told_both() -> None:
    entry = {"step": "corpus/own-A", "in": 200, "out": 10, "dropped": {"short": 100}, "quarantined": 90}
    assert [alert["text"].split(" rows")[0] for alert in alerts({"funnel": [entry]})] == [
        "corpus/own-A set aside 90 of 200",
        "corpus/own-A keeps 10 of 200",
    ]


def test_a_split_without_rows_is_told_once(found: dict[str, Any]) -> None:
    def told(*published: tuple[str, str]) -> list[str]:
        entries = [{"config": config, "split": split, "rows": 1} for config, split in published]
        whole = {**found, "published": entries, "split": {"shares": {"train": 0.5, "test": 0.5}}}
        return [alert["text"] for alert in alerts(whole) if alert["text"].startswith("Split")]

    assert told(("corpus", "train"), ("packed-8", "train")) == ["Split test has no rows."]
    assert told(("corpus", "test"), ("corpus", "train"), ("sft", "train")) == ["Split test has no rows in sft."]


def test_a_page_where_nothing_was_found_says_so(found: dict[str, Any]) -> None:
    """Zero duplicates, zero personal data, zero drops; and nothing that was not looked for counts as not there."""
    nothing = {"clusters": 0, "rows": 0, "largest": 0, "kinds": {}, "sizes": []}
    still = {"step": "sources", "in": 4, "kept": 4, "out": 4, "dropped": {}, "quarantined": 0}
    bare = {**found, "duplicates": nothing, "pii": {**found["pii"], "kinds": []}, "funnel": [still], "ledger": [still]}
    page = html(bare)
    assert all(said in page for said in ("No equal or nearly equal texts", "Nothing was found", "No step changed"))
    off = {**bare, "config": {"dedupe": {"exact": "none", "near": False}}}
    assert "not looked for" in html(off) and "No equal or nearly" not in html(off)


def test_columns_that_no_setting_reads_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "title": "<b>", "url": "u"}\n{"text": "b", "title": "c"}\n')
    table = fill(Step("sources/a", JsonlFiles("a", str(tmp_path / "a.jsonl"), uri="url")), tmp_path / "store")
    found = facts([table])
    assert found["sources"][0]["unread"] == {"title": 2}
    assert "Columns of a that no setting reads: title (2 rows)." in html(found)


def test_config_keeps_no_place_and_no_secret(found: dict[str, Any]) -> None:
    assert found["config"] == {"name": "harbour", "pii": {"action": "mask"}}
    assert public({"sources": [{"path": "a", "kind": "jsonl"}]}) == {"sources": [{"kind": "jsonl"}]}


def test_samples_hold_no_personal_data(found: dict[str, Any]) -> None:
    rows = found["samples"]["dropped"]
    assert {row["reason"] for row in rows} == {"too_few_words", "near_duplicate"}
    assert "<EMAIL_ADDRESS> about" in next(r["text"] for r in rows if r["reason"] == "near_duplicate")
    assert "example.org" not in json.dumps(found)


def test_rows_dropped_for_personal_data_and_unsearched_texts_are_not_shown(graph: Graph, tmp_path: Path) -> None:
    empty = graph.rows.to_table().slice(0, 0)
    lost = pa.Table.from_pylist([{"id": graph.ids[0], "reason": "personal_data"}], schema=graph_dropped())
    select = write(tmp_path, "select", empty, dropped=lost, contract=Contract.SUBSET, inputs=(graph.rows,))
    (row,) = facts([graph.rows, graph.pii, select])["samples"]["dropped"]
    assert row["text"] is None
    lost = pa.Table.from_pylist([{"id": graph.ids[0], "reason": "dull"}], schema=graph_dropped())
    select = write(tmp_path, "other", empty, dropped=lost, contract=Contract.SUBSET, inputs=(graph.rows,))
    (row,) = facts([graph.rows, select])["samples"]["dropped"]  # no table of spans
    assert row["text"] is None
    assert facts([graph.rows, graph.pii, select])["samples"]["dropped"][0]["text"] is not None


def graph_dropped() -> pa.Schema:
    from dataforge.schemas.verdict import DROPPED

    return DROPPED


def label_row(n: int, votes: tuple[str, str], label: str, **more: Any) -> dict[str, Any]:
    """A LABEL row; the first vote is a01's."""
    return {
        "id": f"{n:032x}",
        "label": label,
        "labels": [label],
        "decided_by": "adjudicated",
        "n_answers": 2,
        "answers": [{"annotator": f"a0{k}", "kind": "label", "labels": [vote]} for k, vote in enumerate(votes, 1)],
        "kind": "act",
        **dict.fromkeys(("rejected", "flagged", "gold", "random"), False),
        **dict.fromkeys(("label_schema", "label_schema_version", "guideline_version"), "1"),
        **more,
    }


def closed(folder: Path, rows: list[dict[str, Any]], dropped: pa.Table | None = None) -> Any:
    table = pa.Table.from_pylist(rows, schema=LABEL)
    return write(folder, "closed", table, source=True, contract=Contract.SUBSET, dropped=dropped)


def test_answers_give_agreement_and_the_tagger_s_accuracy(tmp_path: Path) -> None:
    told = [("questions", 0.5), ("directives", 1.0)]  # 1/p: 2 and 1
    rows = [
        label_row(n, ("questions", "questions"), "questions", suggestion=s, p_selected=p, random=n == 1)
        for n, (s, p) in enumerate(told)
    ]
    review = facts([closed(tmp_path, rows)])["review"]
    assert (review["items"], review["answers"], review["raw_agreement"]) == (2, 4, 1.0)
    assert review["tagger"]["weighted"]["value"] == 0.6667
    assert (review["tagger"]["random"]["value"], review["tagger"]["random"]["n"]) == (0.0, 1)
    page = html(complete({"review": review}, {}))
    assert "undefined: only one label was used, 4/4 equal" in page and "66.7 % (95 % interval" in page


def test_items_that_people_left_open_count_against_agreement(tmp_path: Path) -> None:
    rows = [label_row(n, ("other", "other"), "other", decided_by="unanimous") for n in range(3)]
    answers = [{"annotator": f"a0{k}", "kind": "label", "labels": [x]} for k, x in ((1, "other"), (2, "questions"))]
    open_ = pa.Table.from_pylist([{"id": "f" * 32, "reason": "unresolved", "detail": json.dumps(answers)}], graph_dropped())
    review = facts([closed(tmp_path, rows, open_)])["review"]
    assert (review["raw_agreement"], review["alpha"], review["items_with_two"]) == (0.75, 0.0, 4)
    assert review["decided_by"] == {"unanimous": 3, "unresolved": 1}
    alerts = [alert["text"] for alert in complete({"review": review}, {})["alerts"]]
    assert alerts == ["Annotators agree little: alpha 0.000, wanted 0.667."]
    lenient = {"review": review, "config": {"review": {"min_alpha": -1}}}
    assert complete(lenient, {})["alerts"] == []


def test_an_audit_gives_the_false_drop_rate_of_each_filter_and_stays_out_of_the_labels(tmp_path: Path) -> None:
    kind = {"kind": "dropped", "filter": "s: too_few_words"}
    said = ["wrong"] * 10 + ["right"] * 10
    rows = [label_row(n, (word, word), word, **kind) for n, word in enumerate(said)]
    found = facts([closed(tmp_path, rows)])
    assert found["review"] is None
    low_and_high = {"low": 0.2993, "high": 0.7007}  # Wilson, 10 of 20
    asked = {"filter": "s: too_few_words", "dropped": None, "asked": 20, "judged": 20, "wrong": 10, "rate": 0.5}
    assert found["audit"] == [asked | low_and_high]
    whole = complete({"audit": found["audit"]}, {})
    text = "People would have kept 50% of what s: too_few_words dropped (at least 30%, 95 % interval)."
    assert [alert["text"] for alert in whole["alerts"]] == [text]
    assert "29.9 % – 70.1 %" in html(whole)


def test_findings_of_the_flow_are_alerts() -> None:
    whole = complete({"findings": ["questions are 0.9 of chat"]}, {})
    assert whole["alerts"] == [{"level": "warning", "text": "Questions are 0.9 of chat."}]


def test_nothing_to_tell_still_gives_a_page() -> None:
    page = html(complete(facts([]), {}))
    assert "None: nothing stands out." in page


class Page(HTMLParser):
    """Tags, and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "style", "onload")]


def test_the_page_is_one_quiet_file(found: dict[str, Any]) -> None:
    text = html(found)
    page = Page(text)
    assert len(text.encode()) < 5_000_000
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(page.tags)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert "url(" not in text and "@import" not in text
    assert len(page.ids) == len(set(page.ids))


def test_every_chart_has_a_title_and_its_numbers_as_a_table(found: dict[str, Any]) -> None:
    text = html(found)
    figures = re.findall(r"<figure>.*?</figure>", text, re.S)
    assert len(figures) == text.count("<svg") > 8
    for figure in figures:
        assert "<title" in figure and "<table>" in figure and "<figcaption>" in figure


def test_equal_facts_give_equal_bytes(graph: Graph, found: dict[str, Any]) -> None:
    assert html(found) == html(json.loads(json.dumps(found)))


def test_hostile_words_are_shown_as_text(found: dict[str, Any]) -> None:
    evil = "</pre><script>alert(1)</script>{{7*7}}"
    samples = {"kept": [{"id": "0" * 32, "step": evil, "text": evil}], "dropped": []}
    sources = [{**found["sources"][0], "name": evil}]
    funnel = [{**found["ledger"][0], "step": evil, "dropped": {evil: 1}}]
    text = html({**found, "samples": samples, "sources": sources, "funnel": funnel, "ledger": funnel})
    assert "<script" not in text
    assert "{{7*7}}" in text


def test_joined_rows_are_told_from_dropped_ones(found: dict[str, Any]) -> None:
    assert "17 made of 33" in html(found)


def test_sources_without_a_licence_are_named_in_one_note() -> None:
    source = {"kind": "jsonl", "licence": None, "rows_read": 1, "rows": 1, "quarantined": 0, "bad_files": 0}
    sources = [{"name": name, **source} for name in "abc"]
    assert [a["text"] for a in alerts({"sources": sources})] == ["3 sources state no licence: a, b, c."]
    assert [a["text"] for a in alerts({"sources": sources[:1]})] == ["Source a states no licence."]


def test_timings_are_only_in_the_store_s_report(found: dict[str, Any]) -> None:
    scan = {"scan": "corpus/clean", "seconds": 1.5, "rows_in": 40, "bytes_out": 10**6}
    run = {"ended": "2026-01-01T00:00:00", "status": "done", "seconds": 2.0, "peak_rss_bytes": 10**8, "scans": [scan]}
    assert "Timings" not in html(found)
    assert "1.500" in html(found, runs=[run]) and "100 MB" in html(found, runs=[run])


@pytest.mark.browser
def test_the_page_asks_the_network_for_nothing(found: dict[str, Any], tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium; apt-get install --no-install-recommends chromium")
    from playwright.sync_api import sync_playwright

    (tmp_path / "report.html").write_text(html(found))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 800}, color_scheme="dark")
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto((tmp_path / "report.html").as_uri())
        assert asked == [(tmp_path / "report.html").as_uri()]
        assert said == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360  # readable on a telephone
        browser.close()


def test_spans_are_masked_even_where_they_overlap() -> None:
    spans = [
        {"start": 3, "end": 6, "kind": "B"},
        {"start": 0, "end": 4, "kind": "A"},
        {"start": 8, "end": 9, "kind": "C"},
    ]
    assert mask("abcdefghij", spans) == "<A>gh<C>j"
    assert mask("héllo", [{"start": 1, "end": 2, "kind": "X"}]) == "h<X>llo"


def test_samples_are_cut_by_characters_and_lines() -> None:
    assert cut("short") == "short"
    assert cut("x" * 500) == "x" * 400 + "…"
    assert cut("a\n" * 20) == "\n".join("a" * 8) + "…"


@given(st.lists(st.integers(0, 10**6)))
def test_a_histogram_holds_every_value_once(values: list[int]) -> None:
    histogram = Histogram()
    histogram.add(pa.array(values, pa.int64()))
    document = histogram.document()
    assert sum(b["rows"] for b in document["bins"]) == document["rows"] == len(values)
    assert document["total"] == sum(values)
    for b in document["bins"]:
        assert b["rows"] == sum(b["from"] <= v < b["below"] for v in values)


def test_clusters_of_a_table_without_any(tmp_path: Path) -> None:
    alone = pa.table({"id": ["0" * 32], "cluster": ["0" * 32], "duplicate": pa.array([None], pa.string())})
    assert cluster_sizes([write(tmp_path, "twins", alone)]) == {
        "clusters": 0, "rows": 0, "largest": 0, "kinds": {}, "sizes": []}  # fmt: skip


def test_bars_sum_what_does_not_fit() -> None:
    chart = charts.bars("T", ("a", "b"), [(f"r{n}", 1) for n in range(25)], most=20)
    assert "5 others" in chart.svg and len(chart.rows) == 25


def test_numbers_are_written_for_people() -> None:
    assert [charts.short(n) for n in (999, 1234, 12345, 1_234_567, 2 * 10**9)] == ["999", "1.2k", "12k", "1.2M", "2.0G"]
    assert [charts.percent(s) for s in (0.0, 0.0001, 0.1234, 1.0)] == ["0.0 %", "< 0.1 %", "12.3 %", "100.0 %"]
    assert [charts.size(n) for n in (12, 1234, 5_600_000)] == ["12 B", "1.2 kB", "5.6 MB"]
