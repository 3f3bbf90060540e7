"""The Beam engine: the same tasks as elements of a Beam pipeline; rows travel only through `GroupByKey`.

By default the pipeline runs in this process by `FnApiRunner` (named, because `DirectRunner` may try to fetch a binary), or
in several that stay for the whole run (beam_pool). Other runners come by ordinary Beam options; their workers must see the
store: a shared file system, or one machine. Beam delivers grouped rows in any order, so each batch carries (input, part,
sequence) and is sorted before use. A task that fails leaves its typed error beside the table: Beam hands back only text.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from queue import Empty, Queue
from typing import Any

import pyarrow as pa

from dataforge import errors
from dataforge.engine import work_fold, work_keyed
from dataforge.engine.beam_pool import Workers
from dataforge.engine.local import ends_of
from dataforge.engine.work import Spec, Task, typed
from dataforge.errors import DataforgeError, MissingExtraError, WorkerError


@contextmanager
def _quietly() -> Iterator[None]:
    """What Beam misses at import (clients of clouds) concerns nobody here."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class Beam:
    """Runs tasks on a Beam runner. `options` are Beam's own, e.g. ["--runner=PortableRunner", "--job_endpoint=…"]."""

    name = "beam"

    def __init__(self, options: Sequence[str] = (), *, workers: int = 1) -> None:
        try:
            with _quietly():
                import apache_beam
                from apache_beam.runners.portability import fn_api_runner
        except ImportError as error:
            raise MissingExtraError(
                "the Beam engine needs apache-beam", hint="pip install 'dataforge[beam]'"
            ) from error
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # what fails comes as an exception, with Beam's text
        self._beam, self._runner = apache_beam, fn_api_runner.FnApiRunner  # type: ignore[attr-defined]
        self.options, self._count = list(options), max(1, workers)
        self._workers: Workers | None = None

    def __enter__(self) -> Beam:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._workers is not None:
            self._workers.stop()
            self._workers = None

    def _run(self, build: Any, tasks: Sequence[Task]) -> None:
        """Runs a pipeline in a thread of its own, so that a signal or the death of a worker ends the wait at once."""
        done: Queue[BaseException | None] = Queue()
        pipeline = self._pipeline()
        build(pipeline)
        threading.Thread(target=_outcome, args=(pipeline, done), daemon=True).start()
        while True:
            try:
                error = done.get(timeout=0.2)
                break
            except Empty:
                if self._workers is not None and self._workers.failure is not None:
                    error = self._workers.failure
                    break
        if isinstance(error, BrokenProcessPool):
            what = f"a worker process died{ends_of(self._workers.pool) if self._workers else ''}"
            hint = "run the same command again, with fewer --workers if memory ran out"
            raise WorkerError(what, step=tasks[0].specs[0].name, hint=hint)
        if error is not None:
            raise _typed(error, tasks) from error

    def _pipeline(self) -> Any:
        """A pipeline on the runner that the options name, or in this process, or in several of this machine."""
        from apache_beam.options.pipeline_options import PipelineOptions

        options = list(self.options)
        runner = None if any(o.startswith("--runner") for o in options) else self._runner()
        if self._count > 1 and not any(o.startswith(("--runner", "--direct_")) for o in options):
            if self._workers is None:
                self._workers, threading.excepthook = Workers(self._count), _quiet(threading.excepthook)
            options.append(f"--direct_num_workers={self._count}")
            runner = self._runner(self._workers.environment)
        return self._beam.Pipeline(runner=runner, options=PipelineOptions(options, save_main_session=False))

    def each(self, tasks: Sequence[Task]) -> None:
        if not tasks:
            return

        def build(pipeline: Any) -> None:
            beam = self._beam
            made = pipeline | "tasks" >> beam.Create(list(tasks))
            made | "spread" >> beam.Reshuffle() | "run" >> beam.Map(_call)

        self._run(build, tasks)

    def keyed(self, spec: Spec, routes: Sequence[Task], parts: Sequence[int]) -> None:
        """Routed rows go through GroupByKey by target part; parts without rows are filled all the same."""

        def build(pipeline: Any) -> None:
            beam = self._beam
            made = pipeline | "tasks" >> beam.Create(list(routes))
            rows = made | "spread" >> beam.Reshuffle() | "route" >> beam.FlatMap(_route)
            every = pipeline | "parts" >> beam.Create([(part, None) for part in parts])
            grouped = (rows, every) | "all" >> beam.Flatten() | "group" >> beam.GroupByKey()
            grouped | "gather" >> beam.Map(_gather, spec, frozenset(parts))

        self._run(build, [Task(work_keyed.gather_spilled, (spec,), part) for part in parts])

    def fold(self, spec: Spec, observes: Sequence[Task]) -> None:
        def build(pipeline: Any) -> None:
            beam = self._beam
            made = pipeline | "tasks" >> beam.Create(list(observes))
            states = made | "spread" >> beam.Reshuffle() | "observe" >> beam.Map(_observe)
            merged = states | "merge" >> beam.CombineGlobally(_Merge(spec))
            merged | "finish" >> beam.Map(_finish, spec)

        self._run(build, list(observes) or [Task(work_fold.observe, (spec,), 0)])


