"""Texts to training rows: ids of the reference library, labels by characters, BOS and EOS where they were asked for."""

import json

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from dataforge.errors import ConfigError, GateError, InputError, SchemaError
from dataforge.kernels import encode as kernel
from dataforge.kernels.tokenizer_folder import open_folder
from dataforge.operators.encode import Encode
from dataforge.operators.tokenizer_train import TrainTokenizer
from dataforge.schemas.tokens import SPANS_TRAINED

TEXT = "The quick brown fox's 1234 jumps.\n\n  über die Straße \U0001f600 中文! " * 20
FORMATS = {
    "bpe": {"kind": "bpe", "vocab_size": 400},
    "sentencepiece": {"kind": "sentencepiece_bpe", "vocab_size": 400, "dummy_prefix": True},
    "unigram": {"kind": "sentencepiece_unigram", "vocab_size": 400},
}


@pytest.fixture(scope="module", params=FORMATS)
def folder(request, tmp_path_factory):
    operator = TrainTokenizer(**FORMATS[request.param])
    out = tmp_path_factory.mktemp(request.param)
    operator.finish(operator.observe(0, pa.record_batch({"id": ["a"], "text": [TEXT]})), out)
    return out


@pytest.fixture(scope="module")
def bpe(tmp_path_factory):
    operator = TrainTokenizer(vocab_size=400)
    out = tmp_path_factory.mktemp("bpe")
    operator.finish(operator.observe(0, pa.record_batch({"id": ["a"], "text": [TEXT]})), out)
    return out


