"""The GPU's benchmark without a GPU: what it says then, and that its lines run."""

import json
import re

import pytest

from dataforge.kernels import device, gpu_passes
from dataforge.kernels.encode import ids_of
from tests.benchmarks import gpu
from tests.kernels.cuda_host.fake_cupy import FakeCupy


def test_without_a_gpu_it_says_so_and_measures_nothing(capsys, monkeypatch):
    missing = device.DeviceMissing("cupy cannot be imported (ImportError)", "install dataforge[gpu]")
    monkeypatch.setattr(device, "why_no_cuda", lambda: missing)
    assert gpu.main([]) == 1
    assert capsys.readouterr().out.startswith("never run on a GPU: cupy cannot be imported")


@pytest.fixture
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "TURNS", 1)
    monkeypatch.setattr(gpu, "TRAINED", {"trained": {"pattern": "llama3"}})
    monkeypatch.setattr(gpu.Encoding, "_gigatoken", lambda self: 0.0)
    out = tmp_path / "bench.json"
    return ["--megabytes", "0.05", "--corpora", "english", "--out", str(out)], out


def test_every_line_of_it_runs(quick, capsys):
    arguments, out = quick
    assert gpu.main(arguments, FakeCupy()) == 0
    said = capsys.readouterr().out
    kernels = ("heads", "walk", "probe", "emit", "measure", "minima", "decoded", "insert", "the rest")
    assert all(kernel in said for kernel in kernels)
    rows = json.loads(out.read_text())
    assert {row["work"] for row in rows} == {"gpu"} and len(rows) == 9
    assert all("no GPU: a test" in row["variant"] for row in rows)


def test_texts_that_the_device_refuses_are_said_and_not_timed_there(quick, capsys, monkeypatch):
    arguments, _ = quick
    monkeypatch.setattr(gpu_passes, "LONG", 50)
    monkeypatch.setattr(gpu.Setup, "texts", lambda self, name, size: ["the cat sat on the mat. " * 30, "a" * 60, "isn't"])
    assert gpu.main(arguments, FakeCupy()) == 0
    whole, left = re.search(r"english: (\d+) bytes.*?on the device: (\d+) bytes", capsys.readouterr().out, re.S).groups()
    assert 0 < int(left) < int(whole)


def test_a_difference_ends_it_before_any_figure(quick, capsys, monkeypatch):
    arguments, out = quick
    monkeypatch.setattr(gpu, "ids_of", lambda lists: ids_of([[*lists[0][:-1], 0], *lists[1:]]))
    assert gpu.main(arguments, FakeCupy()) == 1
    assert "NOT EXACT" in capsys.readouterr().out and not out.exists()
