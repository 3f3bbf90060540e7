"""The local engine: tasks in a pool of processes on one machine, or in this process when there is one worker.

A worker that dies (memory, a crash in C code) ends the run as partial, naming the tasks in flight; parts that were
committed stay. Workers die with their parent.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

import pyarrow as pa

from dataforge.engine import work_fold, work_keyed
from dataforge.engine.work import Spec, Task
from dataforge.errors import WorkerError


class Local:
    """Runs tasks on `workers` processes. Use as a context manager."""

    name = "local"

    def __init__(self, workers: int) -> None:
        self.workers = max(1, workers)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Local:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            self._stop()
        elif self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None

    def each(self, tasks: Sequence[Task]) -> None:
        """Runs the tasks. When one fails, those not begun are left out; of several errors the first by task is raised."""
        if self.workers == 1 or (len(tasks) == 1 and self._pool is None):
            for task in tasks:
                task()
            return
        if self._pool is None:
            context = get_context("spawn")  # forking a process with Arrow's threads in it hangs
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=context, initializer=start_worker, initargs=(os.getpid(),)
            )
        futures: list[Future[None]] = []
        try:
            futures = [self._pool.submit(task) for task in tasks]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
            for future in futures:
                future.result()
        except BrokenProcessPool as error:
            left = [str(task) for task, f in zip(tasks, futures, strict=False) if not f.done() or f.exception()]
            how = ends_of(self._pool)
            self._pool.shutdown(wait=True)  # its thread, still busy at exit, would have Python print a trace
            self._pool = None
            raise WorkerError(  # tasks start in order, so the first that are left were in work
                f"a worker process died{how} while working on one of: {', '.join(left[: self.workers])}",
                step=tasks[0].specs[0].name,
                hint="run the same command again, with fewer --workers if memory ran out",
            ) from error
        except Exception:
            for future in futures:
                future.cancel()
            wait([f for f in futures if not f.cancelled()])
            raise
        except BaseException:  # Ctrl-C, SIGTERM: parts in work are lost, those committed stay
            self._stop()
            raise

    def _stop(self) -> None:
        """Ends the workers now, whatever they are doing."""
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):
                process.kill()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def keyed(self, spec: Spec, routes: Sequence[Task], parts: Sequence[int]) -> None:
        """Fills `parts` of a Keyed Step: routed rows go through files beside the table."""
        self.each(routes)
        self.each([Task(work_keyed.gather_spilled, (spec,), part) for part in parts])

    def fold(self, spec: Spec, observes: Sequence[Task]) -> None:
        self.each(observes)
        self.each([Task(work_fold.finish_observed, (spec,), 0)])  # where the kernels are loaded, so not in this process


def ends_of(pool: ProcessPoolExecutor) -> str:
    """` (SIGKILL)`: how workers of a broken pool ended; the pool itself ends the others by SIGTERM."""
    codes: set[int | None] = set()
    for _attempt in range(100):  # the pool's own thread may just be collecting the exit code
        codes = {process.exitcode for process in (pool._processes or {}).values()} - {None, 0, -signal.SIGTERM}
        if codes:
            break
        time.sleep(0.01)
    names = sorted(signal.Signals(-code).name if code < 0 else f"exit code {code}" for code in codes if code)
    return f" ({', '.join(names)})" if names else ""


def start_worker(parent: int) -> None:
    """A worker ignores Ctrl-C (the parent decides), ends with its parent, and uses one thread."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, Linux only
    if os.getppid() != parent:
        os._exit(1)
    pa.set_cpu_count(1)
    _spare_pandas()
    gc.freeze()  # modules and their functions live as long as the worker,
    gc.set_threshold(50_000, 20, 100)  # and columns hold no cycles: collecting took 3 % of a run


def _spare_pandas() -> None:
    """Arrow imports pandas (0.4 s) at the first Python list, to see whether it is a Series: not where it seems missing.

    Whoever asks Arrow for pandas, or imports it, still gets it.
    """
    sys.meta_path.insert(0, _NoPandas())
    try:
        pa.array([0])
    finally:
        del sys.meta_path[0]


class _NoPandas:
    """Says to `import pandas` that there is none."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
