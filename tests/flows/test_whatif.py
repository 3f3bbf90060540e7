"""What-if answers as a run with those thresholds would: same rows, same tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dataforge import Store
from dataforge.errors import ConfigError
from dataforge.flows.cli import main
from dataforge.flows.whatif import settings, whatif_text
from tests.flows.demo import small_config

TEXT = "the mill of the town and the bridge that have to be kept with care by those who live near it since"
WORDS = TEXT.split()


def text_of(count: int, start: int = 0) -> str:
    """`count` words, none of them thrice in a row."""
    return " ".join(f"{WORDS[(start + i * 7) % len(WORDS)]}{chr(97 + (i * i + start) % 26)}" for i in range(count))


def rows() -> list[bytes]:
    """Lengths of 20 to 110 words, a copy, a near copy that is longer, a mail address, Japanese."""
    texts = {f"n{n}": text_of(n, n) for n in range(20, 120, 10)}
    texts |= {"copy": texts["n60"], "longer": texts["n70"] + " once more", "mail": text_of(55, 5) + " ada@mill.example"}
    return [json.dumps({"id": key, "text": text}).encode() for key, text in texts.items()]


def config_with(folder: Path, min_words: int) -> Path:
    quality = f"{{preset: gopher_quality, min_words: {min_words}, min_stop_words: 0, max_mean_word: null}}"
    return small_config(folder, rows(), quality=quality, pii="{action: drop}")


def run(config: Path) -> Path:
    assert main(["run", str(config), "--direct", "--workers", "1", "-q"]) == 0
    return config


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(config_with(tmp_path_factory.mktemp("whatif"), 50))


def answer(config: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["whatif", str(config), "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_keeps_what_a_run_with_that_threshold_keeps(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = answer(done, capsys, "--set", "quality.min_words=30..90:10")
    by_value = {row["set"]["quality.min_words"]: row for row in document["settings"]}
    for value in (50, 72):
        asked = answer(done, capsys, "--set", f"quality.min_words={value}")["settings"][0]
        tables = {t.step: t for t in Store(run(config_with(tmp_path / str(value), value)).parent / "store").tables()}
        selected = tables["corpus/selected"].to_table()
        assert asked["documents"] == len(selected)
        assert asked["text_bytes"] == sum(len(text.encode()) for text in selected["text"].to_pylist())
        dropped = {("duplicate" if "duplicate" in k else k): v for k, v in asked["dropped"].items()}
        in_run = tables["corpus/selected"].account.dropped
        merged = in_run.get("exact_duplicate", 0) + in_run.get("near_duplicate", 0)
        assert dropped.get("duplicate", 0) == merged and dropped["too_few_words"] == in_run["too_few_words"]
    assert by_value[50] | {"set": 0} == document["now"] | {"set": 0}
    assert document["keys"] == {"quality.min_words": {"now": 50.0, "values": [30, 40, 50, 60, 70, 80, 90]}}


def test_tokens_are_those_of_the_encoded_rows_and_say_what_is_estimated(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = answer(done, capsys, "--set", "quality.min_words=10,50,100")
    tables = {t.step: t for t in Store(done.parent / "store").tables()}
    lengths = tables["corpus/encoded"].to_table(["length"])["length"].to_pylist()
    assert document["settings"][1]["tokens"] == sum(lengths)
    assert document["tokens"]["measured_on_documents"] == len(lengths)
    assert document["tokens"]["documents_never_encoded"] == len(rows()) - len(lengths)
    fewer, _, more = (row["tokens"] for row in document["settings"][::-1])
    assert fewer < sum(lengths) < more


def test_several_thresholds_are_combined(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(done, capsys, "--set", "quality.min_words=30,50", "--set", "quality.max_words=60,90")
    sets = [(row["set"]["quality.min_words"], row["set"]["quality.max_words"]) for row in document["settings"]]
    assert sets == [(30, 60), (30, 90), (50, 60), (50, 90)]
    kept = [row["documents"] for row in document["settings"]]
    assert kept[0] < kept[1] and kept[2] < kept[3] < kept[1]


def test_it_is_drawn(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--set", "quality.min_words=30..90", "--set", "quality.max_words=60,90"]
    for name in ("a.svg", "b.html"):
        answer(done, capsys, *arguments, "--plot", str(tmp_path / name))
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4 and all(len(line.attrib["points"].split()) == 21 for line in lines)
    page = (tmp_path / "b.html").read_text()
    assert "<polyline" in page and page.count("<tr>") == 43
    assert main(["whatif", str(done), *arguments, "--plot", str(tmp_path / "c.png")]) == 2


def test_the_terminal_shows_bars(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["whatif", str(done), "--set", "quality.min_words=50,100"]) == 0
    first, _, now, high, how = capsys.readouterr().out.rstrip().split("\n")
    assert first.startswith("quality.min_words is 50: ") and now.endswith("← now")
    assert now.count("█") == 30 > high.count("█") > 0 and how.startswith("tokens as encoded in ")


@pytest.mark.parametrize(
    ("text", "values"),
    [("k=1..3", [1, 2, 3]), ("k=0..1:0.25", [0, 0.25, 0.5, 0.75, 1]), ("k=5", [5]), ("k=0..1", [n / 20 for n in range(21)])],
)
def test_settings_are_lists_and_ranges(text: str, values: list[float]) -> None:
    assert settings(text) == ("k", values)


@pytest.mark.parametrize("text", ["k", "k=", "k=a", "k=1..2:0", "k=0..1:0.0001", "k=nan", "k=inf", "k=0..nan", "k=0..1:nan"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        settings(text)


def test_a_range_that_runs_backwards_is_said_to() -> None:
    with pytest.raises(ConfigError, match="runs backwards") as raised:
        settings("k=3..1")
    assert raised.value.hint == "k=1..3"


@pytest.mark.parametrize(
    ("alike", "lines"),
    [(2, "1 2 3"), (3, "1 2 3 4"), (4, "1 2 3 4 5"), (5, "1 2 ⋮ 5 6"), (6, "1 2 ⋮ 6 7")],
    ids=lambda value: str(value).split(" ")[0],
)
def test_two_settings_or_more_that_keep_the_same_are_one_line(alike: int, lines: str) -> None:
    rows = [*((value, 9) for value in range(1, alike + 1)), (alike + 1, 2)]
    document = {
        "keys": {"k": {"now": 2.0, "values": [float(value) for value, _ in rows]}},
        "now": {"documents": 9, "tokens": 9},
        "settings": [{"set": {"k": float(value)}, "documents": kept, "tokens": kept} for value, kept in rows],
        "tokens": {"measured_on_documents": 0, "bytes_a_token": 4},
    }
    shown = [line.split() for line in whatif_text(document).split("\n")[2:-1]]
    assert [words[0] for words in shown] == lines.split()
    assert [words[1] for words in shown if words[0] == "⋮"] == [str(alike - 3)] * ("⋮" in lines)


def test_stars_and_protected_sources_are_answered_as_a_run_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """b is like a and like c, which are not like each other; d is a's copy in a protected source."""
    draw = [f"{WORDS[i * 7 % len(WORDS)]}{i}" for i in range(60)]
    texts = {"a": [*draw[6:], "and", "more"], "b": draw, "c": [*draw[:-6], "or", "less"]}
    lines = [json.dumps({"id": key, "text": " ".join(words)}).encode() for key, words in texts.items()]
    (tmp_path / "ours.jsonl").write_text(json.dumps({"id": "d", "text": " ".join(texts["a"])}) + "\n")
    ours = "{name: ours, kind: jsonl, path: ours.jsonl, key: id}"
    sources = f"[{{name: s, kind: jsonl, path: in.jsonl, key: id}}, {ours}]"
    kept = {}
    for clusters in ("connected", "star"):
        dedupe = f"{{clusters: {clusters}, protected: [ours]}}"
        quality = "{preset: gopher_quality, min_words: 10, min_stop_words: 0, max_mean_word: null}"
        config = small_config(tmp_path, lines, sources=sources, dedupe=dedupe, quality=quality)
        run(config)
        told = answer(config, capsys, "--set", "quality.min_words=10,57")
        selected = Store(tmp_path / "store").tables()
        rows = [table.rows for table in selected if table.step == "corpus/selected"]
        kept[clusters] = [told["now"]["documents"], *(row["documents"] for row in told["settings"])]
        assert kept[clusters][0] in rows
    assert kept == {"connected": [1, 1, 1], "star": [2, 2, 1]}


