"""Processes in which Beam's in-process runner works, started once for all pipelines of a run.

Beam's own `multi_processing` mode starts its processes anew for each pipeline, five seconds of imports each, and they write
their logs to stderr. Here the runner asks for a worker by Beam's protocol for external ones; each request goes to a free
process of a pool, which serves that one pipeline and comes back.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

from dataforge.engine.local import start_worker


class Workers:
    """A pool of `count` processes. `environment` goes to the runner; `failure` is set once a process died."""

    def __init__(self, count: int) -> None:
        context = get_context("spawn")  # forking a process with threads in it hangs
        self.pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(os.getpid(),))
        self._server, self._address = _serve(self._request)
        self.failure: BaseException | None = None

    @property
    def environment(self) -> Any:
        from apache_beam.transforms.environments import ExternalEnvironment, python_sdk_capabilities

        return ExternalEnvironment(self._address, {}, capabilities=python_sdk_capabilities())

    def _request(self, control_address: str, worker_id: str) -> None:
        try:
            self.pool.submit(_work, control_address, worker_id).add_done_callback(self._done)
        except BrokenProcessPool as error:  # one died between two pipelines
            self.failure = error

    def _done(self, work: Future[None]) -> None:
        if not work.cancelled() and (error := work.exception()) is not None:
            self.failure = error

    def stop(self) -> None:
        """Ends the processes now, whatever they are doing."""
        self._server.stop(None)
        for process in list((self.pool._processes or {}).values()):
            process.kill()
        self.pool.shutdown(wait=True, cancel_futures=True)


def _serve(request: Any) -> tuple[Any, str]:
    """Answers the runner's requests for workers, on this machine alone; returns the server and its address."""
    import grpc
    from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

    protocol: Any = beam_fn_api_pb2_grpc

    class Requests(protocol.BeamFnExternalWorkerPoolServicer):  # type: ignore[misc]
        def StartWorker(self, asked: Any, _context: Any) -> Any:  # the name is the protocol's
            request(asked.control_endpoint.url, asked.worker_id)
            return beam_fn_api_pb2.StartWorkerResponse()

        def StopWorker(self, _asked: Any, _context: Any) -> Any:  # a worker ends with its pipeline
            return beam_fn_api_pb2.StopWorkerResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    protocol.add_BeamFnExternalWorkerPoolServicer_to_server(Requests(), server)
    server.start()
    return server, f"127.0.0.1:{port}"


def _start(parent: int) -> None:
    """Once in each process. What fails is said by typed errors and by the runner's exception: Beam need not log it too."""
    start_worker(parent)
    logging.disable(logging.CRITICAL)
    import apache_beam.runners.worker.sdk_worker  # noqa: F401


def _work(control_address: str, worker_id: str) -> None:
    """Serves one pipeline."""
    import grpc
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    with suppress(grpc.RpcError):  # the runner hung up: the pipeline is over, well or not, and the runner knows which
        SdkHarness(control_address, worker_id=worker_id).run()
