"""The GPU encoder without a GPU: compiled for it, and every pass of it run on the host against the reference."""

import functools
import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.kernels import bpe, gpu, gpu_encode, gpu_passes
from dataforge.kernels.buffers import Strings, strings_of
from dataforge.kernels.encode import open_encoder, strings_from
from dataforge.kernels.encoder_tables import PATTERN_NUMBERS, compile_rules, two_stage
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from dataforge.kernels.split_rules import PATTERNS, starts
from dataforge.kernels.tokenizer_folder import Folder
from tests.kernels import cuda_host
from tests.kernels.cuda_host import COUNTING, compiler, need_gpu, nvrtc
from tests.kernels.cuda_host.encoders import (
    KINDS,
    TEXT,
    encoder_of,
    folder_of,
    host_gpu,
    lists,
    on_host,
    ranks,
    same,
    train,
)
from tests.kernels.cuda_host.fake_cupy import FakeCupy


@pytest.fixture(params=KINDS)
def encoder(request):
    return encoder_of(request.param)


@pytest.fixture
def bytes_encoder():
    return encoder_of("bytes-llama3")


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


@settings(max_examples=60)
@given(st.lists(st.text(max_size=30), max_size=8))
def test_any_texts(texts):
    same(encoder_of("bytes-llama3"), texts)


