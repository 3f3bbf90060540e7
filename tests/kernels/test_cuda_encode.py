"""The GPU encoder without a GPU: compiled for it, and every pass of it run on the host against the reference."""

import base64
import functools
import itertools
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.kernels import bpe, device, gpu_encode
from dataforge.kernels.buffers import strings_of
from dataforge.kernels.encode import ids_of, open_encoder, strings_from
from dataforge.kernels.encoder_tables import compile_rules, two_stage
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from dataforge.kernels.split_rules import PATTERNS
from dataforge.kernels.tokenizer_folder import Folder, open_folder
from dataforge.operators.tokenizer_train import TrainTokenizer
from tests.kernels.cuda_host import Host, compiler, nvrtc

TEXT = "the cat sat on the mat 1234, isn't it?\n\n  AAAA aaaa   cat's über Straße 中文中文 \U0001f600 ---- ==== " * 8


def train(out, **options):
    operator = TrainTokenizer(vocab_size=420, **options)
    operator.finish(operator.observe(0, pa.record_batch({"id": ["a"], "text": [TEXT]})), out)
    return open_folder(out)


def ranks():
    tokens = [bytes([b]) for b in range(256)]
    tokens += [b"th", b"he", b"the", b" the", b"aa", b"aaa", b"aaaa", b"12", b"23", b"123", b"zqzqzq", b"\n\n", b"  "]
    return b"\n".join(base64.b64encode(token) + b" %d" % i for i, token in enumerate(tokens))


KINDS = {f"bytes-{pattern}": {"pattern": pattern} for pattern in PATTERNS}
KINDS |= {f"units-{dummy}": {"kind": "sentencepiece_bpe", "dummy_prefix": dummy} for dummy in (False, True)}
KINDS |= {f"ranks-{pattern}": {"ranks": pattern} for pattern in ("cl100k", "o200k")}


def on_host(folder):
    host = open_encoder(folder, lane="reference")
    return gpu_encode.GpuEncoder(host, Host(), compile_rules(bpe.rules_of(folder)))


@functools.cache  # not a fixture of a wider scope: in random order pytest would make each of them many times
def encoder_of(kind):
    options = dict(KINDS[kind])
    pattern = options.pop("ranks", None)
    if pattern:
        return on_host(Folder("ranks", ranks(), pattern, size=300))
    with tempfile.TemporaryDirectory() as folder:
        return on_host(train(Path(folder), **options))


@pytest.fixture(params=KINDS)
def encoder(request):
    return encoder_of(request.param)


@pytest.fixture
def bytes_encoder():
    return encoder_of("bytes-llama3")


def lists(found):
    return [found.ids[a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:], strict=False)]


def same(encoder, texts):
    found, right = encoder.encode(strings_from(texts)), ids_of(encoder.host.reference(texts))
    if not np.array_equal(found.ids, right.ids) or not np.array_equal(found.offsets, right.offsets):
        wrong = [(t, a, b) for t, a, b in zip(texts, lists(found), lists(right), strict=True) if a != b]
        pytest.fail(f"{len(wrong)} texts differ, the first: {wrong[0]}")


# --- proof by execution on the host -----------------------------------------------------------------------------------


def test_hostile_texts(encoder):
    rng = random.Random(5)
    same(encoder, [hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]) for i in range(4000)])


def test_texts_like_real_ones(encoder):
    rng = random.Random(6)
    words = TEXT.split(" ")
    same(encoder, [" ".join(rng.choices(words, k=rng.randint(0, 300))) for _ in range(60)])


def test_every_string_of_four_characters(bytes_encoder):
    alphabet = "a A'./\n中\u03011s"
    same(bytes_encoder, ["".join(chars) for n in range(5) for chars in itertools.product(alphabet, repeat=n)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8))
def test_any_texts(texts):
    same(encoder_of("bytes-llama3"), texts)


