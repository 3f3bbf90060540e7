"""Operators that use a GPU where there is one: the same rows as without, what they leave to the host, and their gates.

The GPU is the tests' own: the kernels' source, compiled for the host, behind an array library in cupy's place.
"""

import pyarrow as pa
import pytest

from dataforge.errors import ConfigError, GateError
from dataforge.kernels import bpe, device, gpu, gpu_encode, gpu_minhash, gpu_passes, gpu_text_stats
from dataforge.kernels.encoder_tables import compile_rules
from dataforge.operators.dedupe_near import Bands
from dataforge.operators.encode import Encode
from dataforge.operators.quality import Quality
from dataforge.operators.tokenizer_train import TrainTokenizer
from tests.kernels.cuda_host.fake_cupy import FakeCupy

TEXT = "The quick brown fox's 1234 jumps.\n\n  über die Straße \U0001f600 中文! " * 20


@pytest.fixture
def fake_gpu(monkeypatch):
    """`auto` and `cuda` find it."""
    monkeypatch.setattr(device, "why_no_cuda", lambda: None)
    monkeypatch.setattr(device, "cuda", lambda: device.Device("cuda", "fake"))
    for module in (gpu_encode, gpu_minhash, gpu_text_stats):
        monkeypatch.setattr(module, "gpu_of", lambda *files: gpu.Gpu(files, FakeCupy()))
    monkeypatch.setattr(gpu_encode, "tables_of", tables_of)
    monkeypatch.setattr(gpu_passes, "LONG", 500)


def tables_of(folder):
    return compile_rules(bpe.rules_of(folder))  # not the cache of whoever runs the tests


@pytest.fixture
def bpe_folder(tmp_path):
    operator = TrainTokenizer(vocab_size=400)
    operator.finish(operator.observe(0, pa.record_batch({"id": ["a"], "text": [TEXT]})), tmp_path)
    return tmp_path


def rows(texts):
    ids = [f"{i * 2654435761 % 2**32:032x}" for i in range(len(texts))]
    hashes = [f"{i:032x}" for i in range(len(texts))]
    return pa.record_batch({"id": ids, "text": pa.array(texts, pa.string()), "text_hash": hashes})


def test_encode_gives_the_same_rows_and_counts_what_it_leaves_to_the_host(fake_gpu, bpe_folder):
    batch = rows(["", "The quick fox", None, TEXT, "a" * 600, "中", "b" * 700])
    on_gpu, on_host = (Encode(device=choice, check_every=1).start([bpe_folder])(batch) for choice in ("cuda", "cpu"))
    assert on_gpu.kept == on_host.kept
    assert (on_gpu.notes["rows_off_device"], on_host.notes["rows_off_device"]) == (2, 0)


def test_a_wrong_id_of_a_gpu_fails_the_part(fake_gpu, bpe_folder, monkeypatch):
    started = Encode(device="cuda", check_every=1).start([bpe_folder])
    encode_batch = gpu_encode.encode_batch

    def wrong(*arguments):
        found = encode_batch(*arguments)
        found.ids[:1] = 5
        return found

    monkeypatch.setattr(gpu_encode, "encode_batch", wrong)
    with pytest.raises(GateError, match="row 0"):
        started(rows(["The quick fox"]))


def test_without_memory_auto_stays_on_the_host_and_cuda_says_so(fake_gpu, bpe_folder, monkeypatch):
    def no_room(*arguments):
        raise MemoryError

    monkeypatch.setattr(gpu_encode, "WordTable", no_room)
    for module, operator in ((gpu_minhash, Bands), (gpu_text_stats, Quality)):
        monkeypatch.setattr(module, "word_tables", no_room)
        assert operator(device="auto").start([])(rows(["a b"])).kept.num_rows == 1
        with pytest.raises(ConfigError, match="no memory left"):
            operator(device="cuda").start([])
    assert Encode(device="auto").start([bpe_folder])(rows(["a b"])).kept.num_rows == 1
    with pytest.raises(ConfigError, match="no memory left"):
        Encode(device="cuda").start([bpe_folder])


def test_bands_are_the_same(fake_gpu):
    batch = rows(["", "the cat sat on the mat", None, TEXT, "漢字 かな", "!?"])
    on_gpu, on_host = (Bands(device=choice).start([])(batch).kept for choice in ("cuda", "cpu"))
    assert on_gpu == on_host


def test_a_wrong_signature_of_a_gpu_fails_the_part(fake_gpu, monkeypatch):
    launch = gpu_minhash.GpuMinHash._launch

    def wrong(self, texts):
        found = launch(self, texts)
        found.values[0, 0] ^= 1
        return found

    monkeypatch.setattr(gpu_minhash.GpuMinHash, "_launch", wrong)
    with pytest.raises(GateError, match=r"row 0.*"):
        Bands(device="cuda").start([])(rows(["the cat sat on the mat"]))


def test_text_statistics_are_the_same(fake_gpu):
    batch = rows(["", "The cat. The cat.\n\nThe cat.\n" * 9, None, TEXT, "漢字 かな", "!?"])
    on_gpu, on_host = (Quality(device=choice).start([])(batch).kept for choice in ("cuda", "cpu"))
    assert on_gpu == on_host


@pytest.mark.parametrize(("module", "operator"), [(gpu_minhash, Bands), (gpu_text_stats, Quality)])
def test_texts_left_to_the_host_are_noted(fake_gpu, monkeypatch, module, operator):
    monkeypatch.setattr(module, "BATCH_BYTES", 30)
    count = operator(device="cuda").start([])
    found = [count(rows(texts)).notes for texts in (["the cat", "x y " * 20, "the mat", "y " * 40], ["a"], ["z " * 16])]
    assert found == [{"rows_off_device": 2}, None, {"rows_off_device": 1}]
    assert operator(device="cpu").start([])(rows(["y " * 40])).notes is None


def test_a_wrong_counter_of_a_gpu_fails_the_part(fake_gpu, monkeypatch):
    launch = gpu_text_stats.GpuTextStats._launch

    def wrong(self, texts):
        found = launch(self, texts)
        found[0, -1] += 1
        return found

    monkeypatch.setattr(gpu_text_stats.GpuTextStats, "_launch", wrong)
    with pytest.raises(GateError, match="text statistics differ from the host's in row 0"):
        Quality(device="cuda").start([])(rows(["the cat sat on the mat"]))


@pytest.mark.parametrize("operator", [Bands, Quality])
def test_without_a_gpu_cuda_is_a_mistake_of_the_config(monkeypatch, operator):
    missing = device.DeviceMissing("no CUDA device is visible", "use device: cpu")
    monkeypatch.setattr(device, "why_no_cuda", lambda: missing)
    with pytest.raises(ConfigError, match="no CUDA device"):
        operator(device="cuda").start([])
