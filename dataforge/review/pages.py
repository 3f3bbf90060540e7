"""The HTML pages: shells that the scripts fill, and the lead's tables. Every text goes out through autoescape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from dataforge.review import auth, views
from dataforge.review import stats as numbers
from dataforge.review import tables as t
from dataforge.review.adjudication import to_adjudicate
from dataforge.review.auth import User
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.calls import MAX_ID, Page
from dataforge.review.closing import preview
from dataforge.review.decisions import CATEGORIES
from dataforge.review.formats import FORMATS
from dataforge.review.problems import Forbidden, NotFound
from dataforge.review.search import STATUSES

HERE = Path(__file__).parent
REASONS = {
    "broken_text": "broken text",
    "personal_data": "personal data",
    "harmful": "harmful",
    "wrong_language": "wrong language",
    "not_for_task": "not for this task",
    "other": "other",
}
KINDS_SHOWN = {"act": "labels", "instruct": "pairs to edit", "preference": "choices", "dropped": "dropped rows"}
LOOPBACK = ("127.0.0.1", "::1", "testclient")


@lru_cache(maxsize=1)
def templates() -> Environment:
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
    )
    env.filters.update(percent=percent, number=number, when=when, duration=duration, measure=measure)
    return env


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}\u00a0%"


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def when(value: float | None) -> str:
    """UTC; the page's script rewrites it into the reader's own time."""
    return "–" if value is None else datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "not known yet"
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def measure(m: dict[str, Any]) -> str:
    """0.71 (0.63 to 0.78), or the reason why there is no number."""
    if m["value"] is None:
        return str(m["why"])
    bounds = f" ({number(m['low'])} to {number(m['high'])})" if m["low"] is not None else ""
    return number(m["value"]) + bounds


@lru_cache(maxsize=32)
def rendered(markdown: str) -> Markup:
    """Guidelines: Markdown with HTML off, so that a tag in it is shown as text."""
    from markdown_it import MarkdownIt

    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(markdown))


def page_route(path: str, build: Callable[[Page, User, Request], Response], *, lead: bool = False) -> Route:
    def endpoint(request: Request) -> Response:
        page: Page = request.app.state.page
        user = page.known_user(request)
        if user is None:
            return RedirectResponse("/login", status_code=303)
        if lead and not user.is_lead:
            raise Forbidden("only a lead may see this page")
        return build(page, user, request)

    return Route(path, endpoint, methods=["GET"])


def html(
    name: str, user: User | None, *, setup: dict[str, Any] | None = None, status: int = 200, **values: Any
) -> Response:
    text = templates().get_template(name).render(user=user, setup=_embedded(setup or {}), **values)
    return HTMLResponse(text, status_code=status)


def _embedded(value: dict[str, Any]) -> Markup:
    """JSON for a data block: no character that could end it."""
    text = json.dumps(value, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _id(request: Request, name: str) -> int:
    value = int(request.path_params[name])
    if value > MAX_ID:
        raise NotFound("no such page")
    return value


def login_page(request: Request) -> Response:
    return html("login.html", None)


def home(page: Page, user: User, request: Request) -> Response:
    with page.database.read() as c:
        batches = views.batches_for(c, user)
        has_passphrase = c.scalar(sa.select(t.account.c.pass_hash).where(t.account.c.id == user.id)) is not None
    return html("home.html", user, batches=batches, kinds=KINDS_SHOWN, has_passphrase=has_passphrase)


def _setup(page: Page, c: sa.Connection, user: User, batch_id: int) -> tuple[Any, dict[str, Any], Any]:
    """(batch, what the scripts need to know, guideline)."""
    batch = batch_row(c, batch_id)
    label_set = labels_of(c, batch.label_schema_id)
    guideline = c.execute(sa.select(t.guideline).where(t.guideline.c.id == batch.guideline_id)).one()
    labels = [
        {"name": x.name, "singular": x.singular, "key": x.key, "letter": x.letter, "definition": x.definition}
        for x in label_set.labels
    ]
    setup = {
        "batch": batch.id,
        "kind": batch.kind,
        "state": batch.state,
        "lease_s": batch.lease_s,
        "multi": bool(batch.allow_multi),
        "labels": labels,
        "reasons": REASONS,
        "categories": CATEGORIES,
        "lead": user.is_lead,
        "user": {"id": user.id, "name": user.name},
        # Two databases served under one address must not share an outbox.
        "store": f"review:{hashlib.sha256(page.secret).hexdigest()[:12]}:{user.id}",
    }
    return batch, {**setup, "question": label_set.question}, guideline


def item_page(page: Page, user: User, request: Request) -> Response:
    with page.database.read() as c:
        if "item" in request.path_params:
            item = views.item_for(c, _id(request, "item"), user)
            batch_id, open_at = item["batch"], item["id"]
        else:
            batch_id, open_at = _id(request, "batch"), None
        batch, setup, guideline = _setup(page, c, user, batch_id)
        mine, suggests = views.answered_by(c, batch_id, user), views.suggests(c, batch)
    return html(
        "item.html",
        user,
        setup={**setup, "open": open_at, "mine": mine, "suggests": suggests},
        batch=batch,
        question=setup["question"],
        labels=setup["labels"],
        reasons=REASONS,
        guideline=guideline,
        guideline_html=rendered(guideline.markdown),
    )


def list_page(page: Page, user: User, request: Request) -> Response:
    with page.database.read() as c:
        batch, setup, _ = _setup(page, c, user, _id(request, "batch"))
        people = c.scalars(sa.select(t.account.c.name).order_by(t.account.c.name)).all() if user.is_lead else []
    statuses = [s for s in STATUSES if user.is_lead or s not in ("unresolved", "adjudicated")]
    return html("list.html", user, setup=setup, batch=batch, labels=setup["labels"], people=people, statuses=statuses)


def adjudicate_page(page: Page, user: User, request: Request) -> Response:
    with page.database.read() as c:
        batch, setup, guideline = _setup(page, c, user, _id(request, "batch"))
        waiting = [item_id for item_id, _ in to_adjudicate(c, batch.id)]
        chosen = request.query_params.get("item", "")
        if chosen.isdigit() and int(chosen) <= MAX_ID:
            waiting = [int(chosen), *(i for i in waiting if i != int(chosen))]
    return html(
        "adjudicate.html",
        user,
        setup={**setup, "waiting": waiting},
        batch=batch,
        labels=setup["labels"],
        categories=CATEGORIES,
        guideline_html=rendered(guideline.markdown),
    )


def stats_page(page: Page, user: User, request: Request) -> Response:
    batch_id = _id(request, "batch")
    s, closing = numbers.stats(page.database, batch_id), preview(page.database, batch_id)
    with page.database.read() as c:
        batch, setup, _ = _setup(page, c, user, batch_id)
        waiting = len(to_adjudicate(c, batch_id))
    shown = {x["name"]: x["singular"] for x in setup["labels"]}
    return html(
        "stats.html",
        user,
        setup=setup,
        batch=batch,
        s=s,
        closing=closing,
        waiting=waiting,
        shown=shown,
        confusion=_confusion(s["agreement"]["confusion"]),
        formats=FORMATS,
        min_alpha=f"{page.min_alpha:g}",
        low_alpha=numbers.below(s["agreement"]["alpha"], page.min_alpha),
    )


def _confusion(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """A square table from the unordered pairs."""
    names = sorted({x for cell in cells for x in (cell["a"], cell["b"])})
    counts = {(cell["a"], cell["b"]): cell["n"] for cell in cells}
    most = max(counts.values(), default=1)
    rows = [[counts.get((min(a, b), max(a, b)), 0) for b in names] for a in names]
    return {"names": names, "rows": rows, "most": most}


def guideline_page(page: Page, user: User, request: Request) -> Response:
    with page.database.read() as c:
        row = c.execute(sa.select(t.guideline).where(t.guideline.c.id == _id(request, "guideline"))).first()
    if row is None:
        raise NotFound("no such guideline")
    return html("guideline.html", user, guideline=row, guideline_html=rendered(row.markdown))


def users_page(page: Page, user: User, request: Request) -> Response:
    return html("users.html", user, people=auth.users(page.database), roles=auth.ROLES)


def healthz(request: Request) -> Response:
    return PlainTextResponse("ok")


def readyz(request: Request) -> Response:
    with request.app.state.page.database.read() as c:
        c.execute(sa.text("select 1"))
    return PlainTextResponse("ready")


def metrics(request: Request) -> Response:
    """Counts for Prometheus; only to this machine, or to a lead."""
    page: Page = request.app.state.page
    user = page.known_user(request)
    if not (request.client and request.client.host in LOOPBACK) and not (user and user.is_lead):
        raise NotFound("no such page")
    with page.database.read() as c:
        left = c.scalar(
            sa.text(
                "select coalesce(sum(i.need - i.done), 0) from item i join batch b on b.id = i.batch_id "
                "where b.state = 'open' and i.done < i.need"
            )
        )
        answers = c.scalar(sa.select(sa.func.count()).select_from(t.annotation))
        leases = c.scalar(
            sa.select(sa.func.count()).select_from(t.lease).where(t.lease.c.expires_at > page.database.now())
        )
    lines = {"review_left": left, "review_answers_total": answers, "review_leases": leases}
    return PlainTextResponse("".join(f"dataforge_{name} {value}\n" for name, value in lines.items()))


ROUTES = [
    Route("/login", login_page, methods=["GET"]),
    page_route("/", home),
    page_route("/b/{batch:int}/next", item_page),
    page_route("/i/{item:int}", item_page),
    page_route("/b/{batch:int}/review", list_page),
    page_route("/b/{batch:int}/adjudicate", adjudicate_page, lead=True),
    page_route("/b/{batch:int}/stats", stats_page, lead=True),
    page_route("/guidelines/{guideline:int}", guideline_page),
    page_route("/admin/users", users_page, lead=True),
    Route("/healthz", healthz, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
]
