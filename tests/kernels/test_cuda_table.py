"""The word table of the GPU encoder, its memory and its ids' width: full, contended, emptied, failed, half gone."""

import random

import numpy as np
import pytest

from dataforge.kernels import bpe, gpu, gpu_encode, gpu_passes
from dataforge.kernels.encode import strings_from
from dataforge.kernels.encoder_tables import compile_rules
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from tests.kernels.cuda_host import fake_cupy
from tests.kernels.cuda_host.encoders import encoder_of, folder_of, host_gpu, on_host, same
from tests.kernels.cuda_host.fake_cupy import FakeCupy


@pytest.fixture
def bytes_encoder():
    return encoder_of("bytes-llama3")


# --- the word table ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bytes-o200k", "units-True", "ranks-cl100k"])
@pytest.mark.parametrize("slots", [1, 2, 16, 64])
def test_tiny_table(kind, slots):
    """With one slot every piece has the same place: full, and full of others."""
    encoder = on_host(folder_of(kind), slots=slots)
    rng = random.Random(slots)
    texts = [hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]) for i in range(300)]
    for _ in range(3):
        rng.shuffle(texts)
        same(encoder, texts)


@pytest.mark.parametrize("slots", [64, 1 << 14])
def test_threads_that_race_for_slots(slots):
    """Several host threads go through the table at once, most of them with the same pieces."""
    encoder = on_host(folder_of("bytes-llama3"), slots=slots, where=host_gpu(workers=8))
    rng = random.Random(slots)
    words = [hostile_text(rng, ALPHABETS[0])[:9] for _ in range(400)]
    for _ in range(4):
        same(encoder, [" ".join(rng.choices(words, k=500)) for _ in range(40)])
    assert encoder.table.used > 0


def test_what_is_in_the_table_is_found_again_and_merged_once():
    encoder = on_host(folder_of("bytes-gpt2"))
    same(encoder, ["the cat sat on the mat"])
    assert encoder.table.used == 6  # "the", " cat", " sat", " on", " the", " mat"
    encoder.gpu.xp.launches.clear()
    same(encoder, ["the mat on the cat", "the the"])
    assert encoder.table.used == 6 and not {"fill", "merge_left", "merge_long"} & set(encoder.gpu.xp.launches)


def test_the_dummy_prefix_makes_another_piece():
    encoder = on_host(folder_of("units-True"))
    same(encoder, ["the the", "the", " the"])


def test_a_table_that_is_half_full_is_emptied_between_batches():
    encoder = on_host(folder_of("bytes-gpt2"), slots=16)
    same(encoder, ["a b c d e f g h i j k"])
    filled = encoder.table.used
    assert filled > 8
    same(encoder, ["x y"])
    assert encoder.table.used == 2
    same(encoder, ["x y z"])
    assert encoder.table.used == 3


def test_a_batch_that_failed_leaves_no_claims_behind(monkeypatch):
    """A claim is a place in the text of its batch; in the next one it would be another piece."""
    encoder = on_host(folder_of("bytes-gpt2"), where=gpu.Gpu(gpu_passes.SOURCES, FakeCupy()))
    launch = encoder.gpu.launch

    def failing(kernel, *arguments, **options):
        if kernel == "fill":
            raise RuntimeError("the device is gone")
        launch(kernel, *arguments, **options)

    monkeypatch.setattr(encoder.gpu, "launch", failing)
    with pytest.raises(RuntimeError, match="device is gone"):
        encoder.encode(strings_from(["the cat sat on the mat"]))
    monkeypatch.undo()
    same(encoder, ["the cut sit in the mud", "the cat sat on the mat"])


@pytest.mark.parametrize(("largest", "narrow"), [(65_535, True), (65_536, False)])
def test_ids_travel_in_16_bits_where_all_of_them_fit(bytes_encoder, largest, narrow):
    rules = bpe.Rules("gpt2", tuple(range(largest - 255, largest + 1)), {})
    encoder = gpu_encode.GpuEncoder(bytes_encoder.host, host_gpu(), compile_rules(rules), slots=64)
    assert encoder.model.narrow == narrow
    found = encoder.encode(strings_from(["a\x7f", "é" * 20]))
    assert found.ids.dtype == np.int32
    assert found.ids.tolist() == [largest - 255 + byte for byte in ("a\x7f" + "é" * 20).encode()]


def test_ids_that_no_slot_can_hold_are_refused():
    with pytest.raises(bpe.Unsupported):
        compile_rules(bpe.Rules("gpt2", tuple(range((1 << 21) - 256, 1 << 21)), {}))


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 1001])
def test_copies_by_several_threads(monkeypatch, size):
    monkeypatch.setattr(gpu, "CHUNK", 200)
    to, values = np.zeros(size, np.int32), np.arange(size, dtype=np.uint16)
    gpu.copy(to, values)
    assert np.array_equal(to, values)