@pytest.mark.parametrize("length", [1, 7, 8, 15, 16, 62, 63, 64, 65, 66, 255, 256, 257, 1023, 1024, 1025])
def test_length_edges(encoder, length):
    rng = random.Random(length)
    texts = ["a" * length, "中" * (length // 3 + 1), " " * length, " " + "a" * length + " b", "\n" * length]
    same(encoder, [*texts, "".join(rng.choices("abcth", k=length)), "".join(rng.choices("aA中\u0301é", k=length))])


@pytest.mark.parametrize("length", [gpu_passes.LONG - 1, gpu_passes.LONG, gpu_passes.LONG + 1])
@pytest.mark.parametrize("kind", ["bytes-llama3", "units-True"])
def test_the_longest_piece_of_a_gpu(kind, length):
    encoder = encoder_of(kind)
    before = encoder.by_host
    same(encoder, ["the", "a" * length, "cat"])
    assert encoder.by_host - before == (length > gpu_passes.LONG)


def test_every_shift(encoder):
    """The same lines behind other text, over the edges of words of 32 bytes and tiles of 4,096."""
    line = "isn't\n\n x9999 'Re. ...\n//\n  ab中 "
    same(encoder, [text for shift in range(71) for text in ("x" * shift, line)])
    same(encoder, [" " * shift + line for shift in range(71)])
    same(encoder, ["the cat. " * (shift // 9) + "x" * (shift % 9) + line for shift in range(71, 1101, 13)])
    same(encoder, ["the cat. " * 450 + "x" * shift + line * 3 for shift in range(10, 50)])


@pytest.mark.parametrize("size", [40, 1000, 30_000])
def test_batching_is_invisible(encoder, monkeypatch, size):
    rng = random.Random(9)
    texts = strings_from([*(hostile_text(rng, ALPHABETS[0]) for _ in range(300)), "", "a" * 2000, ""])
    whole = encoder.encode(texts)
    monkeypatch.setattr(encoder, "batch_bytes", size)
    before = encoder.by_host
    parts = encoder.encode(texts)
    assert np.array_equal(parts.ids, whole.ids) and np.array_equal(parts.offsets, whole.offsets)
    assert encoder.by_host - before == int((np.diff(texts.offsets) > size).sum())  # no batch holds them


def test_many_empty_texts(bytes_encoder, monkeypatch):
    monkeypatch.setattr(bytes_encoder, "batch_bytes", 64)
    same(bytes_encoder, [""] * 50 + ["the cat"] + [""] * 9 + ["", "the mat", ""] * 20)
    same(bytes_encoder, [""] * 50)


def test_strings_layouts(encoder):
    texts = ["", "the cat", None, "中文 \U0001f600", "", "\0 \0"]
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(["pad", *texts, "pad"], kind).slice(1, len(texts))
        right = encoder.host.reference([text or "" for text in texts])
        assert lists(encoder.encode(strings_of(array))) == right
        assert lists(encoder.encode(strings_of(array.slice(0, 0)))) == []
        assert lists(encoder.encode(strings_of(array.slice(0, 1)))) == [[]]


def test_long_pieces_and_segments_go_to_the_host_and_are_counted(bytes_encoder, monkeypatch):
    monkeypatch.setattr(gpu_passes, "LONG", 500)
    monkeypatch.setattr(gpu_passes, "SEGMENT", 8192)
    before = bytes_encoder.by_host
    stretch = "1" * 20_000  # cut in threes, but only from its first digit
    same(bytes_encoder, ["the cat", "a" * 501, "the mat", "a" * 500, stretch, "", "isn't", "a" * 9000, "", "b", stretch])
    assert bytes_encoder.by_host - before == 4
    same(bytes_encoder, [stretch, "a" * 501])
    assert bytes_encoder.by_host - before == 6


def test_refused_texts_of_several_batches(bytes_encoder, monkeypatch):
    monkeypatch.setattr(gpu_passes, "LONG", 20)
    monkeypatch.setattr(bytes_encoder, "batch_bytes", 100)
    rng = random.Random(1)
    same(bytes_encoder, ["".join(rng.choices("ab .", [8, 8, 1, 1], k=rng.randint(0, 120))) for _ in range(200)])


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
        gpu_encode.GpuEncoder(open_encoder(folder, lane="reference"), host_gpu())


# --- where pieces begin -----------------------------------------------------------------------------------------------


def begins(pattern, texts):
    """The first bytes of all pieces of all texts, by the passes."""
    encoder, strings = encoder_of(f"bytes-{pattern}"), strings_from(texts)
    text, offsets = gpu.Upload(encoder.gpu, np.uint8), gpu.Upload(encoder.gpu, np.int64)
    text.send(strings.data, gpu_passes.SPARE)
    offsets.send(strings.offsets)
    with encoder.gpu.stream:
        arrays = text.array(strings.size_bytes), offsets.array(len(strings.offsets))
        pieces = gpu_passes.split(encoder.gpu, encoder.model, gpu_passes.Batch(*arrays, strings.offsets))
        return pieces.begins.get()[:-1].tolist()


def bytes_before(texts, pattern):
    found, at = [], 0
    for text in texts:
        for char, is_start in zip(text, starts(text, pattern), strict=True):
            found += [at] if is_start else []
            at += len(char.encode())
    return found


@pytest.mark.parametrize("pattern", PATTERNS)
def test_pieces_begin_where_the_rules_say(pattern):
    """Every string of four characters, one for each behaviour, and hostile ones."""
    rng = random.Random(3)
    texts = ["".join(chars) for n in range(1, 5) for chars in itertools.product("a A'./\n中\u03011", repeat=n)]
    texts += [hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]) for i in range(600)]
    texts += ["".join(rng.choices(rng.choice(ASCII), k=rng.randint(1, 150))) for _ in range(1500)]
    assert begins(pattern, texts) == bytes_before(texts, pattern)


ASCII = ["sLA '\n./\t1", "stLlvVrReE'aA b", "aAbB'sS1 .", "  \n\n\r\t.a1/'", "/\n.'aA/ ", "0123 a.\n"]
BOTH_WAYS = """
extern "C" __global__ void both(
    i64 count, i64 pattern, const u8* model, const u8* text, i64 size, const u32* firsts, u32* fast, u32* slow
) {
    if (ITEM >= count || !is_ascii(text, size, 32 * ITEM)) return;
    Verdicts a = ascii_verdicts((int)pattern, text, firsts, size, 32 * ITEM);
    Verdicts b = any_verdicts((int)pattern, model, text, size, firsts, 32 * ITEM, 32 * ITEM + 32);
    fast[2 * ITEM] = a.heads, fast[2 * ITEM + 1] = a.odd, slow[2 * ITEM] = b.heads, slow[2 * ITEM + 1] = b.odd;
}
"""


@pytest.mark.parametrize("pattern", PATTERNS)
def test_ascii_is_told_by_words_as_by_characters(pattern):
    """But for indents, which the one finds to be heads and the other leaves open."""
    rng = np.random.default_rng(4)
    letters = [np.frombuffer(letters.encode(), np.uint8) for letters in ASCII] + [np.arange(128, dtype=np.uint8)]
    text = np.concatenate([rng.choice(few, 32 * 700) for few in letters] + [np.zeros(gpu_passes.SPARE, np.uint8)])
    size = len(text) - gpu_passes.SPARE
    firsts = rng.integers(0, 1 << 32, size // 32, np.uint32)
    firsts &= rng.integers(0, 1 << 32, size // 32, np.uint32) & rng.integers(0, 1 << 32, size // 32, np.uint32)
    firsts[0] |= 1
    code = gpu.source(*gpu_passes.SOURCES) + BOTH_WAYS
    (both,) = (kernel for kernel in cuda_host.kernels(code) if kernel.name == "both")
    fast, slow = np.zeros((size // 32, 2), np.uint32), np.zeros((size // 32, 2), np.uint32)
    model = compile_rules(bpe.rules_of(folder_of(f"bytes-{pattern}")))
    numbers = (np.int64(size // 32), np.int64(PATTERN_NUMBERS[pattern]))
    arrays = [model, text, np.int64(size), firsts, fast.reshape(-1), slow.reshape(-1)]
    cuda_host.launch(cuda_host.library(code), both, size // 32, 1, [*numbers, *arrays])
    (heads, odd), (all_heads, all_odd) = fast.T, slow.T
    assert odd.any() and not (all_heads & ~heads).any() and not (heads & ~all_heads & ~all_odd).any()
    assert np.array_equal(odd, all_odd & ~heads)


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k"])
def test_plain_words_need_no_walk(pattern):
    """Contractions, long numbers and indents are read character by character, and nothing else of a plain text."""
    encoder, odd = encoder_of(f"bytes-{pattern}"), []
    launch = encoder.gpu.launch

    def seen(kernel, count, *arguments, **options):
        launch(kernel, count, *arguments, **options)
        if kernel == "wide":
            odd.append(arguments[-3].get())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder.gpu, "launch", seen)
        encoder.encode(strings_from(["The (quick) brown fox: 12 foxes, \"twelve\" of them!\nSo it is; done. " * 3]))
        encoder.encode(strings_from(["It isn't."]))
    assert not odd[0].any() and odd[1].any()


# --- tables -----------------------------------------------------------------------------------------------------


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


# --- texts that are not UTF-8 -----------------------------------------------------------------------------------------

BROKEN = {
    "no lead": b"\x80",
    "no lead of two": b"ab\x80\x80",
    "more than the lead says": "é".encode() + b"\x80",
    "a lead alone": b"\xc3",
    "three of four": b"\xf0\x9f\x98",
    "a letter for the last byte": b"\xe4\xb8a",
    "longer than need be": b"\xe0\x80\xaf",
    "two for one": b"\xc1\xbf",
    "four for three": b"\xf0\x8f\xbf\xbf",
    "a surrogate": b"\xed\xa0\x80",
    "beyond the last": b"\xf4\x90\x80\x80",
    "no lead byte at all": b"\xff",
}


def of_bytes(parts):
    return Strings(np.cumsum([0, *map(len, parts)], dtype=np.int64), np.frombuffer(b"".join(parts), np.uint8))


@pytest.mark.parametrize("part", BROKEN.values(), ids=BROKEN)
def test_a_text_that_is_not_utf8_is_named(bytes_encoder, part):
    """At every place of a word of 32 bytes, with valid characters of any length around it."""
    two, three = "é".encode(), "漢".encode()
    for shift in range(34):
        for before, after in ((b"x" * shift, b""), (two * (shift // 2), b"abc"), (three * shift, three)):
            with pytest.raises(ValueError, match=r"^row 2 is not valid UTF-8$"):
                bytes_encoder.encode(of_bytes([b"the cat", "é漢😀".encode(), before + part + after, b"\xff"]))


def test_a_character_that_two_texts_share_breaks_the_first_of_them(bytes_encoder):
    for char in ("é", "漢", "😀"):
        whole = char.encode()
        for cut in range(1, len(whole)):
            with pytest.raises(ValueError, match=r"^row 1 is not valid UTF-8$"):
                bytes_encoder.encode(of_bytes([b"", b"x" * 30 + whole[:cut], whole[cut:] + b"y"]))


@pytest.mark.parametrize("size", [8, 64, 1 << 20])
def test_the_first_broken_text_is_named_whatever_the_batches(bytes_encoder, monkeypatch, size):
    monkeypatch.setattr(bytes_encoder, "batch_bytes", size)
    monkeypatch.setattr(gpu_passes, "LONG", 40)
    parts = [b"the cat"] * 9 + [b"a" * 50 + b"\xe2\x82"] + [b"the mat"] * 9 + [b"\xff"] * 3
    with pytest.raises(ValueError, match=r"^row 9 is not valid UTF-8$"):
        bytes_encoder.encode(of_bytes(parts))


# --- work, counted by the compiler ------------------------------------------------------------------------------------


@functools.cache
def counted(kind):
    encoder = on_host(folder_of(kind), where=gpu.Gpu(gpu_passes.SOURCES, FakeCupy(*COUNTING)))
    same(encoder, ["the cat", "a" * 100])
    return encoder


def work(kind, text):
    """Basic blocks that run for one text."""
    encoder = counted(kind)
    encoder.table._open = True  # begins empty
    before = encoder.gpu.xp.built.work_done()
    encoder.encode(strings_from([text]))
    return encoder.gpu.xp.built.work_done() - before


LONG_WORDS = {"one letter": "a", "merges of two": "ab", "mixed": "thecatsatonthemat", "other letters": "中文"}


@pytest.mark.parametrize("word", LONG_WORDS.values(), ids=LONG_WORDS)
@pytest.mark.parametrize("kind", ["bytes-llama3", "units-True"])
def test_a_long_piece_takes_work_in_proportion(kind, word):
    """Eight times the length: eight times the work, and what a third level of minima adds. Searching them all: 64."""
    few, many = ((word * size)[: size // len(word.encode()) * len(word)] for size in (2000, 16_000))
    assert work(kind, many) < 12 * work(kind, few)


RUNS = [" ", "\n", " \n", "'", "a'", "'s ", "1", "A", "Aa", "aA'LL", "/\n", "\u0301", "\u2003x", "ǅ", ".\r\n  "]


@pytest.mark.parametrize("run", RUNS, ids=map(ascii, RUNS))
@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k"])
def test_no_run_of_characters_takes_more_than_work_in_proportion(pattern, run):
    few, many = (run * (size // len(run.encode())) for size in (2000, 16_000))
    assert work(f"bytes-{pattern}", many) < 12 * work(f"bytes-{pattern}", few)


# --- proof by compilation for GPUs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvrtc_compiles_the_encoder_and_its_blocks_fit_a_multiprocessor(architecture):
    found = nvrtc.needs(gpu.source(*gpu_passes.SOURCES), architecture)
    assert {"heads", "walk", "probe", "fill", "merge_left", "merge_long", "emit"} < set(found)
    for kernel, needs in found.items():
        assert needs.registers * gpu.THREADS <= 65_536 and needs.shared <= 48 << 10 and needs.spilled == 0, kernel


def test_device_files_are_plain_c():
    for path in gpu.CUDA.glob("*.cuh"):
        text = path.read_text(encoding="ascii")
        assert "#include" not in text and "__shfl" not in text and "template" not in text


# --- on a GPU ---------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("slots", [64, gpu_passes.SLOTS])
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_same_ids(kind, slots):
    need_gpu()
    on_device = on_host(folder_of(kind), slots=slots, where=gpu.gpu_of(*gpu_passes.SOURCES))
    on_device.batch_bytes = 1 << 20
    rng = random.Random(5)
    for _ in range(2):  # the second time from the table
        same(on_device, [hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]) for i in range(20_000)])
        same(on_device, ["a" * 5000, "a" * 20_000, "ab1." * 30_000, "1" * 90_000, "漢字。" * 9000, TEXT * 50])
        same(on_device, ["".join(rng.choices("aA中\u0301éth", k=rng.randint(60, 9000))) for _ in range(300)])
    for part in BROKEN.values():
        with pytest.raises(ValueError, match=r"^row 1 is not valid UTF-8$"):
            on_device.encode(of_bytes([b"the cat", b"x" * rng.randint(0, 70) + part, b"\xff"]))
