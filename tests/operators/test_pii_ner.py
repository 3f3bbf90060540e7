"""Names by a model of the user: the way through spaCy and Presidio, with a tiny pipeline made here, nothing downloaded."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dataforge.errors import ConfigError
from dataforge.operators.pii import FindPii
from dataforge.operators.pii_names import OVERLAP, PIECE

spacy = pytest.importorskip("spacy", reason="pip install dataforge[ner]")

PEOPLE = [
    {"label": "PERSON", "pattern": "Ada Berg"},
    {"label": "ORG", "pattern": "Mill & Sons"},
    {"label": "GPE", "pattern": "Lund"},
    {"label": "DATE", "pattern": "Monday"},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A blank English pipeline whose only part knows four names."""
    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns(PEOPLE)
    folder = tmp_path_factory.mktemp("ner") / "model"
    pipeline.to_disk(folder)
    return folder


def found(operator: FindPii, *texts: str) -> list[list[tuple[str, str]]]:
    batch = pa.record_batch({"id": [str(i) for i in range(len(texts))], "text": pa.array(texts, pa.string())})
    rows = operator.start(())(batch).kept.column("spans").to_pylist()
    return [[(text[s["start"] : s["end"]], s["kind"]) for s in spans] for text, spans in zip(texts, rows, strict=True)]


def test_a_spacy_pipeline_finds_names_beside_the_structured_kinds(model: Path) -> None:
    text = "Ada Berg of Mill & Sons, Lund, wrote to ada@mill.example on Monday. Ünïcode Ada Berg"
    kinds = [("Ada Berg", "PERSON"), ("Mill & Sons", "ORGANIZATION"), ("Lund", "LOCATION")]
    expected = [*kinds, ("ada@mill.example", "EMAIL_ADDRESS"), ("Ada Berg", "PERSON")]
    assert found(FindPii(ner=f"spacy:{model}"), text, "", "nobody here") == [expected, [], []]


def test_kinds_of_names_may_be_chosen(model: Path) -> None:
    assert found(FindPii(kinds=("PERSON",), ner=f"spacy:{model}"), "Ada Berg, Lund, a@b.org") == [[("Ada Berg", "PERSON")]]


def test_names_at_the_edges_of_pieces_are_found_once(model: Path) -> None:
    places = [PIECE - OVERLAP - 4, PIECE - 4, 2 * (PIECE - OVERLAP) - 4]
    text = " " * (3 * PIECE)
    for at in places:
        text = f"{text[:at]}Ada Berg{text[at + 8 :]}"
    operator = FindPii(kinds=("PERSON",), ner=f"spacy:{model}")
    batch = pa.record_batch({"id": ["1"], "text": [text]})
    spans = operator.start(())(batch).kept.column("spans").to_pylist()[0]
    assert [s["start"] for s in spans] == places


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no spaCy model"):
        FindPii(ner=f"spacy:{tmp_path / 'none'}").start(())


def test_presidio_is_given_the_pipeline_of_the_user(model: Path) -> None:
    pytest.importorskip("presidio_analyzer", reason="pip install dataforge[ner]")
    text = "Ada Berg moved to Lund. ada@mill.example"
    expected = [("Ada Berg", "PERSON"), ("Lund", "LOCATION"), ("ada@mill.example", "EMAIL_ADDRESS")]
    assert found(FindPii(ner=f"presidio:en:{model}"), text) == [expected]


def test_presidio_never_downloads_a_model() -> None:
    pytest.importorskip("presidio_analyzer", reason="pip install dataforge[ner]")
    with pytest.raises(ConfigError, match="xx_core_web_lg is not installed"):
        FindPii(ner="presidio:xx").start(())