def _quiet(before: Any) -> Any:
    """Threads of a runner whose worker is gone say so by traces; what there is to say of it the run says itself."""
    import grpc

    def hook(failed: threading.ExceptHookArgs) -> None:
        if not isinstance(failed.exc_value, grpc.RpcError):
            before(failed)

    return hook


def _outcome(pipeline: Any, done: Queue[BaseException | None]) -> None:
    try:
        pipeline.run().wait_until_finish()
    except BaseException as error:
        done.put(error)
    else:
        done.put(None)


def _guard(task: Task, function: Any) -> Any:
    """Runs a function; a typed error is also written beside the table, where the driver finds it."""
    try:
        with typed(task.specs[0]):
            return function()
    except DataforgeError as error:
        folder = task.specs[0].path / ".tmp" / "errors"
        folder.mkdir(parents=True, exist_ok=True)
        document = {"type": type(error).__name__, **error.as_dict()}
        (folder / f"{task.index}-{task.part:05d}.json").write_text(json.dumps(document))
        raise


def _typed(error: BaseException, tasks: Sequence[Task]) -> Exception:
    for path in sorted({task.specs[0].path for task in tasks}):
        for file in sorted((path / ".tmp" / "errors").glob("*")):
            found = json.loads(file.read_text())
            kind = getattr(errors, found.pop("type"))
            what, details = found.pop("what"), found.pop("details")
            typed = kind(what, **{k: v for k, v in found.items() if v is not None})
            typed.details = details
            return typed  # type: ignore[no-any-return]
    if isinstance(error, DataforgeError):
        return error
    return WorkerError(
        f"the Beam pipeline failed: {type(error).__name__}",
        step=tasks[0].specs[0].name,
        hint="run again with -v for the runner's own message",
    )


def _call(task: Task) -> None:
    _guard(task, task)


def _route(task: Task) -> Iterator[tuple[int, tuple[int, int, int, bytes]]]:
    found = _guard(task, lambda: list(work_keyed.routed(task.specs[0], task.index, task.part, batch_rows=task.batch_rows)))
    for target, sequence, rows in found:
        yield target, (task.index, task.part, sequence, _bytes(rows))


def _gather(group: tuple[int, Iterable[Any]], spec: Spec, wanted: frozenset[int]) -> None:
    part, values = group
    if part not in wanted:
        return
    rows: dict[int, list[pa.RecordBatch]] = {i: [] for i in range(len(spec.tables())) if i not in spec.operator.local()}
    for index, _part, _sequence, data in sorted((v for v in values if v is not None), key=lambda v: v[:3]):
        rows[index].extend(pa.ipc.open_stream(data))
    _guard(Task(work_keyed.gather_spilled, (spec,), part), lambda: work_keyed.gather(spec, part, rows))


def _observe(task: Task) -> bytes:
    state = _guard(task, lambda: work_fold.observed(task.specs[0], task.index, task.part, batch_rows=task.batch_rows))
    return b"" if state is None else work_fold.state_bytes(state)


def _finish(state: bytes, spec: Spec) -> None:
    _guard(Task(work_fold.observe, (spec,), 0), lambda: work_fold.finish(spec, work_fold.read_state(state)))


def _bytes(rows: pa.RecordBatch) -> bytes:
    """Arrow IPC of just these rows: pickling a slice would ship its whole buffers."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return sink.getvalue()


def _combine_class() -> Any:
    try:
        with _quietly():
            from apache_beam import CombineFn
    except ImportError:
        return object
    return CombineFn


class _Merge(_combine_class()):  # type: ignore[misc]
    """Merges Fold states; empty bytes stand for no rows."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def create_accumulator(self) -> bytes:
        return b""

    def add_input(self, left: bytes, right: bytes) -> bytes:
        if not left or not right:
            return left or right
        one, other = work_fold.read_state(left), work_fold.read_state(right)
        return work_fold.state_bytes(self.spec.operator.merge(one, other))

    def merge_accumulators(self, accumulators: Iterable[bytes]) -> bytes:
        total = b""
        for state in accumulators:
            total = self.add_input(total, state)
        return total

    def extract_output(self, state: bytes) -> bytes:
        return state
