"""The page over HTTP: who may do what, and what stays behind (E4, E6 of the cases of abuse)."""

import json
import re

import pytest
import sqlalchemy as sa

from dataforge.review import auth, guard
from dataforge.review import tables as t
from dataforge.review.problems import Unauthenticated
from tests.review.browser import Web, answer, claimed
from tests.review.invented import sample

WRITES = [
    ("POST", "/api/v1/batches/1/claim", {"n": 1}),
    ("POST", "/api/v1/items/1/answers", answer()),
    ("DELETE", "/api/v1/answers/1", None),
    ("POST", "/api/v1/leases/1/renew", None),
    ("POST", "/api/v1/items/1/decision", {"labels": ["other"]}),
    ("DELETE", "/api/v1/items/1/decision", None),
    ("POST", "/api/v1/batches/1/close", {"allow_unresolved": True, "now": True}),
    ("POST", "/api/v1/batches/1/bulk", {"item_ids": [1], "label": "other", "client_key": "12345678"}),
    ("POST", "/api/v1/users", {"name": "eve", "role": "lead"}),
    ("POST", "/api/v1/users/lea/link", None),
    ("DELETE", "/api/v1/users/bo", None),
    ("PUT", "/api/v1/users/bo/role", {"role": "lead"}),
    ("PUT", "/api/v1/passphrase", {"passphrase": "a long enough one"}),
    ("POST", "/api/v1/batches/1/import", None),
    ("DELETE", "/api/v1/session", None),
    ("POST", "/api/v1/batches/1/search", {}),
]
LEAD_ONLY = [w for w in WRITES if re.search("decision|close|bulk|users|import", w[1])]


@pytest.fixture
def busy(lite, make_batch):
    """ana has answered item 1; lea is logged in too."""
    make_batch(lite.database, 2)
    ana = lite.client("ana")
    claimed(ana, 1, 2)
    ana.post("/api/v1/items/1/answers", json=answer())
    return lite


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda x: x if isinstance(x, str) else "")
def test_writes_need_own_origin_own_header_and_a_session(busy, method, path, body):
    lead = busy.client("lea")
    before = busy.state()
    for headers, status in [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"X-Dataforge": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example", "Host": "evil.example"}, 421),
    ]:
        assert lead.request(method, path, json=body, headers=headers).status_code == status, headers
    assert busy.client().request(method, path, json=body).status_code == 401
    assert busy.client().request(method, path, json=body, headers={"Cookie": "session=forged.0000"}).status_code == 401
    assert lead.get(path).status_code in (404, 405) or method in ("POST", "DELETE", "PUT")
    assert busy.state() == before


@pytest.mark.parametrize(("method", "path", "body"), LEAD_ONLY, ids=lambda x: x if isinstance(x, str) else "")
def test_annotator_cannot_do_what_a_lead_may(busy, method, path, body):
    before = busy.state()
    assert busy.client("ana").request(method, path, json=body).status_code == 403
    assert busy.state() == before


@pytest.mark.parametrize(
    "path",
    [
        "/b/1/stats",
        "/b/1/adjudicate",
        "/admin/users",
        "/api/v1/batches/1/stats",
        "/api/v1/batches/1/export",
        "/api/v1/items/1/adjudication",
        "/api/v1/users",
        "/api/v1/batches/1/preview",
    ],
)
def test_annotator_sees_no_page_of_a_lead(busy, path):
    assert busy.client("ana").get(path).status_code == 403


def test_reading_changes_nothing(busy):
    lead = busy.client("lea")
    before = busy.state()
    for route in busy.app.routes:
        path = re.sub(r"\{\w+(:int)?\}", "1", getattr(route, "path", ""))
        if path != "/static":
            assert lead.get(path).status_code < 500, path
    assert busy.state() == before


def test_items_of_others_are_not_found(busy):
    cy = busy.client("cy")
    assert cy.get("/api/v1/items/1").status_code == 404
    assert cy.get("/i/1").status_code == 404
    assert cy.post("/api/v1/items/1/answers", json=answer(key="another-key")).status_code == 404
    assert cy.delete("/api/v1/answers/1").status_code == 404