def batch(texts, spans=None, **columns):
    ids = [f"{i * 2654435761 % 2**32:032x}" for i in range(len(texts))]
    extra = {"spans_trained": pa.array(spans, SPANS_TRAINED)} if spans is not None else {}
    return pa.record_batch({"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string()), **extra, **columns})


def run(folder, rows, **options):
    made = Encode(**options).start([folder])(rows)
    made.kept.validate(full=True)
    return made.kept, made.notes


def reference(folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


def right_ids(folder, text):
    """What the library of the defining file says."""
    if (folder / "spm.model").exists():
        return sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm.model")).encode(text)
    return reference(folder).encode(text, add_special_tokens=False).ids


def test_ids_are_those_of_the_reference_with_one_eos(folder):
    texts = ["", "The quick fox", TEXT, "中", " ", "</s> is text", "<s><pad>", "\0", "▁x ▁"]
    found, _ = run(folder, batch(texts))
    tokenizer = reference(folder)
    eos = tokenizer.token_to_id("</s>")
    right = [[*right_ids(folder, text), eos] for text in texts]
    assert found["input_ids"].to_pylist() == right
    assert found["labels"].to_pylist() == right
    assert found["length"].to_pylist() == [len(ids) for ids in right]
    assert found["attention_mask"].to_pylist() == [[1] * len(ids) for ids in right]


def test_bos_is_there_once_and_never_learned(bpe):
    found, _ = run(bpe, batch(["a b"]), bos=1, eos=0)
    tokenizer = reference(bpe)
    assert found["input_ids"][0].as_py() == [tokenizer.token_to_id("<s>"), *tokenizer.encode("a b").ids]
    assert found["labels"][0].as_py() == [-100, *tokenizer.encode("a b").ids]


PROMPTS = ["###Instruction\nName it.\n\n###Response\n", "Größe?\n", ""]
RESPONSES = ["The quick fox.", "\U0001f600 über 中文\n\n  x", "1", "Straße  </s> "]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_unmasked_tokens_decode_to_the_response(folder, prompt):
    spans = [[{"start": len(prompt), "end": len(prompt + response)}] for response in RESPONSES]
    found, notes = run(folder, batch([prompt + response for response in RESPONSES], spans), spans=True)
    tokenizer = reference(folder)
    for labels, response in zip(found["labels"].to_pylist(), RESPONSES, strict=True):
        kept = [number for number in labels if number != -100]
        assert kept[-1] == tokenizer.token_to_id("</s>")
        pieces = tokenizer.decode(kept[:-1], skip_special_tokens=False)
        assert pieces in (response, response.removeprefix(" "))
    assert notes["tokens_across_spans"] == 0


def test_a_null_span_learns_the_whole_text_and_an_empty_list_nothing(bpe):
    found, _ = run(bpe, batch(["a b", "a b"], [None, []]), spans=True, eos=0)
    whole, nothing = found["labels"].to_pylist()
    assert whole == found["input_ids"][0].as_py()
    assert set(nothing) == {-100}


def test_a_token_across_the_edge_of_a_span_is_not_learned(bpe):
    found, notes = run(bpe, batch(["The"], [[{"start": 2, "end": 3}]]), spans=True, eos=0)
    assert len(found["input_ids"][0]) == 1  # "The" is one token
    assert (found["labels"][0].as_py(), notes["tokens_across_spans"]) == ([-100], 1)


def test_positions_are_characters(folder):
    texts = [TEXT, "a▁b é", "x"]
    found, _ = run(folder, batch(texts), positions=True, eos=0)
    tokenizer = reference(folder)
    for i, text in enumerate(texts):
        right = tokenizer.encode(text, add_special_tokens=False).offsets
        starts, ends = found["starts"][i].as_py(), found["ends"][i].as_py()
        covered = [text[a:b].strip() for a, b in zip(starts, ends, strict=True)]
        theirs = [text[a:b].strip() for a, b in right]
        # SentencePiece says that only the last byte of a character spelled by bytes covers it
        assert all(ours in (their, "") for ours, their in zip(covered, theirs, strict=True))


def test_bos_and_eos_cover_nothing(bpe):
    found, _ = run(bpe, batch(["1"]), positions=True, bos=1)
    assert (found["starts"].to_pylist(), found["ends"].to_pylist()) == ([[0, 0, 0]], [[0, 1, 0]])


def test_a_row_that_is_cut_has_no_eos(bpe):
    found, notes = run(bpe, batch(["The quick brown fox", "1"]), max_length=3, bos=1)
    long, short = found["input_ids"].to_pylist()
    tokenizer = reference(bpe)
    assert long == [tokenizer.token_to_id("<s>"), *tokenizer.encode("The quick brown fox").ids[:2]]
    assert short == [tokenizer.token_to_id("<s>"), *tokenizer.encode("1").ids, tokenizer.token_to_id("</s>")]
    assert notes["texts_cut"] == 1


def test_rows_without_bos_eos_and_limit_are_the_encoders_own_buffer(bpe):
    from dataforge.kernels import token_rows

    found = kernel.ids_of([[1, 2], [], [3]])
    rows = token_rows.frame(found, None, bos=-1, eos=-1, limit=2)
    assert rows.ids is found.ids and rows.labels is found.ids
    cut = token_rows.frame(found, None, bos=-1, eos=-1, limit=1)
    assert (cut.ids.tolist(), cut.offsets.tolist()) == ([1, 3], [0, 1, 1, 2])


def test_columns_are_passed_on(bpe):
    rows = batch(["a"], split=["train"], n=pa.array([3], pa.int64()))
    beside = pa.record_batch({"id": rows["id"], "act": ["questions"]})
    operator = Encode(keep=("split", "n"), beside=("act",))
    kept = operator.start([bpe])(rows, beside).kept
    assert kept.select(["split", "n", "act"]).to_pylist() == [{"split": "train", "n": 3, "act": "questions"}]
    assert kept.schema.equals(operator.gives([rows.schema, beside.schema]))
    assert operator.needs() == [["id", "text", "split", "n"], ["id", "act"]]


@settings(max_examples=30)
@given(texts=st.lists(st.text(max_size=20), max_size=6), cut=st.integers(0, 6))
def test_batching_is_invisible(bpe, texts, cut):
    operator = Encode(bos=1, max_length=9)
    fn = operator.start([bpe])
    rows = batch(texts)
    whole = fn(rows).kept
    parts = [fn(rows.slice(0, cut)).kept, fn(rows.slice(cut)).kept]
    assert pa.Table.from_batches([whole]).to_pylist() == pa.Table.from_batches(parts).to_pylist()


def test_nulls_slices_and_large_strings_give_the_same_ids(bpe):
    texts = ["x", None, "The fox", "y"]
    ids = pa.array([f"{i:032x}" for i in range(4)])
    for kind in (pa.string(), pa.large_string()):
        rows = pa.record_batch({"id": pa.array(ids, pa.string()), "text": pa.array(texts, kind)}).slice(1, 2)
        found, _ = run(bpe, rows, eos=0)
        assert found["input_ids"].to_pylist() == [[], reference(bpe).encode("The fox").ids]


def test_the_gate_fails_the_part_when_the_lanes_differ(bpe, monkeypatch):
    right = kernel.gigatoken_ids

    def wrong(tokenizer, texts):
        found = right(tokenizer, texts)
        return kernel.Ids(found.offsets, found.ids[::-1].copy())

    fn = Encode(check_every=1).start([bpe])
    monkeypatch.setattr(kernel, "gigatoken_ids", wrong)
    with pytest.raises(GateError, match="differs from the reference") as error:
        fn(batch(["The quick fox jumps"]))
    assert "quick" not in str(error.value)


def test_the_sample_is_one_row_in_a_thousand():
    ids = kernel.strings_from([f"{i * 0x9E3779B97F4A7C15 % 2**64:032x}" for i in range(100_000)])
    from dataforge.kernels.token_rows import sampled

    assert 60 < len(sampled(ids, 1000)) < 140
    assert len(sampled(ids, 1)) == 100_000 and len(sampled(ids, 0)) == 0


def test_the_sample_does_not_depend_on_how_ids_lie_in_memory():
    from dataforge.kernels.token_rows import sampled

    same = [f"{i * 0x9E3779B97F4A7C15 % 2**64:016x}" for i in range(500)]
    mixed = kernel.strings_from([*same, "0", "", "abcde"])
    assert sampled(kernel.strings_from(same), 7).tolist() == [row for row in sampled(mixed, 7).tolist() if row < 500]
    sliced = kernel.strings_from(["f" * 16, *same]).slice(1, 501)
    assert sampled(sliced, 7).tolist() == sampled(kernel.strings_from(same), 7).tolist()


def test_a_tokenizer_json_that_is_a_rank_list_is_checked_by_tiktoken(bpe, tmp_path, monkeypatch):
    """Ten times as fast as the reference, which is still asked before a run is failed."""
    opened = open_folder(bpe)
    asked = []
    encoder = kernel.open_encoder(opened, cache=tmp_path)
    encoder.reference = lambda texts: asked.append(len(texts)) or [[0] for _ in texts]
    texts = kernel.strings_from([TEXT, "", "\u017f'\u00a0x 1234"])
    monkeypatch.setattr(kernel, "CHECKER_AFTER_BYTES", 1)  # a small run looks for none
    encoder.check(texts, encoder.encode(texts), np.arange(3))
    assert encoder.checker is not None and not asked
    wrong = kernel.ids_of([[1], [], [1]])
    with pytest.raises(kernel.Differs):
        encoder.check(texts, wrong, np.arange(3))
    assert asked == [2]
    encoder.reference = kernel.reference_of(opened)
    encoder.checker = lambda texts: [[0] for _ in texts]  # wrong by itself: the reference decides
    encoder.check(texts, encoder.encode(texts), np.arange(3))


def test_mistakes_are_said_clearly(bpe, tmp_path):
    with pytest.raises(ConfigError, match="bos"):
        Encode(bos=2)
    with pytest.raises(ConfigError, match="max_length"):
        Encode(bos=1, max_length=2)
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        Encode().start([tmp_path])
    with pytest.raises(SchemaError, match="ends before"):
        run(bpe, batch(["abc"], [[{"start": 2, "end": 1}]]), spans=True)
    with pytest.raises(SchemaError, match="outside"):
        run(bpe, batch(["abc"], [[{"start": 0, "end": 4}]]), spans=True)
    (tmp_path / "tokenizer.json").write_bytes((bpe / "tokenizer.json").read_bytes())
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"bos_token": "<s>"}))
    with pytest.raises(ConfigError, match="no EOS"):
        Encode().start([tmp_path])


def test_no_rows_give_no_rows(bpe):
    found, _ = run(bpe, batch([]), spans=False, positions=True)
    assert found.num_rows == 0 and found.schema.names[:2] == ["id", "input_ids"]
    assert np.array_equal(found["length"], [])


def test_a_device_that_is_not_there_is_said_and_auto_does_without(bpe):
    from dataforge.kernels import device

    if device.why_no_cuda() is None:
        pytest.skip("there is a GPU here")
    with pytest.raises(ConfigError, match=r"device: cpu"):
        Encode(device="cuda").start([bpe])
    assert run(bpe, batch(["a"]), device="auto")[0] == run(bpe, batch(["a"]), device="cpu")[0]
