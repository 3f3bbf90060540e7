"""Text statistics on a GPU without a GPU: compiled for it, and every pass run on the host against the definition."""

import functools
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dataforge.kernels import gpu, gpu_text_passes, gpu_text_stats
from dataforge.kernels.encoding_probe import ALPHABETS, hostile_text
from dataforge.kernels.gpu_batches import STRETCH
from dataforge.kernels.text_stats import COUNTERS, measure
from dataforge.kernels.text_stats_reference import counters
from tests.kernels.cuda_host import COUNTING, compiler, fake_cupy, need_gpu, nvrtc
from tests.kernels.cuda_host.fake_cupy import FakeCupy
from tests.kernels.test_text_stats import PIECES


def texts(seed=4, count=150):
    """Pieces of all rules run together and apart, lines and n-grams that come again, hostile alphabets."""
    rng = random.Random(seed)
    found = ["", " ", "\n", "\n\n", "\n\n\n", "a", "a\n\na\n\na", "ab c d e f a bc d e f ab c d e f", "a\n\n \n\nb\n\n\n"]
    found += [". . . . .", "......", "...a. . .", " . . .", "\r\n\r", "\u0301 a\u0301"]
    found += ["a b c {\nx y z. w", "lorem ipsum a b.", "lorem ipsum a b\n" * 2 + "a b {."]
    found += ["a b c.\n" * 6 + "use cookies a b.", "[edit][12][] [citation needed] a b."]
    for i in range(count):
        pool = rng.sample(PIECES, rng.randint(2, len(PIECES)))
        found.append(rng.choice(["", " "]).join(rng.choices(pool, k=rng.randint(1, 60))))
        found.append(hostile_text(rng, ALPHABETS[i % len(ALPHABETS)]))
    return found