@pytest.mark.parametrize("field", [{"annotator": "bo"}, {"user_id": 2}, {"gold": True}, {"done": 9}, {"created_at": 0}])
def test_fields_that_no_form_offers_are_refused(busy, field):
    before = busy.state()
    assert busy.client("ana").post("/api/v1/items/2/answers", json=answer(key="mass-assignment", **field)).status_code == 400
    assert busy.state() == before


def test_gold_and_others_answers_are_never_sent_to_an_annotator(lite, make_batch):
    batch = make_batch(lite.database, rows=sample(1, gold=["directives"]))
    item = claimed(lite.client("ana"), batch)[0]
    lite.client("ana").post(f"/api/v1/items/{item['id']}/answers", json=answer("other", note="ana's note"))
    bo = lite.client("bo")
    seen = json.dumps(claimed(bo, batch)) + bo.get(f"/i/{item['id']}").text + bo.get(f"/api/v1/items/{item['id']}").text
    seen += bo.post(f"/api/v1/batches/{batch}/search", json={}).text
    assert "gold" not in seen and "ana" not in seen and '["other"]' not in seen


def test_session_ends_with_logout_expiry_and_removal(lite, clock):
    client = lite.client("ana")
    cookie = client.cookies["session"]
    assert len(cookie.split(".")[0]) >= 43  # 256 bits
    assert client.delete("/api/v1/session").status_code == 200
    assert lite.client().get("/api/v1/batches", headers={"Cookie": f"session={cookie}"}).status_code == 401
    other = lite.client("bo")
    auth.deactivate(lite.database, "bo")
    assert other.get("/api/v1/batches").status_code == 401
    third = lite.client("cy")
    clock.pass_(auth.SESSION_S + 1)
    assert third.get("/api/v1/batches").status_code == 401


def test_login_makes_a_new_session_and_ends_the_old_one(lite):
    client = lite.client("ana")
    old = client.cookies["session"]
    client.post("/api/v1/session", json={"token": auth.new_link(lite.database, "ana")})
    assert client.cookies["session"] != old
    assert lite.client().get("/api/v1/batches", headers={"Cookie": f"session={old}"}).status_code == 401


def test_cookie_is_hidden_from_scripts_and_from_other_sites(lite):
    token = auth.new_link(lite.database, "ana")
    cookie = lite.client().post("/api/v1/session", json={"token": token}).headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
    tls = Web(lite.database, public_url="https://review.example.org")
    answered = tls.client().post("/api/v1/session", json={"token": auth.new_link(lite.database, "ana")})
    assert answered.headers["set-cookie"].startswith("__Host-session=") and "Secure" in answered.headers["set-cookie"]
    assert "max-age" in answered.headers["strict-transport-security"]


def test_one_time_link_works_once_and_ends_after_three_days(lite, clock):
    token = auth.new_link(lite.database, "ana")
    assert lite.client().post("/api/v1/session", json={"token": token}).status_code == 200
    assert lite.client().post("/api/v1/session", json={"token": token}).status_code == 401
    late = auth.new_link(lite.database, "ana")
    clock.pass_(auth.LINK_S + 1)
    assert lite.client().post("/api/v1/session", json={"token": late}).status_code == 401


def test_passphrase_login_and_a_limit_on_guessing(lite, clock):
    client = lite.client("ana")
    assert client.put("/api/v1/passphrase", json={"passphrase": "short"}).status_code == 400
    assert client.put("/api/v1/passphrase", json={"passphrase": "correct horse battery"}).status_code == 200

    def tries(word):
        return lite.client().post("/api/v1/session", json={"name": "ana", "passphrase": word}).status_code

    assert tries("correct horse battery") == 200
    assert [tries("wrong guess here") for _ in range(auth.TRIES_OF_NAME)] == [401] * auth.TRIES_OF_NAME
    assert tries("correct horse battery") == 429
    clock.pass_(auth.WINDOW_S + 1)
    assert tries("correct horse battery") == 200


