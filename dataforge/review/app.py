"""The review page as an ASGI application, and the server that runs it. State lives in the database, none here."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from dataforge.errors import ConfigError, DataforgeError
from dataforge.review import api, auth, pages
from dataforge.review.calls import Page
from dataforge.review.commands import OnClosed
from dataforge.review.database import Database, open_database
from dataforge.review.guard import Guard, problem_document, status_of

KEEP_ALIVE_S = 75  # clients that think longer than the server's default of 5 s would meet closed connections
THREADS = 48  # on PostgreSQL every answer takes one; on SQLite only pages and lists do


def create_app(
    database: Database | str | Path,
    *,
    on_closed: OnClosed | None = None,
    clock: Callable[[], float] = time.time,
    trusted_proxy: str = "",
    public_url: str = "",
    min_alpha: float = 0.667,
) -> Starlette:
    """The application on an open database or its location.

    `on_closed(event)` is called after a batch was closed on the page (ids and counts). `trusted_proxy` is the address
    whose X-Forwarded-User is believed. `public_url` is what people type, if a proxy stands in front.
    """
    opened = database if isinstance(database, Database) else open_database(database, clock=clock)
    page = Page(opened, auth.cookie_secret(opened), on_closed, trusted_proxy, public_url.rstrip("/"), min_alpha)
    app = Starlette(
        routes=[*api.ROUTES, *pages.ROUTES, Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))],
        exception_handlers={DataforgeError: _refused, HTTPException: _http_error},  # type: ignore[dict-item]
        middleware=[
            Middleware(
                Guard,
                public_url=page.public_url,
                may_import=lambda scope: page.token(Request(scope)) is not None,
                trusted_proxy=trusted_proxy,
            )
        ],
        lifespan=_limit_threads,
    )
    app.state.page = page
    return app


class _limit_threads:
    """Lifespan: the pool of threads that run the routes."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    async def __aenter__(self) -> None:
        import anyio.to_thread

        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS

    async def __aexit__(self, *_: object) -> None:
        return None


def _refused(request: Request, error: DataforgeError) -> Response:
    status, kind, extra = status_of(error)
    return _error(request, status, kind, error.what, extra)


def _http_error(request: Request, error: Exception) -> Response:
    status = int(getattr(error, "status_code", 500))
    kinds = {404: ("not-found", "there is nothing here"), 405: ("method", "this cannot be done here")}
    return _error(request, status, *kinds.get(status, ("invalid", "the request is wrong")))


def _error(request: Request, status: int, kind: str, what: str, extra: dict[str, Any] | None = None) -> Response:
    if request.url.path.startswith("/api/"):
        document = problem_document(status, kind, what, extra)
        return JSONResponse(document, status_code=status, media_type="application/problem+json", headers=_retry(extra))
    return pages.html("error.html", None, status=status, code=status, what=what)


def _retry(extra: dict[str, Any] | None) -> dict[str, str]:
    return {"Retry-After": str(extra["retry_after"])} if extra and "retry_after" in extra else {}


def serve(
    database: Database | str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8474,
    on_closed: OnClosed | None = None,
    trusted_proxy: str = "",
    public_url: str = "",
    min_alpha: float = 0.667,
) -> None:
    """Runs the page until interrupted. On another address than loopback it wants `public_url`, and TLS in front."""
    import uvicorn

    if host not in ("127.0.0.1", "::1", "localhost") and not public_url:
        raise ConfigError(
            f"binding to {host} opens the page to others",
            key="--public-url",
            hint="name the https address that people type: --public-url https://review.example.org",
        )
    _allow_many_sockets()
    os.umask(0o077)
    app = create_app(
        database, on_closed=on_closed, min_alpha=min_alpha, trusted_proxy=trusted_proxy, public_url=public_url
    )
    uvicorn.run(app, host=host, port=port, **_server_settings())


def _allow_many_sockets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 65536), hard))


def _server_settings() -> dict[str, Any]:
    """Says nothing about itself, logs no request, believes no proxy's headers."""
    from dataforge.review.connections import HEAD_LIMIT, Connection

    return {
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "http": Connection,
        "ws": "none",
        "h11_max_incomplete_event_size": HEAD_LIMIT,
        "backlog": 4096,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": 5,
    }