def long_texts(count=12):
    """Characters of every length over the edges between stretches, at every place; long lines, words and runs."""
    rng, size = random.Random(7), STRETCH
    found = ["x" * shift + "漢字 ab. " * 500 for shift in range(9)] + ["x" * (size + shift) for shift in (-1, 0, 1)]
    found += ["é" * (size // 2 - 1) + "x" * shift + "𝒜é\n" * 600 for shift in range(5)]
    found += [" " * 3000, "\n" * 2500, "." * 2500, ". " * 1500, "- " * 1500, "a" * 5000 + "\n" + "a" * 5000]
    units = ["a", "É", "漢", "𝒜", " ", "\u0301", "ก", ". ", "the ", "\n", "\n\n", "12", "'s ", "-"]
    return found + ["".join(rng.choices(units, k=rng.randint(900, 4000))) for _ in range(count)]


@functools.cache
def host_gpu(*flags, workers=1):
    return gpu.Gpu(gpu_text_passes.SOURCES, FakeCupy(*flags, workers=workers))


@pytest.fixture
def stats():
    return gpu_text_stats.GpuTextStats(host_gpu())


def differences(found, right):
    """[(row, counter, found, right)], to be read in a failed test."""
    return [(int(r), COUNTERS[c], int(found[r, c]), int(right[r, c])) for r, c in np.argwhere(found != right)][:20]


def defined(given):
    rows = [counters(text) for text in given]
    return np.array([[row[name] for name in COUNTERS] for row in rows], np.int64)


def test_the_passes_give_the_counters_of_the_definition(stats):
    assert differences(stats.measure(pa.array(texts())), defined(texts())) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_the_passes_give_the_counters_of_the_compiled_face(stats, seed):
    assert differences(stats.measure(pa.array(texts(seed, 1500))), measure(pa.array(texts(seed, 1500)))) == []


def test_where_a_long_text_is_cut_for_threads_is_invisible(stats):
    assert differences(stats.measure(pa.array(long_texts())), measure(pa.array(long_texts()))) == []


def test_threads_that_race_for_slots():
    """Several host threads go through the tables at once, most of them with the same pieces."""
    racing = gpu_text_stats.GpuTextStats(host_gpu(workers=8))
    rng = random.Random(3)
    given = [" ".join(rng.choices(["a", "b", "c.", "d\n"], k=rng.randint(1, 900))) for _ in range(40)]
    right = measure(pa.array(given))
    for _ in range(3):
        assert differences(racing.measure(pa.array(given)), right) == []


class WeakHashes(FakeCupy):
    """Kernels whose hash of a piece is the sum of its characters: all anagrams collide."""

    def RawModule(self, *, code, options):
        strong, weak = "#define BASE 0x9E3779B97F4A7C15ull", "#define BASE 1ull"
        assert code.count(strong) == 1
        return super().RawModule(code=code.replace(strong, weak), options=options)


def test_equal_hashes_are_compared_character_by_character():
    stats = gpu_text_stats.GpuTextStats(gpu.Gpu(gpu_text_passes.SOURCES, WeakHashes()))
    rng = random.Random(5)
    given = ["ab ba ab ba\nba ab ab ba\nab ba ab ba\n", "abc\n\nacb\n\nabc\n\nbca"]
    given += [" ".join(rng.choices(["ab", "ba", "a", "b", "abc", "cab\n"], k=200)) for _ in range(30)]
    assert differences(stats.measure(pa.array(given)), measure(pa.array(given))) == []


@pytest.mark.parametrize("size", [0, 20, 300, 5000])
def test_batching_is_invisible_and_large_texts_are_counted_on_the_host(stats, monkeypatch, size):
    monkeypatch.setattr(stats, "batch_bytes", size)
    monkeypatch.setattr(gpu_text_stats, "COUNTS_BYTES", 7 * 8 * len(COUNTERS))
    assert differences(stats.measure(pa.array(texts())), measure(pa.array(texts()))) == []
    assert stats.by_host == sum(len(text.encode()) > size for text in texts())


def test_a_text_that_a_thread_would_be_too_long_over_is_counted_on_the_host(stats, monkeypatch):
    monkeypatch.setattr(stats, "longest", 10)
    given = ["the cat", "the cat sat on the mat", "", "x" * 11, "漢字"]
    assert differences(stats.measure(pa.array(given)), measure(pa.array(given))) == []
    assert stats.by_host == 2


def test_slices_nulls_chunks_and_no_texts(stats):
    array = pa.array(["pad", "the cat sat on the mat.", None, "", "pad"])
    right = defined(["the cat sat on the mat.", "", ""])
    assert np.array_equal(stats.measure(array.slice(1, 3)), right)
    assert np.array_equal(stats.measure(array.cast(pa.large_string()).slice(1, 3)), right)
    assert np.array_equal(stats.measure(pa.chunked_array([array.slice(1, 1), array.slice(2, 2)])), right)
    assert stats.measure(array.slice(0, 0)).shape == (0, len(COUNTERS))
    assert np.array_equal(stats.measure(pa.array(["", None])), right[1:])


@pytest.mark.parametrize("longest", [5, gpu_text_stats.LONGEST])
def test_the_first_text_that_is_not_utf8_is_named(stats, monkeypatch, longest):
    monkeypatch.setattr(stats, "longest", longest)  # of the host's texts the device sees nothing
    broken = pa.array([b"the cat", b"a", b"a \xff b c", b"\xe2\x82"], pa.binary())
    with pytest.raises(ValueError, match=r"^row 2 is not valid UTF-8$"):
        stats.measure(broken)


def test_a_broken_character_is_found_wherever_one_thread_ends_and_the_next_begins(stats):
    for shift in range(-4, 5):
        text = b"x" * (STRETCH + shift)
        for part in (b"\x80", b"\xc3", b"\xe6\xbc", b"\xed\xa0\x80", "é".encode() + b"\x80"):
            with pytest.raises(ValueError, match=r"^row 1 is not valid UTF-8$"):
                stats.measure(pa.array([b"a", text + part + b"y" * 9], pa.binary()))
    assert stats.measure(pa.array(["a \ufffd b"]))[0][COUNTERS.index("replacements")] == 1


def test_without_memory_batches_are_halved_and_single_texts_are_counted_on_the_host(stats, monkeypatch):
    right = measure(pa.array(texts()))
    for room in (100_000, 0):
        monkeypatch.setattr(fake_cupy.MEMORY, "limit", fake_cupy.MEMORY.held + room)
        assert differences(stats.measure(pa.array(texts())), right) == []
    assert stats.by_host >= len(texts())


DENSE = ["!", "\n", "a ", "a\n", "a\n\n", "½", "1+", ".\n\n", "- a\n"]


@pytest.mark.parametrize("piece", DENSE, ids=map(ascii, DENSE))
def test_a_batch_takes_the_memory_that_was_set_aside(stats, piece):
    given = pa.array([piece * (20_000 // len(piece))] * 5)
    fake_cupy.MEMORY.most = before = fake_cupy.MEMORY.held
    with stats.gpu.stream:
        stats._launch(gpu_text_stats.strings_of(given))
    assert fake_cupy.MEMORY.most - before < gpu_text_stats.MEMORY_PER_BYTE * 100_000


def test_a_difference_from_the_host_is_named(stats, monkeypatch):
    monkeypatch.setattr(gpu_text_stats, "measure_on_host", lambda rows: measure(rows) + 1)
    with pytest.raises(gpu_text_stats.StatsDiffer, match="row 0 of a batch"):
        stats.measure(pa.array(["a"]))


RUNS = ["a", "!", "\n", " \n", ".", ". ", "-", "a-", "a@", "[1", "[", "+", "1.", "a.", "lorem ", "'s", "\u0301", "a\n\n"]


@pytest.mark.parametrize("run", RUNS, ids=map(ascii, RUNS))
def test_no_run_of_characters_takes_more_than_work_in_proportion(run):
    """Eight times the length: eight times the work. Pairs of its parts would be 64 times."""
    stats = gpu_text_stats.GpuTextStats(host_gpu(*COUNTING))
    few, many = (work(stats, run * (size // len(run.encode()))) for size in (2000, 16_000))
    assert many < 12 * few


def work(stats, text):
    """Basic blocks that run for one text."""
    before = stats.gpu.xp.built.work_done()
    with stats.gpu.stream:
        stats._launch(gpu_text_stats.strings_of(pa.array([text])))
    return stats.gpu.xp.built.work_done() - before


def test_the_names_of_the_counters_are_those_of_the_host():
    named = re.findall(r"\bN_(\w+)[,\s]", gpu.source("text_stats.cu").partition("};")[0])
    assert tuple(name.lower() for name in named) == COUNTERS


def test_hostile_and_broken_bytes_under_sanitizers():
    found = subprocess.run([compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    if not Path(found.stdout.strip()).is_absolute():
        pytest.skip("no AddressSanitizer: apt-get install gcc")
    root = Path(__file__).parents[2]
    sanitizer = {"LD_PRELOAD": found.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    command = [sys.executable, "-m", "tests.kernels.cuda_host.sanitized_text_stats"]
    environment = {**os.environ, **sanitizer, "PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "clean" in done.stdout, done.stderr[-4000:]


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvrtc_compiles_the_statistics_and_its_blocks_fit_a_multiprocessor(architecture):
    found = nvrtc.needs(gpu.source(*gpu_text_passes.SOURCES), architecture)
    assert {"decoded", "lines", "pieces", "chunks", "insert", "walk", "covered"} < set(found)
    for kernel, needs in found.items():
        assert needs.registers * gpu.THREADS <= 65_536 and needs.shared <= 48 << 10 and needs.spilled == 0, kernel


@pytest.mark.gpu
def test_a_gpu_gives_the_same_counters():
    need_gpu()
    stats = gpu_text_stats.GpuTextStats()
    large = ["the same line.\n" * 60_000, "a b " * 200_000, "!" * 900_000]
    for given in (texts(), texts(9, 20_000), long_texts(300), large):
        assert differences(stats.measure(pa.array(given)), measure(pa.array(given))) == []
    for part in (b"\x80", b"\xe2\x82", b"\xed\xa0\x80"):
        with pytest.raises(ValueError, match=r"^row 1 is not valid UTF-8$"):
            stats.measure(pa.array([b"the cat", b"x" * STRETCH + part, b"\xff"], pa.binary()))