@pytest.mark.parametrize("length", [1, 7, 8, 15, 16, 62, 63, 64, 65, 66, 255, 256, 257, 1023, 1024, 1025])
def test_length_edges(encoder, length):
    rng = random.Random(length)
    texts = ["a" * length, "中" * (length // 3 + 1), " " * length, " " + "a" * length + " b", "\n" * length]
    same(encoder, [*texts, "".join(rng.choices("abcth", k=length)), "".join(rng.choices("aA中\u0301é", k=length))])


def test_every_shift(encoder):
    """The same lines behind 0 to 70 bytes of another text, and with the batch cut before, in and after them."""
    line = "isn't\n\n x9999 'Re. ...\n//\n  ab中 "
    same(encoder, [text for shift in range(71) for text in ("x" * shift, line)])
    same(encoder, [" " * shift + line for shift in range(71)])


def test_batching_is_invisible(encoder, monkeypatch):
    rng = random.Random(9)
    texts = strings_from([hostile_text(rng, ALPHABETS[0]) for _ in range(300)])
    whole = encoder.encode(texts)
    for size in (1, 50, 1000):
        monkeypatch.setattr(gpu_encode, "BATCH_BYTES", size)
        parts = encoder.encode(texts)
        assert np.array_equal(parts.ids, whole.ids) and np.array_equal(parts.offsets, whole.offsets)


def test_strings_layouts(encoder):
    texts = ["", "the cat", None, "中文 \U0001f600", "", "\0 \0"]
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(["pad", *texts, "pad"], kind).slice(1, len(texts))
        right = encoder.host.reference([text or "" for text in texts])
        assert lists(encoder.encode(strings_of(array))) == right
        assert lists(encoder.encode(strings_of(array.slice(0, 0)))) == []
        assert lists(encoder.encode(strings_of(array.slice(0, 1)))) == [[]]


def test_long_pieces_and_segments_go_to_the_fallback_lane_and_are_counted(bytes_encoder, monkeypatch):
    monkeypatch.setattr(gpu_encode, "LONG", 500)
    monkeypatch.setattr(gpu_encode, "SEGMENT", 900)
    before = bytes_encoder.by_host
    same(bytes_encoder, ["the cat", "a" * 501, "the mat", "a" * 500, "ab1." * 300, "", "isn't"])
    assert bytes_encoder.by_host - before == 2


def test_tokens_that_merges_do_not_reach_are_found_whole():
    for pattern in PATTERNS:
        folder = Folder("ranks", ranks(), pattern, size=300)
        encoder = on_host(folder)
        token = folder.ranks[b"zqzqzq"]
        assert encoder.encode(strings_from(["zqzqzq"])).ids.tolist() == [token]
        same(encoder, ["zqzqzq", "zqzqz", "zqzqzqq", "x zqzqzq", "\nzqzqzq.zqzqzq"])


def test_what_the_rules_do_not_cover_is_refused(tmp_path):
    folder = train(tmp_path, kind="sentencepiece_unigram")
    with pytest.raises(bpe.Unsupported):
        gpu_encode.GpuEncoder(open_encoder(folder, lane="reference"), Host())


def test_two_stage_tables_say_what_the_flat_one_says():
    rng = np.random.default_rng(1)
    table = rng.integers(0, 2, 0x110000).astype(np.uint8)
    index, blocks = two_stage(table)
    code = np.arange(0x110000)
    assert np.array_equal(blocks[index[code // 128].astype(np.int64) * 128 + code % 128], table)


def test_random_bytes_under_sanitizers(tmp_path):
    folders = [str(tmp_path / name) for name in ("bytes", "o200k", "units")]
    train(Path(folders[0]))
    train(Path(folders[1]), pattern="o200k")
    train(Path(folders[2]), kind="sentencepiece_bpe", dummy_prefix=True)
    found = subprocess.run([compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    if not Path(found.stdout.strip()).is_absolute():
        pytest.skip("no AddressSanitizer: apt-get install gcc")
    root = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "LD_PRELOAD": found.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(root),
    }
    command = [sys.executable, "-m", "tests.kernels.cuda_host.sanitized", *folders]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "clean" in done.stdout, done.stderr[-4000:]


# --- proof by compilation for GPUs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvrtc_compiles_the_encoder(architecture):
    assert nvrtc.cubin_size(gpu_encode.source(*gpu_encode.SOURCES), architecture) > 1000


def test_device_files_are_plain_c():
    for path in gpu_encode.CUDA.glob("*.cuh"):
        text = path.read_text(encoding="ascii")
        assert "#include" not in text and "__shfl" not in text and "template" not in text


# --- on a GPU ---------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_a_gpu_gives_the_same_ids(bytes_encoder):
    missing = device.why_no_cuda()
    if missing is not None:
        pytest.skip(f"never run on a GPU here: {missing}")
    on_device = gpu_encode.GpuEncoder(bytes_encoder.host)
    rng = random.Random(5)
    same(on_device, [hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]) for i in range(20_000)])
    same(on_device, ["a" * 5000, "ab1." * 30_000, TEXT * 50])
