"""What the queue refuses, as errors that the page turns into problem JSON (RFC 9457) and the command line into a line."""

from __future__ import annotations

from typing import Any

from dataforge.errors import EXIT_USAGE, DataforgeError


class ReviewError(DataforgeError):
    """`status` is the HTTP status, `kind` the stable name that the page's script looks at, `extra` goes into the JSON.

    In the shell all of them are mistakes of who asks, but for work that is still open: that one waits like a run.
    """

    code, exit_code = "CONFIG", EXIT_USAGE
    status, kind = 400, "invalid"

    def __init__(self, what: str, *, kind: str = "", extra: dict[str, Any] | None = None, **places: Any) -> None:
        super().__init__(what, **places)
        self.kind, self.extra = kind or type(self).kind, extra or {}


class Invalid(ReviewError):
    """The request is wrong as it stands."""


class Unauthenticated(ReviewError):
    status, kind = 401, "login-needed"


class Forbidden(ReviewError):
    status, kind = 403, "forbidden"


class NotFound(ReviewError):
    """No such thing, or not yours: the answer does not tell which."""

    status, kind = 404, "not-found"


class Conflict(ReviewError):
    """The queue has moved on. What the person wrote is kept on their page."""

    status, kind = 409, "conflict"


class TooMany(ReviewError):
    status, kind = 429, "too-many"
