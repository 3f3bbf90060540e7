"""Training a tokenizer: the sample is a law, the files load everywhere, and nothing private is in the vocabulary."""

import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError, GateError, InputError
from dataforge.operators.instruct_render import TEMPLATES, render
from dataforge.operators.tokenizer_files import chat_template, private_tokens, refuse_private
from dataforge.operators.tokenizer_train import KINDS, TrainTokenizer

os.environ["HF_HUB_OFFLINE"] = "1"
WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "while", "rain", "falls", "on", "green")


def story(seed: int, words: int = 60) -> str:
    rng = random.Random(seed)
    return "\n".join(" ".join(rng.choices(WORDS, k=8)).capitalize() + "." for _ in range(words // 8)) + " Größe 中文"


def rows(count: int = 60) -> pa.RecordBatch:
    ids = [f"{i * 7919:032x}" for i in range(count)]
    return pa.record_batch({"id": pa.array(ids), "text": pa.array([story(i) for i in range(count)])})


def trained(operator: TrainTokenizer, batches: list[pa.RecordBatch], out: Path) -> Path:
    states = [operator.observe(0, batch) for batch in batches]
    state = states[0]
    for other in states[1:]:
        state = operator.merge(state, other)
    operator.finish(state, out)
    return out


small = st.lists(st.tuples(st.integers(0, 40), st.text(max_size=6)), max_size=8, unique_by=lambda row: row[0])


@settings(max_examples=60)
@given(small, small, small)
def test_merge_is_associative_and_commutative(a, b, c):
    operator = TrainTokenizer(sample_bytes=9)
    x, y, z = (
        operator.observe(
            0,
            pa.record_batch(
                {
                    "id": pa.array([f"{k}{i}" for i, _ in part], pa.string()),
                    "text": pa.array([t for _, t in part], pa.string()),
                }
            ),
        )
        for k, part in zip("abc", (a, b, c), strict=True)
    )
    left = operator.merge(operator.merge(x, y), z)
    assert left.equals(operator.merge(x, operator.merge(z, y)))


def test_the_sample_holds_the_budget_and_one_row_more_at_most():
    operator = TrainTokenizer(sample_bytes=1000)
    state = operator.observe(0, rows())
    sizes = [len(text.encode()) for text in state["text"].to_pylist()]
    assert sum(sizes) >= 1000 > sum(sizes[:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_in_any_batches_give_the_same_files(kind, tmp_path):
    operator = TrainTokenizer(kind=kind, vocab_size=420)
    batch = rows()
    one = trained(operator, [batch], tmp_path / "one")
    many = trained(operator, [batch.slice(40), batch.slice(0, 13), batch.slice(13, 27)], tmp_path / "many")
    assert {f.name: f.read_bytes() for f in one.iterdir()} == {f.name: f.read_bytes() for f in many.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_the_folder_and_gives_the_same_ids(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer

    out = trained(TrainTokenizer(kind=kind, vocab_size=420, special_tokens=("<|note|>",)), [rows()], tmp_path)
    text = "The  quick\n\tbrown fox's Größe 中文 \U0001f600 1234"
    ours = Tokenizer.from_file(str(out / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    for loader in (transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast):
        loaded = loader.from_pretrained(str(out))
        assert loaded(text).input_ids == ours
        assert loaded.decode(ours) == text
        assert (loaded.bos_token, loaded.eos_token, loaded.pad_token) == ("<s>", "</s>", "<pad>")


def test_the_chat_template_marks_what_the_assistant_says(tmp_path):
    transformers = pytest.importorskip("transformers")
    out = trained(TrainTokenizer(vocab_size=420), [rows()], tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(out))
    chat = [{"role": "user", "content": "Say hi"}, {"role": "assistant", "content": "hi there"}]
    made = tokenizer.apply_chat_template(chat, return_assistant_tokens_mask=True, return_dict=True)
    kept = [i for i, mine in zip(made["input_ids"], made["assistant_masks"], strict=True) if mine]
    assert tokenizer.decode(made["input_ids"]) == "###Instruction\nSay hi\n\n###Input\n\n\n###Response\nhi there</s>"
    assert tokenizer.decode(kept) == "hi there</s>"


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_is_served_is_what_was_trained(name):
    """The prompt that a server renders is the prompt of the pair, whatever is said, landmark lines included."""
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    said = st.lists(st.sampled_from(["a", "\n", "### ", "###Input", "### Response:", "###Instruction", "é"]), max_size=5)

    @settings(max_examples=80)
    @given(*[said.map("".join)] * 3)
    def law(asked, context, answer):
        chat = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        chat = [{"role": "system", "content": context}, *chat] if context else chat
        prompt, completion = render(name, asked, context, answer)

        def shown(turns, generate):
            fields = {"eos_token": "</s>", "add_generation_prompt": generate}
            return utils.render_jinja_template([turns], chat_template=chat_template(name), **fields)[0][0]

        assert shown(chat[:-1], True) == prompt
        assert shown(chat, False) == prompt + completion + "</s>"
        assert shown(chat * 2, False) == (prompt + completion + "</s>") * 2

    law()


def test_a_vocabulary_larger_than_the_text_supports_is_capped_and_said(tmp_path):
    for kind in KINDS:
        out = trained(TrainTokenizer(kind=kind, vocab_size=50_000), [rows(3)], tmp_path / kind)
        report = json.loads((out / "tokenizer_report.json").read_text())
        assert report["vocab_size"] < 2000
        assert report["note"].startswith(f"the text supports {report['vocab_size']} tokens")


def test_tabs_do_not_make_sentencepiece_drop_lines(tmp_path):
    batch = pa.record_batch({"id": ["a" * 32], "text": ["\tzebra stripes\n" * 50]})
    out = trained(TrainTokenizer(kind="sentencepiece_bpe", vocab_size=300), [batch], tmp_path)
    from tokenizers import Tokenizer

    assert len(Tokenizer.from_file(str(out / "tokenizer.json")).encode(" zebra").ids) < 3


def test_only_the_named_splits_are_used():
    batch = pa.record_batch({"id": ["a", "b"], "text": ["x", "y"], "split": ["train", "test"]})
    operator = TrainTokenizer(splits=("train",))
    assert operator.observe(0, batch)["id"].to_pylist() == ["a"]
    assert operator.needs() == [["id", "text", "split"]]


def test_private_tokens_are_found_and_refused():
    tokens = [
        "bob@example.org",
        "ghp_" + "a1B2" * 6,
        "AKIA" + "Q7" * 8,
        "4111111111111111",
        "tokenization",
        " the",
        "2024",
    ]
    assert private_tokens(enumerate(tokens)) == [0, 1, 2, 3]
    with pytest.raises(GateError) as error:
        refuse_private(enumerate(tokens))
    assert "ids 0, 1, 2, 3" in str(error.value) and "bob" not in str(error.value)
    assert refuse_private(enumerate(["a", "b"])) == {"tokens_scanned": 2, "tokens_private": 0}


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"kind": "wordpiece"}, "kind"),
        ({"pattern": "gpt5"}, "pattern"),
        ({"vocab_size": 100}, "vocab_size"),
        ({"special_tokens": ("<s>",)}, "twice"),
        ({"kind": "sentencepiece_bpe", "min_frequency": 5}, "frequency"),
    ],
)
def test_wrong_parameters_are_refused(wrong, word):
    with pytest.raises(ConfigError, match=word):
        TrainTokenizer(**wrong)


def test_byte_level_bpe_without_text_is_its_bytes(tmp_path):
    """Of a handful of rows all may lie in the validation split: what is published still has its tokenizer."""
    TrainTokenizer().finish(None, tmp_path)
    report = json.loads((tmp_path / "tokenizer_report.json").read_text())
    assert report["trained_on"]["rows"] == 0 and report["vocab_size"] == 256 + len(TrainTokenizer().specials())


def test_no_text_and_a_vocabulary_below_the_characters_are_clear_errors(tmp_path):
    with pytest.raises(InputError, match="no text"):
        TrainTokenizer(kind="sentencepiece_bpe").finish(None, tmp_path)
    many = "".join(map(chr, range(0x4E00, 0x5600)))
    batch = pa.record_batch({"id": ["a"], "text": [many]})
    with pytest.raises(ConfigError, match="SentencePiece cannot train"):
        trained(TrainTokenizer(kind="sentencepiece_bpe", vocab_size=300), [batch], tmp_path)


def test_long_runs_are_cut_for_training_only() -> None:
    from dataforge.operators.tokenizer_train import in_short_runs

    assert in_short_runs("a b\nc") == "a b\nc"
    assert in_short_runs("<" * 2500) == "\n".join(["<" * 1000, "<" * 1000, "<" * 500])
    assert in_short_runs("a" + " " * 5000 + "b") == "a" + " " * 1000 + "b"
