"""HTML extraction: text of a page, boilerplate lines off, limits that cost one page, evaluation by gold strings."""

import gzip
import json

import pytest
from lxml import html

from dataforge.errors import ConfigError, InputError
from dataforge.flows.config import load_config
from dataforge.flows.sources import operator_of
from dataforge.operators.extract import Extraction, evaluate, extract_text
from dataforge.operators.extract_boxes import drop_boxes
from dataforge.operators.extract_lines import drop_boilerplate, is_boilerplate
from dataforge.operators.extract_process import Extractor
from dataforge.operators.files_rows import RowFault
from tests.flows.demo import small_config
from tests.operators.test_files_warc import HTML, PROSE, http, record

SLOW = "<html><body><article>" + "<span><b>x</b> y</span>" * 100_000 + "</article></body></html>"
LARGE = "<html><body>" + ("<p>" + "some words of prose, " * 20 + "</p>") * 25_000 + "</body></html>"


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_the_article_is_found(extractor):
    assert PROSE.strip() in extract_text(HTML.decode(), extractor, Extraction())
    assert "Menu" not in extract_text(HTML.decode(), extractor, Extraction())
    assert extract_text("  ", extractor, Extraction()).strip() == ""


@pytest.mark.parametrize(
    "line",
    [
        "Accept all cookies",
        "Read more »",
        "  Auch interessant:",
        "À lire aussi",
        "This website uses cookies to give you the best experience.",
        "Wir verwenden Cookies, um Inhalte zu zeigen.",
        "© 2019 The Example Company. All rights reserved.",
        "Letzte Änderung: 14.02.2019",
        "Updated 2019-02-14 10:22",
    ],
)
def test_lines_of_the_site_are_boilerplate(line):
    assert is_boilerplate(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "He asked us to accept all cookies from the jar.",
        "The menu was long, the search short.",
        "14.02.2019",
        "Cookies are small files that a site stores.",
        "We use cookies in this recipe " + "and sugar and butter and flour " * 10,
        "Updated rules apply.",
        "Copyright law changed in 1976 and again in 1998, " + "as the chapter shows at length, " * 4,
    ],
)
def test_prose_is_not(line):
    assert not is_boilerplate(line)


def test_other_lines_stay_as_they_are():
    assert drop_boilerplate("Share\n\nOne.\n\nRead more\nTwo.\n") == "One.\n\nTwo."
    assert drop_boilerplate("\nOne.\n") == "\nOne.\n"


def test_a_page_over_a_limit_costs_only_itself():
    page = HTML.decode()
    with Extractor("trafilatura", Extraction(cpu_s=1)) as extractor:
        with pytest.raises(RowFault, match="WORKER: timeout: extraction takes over 1 s"):
            extractor.text(SLOW)
        assert extractor.text(page) == PROSE.strip()


def test_a_page_that_swells_costs_only_itself():
    with Extractor("trafilatura", Extraction(memory_mib=512)) as extractor:
        with pytest.raises(RowFault, match=r"WORKER: (memory|extraction crashed)"):
            extractor.text(LARGE)
        assert extractor.text(HTML.decode()) == PROSE.strip()


def test_settings_are_checked():
    for wrong in ({"focus": "best"}, {"cpu_s": 0}, {"memory_mib": 1}):
        with pytest.raises(ConfigError):
            Extraction(**wrong)


def test_evaluation_counts_gold_strings(tmp_path):
    pages = [record(http(HTML, "Content-Type: text/html"), uri=f"http://e.org/{n}") for n in (1, 2)]
    (tmp_path / "p.warc.gz").write_bytes(b"".join(map(gzip.compress, pages)))
    gold = [
        {"url": "http://e.org/1", "must_contain": ["harbour", "absent"], "must_not_contain": ["Menu", "ships"]},
        {"url": "http://e.org/none", "must_contain": ["x"], "must_not_contain": ["y"]},
    ]
    (tmp_path / "gold.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, gold)).encode()))
    assert evaluate(str(tmp_path / "p.warc.gz"), str(tmp_path / "gold.jsonl.gz")) == {
        "schema": 1,
        "precision": 0.5,
        "recall": 0.333333,
        "f1": 0.4,
        "pages": 2,
    }
    beside = evaluate(str(tmp_path / "p.warc.gz"), str(tmp_path / "gold.jsonl.gz"), library=True)
    assert beside["f1"] == 0.4 and beside["library"] == {"precision": 0.5, "recall": 0.333333, "f1": 0.4}
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="no labelled rows"):
        evaluate(str(tmp_path / "p.warc.gz"), str(tmp_path / "empty.jsonl"))
    (tmp_path / "bad.jsonl").write_text('{"url": 1}\n')
    with pytest.raises(InputError, match="expected url"):
        evaluate(str(tmp_path / "p.warc.gz"), str(tmp_path / "bad.jsonl"))


def test_boxes_of_the_site_go_unless_they_are_the_page():
    box = '<div class="author-bio"><p>The author lives by the sea.</p></div>'
    page = html.fromstring(f"<body><p>{PROSE}</p>{box} tail <p>{PROSE}</p></body>")
    drop_boxes(page)
    assert page.text_content() == f"{PROSE} tail {PROSE}"
    whole = html.fromstring(f'<body><div id="cookie-recipes"><p>{PROSE}</p></div></body>')
    drop_boxes(whole)
    assert whole.text_content() == PROSE


def test_the_limits_of_a_page_come_from_the_source(tmp_path):
    (tmp_path / "x.warc").write_bytes(b"")
    limits = "{name: web, kind: warc, path: x.warc, page_seconds: 3, page_memory_mib: 900, boilerplate: false}"
    config = load_config(small_config(tmp_path, [], sources=f"[{limits}]"))
    made = operator_of(config.sources[0], config)
    assert made.extraction == Extraction(boilerplate=False, cpu_s=3, memory_mib=900)
