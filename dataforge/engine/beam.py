"""The Beam engine: the same tasks as elements of a Beam pipeline; rows travel only through `GroupByKey`.

By default the pipeline runs in this process by `FnApiRunner` (named, because `DirectRunner` may try to fetch a binary);
other runners come by ordinary Beam options. The workers must see the store: a shared file system, or one machine.
Beam delivers grouped rows in any order, so each batch carries (input, part, sequence) and is sorted before use.
A task that fails leaves its typed error beside the table, because Beam hands back only text.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from dataforge import errors
from dataforge.engine import work_fold, work_keyed
from dataforge.engine.work import Spec, Task, typed
from dataforge.errors import DataforgeError, MissingExtraError, WorkerError


class Beam:
    """Runs tasks on a Beam runner. `options` are Beam's own, e.g. ["--runner=PortableRunner", "--job_endpoint=…"]."""

    name = "beam"

    def __init__(self, options: Sequence[str] = (), *, workers: int = 1) -> None:
        logging.disable(logging.WARNING)  # what Beam misses at import concerns nobody here
        try:
            import apache_beam
        except ImportError as error:
            raise MissingExtraError(
                "the Beam engine needs apache-beam", hint="pip install 'dataforge[beam]'"
            ) from error
        finally:
            logging.disable(logging.NOTSET)
        logging.getLogger("apache_beam").setLevel(logging.ERROR)
        self._beam = apache_beam
        self.options = list(options) or _in_process(workers)

    def __enter__(self) -> Beam:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def _run(self, build: Any, tasks: Sequence[Task]) -> None:
        from apache_beam.options.pipeline_options import PipelineOptions

        options = PipelineOptions(self.options, save_main_session=False)
        named = any(o.startswith("--runner") for o in self.options)
        pipeline = self._beam.Pipeline(
            runner=None if named else "apache_beam.runners.portability.fn_api_runner.FnApiRunner", options=options
        )
        try:
            build(pipeline)
            running: Any = pipeline.run()
            running.wait_until_finish()
        except DataforgeError:
            raise
        except Exception as error:
            raise _typed(error, tasks) from error

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


def _in_process(workers: int) -> list[str]:
    if workers <= 1:
        return []
    return [f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing"]


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


def _typed(error: Exception, tasks: Sequence[Task]) -> Exception:
    for path in sorted({task.specs[0].path for task in tasks}):
        for file in sorted((path / ".tmp" / "errors").glob("*")):
            found = json.loads(file.read_text())
            kind = getattr(errors, found.pop("type"))
            what, details = found.pop("what"), found.pop("details")
            typed = kind(what, **{k: v for k, v in found.items() if v is not None})
            typed.details = details
            return typed  # type: ignore[no-any-return]
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
