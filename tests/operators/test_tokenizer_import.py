"""Importing a tokenizer: each format is told from its bytes, checked against its library, refused when wrong."""

import base64
import json

import pyarrow as pa
import pytest
import sentencepiece

from dataforge.errors import ConfigError, InputError
from dataforge.kernels.encode import open_encoder, strings_from
from dataforge.kernels.tokenizer_folder import open_folder
from dataforge.operators.tokenizer_import import ImportTokenizer
from dataforge.operators.tokenizer_train import TrainTokenizer

TEXT = "the cat sat on the mat 1234, isn't it?\n  the   cat's über Straße 中文 \U0001f600 " * 8
TEXTS = ["", "the cat", TEXT, "  \n", "<|endoftext|> </s>", "\0"]


def ranks_of(merged=("th", "he", "the", " the", "at", " c", " cat", "12", "123")):
    tokens = [bytes([b]) for b in range(256)] + [word.encode() for word in merged]
    return b"".join(base64.b64encode(token) + f" {rank}\n".encode() for rank, token in enumerate(tokens))


def imported(path, out, **options):
    ImportTokenizer.of(path, **options).finish(None, out)
    return open_folder(out), json.loads((out / "tokenizer_report.json").read_text())


def encoded(folder):
    encoder = open_encoder(folder)
    found = encoder.encode(strings_from(TEXTS))
    return [found.ids[a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:], strict=False)]


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "llama3", "qwen2", "o200k"])
def test_a_rank_list_gives_the_ids_of_tiktoken(pattern, tmp_path):
    tiktoken = pytest.importorskip("tiktoken")
    from dataforge.kernels.split_rules import PATTERNS

    (tmp_path / "mine.tiktoken").write_bytes(ranks_of())
    folder, report = imported(tmp_path / "mine.tiktoken", tmp_path / "out", pattern=pattern)
    assert report["probe_differs"] == 0
    theirs = tiktoken.Encoding(
        "mine",
        pat_str=PATTERNS[pattern],
        mergeable_ranks={base64.b64decode(line.split()[0]): int(line.split()[1]) for line in ranks_of().splitlines()},
        special_tokens={},
    )
    assert encoded(folder) == [theirs.encode_ordinary(text) for text in TEXTS]


def test_a_rank_list_without_a_known_name_needs_a_pattern(tmp_path):
    (tmp_path / "mine.tiktoken").write_bytes(ranks_of())
    with pytest.raises(ConfigError, match="how text is cut"):
        imported(tmp_path / "mine.tiktoken", tmp_path / "out")
    with pytest.raises(ConfigError, match="gpt5"):
        ImportTokenizer.of(tmp_path / "mine.tiktoken", pattern="gpt5")


def test_well_known_names_bring_pattern_and_special_tokens(tmp_path):
    (tmp_path / "cl100k_base.tiktoken").write_bytes(ranks_of())
    folder, report = imported(tmp_path / "cl100k_base.tiktoken", tmp_path / "out")
    assert (report["pattern"], folder.eos, folder.size) == ("cl100k", 100257, 100277)


def test_a_rank_list_named_tokenizer_model_is_no_sentencepiece_model(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(ranks_of())
    _, report = imported(tmp_path, tmp_path / "out")
    assert report["pattern"] == "llama3"
    from dataforge.kernels import sentencepiece_model

    with pytest.raises(sentencepiece_model.NotSentencePiece, match="a tiktoken rank list"):
        sentencepiece_model.parse(ranks_of())


def test_a_sentencepiece_model_gives_its_own_ids(tmp_path):
    trainer = TrainTokenizer(kind="sentencepiece_bpe", vocab_size=320, dummy_prefix=True)
    trainer.finish(trainer.observe(0, pa.record_batch({"id": ["a"], "text": [TEXT]})), tmp_path / "made")
    model = tmp_path / "tokenizer.model"
    model.write_bytes((tmp_path / "made" / "spm.model").read_bytes())
    folder, report = imported(model, tmp_path / "out")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    assert report["format"] == "sentencepiece"
    assert (folder.bos, folder.eos) == (processor.bos_id(), processor.eos_id())
    assert encoded(folder) == [processor.encode(text) for text in TEXTS]


def test_gpt2_files_become_one_tokenizer_json(tmp_path):
    from tokenizers import Tokenizer

    trainer = TrainTokenizer(pattern="gpt2", vocab_size=300, bos="<a>", eos="<|endoftext|>", pad="<b>")
    trainer.finish(trainer.observe(0, pa.record_batch({"id": ["a"], "text": [TEXT]})), tmp_path / "made")
    made = json.loads((tmp_path / "made" / "tokenizer.json").read_text())
    (tmp_path / "vocab.json").write_text(json.dumps(made["model"]["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in made["model"]["merges"])
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + merges + "\n")
    folder, _ = imported(tmp_path, tmp_path / "out")
    theirs = Tokenizer.from_file(str(tmp_path / "made" / "tokenizer.json"))
    theirs.encode_special_tokens = True
    assert encoded(folder) == [theirs.encode(text).ids for text in TEXTS]
    assert folder.eos == made["model"]["vocab"]["<|endoftext|>"]
    added = json.loads((tmp_path / "out" / "tokenizer.json").read_text())["added_tokens"]
    assert [token["content"] for token in added] == ["<|endoftext|>"]  # the vocabulary leaves no number free


def test_a_tokenizer_json_is_taken_as_it_is_with_the_roles_beside_it(tmp_path):
    trainer = TrainTokenizer(vocab_size=300)
    trainer.finish(trainer.observe(0, pa.record_batch({"id": ["a"], "text": [TEXT]})), tmp_path / "made")
    folder, _ = imported(tmp_path / "made", tmp_path / "out")
    assert folder == open_folder(tmp_path / "made")
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (tmp_path / "made" / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"not json"),
        ("spm.model", b"\x00\x01\x02"),
        ("x.tiktoken", b"AA== 0\nAQ== 1\n"),
        ("x.tiktoken", b"AA== 0\nnot base64 at all 1\n"),
    ],
)
def test_what_is_no_tokenizer_is_refused(name, data, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="not a tokenizer that can be used"):
        ImportTokenizer.of(tmp_path / name, pattern="gpt2").finish(None, tmp_path / "out")


def test_no_tokenizer_and_a_changed_one_are_refused(tmp_path):
    with pytest.raises(InputError, match="no tokenizer"):
        ImportTokenizer.of(tmp_path)
    (tmp_path / "x.tiktoken").write_bytes(ranks_of())
    operator = ImportTokenizer.of(tmp_path, pattern="gpt2")
    (tmp_path / "x.tiktoken").write_bytes(ranks_of(("th",)))
    with pytest.raises(InputError, match="changed"):
        operator.finish(None, tmp_path / "out")


def test_holes_below_special_tokens_are_filled_so_that_ids_survive_loading() -> None:
    import json

    from tokenizers import Tokenizer

    from dataforge.kernels.tokenizer_json import json_of_ranks

    ranks = {bytes([byte]): byte for byte in range(256)}
    document = json_of_ranks(ranks, "cl100k", {"<|endoftext|>": 258, "<|endofprompt|>": 261})
    loaded = Tokenizer.from_str(json.dumps(document))
    assert loaded.token_to_id("<|endoftext|>") == 258 and loaded.token_to_id("<|endofprompt|>") == 261
    assert loaded.get_vocab_size() == 262
