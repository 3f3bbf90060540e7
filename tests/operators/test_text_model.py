"""A model of text quality from labels: it learns, its score is one number everywhere, its files are plain arrays."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dataforge.errors import ConfigError, InputError, SchemaError, VersionError
from dataforge.operators import text_model
from dataforge.operators.text_model import ModelFile, ModelScores, features, open_model
from dataforge.operators.text_model_train import auc, evaluate, figures, score_label, train

GOOD = ["the river", "a quiet harbour", "bread from the oven", "letters of the miller", "rain over the hills"]
BAD = ["click here", "buy now cheap", "free casino bonus", "win big prizes", "limited offer sale"]


def labelled(path: Path, label="label", values=("good", "bad")) -> Path:
    """40 different texts of each label, of two topics each."""
    rows = []
    for words, value in zip((GOOD, BAD), values, strict=True):
        rows += [{"text": f"{words[i % 5]} {words[(i // 5 + i + 1) % 5]} {i}", label: value} for i in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    train([labelled(folder / "rows.jsonl")], folder / "model")
    return folder / "model"


def test_it_learns_and_says_how_well(model: Path, tmp_path: Path):
    document = evaluate(model, [labelled(tmp_path / "rows.jsonl")])
    assert document["rows"] == 80 and document["label"] == "good"
    assert document["auc"] == 1.0 and document["accuracy"] == 1.0
    assert document["thresholds"][4] == {"min_score": 0.5, "kept": 0.5, "precision": 1.0, "recall": 1.0}
    shares = open_model(model).probabilities(pa.array(["a quiet river of bread", "win a free casino", ""]))
    assert shares[0, 1] > 0.8 and shares[1, 1] < 0.2  # labels in order: bad, good
    assert np.allclose(shares.sum(axis=1), 1)


def test_equal_files_give_equal_models(model: Path, tmp_path: Path):
    again = train([labelled(tmp_path / "rows.jsonl")], tmp_path / "model")
    assert (tmp_path / "model" / "model.json").read_bytes() == (model / "model.json").read_bytes()
    assert (tmp_path / "model" / "weights.npz").read_bytes() == (model / "weights.npz").read_bytes()
    assert again["rows"] == {"bad": 40, "good": 40} and "river" not in json.dumps(again)


def test_scores_are_a_column_and_do_not_depend_on_the_batch(model: Path):
    files = (ModelFile.of("quality", model), ModelFile.of("spam", model, "bad"))
    operator = ModelScores(files)
    batch = pa.RecordBatch.from_pydict({"id": ["1", "2", "3"], "text": ["the river", "", "buy now " * 9000]})
    run = operator.start(())
    whole = run(batch).kept
    parts = [run(batch.slice(i, 1)).kept for i in range(3)]
    assert whole.schema == operator.gives(()) == parts[0].schema
    assert pa.Table.from_batches(parts).to_pydict() == whole.to_pydict()
    assert np.add(whole["model_quality"], whole["model_spam"]).tolist() == [1.0] * 3


def test_features_are_words_pairs_and_characters_each_group_of_length_one():
    matrix = features(pa.array(["a b a b", "", None]))
    assert np.diff(matrix.starts).tolist() == [1 + 2 + 2 + 4, 1, 1]
    assert matrix.index[matrix.starts[1]] == text_model.BIAS
    assert sorted(matrix.value[:9].tolist()) == [2048] * 4 + [2896] * 4 + [4096]


def test_labels_may_be_numbers_or_truth_values(tmp_path: Path):
    about = train([labelled(tmp_path / "a.jsonl", "keep", (True, False))], tmp_path / "m", label="keep")
    assert about["labels"] == ["false", "true"] and about["score"] == "true"
    about = train([labelled(tmp_path / "b.jsonl", "stars", (5, 1))], tmp_path / "n", label="stars", score="5")
    assert about["labels"] == ["1", "5"] and about["score"] == "5"


def test_the_label_of_the_score_is_never_guessed():
    assert score_label(("bad", "good"), "") == "good"
    assert score_label(("bad", "good"), "bad") == "bad"
    for labels, wanted in ((("a", "b"), ""), (("good", "high"), ""), (("a", "b"), "c")):
        with pytest.raises(ConfigError):
            score_label(labels, wanted)


def test_auc_counts_ties_half():
    assert auc(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, False, True, True])) == 0.875
    assert auc(np.array([0.1]), np.array([True])) is None


def test_thresholds_say_what_stays():
    shares = np.array([[0.95, 0.05], [0.45, 0.55], [0.2, 0.8]])
    document = figures(shares, np.array([0, 0, 1]), ("bad", "good"), "good")
    assert document["thresholds"][4] == {"min_score": 0.5, "kept": pytest.approx(2 / 3), "precision": 0.5, "recall": 1.0}
    assert document["thresholds"][8]["precision"] is None and document["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("line", "error"),
    [("{}", SchemaError), ('{"text": "a"}', SchemaError), ('{"text": "a", "label": 0.5}', SchemaError), ("no", InputError)],
)
def test_rows_that_cannot_be_read_name_their_line(tmp_path: Path, line: str, error: type[Exception]):
    (tmp_path / "a.jsonl").write_text('{"text": "private words", "label": "good"}\n' + line + "\n")
    with pytest.raises(error) as caught:
        train([tmp_path / "a.jsonl"], tmp_path / "m")
    assert "private" not in str(caught.value)


def test_a_model_that_is_none_is_refused(model: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="no text model"):
        ModelFile.of("a", tmp_path)
    with pytest.raises(ConfigError, match="no label"):
        ModelFile.of("a", model, "ugly")
    (tmp_path / "model.json").write_text('{"format": 1}')
    with pytest.raises(VersionError, match="format 1"):
        open_model(tmp_path)
    few = tmp_path / "few.jsonl"
    few.write_text('{"text": "a", "label": "good"}\n{"text": "b", "label": "bad"}\n')
    with pytest.raises(InputError, match="too few"):
        train([few], tmp_path / "m")
