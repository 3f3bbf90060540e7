"""One connection to the page, with an end to patience: who sends nothing, or a byte now and then, is hung up on.

uvicorn waits for a request's head without limit, so some thousand silent sockets would use up what the process may open.
A body that trickles is cut by guard.py while a route waits for it, and here once its answer has gone out.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 15.0  # for a request's line and headers, from the first byte or from the connection on
HEAD_LIMIT = 16 << 10  # bytes of line and headers; a session cookie is 110


class Connection(H11Protocol):
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._calm()  # idle between requests is uvicorn's keep-alive
        if self.conn.their_state != self.conn.our_state:  # the answer is out and the body still coming
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Time runs while the next request is owed, however many bytes of it arrive, and stands while we answer."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._calm()
        elif self._patience is None and not self.transport.is_closing():
            self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
