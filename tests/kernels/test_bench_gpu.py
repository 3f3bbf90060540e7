"""The GPU's benchmark without a GPU: what it says then, and that its lines run."""

import json

import pytest

from dataforge.kernels import device
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


def test_a_difference_ends_it_before_any_figure(quick, capsys, monkeypatch):
    arguments, out = quick
    monkeypatch.setattr(gpu, "ids_of", lambda lists: ids_of([[*lists[0][:-1], 0], *lists[1:]]))
    assert gpu.main(arguments, FakeCupy()) == 1
    assert "NOT EXACT" in capsys.readouterr().out and not out.exists()