def test_pinned_memory_is_left_alone_until_it_was_copied():
    where, first = host_gpu(), np.array([1, 2, 3])
    upload = gpu.Upload(where, np.int64)
    upload.send(first)
    there = upload.array(3)
    upload.send(np.array([7, 8, 9]))
    with where.stream:
        assert there.get().tolist() == [1, 2, 3]


def test_device_memory_is_left_alone_until_the_passes_have_read_it():
    where, read = host_gpu(), []
    upload = gpu.Upload(where, np.int64)
    upload.send(np.array([1, 2, 3]))
    there = upload.array(3)
    where.stream.later(lambda: read.append(there._on_host.tolist()))  # a kernel that has not begun
    upload.done()
    upload.send(np.array([7, 8, 9]))
    where.incoming.synchronize()
    assert read == [[1, 2, 3]] and there._on_host.tolist() == [7, 8, 9]


def test_a_download_waits_for_what_is_computed():
    where = host_gpu()
    download = gpu.Download(where)
    with where.stream:
        array = where.xp.zeros(3, np.int64)
    where.stream.later(lambda: array._on_host.fill(5))
    download.start(array)
    assert download.wait().tolist() == [5, 5, 5]


WORST = {
    "digits": "1" * 12_000,  # Qwen2: a piece for each byte
    "long": "中abc" * 1600 + " " + "b" * 5000,
    "not in the table": "abcdefghijklmnop " * 900,
    "no blank": "漢字。" * 2000,
}


@pytest.mark.parametrize("text", WORST.values(), ids=WORST)
def test_no_text_takes_more_memory_than_batches_are_made_for(text):
    encoder = on_host(folder_of("bytes-qwen2"))
    texts = strings_from([text] * 5)
    encoder.encode(texts)
    fake_cupy.MEMORY.most = before = fake_cupy.MEMORY.held  # the two pairs of buffers are there
    encoder.encode(texts)
    used = fake_cupy.MEMORY.most - before
    assert used < gpu_encode.MEMORY_PER_BYTE // 2 * texts.size_bytes  # a pool may hold as much again


def test_without_memory_batches_are_halved_and_single_texts_go_to_the_host(monkeypatch):
    encoder = on_host(folder_of("bytes-llama3"))
    texts = ["the cat sat on the mat. " * 40] * 60 + ["a" * 40_000]
    monkeypatch.setattr(fake_cupy.MEMORY, "limit", fake_cupy.MEMORY.held + 400_000)
    same(encoder, texts)
    assert encoder.by_host == 1
    monkeypatch.setattr(fake_cupy.MEMORY, "limit", fake_cupy.MEMORY.held)
    same(encoder, ["the cat", "the mat"])
    assert encoder.by_host == 3


def test_without_pinned_memory_batches_are_halved_and_single_texts_go_to_the_host(monkeypatch):
    """cupy's error for it is none of memory; any other error of the driver goes through."""
    encoder = on_host(folder_of("bytes-llama3"))
    texts = ["the cat sat on the mat. " * 40] * 60
    monkeypatch.setattr(fake_cupy.PinnedMemory, "limit", 1 << 13)
    same(encoder, texts)
    assert encoder.by_host == 0
    monkeypatch.setattr(fake_cupy.PinnedMemory, "limit", 0)
    encoder = on_host(folder_of("bytes-llama3"))
    same(encoder, ["the cat", "the mat"])
    assert encoder.by_host == 2
    monkeypatch.setattr(fake_cupy.DriverError, "status", 700)
    with pytest.raises(fake_cupy.DriverError):
        on_host(folder_of("bytes-llama3")).encode(strings_from(["the cat"]))


# --- rules of the stand-in --------------------------------------------------------------------------------------------


def test_nothing_may_happen_on_the_default_stream():
    with pytest.raises(AssertionError, match="default stream"):
        host_gpu().xp.zeros(3, np.int64)


def test_a_kernel_takes_numbers_of_its_types_alone():
    where = host_gpu()
    with where.stream:
        bits = where.xp.zeros(4, np.uint32)
        with pytest.raises(AssertionError, match="int64 for i32"):
            where.launch("tally", 4, bits, where.xp.zeros(4, np.int64))
        with pytest.raises(AssertionError, match="int for i64"):
            where.launch("check", 1, where.xp.zeros(64, np.uint8), 4, bits, bits, bits, where.xp.zeros(1, np.uint64))