ALIKE = {f"a{n}": text_of(100, 3) + " " + text_of(n, 9) for n in (2, 6, 12)}  # Jaccard of neighbours .95 to .88
APART = {f"b{n}": text_of(90 + n, 1) for n in (0, 30)}


def near_config(folder: Path, threshold: float, clusters: str) -> Path:
    lines = [json.dumps({"id": key, "text": text}).encode() for key, text in {**ALIKE, **APART}.items()]
    dedupe = f"{{threshold: {threshold}, clusters: {clusters}, bands: [40, 3]}}"
    return small_config(folder, lines, dedupe=dedupe)


@pytest.mark.parametrize("clusters", ["connected", "star"])
def test_a_higher_threshold_of_near_duplicates_is_answered_from_stored_similarities(
    clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low = run(near_config(tmp_path / "low", 0.7, clusters))
    document = answer(low, capsys, "--set", "dedupe.threshold=0.7,0.9,0.94,1")
    asked = {row["set"]["dedupe.threshold"]: row["documents"] for row in document["settings"]}
    for threshold in (0.9, 0.94):
        done = run(near_config(tmp_path / str(threshold), threshold, clusters))
        tables = {t.step: t for t in Store(done.parent / "store").tables()}
        assert asked[threshold] == len(tables["corpus/selected"].to_table())
    assert asked[0.7] == document["now"]["documents"] < asked[0.94] <= asked[1.0] == 5


def test_a_lower_threshold_is_refused_with_the_way_out(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whatif", str(done), "--set", "dedupe.threshold=0.5..0.9"]) == 2
    assert "not stored" in (text := capsys.readouterr().err) and "from 0.8 to 1" in text
    assert main(["whatif", str(done), "--set", "dedupe.threshold=2"]) == 2
    assert "at most 1" in capsys.readouterr().err