def test_unknown_name_and_wrong_passphrase_look_the_same(lite):
    words = [
        lite.client().post("/api/v1/session", json={"name": n, "passphrase": "x"}).text
        for n in ("ana", "nobody", "' or 1=1 --")
    ]
    assert len(set(words)) == 1


def test_the_database_holds_no_token(lite):
    client = lite.client("ana")
    token = client.cookies["session"].split(".")[0]
    with lite.database.read() as c:
        assert token not in str([c.execute(sa.select(x)).all() for x in (t.session, t.login_link, t.audit)])


def test_forwarded_user_counts_only_behind_the_configured_proxy(lite):
    headers = {"X-Forwarded-User": "lea"}
    assert lite.client().get("/api/v1/batches", headers=headers).status_code == 401
    proxied = Web(lite.database, trusted_proxy="testclient")
    assert proxied.client().get("/api/v1/users", headers=headers).status_code == 200
    assert proxied.client().get("/api/v1/users", headers={"X-Forwarded-User": "nobody"}).status_code == 401


def test_adding_a_name_that_is_there_changes_nothing(lite):
    lead, before = lite.client("lea"), lite.state()
    refused = lead.post("/api/v1/users", json={"name": "ana", "role": "lead"})
    assert (refused.status_code, refused.json()["kind"]) == (409, "name-taken")
    assert lite.state() == before


def test_a_changed_role_holds_for_running_sessions(lite):
    client = lite.client("ana")
    assert client.get("/api/v1/users").status_code == 403
    auth.set_role(lite.database, "ana", "lead")
    assert client.get("/api/v1/users").status_code == 200


def test_a_lead_changes_roles_of_others_and_the_audit_names_the_lead(lite):
    lead = lite.client("lea")

    def change(name, role):
        return lead.put(f"/api/v1/users/{name}/role", json={"role": role}).status_code

    assert [change("bo", "lead"), change("lea", "annotator"), change("nobody", "lead"), change("bo", "king")] == [
        200,
        400,
        404,
        400,
    ]
    roles = {x["name"]: x["role"] for x in auth.users(lite.database)}
    assert roles == {"ana": "annotator", "bo": "lead", "cy": "annotator", "lea": "lead"}
    with lite.database.read() as c:
        rows = c.execute(
            sa.select(t.account.c.name, t.audit.c.object)
            .join(t.account, t.account.c.id == t.audit.c.user_id)
            .where(t.audit.c.action == "user.role.lead")
        ).all()
    assert [tuple(row) for row in rows] == [("lea", "bo")]


def test_tokens_and_searches_never_stand_in_urls(lite):
    link = lite.client("lea").post("/api/v1/users", json={"name": "new", "role": "annotator"}).json()["link"]
    assert re.fullmatch(r"/login#[\w-]{43}", link)  # the fragment is not sent
    paths = [getattr(route, "path", "") for route in lite.app.routes]
    assert not any("token" in path or "query" in path for path in paths)


def test_secrets_are_random_and_made_at_first_start(lite, tmp_path):
    from dataforge.review.database import open_database

    other = open_database(tmp_path / "other.sqlite")
    assert auth.cookie_secret(other) != auth.cookie_secret(lite.database) and len(auth.cookie_secret(other)) == 32
    assert (tmp_path / "other.sqlite").stat().st_mode & 0o777 == 0o600
    other.dispose()


def test_no_file_of_the_page_loads_anything_from_elsewhere():
    from dataforge.review import app

    folder = guard.__file__.rsplit("/", 1)[0]
    import pathlib

    for path in [*pathlib.Path(folder, "static").iterdir(), *pathlib.Path(folder, "templates").iterdir()]:
        text = path.read_text()
        assert "innerHTML" not in text and "eval(" not in text, path
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*(src=|application/json))|\son\w+=|style=", text), path
    assert app


def test_login_with_a_link_of_a_switched_off_account_fails(lite):
    token = auth.new_link(lite.database, "cy")
    auth.deactivate(lite.database, "cy")
    with pytest.raises(Unauthenticated):
        auth.login_with_link(lite.database, token, "1.2.3.4")
