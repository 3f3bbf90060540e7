"""The interface for logging in and out, and for a lead's accounts of people."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dataforge.review import auth
from dataforge.review.calls import Call, Page, json_body, route
from dataforge.review.problems import Invalid


def open_session(request: Request) -> Response:
    page: Page = request.app.state.page
    body = json_body(request, {"name": str, "passphrase": str, "token": str})
    if old := page.token(request):  # a login ends the session before it
        auth.logout(page.database, old)
    if "token" in body:
        token = auth.login_with_link(page.database, body["token"], page.address(request))
    else:
        token = auth.login(page.database, body.get("name", ""), body.get("passphrase", ""), page.address(request))
    with page.database.read() as c:
        user = auth.user_of(c, page.database, token)
    response = JSONResponse({"name": user.name, "role": user.role, "id": user.id} if user else {})
    response.set_cookie(
        page.cookie_name(),
        auth.signed(page.secret, token),
        max_age=int(auth.SESSION_S),
        httponly=True,
        samesite="strict",
        secure=page.is_secure(),
        path="/",
    )
    return response


def end_session(call: Call) -> Response:
    if token := call.page.token(call.request):
        auth.logout(call.database, token)
    response = JSONResponse({})
    response.delete_cookie(call.page.cookie_name(), path="/", httponly=True, samesite="strict", secure=call.page.is_secure())
    response.headers["Clear-Site-Data"] = '"cache"'  # not storage: an unsent answer must survive the logout
    return response


def set_passphrase(call: Call) -> None:
    auth.set_passphrase(call.database, call.user.id, call.body.get("passphrase", ""))


def list_users(call: Call) -> dict[str, Any]:
    return {"users": auth.users(call.database)}


def add_user(call: Call) -> dict[str, Any]:
    """The link stands in the answer's body only; its token is in the fragment, which browsers send to nobody."""
    token = auth.add_user(call.database, call.body.get("name", ""), call.body.get("role", "annotator"))
    return {"link": f"/login#{token}"}


def link_user(call: Call) -> dict[str, Any]:
    return {"link": f"/login#{auth.new_link(call.database, call.request.path_params['name'])}"}


def change_role(call: Call) -> dict[str, Any]:
    name, role = call.request.path_params["name"], call.body.get("role", "")
    if name == call.user.name:
        raise Invalid("you cannot change your own role: another lead can")
    auth.set_role(call.database, name, role, call.user.id)
    return {"name": name, "role": role}


def remove_user(call: Call) -> None:
    if call.request.path_params["name"] == call.user.name:
        raise Invalid("you cannot remove yourself")
    auth.deactivate(call.database, call.request.path_params["name"])


ROUTES = [
    Route("/api/v1/session", open_session, methods=["POST"]),
    route("/session", end_session, "DELETE"),
    route("/passphrase", set_passphrase, "PUT", {"passphrase": str}),
    route("/users", list_users, "GET", lead=True),
    route("/users", add_user, "POST", {"name": str, "role": str}, lead=True),
    route("/users/{name}/link", link_user, "POST", lead=True),
    route("/users/{name}/role", change_role, "PUT", {"role": str}, lead=True),
    route("/users/{name}", remove_user, "DELETE", lead=True),
]
