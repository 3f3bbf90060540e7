# mypy: ignore-errors
"""How kernels are compiled: `kernel` is called from Python, `helper` from kernels alone. A machine compiles each once.

The first run of a machine waits for the compiler, so it does no work twice. Of processes that want the same kernel one
compiles, the others wait and load it. A helper gets no entry for Python, no file of its own (it ends up in that of its
kernel) and no copy for each constant that it is called with: all of that took a third of the time.

These are hooks into numba's dispatcher that its handbook does not name; where a release drops one, kernels compile as
slowly as before and give the same results.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from numba import njit, types
from numba.core import entrypoints
from numba.core.compiler_lock import global_compiler_lock


def kernel(function):
    """Compiles at the first call with arguments of new types, or loads what an earlier process compiled."""
    made = njit(nogil=True, cache=True, no_cfunc_wrapper=True)(function)
    compile_now = made.compile

    def compile_once(signature):
        if signature in made.overloads:
            return compile_now(signature)
        # In this order: a thread that compiles may want another kernel's file.
        with global_compiler_lock, _without_extensions(), _alone(made):
            return compile_now(signature)

    made.compile = compile_once
    made._compilation_chain_init_hook = _nothing
    with suppress(AttributeError, OSError):
        made._cache.save_overload = _if_there_is_room(made._cache.save_overload)
        made._cache._cache_file._source_stamp = _stamp(Path(function.__code__.co_filename))
    return made


def _stamp(file: Path) -> tuple[str, str]:
    """What a kept kernel was made of, by content: numba looks at the time of the kernel's own file alone, and would go on
    with helpers and constants of other files as they were. All of `kernels`, and the files of the same first word beside it.
    """
    return _digest(Path(__file__).parent.parent, "*.py"), _digest(file.parent, f"{file.stem.partition('_')[0]}*.py")


@functools.cache
def _digest(folder: Path, pattern: str) -> str:
    found = hashlib.sha256()
    for source in sorted(folder.rglob(pattern)):
        found.update(source.read_bytes())
    return found.hexdigest()


def _if_there_is_room(save):
    """A full disk costs the kept copy, not the run."""

    def saved(signature, data):
        with suppress(OSError):
            save(signature, data)

    return saved


def helper(function=None, *, inline="never"):
    """Compiled as a part of each kernel that calls it; a TypeError where Python calls it."""
    if function is None:
        return lambda given: helper(given, inline=inline)
    made = njit(nogil=True, inline=inline, no_cfunc_wrapper=True, no_cpython_wrapper=True)(function)
    template_of = made.get_call_template

    def refuse(*_arguments, **_named):
        raise TypeError(f"{function.__name__} is a part of kernels: only they can call it")

    def without_constants(arguments, named):
        return template_of(tuple(map(types.unliteral, arguments)), named)

    made.get_call_template = without_constants
    made._insert, made._compile_for_args = _nothing, refuse  # no door for Python: it would jump to address 0
    return made


def _nothing(*_arguments):
    return None


@contextmanager
def _without_extensions() -> Iterator[None]:
    """Kernels know none of the types that other packages add to numba, so those are not imported: awkward takes 0.3 s."""
    before = getattr(entrypoints, "_already_initialized", False)
    entrypoints._already_initialized = True
    try:
        yield
    finally:
        entrypoints._already_initialized = before


@contextmanager
def _alone(made) -> Iterator[None]:
    """Only one process at a time is in this block for this kernel; all are where there are no file locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = None
    with suppress(OSError, AttributeError):  # a folder that cannot be written: nothing is kept there either
        folder = Path(made._cache.cache_path)
        folder.mkdir(parents=True, exist_ok=True)
        code = made.py_func.__code__
        name = f"{Path(code.co_filename).stem}.{code.co_name}.nbi.lock"
        handle = os.open(folder / name, os.O_CREAT | os.O_RDWR, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)
