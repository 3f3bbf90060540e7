"""Reading labelled rows, training a small model, and the document of `acts evaluate`."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dataforge.errors import ConfigError, InputError, SchemaError, VersionError
from dataforge.operators import acts_corpus, acts_lexicon, acts_model
from dataforge.operators.acts import TagActs
from dataforge.operators.acts_evaluate import calibration, evaluate, report
from dataforge.operators.acts_train import Fit, forgetful, row_weights, train
from dataforge.schemas.act import ACTS

ROWS = [
    {"text": "Thanks a lot!", "class7": "expressives"},
    {"text": "Where is it?", "class7": "questions"},
    {"text": "mm-hmm", "class7": None},
    {"text": "Send it now, please.", "class7": "directives"},
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("act_model")
    corpus = write(folder / "toy.jsonl", ROWS * 5)
    train([corpus], folder / "model", licence="CC0", fit=Fit(epochs=1))
    return folder / "model"


def test_evaluate_gives_the_document(tmp_path: Path) -> None:
    document = evaluate(write(tmp_path / "rows.jsonl.gz", ROWS), model="none")
    assert document["schema"] == 1
    assert document["rows"] == 4
    assert document["macro_f1"] == 1.0
    assert document["classes"]["other"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "n": 1}
    assert document["confusion"]["labels"] == list(ACTS)
    assert sum(bin["n"] for bin in document["calibration"]["bins"]) == 4
    json.dumps(document)


def test_macro_f1_is_the_mean_over_the_classes_present() -> None:
    document = report(np.array([0, 0, 5]), np.array([0, 6, 5]))
    assert document["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert document["classes"]["representatives"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 0}
    assert document["confusion"]["rows"][0] == [1, 0, 0, 0, 0, 0, 1, 0]


def test_calibration_of_a_tagger_that_is_always_sure() -> None:
    scores = np.eye(8)[[0, 0]]
    assert calibration(np.array([0, 1]), scores)["ece"] == 0.5


def test_turns_give_neighbours() -> None:
    rows = [
        {"source": "s", "text": "b", "class": 0, "dialog": "d", "turn": 2, "speaker": "Y"},
        {"source": "s", "text": "a", "class": 0, "dialog": "d", "turn": 1, "speaker": "X"},
        {"source": "s", "text": "alone", "class": 0, "dialog": "-", "turn": 3, "speaker": "X"},
    ]
    around = acts_corpus.neighbours(rows)
    assert around.before.to_pylist() == ["a", None, None]
    assert around.after.to_pylist() == [None, "b", None]
    assert around.before_same.tolist() == [0, -1, -1]


def test_turns_counted_per_speaker_give_the_speakers_own_neighbours() -> None:
    rows = [
        {"source": "s", "text": f"{speaker}{turn}", "class": 0, "dialog": "d", "turn": turn, "speaker": speaker}
        for speaker in "AB"
        for turn in (0, 1)
    ]
    around = acts_corpus.neighbours(rows)
    assert around.before.to_pylist() == [None, "A0", None, "B0"]
    assert around.before_same.tolist() == [-1, 1, -1, 1]


def test_utterances_of_one_turn_follow_each_other_as_in_the_file() -> None:
    spoken = [("X", 1, "a"), ("X", 1, "b"), ("Y", 2, "c")]
    rows = [
        {"source": "s", "text": text, "class": 0, "dialog": "d", "turn": turn, "speaker": speaker}
        for speaker, turn, text in spoken
    ]
    around = acts_corpus.neighbours(rows)
    assert around.before.to_pylist() == [None, "a", "b"]
    assert around.before_same.tolist() == [-1, 1, 0]


def test_wrong_rows_are_named_by_line_without_their_text(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [ROWS[0], {"text": "secret words", "class7": "orders"}])
    with pytest.raises(SchemaError, match="line=2") as caught:
        evaluate(path, model="none")
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        evaluate(tmp_path / "missing.jsonl")


def test_labels_may_be_singular(tmp_path: Path) -> None:
    data = acts_corpus.read([write(tmp_path / "rows.jsonl", [{"text": "Hi", "label": "expressive"}])])
    assert data.classes.tolist() == [0]


def test_a_model_is_plain_arrays_with_its_data_and_licences(model: Path) -> None:
    about = json.loads((model / "model.json").read_text())
    licences = {corpus["source"]: corpus["licence"] for corpus in about["corpora"]}
    assert licences == {"examples": "licence of dataforge", "toy": "CC0"}
    assert len(about["data"][0]["sha256"]) == 64
    with np.load(model / "weights.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.kind for name in arrays} == {"rows": "i", "values": "i"}


def test_training_twice_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    corpus = write(tmp_path / "toy.jsonl", ROWS * 5)
    train([corpus], tmp_path / "model", licence="CC0", fit=Fit(epochs=1))
    for name in ("weights.npz", "model.json"):
        assert (tmp_path / "model" / name).read_bytes() == (model / name).read_bytes()


def test_the_model_tags_and_enters_the_identity(model: Path) -> None:
    operator = TagActs(model=str(model))
    base = pa.RecordBatch.from_pydict({"id": ["a", "b"], "text": ["Thanks a lot!", "Where is it?"]})
    rows = operator.start([])(base).kept.to_pylist()
    assert [(row["act"], row["act_by"]) for row in rows] == [("expressives", "model"), ("questions", "model")]
    assert all(sum(row["act_scores"]) == 1.0 for row in rows)
    assert operator.digest != TagActs(model="none").digest


def test_a_model_of_another_lexicon_or_none_at_all_is_refused(model: Path, tmp_path: Path) -> None:
    about = json.loads((model / "model.json").read_text()) | {"lexicon": "0" * 64}
    (tmp_path / "weights.npz").write_bytes((model / "weights.npz").read_bytes())
    (tmp_path / "model.json").write_text(json.dumps(about))
    with pytest.raises(VersionError, match="another lexicon"):
        acts_model.open_tagger(acts_lexicon.FOLDER, str(tmp_path))
    with pytest.raises(ConfigError, match="no act model"):
        TagActs(model=str(tmp_path / "nowhere"))


def test_zstandard_files_are_read(tmp_path: Path) -> None:
    import zstandard

    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    assert evaluate(path, model="none")["rows"] == 4


def test_the_shipped_model_was_taught_by_the_utterances_that_are_there() -> None:
    """Whoever changes an utterance or the lexicon runs `dataforge acts train --out configs/acts/model --force`."""
    about = json.loads((acts_model.SHIPPED / "model.json").read_text())
    present = [acts_lexicon.FOLDER / "examples.yaml", *acts_corpus.invented(acts_lexicon.FOLDER)]
    assert about["data"] == [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in present
    ]
    assert about["lexicon"] == acts_lexicon.digest()
    assert [corpus["licence"] for corpus in about["corpora"]] == ["licence of dataforge"]


def test_invented_utterances_have_an_act_a_register_and_what_was_said_before(tmp_path: Path) -> None:
    (tmp_path / "examples.yaml").write_text('questions:\n  - ["Where?"]\n')
    (tmp_path / "invented").mkdir()
    (tmp_path / "invented" / "chat.txt").write_text("# other\nhm\n# commissives\ncan you look => on it\n")
    found = acts_corpus.examples(tmp_path)
    rows = [(row["register"], ACTS[row["class"]], row["text"], row.get("prev_text")) for row in found]
    assert rows == [
        ("examples", "questions", "Where?", None),
        ("chat", "other", "hm", None),
        ("chat", "commissives", "on it", "can you look"),
    ]
    (tmp_path / "invented" / "chat.txt").write_text("hm\n")
    with pytest.raises(SchemaError, match="before the first act"):
        acts_corpus.examples(tmp_path)


def test_no_utterance_is_invented_twice_with_two_acts() -> None:
    acts: dict[tuple[str, str], set[int]] = {}
    for row in acts_corpus.examples(acts_lexicon.FOLDER):
        acts.setdefault((row.get("prev_text", ""), row["text"].lower()), set()).add(row["class"])
    assert {key: found for key, found in acts.items() if len(found) > 1} == {}


def test_rare_classes_of_a_corpus_and_small_corpora_weigh_more() -> None:
    rows = [{"source": "a", "text": "x", "class": 6}] * 96 + [{"source": "a", "text": "y", "class": 5}] * 4
    weights = row_weights(acts_corpus.utterances([*rows, {"source": "b", "text": "z", "class": 0}]), Fit(corpus=4.0))
    assert weights[:100].sum() == pytest.approx(40.0)  # 4 times the root of 100
    assert weights[99] / weights[0] == pytest.approx((96 / 4) ** 0.5)
    assert weights[100] == pytest.approx(4.0)


def test_a_forgetful_reader_lacks_a_share_of_the_phrases_but_none_that_steer() -> None:
    tagger = acts_model.open_tagger(model="none")
    hidden = forgetful(tagger, 0.5, seed=1)
    before, after = tagger.table.slots[:, 1], hidden.table.slots[:, 1]
    assert 0.45 < (after > 0).sum() / (before > 0).sum() < 0.55 and set(after[after != before]) == {0}
    lost = [tagger.table.entries[first : first + count, 1] for first, count in tagger.table.slots[after != before]]
    assert min(cue for cues in lost for cue in cues) >= len(acts_lexicon.STEERING)
    assert (forgetful(tagger, 0.5, seed=1).table.slots == hidden.table.slots).all()


def test_the_command_writes_no_model_over_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dataforge.flows.cli import main

    corpus, out = write(tmp_path / "toy.jsonl", ROWS * 5), tmp_path / "model"
    out.mkdir()
    (out / "model.json").write_text("{}")
    assert main(["acts", "train", str(corpus), "--out", str(out)]) != 0
    assert "--force" in capsys.readouterr().err
    assert (out / "model.json").read_text() == "{}"
    assert main(["acts", "train", str(corpus), "--out", str(out), "--force"]) == 0
    assert "toy 20" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["model.json", "weights.npz"]
