"""A child process that extracts pages one at a time, so that a page which hangs or swells costs only itself.

Parent and child speak in frames over pipes: 4 bytes of length, then UTF-8. The limit of time is CPU time, kept by a
timer whose signal kills the child even inside C code; wall time is a second limit for a child that sleeps. The child
gets no environment but what Python needs, and ends when the parent closes the pipe.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict
from types import TracebackType
from typing import IO

from dataforge.operators.extract import Extraction, extract_text
from dataforge.operators.files_rows import RowFault

_WALL_TIMES_CPU = 10
_START_S = 120  # importing an extractor on a busy machine
_OK, _FAILED, _MEMORY = b"o", b"f", b"m"


class Extractor:
    """Extracts pages in a child process that is started with the first page and again after each one that broke it."""

    def __init__(self, extractor: str, how: Extraction) -> None:
        self._extractor, self._how = extractor, how
        self._child: subprocess.Popen[bytes] | None = None

    def text(self, html: str) -> str:
        """Main text of a page. A page that goes over a limit or breaks the extractor is a RowFault."""
        if self._extractor == "none":
            return html
        child = self._child or self._start()
        try:
            _send(child.stdin, html.encode("utf-8", "replace"))
            answer = self._receive(child, self._how.cpu_s * _WALL_TIMES_CPU)
        except (OSError, EOFError):
            raise self._fault() from None
        if answer[:1] == _OK:
            return answer[1:].decode()
        if answer[:1] == _MEMORY:
            self.close()  # what the allocator kept would count against the next page
            raise RowFault("WORKER", f"memory: extraction needs over {self._how.memory_mib} MiB")
        raise RowFault("WORKER", f"extraction failed: {answer[1:].decode()}")

    def _start(self) -> subprocess.Popen[bytes]:
        settings = json.dumps({"extractor": self._extractor, "how": asdict(self._how)})
        program = "from dataforge.operators.extract_process import serve; serve()"
        self._child = subprocess.Popen(
            [sys.executable, "-c", program, settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        )
        if self._receive(self._child, _START_S) != _OK:
            raise RowFault("WORKER", "the extractor did not start")
        return self._child

    def _receive(self, child: subprocess.Popen[bytes], seconds: float) -> bytes:
        end = time.monotonic() + seconds
        size = int.from_bytes(_read_exactly(child.stdout, 4, end), "big")
        return _read_exactly(child.stdout, size, end)

    def _fault(self) -> RowFault:
        """Why the child is gone: killed by the timer or too long silent (time), or by its memory or a crash."""
        import signal

        child, self._child = self._child, None
        if child is None:
            return RowFault("WORKER", "the extractor is gone")
        try:
            signal_number = -child.wait(0.5)
        except subprocess.TimeoutExpired:
            signal_number = signal.SIGPROF
            child.kill()
            child.wait()
        if signal_number == signal.SIGPROF:
            return RowFault("WORKER", f"timeout: extraction takes over {self._how.cpu_s} s")
        return RowFault("WORKER", f"extraction crashed with signal {signal_number}")

    def close(self) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()
            child.communicate()

    def __enter__(self) -> Extractor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _send(pipe: IO[bytes] | None, data: bytes) -> None:
    if pipe is None:
        raise EOFError
    pipe.write(len(data).to_bytes(4, "big") + data)
    pipe.flush()


def _read_exactly(pipe: IO[bytes] | None, size: int, end: float) -> bytes:
    """`size` bytes, or EOFError when the child ends or says nothing until `end`."""
    if pipe is None:
        raise EOFError
    pieces, left = [], size
    while left:
        ready, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
        data = os.read(pipe.fileno(), min(left, 1 << 20)) if ready else b""
        if not data:
            raise EOFError
        pieces.append(data)
        left -= len(data)
    return b"".join(pieces)


def serve() -> None:
    """The child: reads pages from stdin and writes their texts to stdout until stdin ends."""
    import logging
    import resource
    import signal

    settings = json.loads(sys.argv[1])
    how = Extraction(**settings["how"])
    logging.disable(logging.CRITICAL)
    extract_text("<html><body><p>warm up</p></body></html>", settings["extractor"], how)
    limit = how.memory_mib << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _send(sys.stdout.buffer, _OK)
    while head := sys.stdin.buffer.read(4):
        html = sys.stdin.buffer.read(int.from_bytes(head, "big")).decode()
        signal.setitimer(signal.ITIMER_PROF, how.cpu_s)
        answer = _answer(html, settings["extractor"], how)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(sys.stdout.buffer, answer)


def _answer(html: str, extractor: str, how: Extraction) -> bytes:
    try:
        return _OK + extract_text(html, extractor, how).encode("utf-8", "replace")
    except MemoryError:
        return _MEMORY
    except Exception as error:  # an extractor may raise anything on a bad page; only the kind is told, never its text
        return _FAILED + type(error).__name__.encode()
