"""Kernels compile once on a machine: for any number of processes, and helpers once for all constants."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataforge.kernels.cpu import were_compiled
from dataforge.kernels.cpu.compiled import helper, kernel

MODULE = """
from dataforge.kernels.cpu.compiled import helper, kernel

@helper
def grown(value, by):
    return value + by

@kernel
def total(values):
    found = 0
    for value in values:
        found += grown(value, 2) * grown(value, 3)
    return found

if __name__ == "__main__":
    import numpy as np
    import twice
    print(twice.total(np.arange(4)), sum(twice.total.stats.cache_misses.values()), len(twice.grown.overloads))
"""


def test_two_processes_that_want_the_same_kernel_compile_it_once(tmp_path: Path) -> None:
    file = tmp_path / "twice.py"
    file.write_text(MODULE)
    named = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    runs = [
        subprocess.Popen([sys.executable, file], cwd=tmp_path, env=os.environ | named, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = sorted(tuple(map(int, run.communicate()[0].split())) for run in runs)
    assert told == [(68, 0, 0), (68, 1, 1)]  # the second found it; two constants, one helper


def test_a_kernel_is_compiled_anew_when_a_helper_of_another_file_changed(tmp_path: Path) -> None:
    helper_file, kernel_file = tmp_path / "sum_helper.py", tmp_path / "sum_kernel.py"
    kernel_file.write_text(
        "from dataforge.kernels.cpu.compiled import kernel\nfrom sum_helper import grown\n\n"
        "@kernel\ndef total(value):\n    return grown(value)\n\nif __name__ == '__main__':\n"
        "    import sum_kernel\n    print(sum_kernel.total(1), sum(sum_kernel.total.stats.cache_misses.values()))\n"
    )
    named = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    told = []
    for by in (1, 1, 2):
        helper_file.write_text(
            f"from dataforge.kernels.cpu.compiled import helper\n\n@helper\ndef grown(value):\n    return value + {by}\n"
        )
        command = [sys.executable, "-B", kernel_file]
        told.append(subprocess.run(command, cwd=tmp_path, env=os.environ | named, capture_output=True, text=True).stdout)
    assert told == ["2 1\n", "2 0\n", "3 1\n"]


def test_what_other_packages_add_to_numba_is_not_loaded_for_kernels_but_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import njit
    from numba.core import entrypoints

    asked: list[int] = []
    monkeypatch.setattr(entrypoints, "_already_initialized", False)
    monkeypatch.setattr(entrypoints.importlib_metadata, "entry_points", lambda: asked.append(1) or {})
    assert kernel(_doubled)(2) == 4
    assert not asked
    assert njit(_doubled)(2) == 4
    assert asked


def _doubled(value):  # type: ignore[no-untyped-def]
    return 2 * value


def test_python_cannot_jump_into_a_helper() -> None:
    @helper
    def doubled(value: int) -> int:
        return 2 * value

    @kernel
    def both(value: int) -> int:
        return doubled(value) + doubled(3)

    with pytest.raises(TypeError, match="doubled is a part of kernels"):
        doubled(1)
    assert both(1) == 8
    with pytest.raises(TypeError, match="doubled is a part of kernels"):
        doubled(1)


def test_a_fresh_machine_has_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not were_compiled()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "kernel.nbi").write_bytes(b"")
    assert were_compiled()
