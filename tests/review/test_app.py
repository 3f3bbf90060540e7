"""The page over HTTP: the cases E1-E6 of abuse, and the flow of an annotator and a lead."""

import json
import logging
import re
import time

import pytest
import sqlalchemy as sa

from dataforge.review import auth, guard
from dataforge.review import tables as t
from dataforge.review.problems import Unauthenticated
from tests.review.browser import BASE, Web, answer
from tests.review.invented import make_people, row_id, sample

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "</textarea><b>x",
    "{{7*7}}",
    "{% raw %}",
    "\x1b[31mred",
    "a\u202eb",
    "</script><!--",
    "'; drop table item; --",
    "w" * 1_000_000,
]


@pytest.fixture
def web(database, people):
    return Web(database)


@pytest.fixture
def lite(sqlite):
    make_people(sqlite)
    return Web(sqlite)


def claimed(client, batch, n=3):
    got = client.post(f"/api/v1/batches/{batch}/claim", json={"n": n})
    assert got.status_code == 200, got.text
    return got.json()["items"]


# --- the way of an annotator and a lead ---


def test_annotator_labels_and_lead_adjudicates_and_closes(web, make_batch):
    batch = make_batch(web.database, 2, need=2)
    events = []
    web = Web(web.database, on_closed=events.append)
    for who, labels in (("ana", ("questions", "questions")), ("bo", ("questions", "other"))):
        client = web.client(who)
        for item, label in zip(claimed(client, batch), labels, strict=True):
            got = client.post(
                f"/api/v1/items/{item['id']}/answers", json=answer(label, f"{who}-{item['id']}-key", seconds=1.5)
            )
            assert got.status_code == 200 and got.json()["saved_at"]
    lead = web.client("lea")
    page = lead.get(f"/b/{batch}/stats").text
    assert "1 agreed, 0 adjudicated, 1 unresolved" in page
    refused = lead.post(f"/api/v1/batches/{batch}/close", json={})
    assert (refused.status_code, refused.json()["kind"]) == (409, "unresolved")
    (open_item,) = json.loads(re.search(r'id="setup">(.*?)</script>', lead.get(f"/b/{batch}/adjudicate").text)[1])["waiting"]
    assert [a["labels"] for a in lead.get(f"/api/v1/items/{open_item}/adjudication").json()["answers"]] == [
        ["questions"],
        ["other"],
    ]
    lead.post(f"/api/v1/items/{open_item}/decision", json={"labels": ["other"], "error_category": "edge_case"})
    closed = lead.post(f"/api/v1/batches/{batch}/close", json={}).json()
    assert (closed["state"], closed["sentence"]) == ("closed", "1 agreed, 1 adjudicated, 0 unresolved")
    assert lead.post(f"/api/v1/batches/{batch}/close", json={}).status_code == 200
    assert [e["export_sha256"] for e in events] == [closed["export_sha256"]]


def test_undo_gives_the_item_back_with_its_form(web, make_batch):
    client = web.client("ana")
    (item, *_) = claimed(client, make_batch(web.database, 2))
    saved = client.post(f"/api/v1/items/{item['id']}/answers", json=answer()).json()
    back = client.delete(f"/api/v1/answers/{saved['answer_id']}")
    assert back.json()["item"]["id"] == item["id"] and back.json()["item"]["mine"] is None


def test_history_search_and_pages_answer(lite, make_batch):
    batch = make_batch(lite.database, rows=sample(3, act=["questions", "other", "other"], act_score=[0.9, 0.5, 0.4]))
    client = lite.client("ana")
    first = claimed(client, batch)[0]
    client.post(f"/api/v1/items/{first['id']}/answers", json=answer("other"))
    assert client.get(f"/api/v1/batches/{batch}/history").json()["answers"][0]["labels"] == ["other"]
    lead = lite.client("lea")

    def found(who, **filters):
        return [x["row"] for x in who.post(f"/api/v1/batches/{batch}/search", json=filters).json()["items"]]

    assert found(lead, text="TEXT 1") == [row_id(1)]
    assert found(lead, text=row_id(2)) == [row_id(2)]
    assert found(lead, differs=True) == found(lead, label="other") == found(lead, annotator="ana") == [row_id(0)]
    assert found(lead, suggestion="other", score_from=0.45) == [row_id(1)]
    assert found(client, suggestion="other") == [] and found(client, suggestion="questions") == [
        row_id(0)
    ]  # not before the own answer
    assert found(client, differs=True) == [row_id(0)] and found(lead, differs=True, annotator="bo") == []
    assert found(lite.client("cy")) == []  # items that were never handed out to cy
    for path in (
        "/",
        f"/b/{batch}/next",
        f"/b/{batch}/review",
        f"/b/{batch}/adjudicate",
        f"/b/{batch}/stats",
        "/admin/users",
        "/guidelines/1",
    ):
        assert lead.get(path).status_code == 200, path
    assert (lead.get("/healthz").text, lead.get("/readyz").text) == ("ok", "ready")
    assert "dataforge_review_answers_total 1" in lead.get("/metrics").text


def test_bulk_label_adds_the_leads_answer_and_overwrites_nobody(lite, make_batch):
    batch = make_batch(lite.database, 2, need=1)
    item = claimed(lite.client("ana"), batch, 1)[0]
    lite.client("ana").post(f"/api/v1/items/{item['id']}/answers", json=answer("questions"))
    lead = lite.client("lea")
    body = {"item_ids": [1, 2], "label": "other", "client_key": "bulk-of-lea"}
    assert lead.post(f"/api/v1/batches/{batch}/bulk", json=body).json() == {"added": 2}
    assert lead.post(f"/api/v1/batches/{batch}/bulk", json=body).json() == {"added": 0}
    with lite.database.read() as c:
        assert sorted(c.execute(sa.select(t.annotation.c.labels_json, t.annotation.c.extra)).all()) == [
            ('["other"]', False),
            ('["other"]', True),
            ('["questions"]', False),
        ]


def test_preference_is_shown_in_its_own_order_and_stored_in_the_given_one(lite, make_batch):
    rows = sample(8, responses=[["left", "right"]] * 8)
    batch = make_batch(lite.database, rows=rows, kind="preference", label_set="", guideline="")
    items = claimed(lite.client("ana"), batch, 8)
    assert {tuple(item["responses"]) for item in items} == {("left", "right"), ("right", "left")}
    assert all(item["swapped"] == (item["responses"] == ["right", "left"]) for item in items)


def test_suggestions_are_held_back_on_random_items_and_where_the_batch_says_so(lite, make_batch):
    rows = sample(2, act=["other", "other"], act_score=[0.9, 0.9], random=[True, False])
    client = lite.client("ana")
    shown = claimed(client, make_batch(lite.database, rows=rows))
    assert [item["suggestion"] is None for item in shown] == [True, False]
    client.post(f"/api/v1/items/{shown[0]['id']}/answers", json=answer())
    assert client.get(f"/api/v1/items/{shown[0]['id']}").json()["suggestion"]["label"] == "other"
    never = claimed(client, make_batch(lite.database, rows=rows, title="never", show_suggestions="never"))
    assert all(item["suggestion"] is None for item in never)


# --- E1: hostile text ---


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_leaves_as_data_and_never_as_markup(lite, make_batch, text):
    rows = sample(1).to_pylist()[0] | {
        "text": text,
        "channel": text[:1000],
        "speaker": text[:1000],
        "context": [{"speaker": text[:1000], "text": text, "after": False}],
    }
    import pyarrow as pa

    batch = make_batch(lite.database, rows=pa.Table.from_pylist([rows]), title="t " + text[:150])
    lead = lite.client("lea")
    (item,) = claimed(lead, batch)
    assert item["text"] == text
    for path in ("/", f"/b/{batch}/next", f"/b/{batch}/review", f"/b/{batch}/adjudicate", f"/b/{batch}/stats"):
        page = lead.get(path)
        scripts = re.findall(r"<script[^>]*>", page.text)
        assert all('src="/static/' in tag or 'id="setup"' in tag for tag in scripts), path
        assert "<img" not in page.text and "{{49}}" not in page.text and "t 49" not in page.text  # nor run as a template
        assert (
            "default-src 'none'" in page.headers["content-security-policy"]
            and "unsafe" not in page.headers["content-security-policy"]
        )


def test_hostile_names_of_labels_people_and_guidelines_stay_text(lite, tmp_path):
    from dataforge.review.seed import BatchSpec, seed

    mark = "<img src=x onerror=alert(1)></script>{{7*7}}"
    labels, guideline = tmp_path / "labels.yaml", tmp_path / "guideline.md"
    labels.write_text(json.dumps([{"name": mark, "singular": mark, "key": "1", "definition": mark}]))  # JSON is YAML
    guideline.write_text(f"# {mark}\n[a](javascript:alert(1)) ![b](//evil.example/x)\n\n{mark}")
    batch = seed(lite.database, sample(1), BatchSpec("t", label_set=str(labels), guideline=str(guideline)))
    with lite.database.write() as c:  # an import names people as its file does
        c.execute(t.account.insert().values(name=mark, role="annotator", active=False, created_at=0))
    lead = lite.client("lea")
    for path in (f"/b/{batch}/next", f"/b/{batch}/review", f"/b/{batch}/stats", "/admin/users", "/guidelines/1"):
        page = lead.get(path)
        assert page.status_code == 200 and "<img" not in page.text, path
        assert not re.search(r"(&gt;|>|\\u003e)49", page.text), path
        assert "javascript:" not in re.sub(r">[^<]*<", "><", page.text), path  # in a text, never in a link
        assert page.text.count("</script>") == page.text.count("<script"), path


def test_every_answer_has_the_headers(lite):
    client = lite.client("ana")
    for path in ("/login", "/", "/nothing", "/api/v1/batches", "/api/v1/nothing", "/static/page.js", "/healthz"):
        headers = client.get(path).headers
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer"), path
        assert "frame-ancestors 'none'" in headers["content-security-policy"] and "cross-origin-opener-policy" in headers
        assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")


# --- E2, E3: retries, taken slots ---


def test_retry_is_answered_with_the_first_result(web, make_batch):
    client = web.client("ana")
    item = claimed(client, make_batch(web.database, 1))[0]
    first, second = (client.post(f"/api/v1/items/{item['id']}/answers", json=answer()) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["answer_id"] == second.json()["answer_id"] and second.json()["duplicate"]
    assert web.count(t.annotation) == 1


def test_taken_slot_is_409_and_the_text_may_be_sent_as_extra(web, make_batch, clock):
    batch = make_batch(web.database, 1, need=1)
    ana, bo = web.client("ana"), web.client("bo")
    item = claimed(ana, batch)[0]
    clock.pass_(301)
    assert [x["id"] for x in claimed(bo, batch)] == [item["id"]]
    refused = ana.post(f"/api/v1/items/{item['id']}/answers", json=answer())
    assert (refused.status_code, refused.json()["kind"], refused.headers["content-type"]) == (
        409,
        "taken",
        "application/problem+json",
    )
    assert ana.post(f"/api/v1/items/{item['id']}/answers", json=answer(extra=True)).json()["extra"]
    assert ana.post(f"/api/v1/leases/{item['id']}/renew").status_code == 409


# --- E4: who may do what ---

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


# --- E5: injection, sizes, slowness ---

INJECTIONS = [
    "' or 1=1 --",
    '"; drop table item; --',
    "%' union select pass_hash from account --",
    "\\",
    "%",
    "_",
    "\0",
    "../../etc/passwd",
]


def test_sql_in_any_text_field_is_only_text(web, make_batch):
    make_batch(web.database, 2)
    lead = web.client("lea")
    item = claimed(lead, 1)[0]
    for text in INJECTIONS:
        for field in ("text", "status", "label", "suggestion", "annotator"):
            got = lead.post("/api/v1/batches/1/search", json={field: text})
            assert got.status_code == 400 if "\0" in text else got.status_code == 200
            assert field == "status" or got.status_code == 400 or got.json()["total"] == 0
        assert lead.post(f"/api/v1/items/{item['id']}/answers", json=answer(text)).status_code == 400
    lead.post(f"/api/v1/items/{item['id']}/answers", json=answer(key=INJECTIONS[1], note=INJECTIONS[2]))
    with web.database.read() as c:
        assert c.execute(sa.select(t.annotation.c.client_key, t.annotation.c.note)).all() == [(INJECTIONS[1], INJECTIONS[2])]
    assert web.count(t.item) == 2


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/b/../../etc/passwd/next",
        "/b/99999999999999999999/next",
        "/i/-1",
        "/api/v1/batches/1/export?format=../../x",
    ],
)
def test_paths_that_climb_or_overflow_find_nothing(lite, path):
    assert lite.client("lea").get(path).status_code in (400, 404)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b'{"n": "1"}',
        b'{"n": true}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"n": 1e400}',
        b'{"n": null, "x": 1}',
    ],
)
def test_malformed_bodies_are_400(lite, make_batch, body):
    make_batch(lite.database, 1)
    assert lite.client("ana").post("/api/v1/batches/1/claim", content=body).status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("batches/1/search", b'{"score_from": 1' + b"0" * 400 + b"}"),
        ("batches/1/search", b'{"score_to": -1e400}'),
        ("batches/1/search", b'{"score_to": NaN}'),
        ("batches/1/search", b'{"text": "\\ud800"}'),
        ("items/1/decision", b'{"labels": ["other"], "instruct": {"z": "\\ud800"}}'),
        ("items/1/decision", b'{"labels": ["other"], "instruct": {"\\udfff": "z"}}'),
        ("items/1/decision", b'{"labels": ["\\u0000"]}'),
        ("items/1/decision", b'{"labels": ["other"], "instruct": {"output": "a"}}'),
        ("items/1/decision", b'{"labels": ["other"], "instruct": {}}'),
        ("items/1/decision", b'{"labels": ["other"], "instruct": {"instruction": "", "input": "", "output": "", "x": ""}}'),
        ("items/1/decision", b'{"labels": ["other"], "instruct": {"instruction": "a", "input": "b", "output": " \\u00a0"}}'),
    ],
    ids=["huge", "infinite", "nan", "text", "triple", "triple-key", "label", "part", "no-triple", "excess", "blank"],
)
def test_numbers_and_texts_that_no_database_takes_are_400(lite, make_batch, path, body):
    make_batch(lite.database, 1)
    refused = lite.client("lea").post(f"/api/v1/{path}", content=body)
    assert (refused.status_code, refused.json()["kind"]) == (400, "invalid")
    assert lite.count(t.decision) == 0


@pytest.mark.parametrize("host", ["[", "[::1", "a]b", "localhost\u00bd".encode("latin-1"), "", "review.example.org"])
def test_a_host_that_is_not_ours_is_421_even_where_it_is_no_host(lite, host):
    assert lite.client().get("/login", headers={"Host": host}).status_code == 421


def writes(page, **headers):
    """Status of a write; 401, for nobody is logged in, means that the guard let it pass."""
    return page.client().post("/api/v1/batches/1/claim", json={}, headers=headers).status_code


@pytest.mark.parametrize("origin", ["http://[", "https://localhost", "http://localhost:1", "localhost", "null", ""])
def test_a_write_from_another_origin_is_403(lite, origin):
    assert (writes(lite, Origin=origin), writes(lite, Origin=BASE)) == (403, 401)


def test_the_scheme_of_an_origin_is_the_one_people_type(lite):
    tls = Web(lite.database, public_url="https://review.example.org")
    assert writes(tls, Origin="https://review.example.org") == 401
    assert writes(tls, Origin="https://review.example.org", Host="127.0.0.1:8474") == 401  # a proxy that rewrites it
    assert writes(tls, Origin="http://review.example.org") == 403


def test_only_the_trusted_proxy_may_have_ended_tls(lite):
    behind, beside = (Web(lite.database, trusted_proxy=address) for address in ("testclient", "192.0.2.1"))
    assert [writes(page, Origin="https://localhost") for page in (behind, beside)] == [401, 403]
    assert [writes(page, Origin="http://localhost") for page in (behind, beside)] == [401, 401]


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


def test_large_bodies_are_413_before_they_are_read(lite):
    client = lite.client("ana")
    assert client.post("/api/v1/batches/1/claim", content=b"x" * (guard.BODY_LIMIT + 1)).status_code == 413

    def endless():
        for _ in range(100):
            yield b"x" * (1 << 20)

    assert client.post("/api/v1/batches/1/claim", content=endless()).status_code == 413
    assert (
        lite.client().post("/api/v1/batches/1/import", content=b"x" * (guard.BODY_LIMIT + 1)).status_code == 413
    )  # not logged in


def test_slow_bodies_are_408(lite, monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.05)

    async def receive():
        import asyncio

        await asyncio.sleep(60)

    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"origin", BASE.encode()), (b"x-dataforge", b"1")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/session",
        "headers": headers,
        "query_string": b"",
        "client": ("1.2.3.4", 1),
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
        "root_path": "",
        "raw_path": b"/api/v1/session",
    }
    import anyio

    started = time.monotonic()
    anyio.run(lite.app, scope, receive, send)
    assert sent[0]["status"] == 408 and time.monotonic() - started < 5


def test_error_pages_hold_no_trace_and_logs_no_text(lite, make_batch, caplog, monkeypatch):
    make_batch(lite.database, 1)
    client = lite.client("ana")
    item = claimed(client, 1)[0]
    from dataforge.review import api_work

    def broken(*_):
        raise RuntimeError("secret text 0 of the row")

    monkeypatch.setattr(api_work, "submit_in", broken)
    with caplog.at_level(logging.DEBUG):
        got = client.post(f"/api/v1/items/{item['id']}/answers", json=answer(note="a note\nwith a line"))
        client.get("/api/v1/evil%1b[31m%0d%0aSet-Cookie:x=1")
        client.post("/api/v1/evil%0afake line", headers={"Origin": "https://evil.example"})
    assert (got.status_code, got.json()["kind"]) == (500, "unexpected")
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("dataforge")]
    assert any("RuntimeError" in line for line in ours) and any("foreign-origin" in line for line in ours)
    assert not any("secret" in line or "note" in line or "\n" in line or "\x1b" in line for line in ours)
    assert "secret" not in got.text and "Traceback" not in got.text


def test_busy_database_is_503_and_the_page_retries(lite, make_batch, monkeypatch):
    make_batch(lite.database, 1)
    client = lite.client("ana")
    from dataforge.review import api_work

    def locked(*_):
        raise sa.exc.OperationalError("insert", {}, Exception("database is locked"))

    monkeypatch.setattr(api_work, "claim_in", locked)
    got = client.post("/api/v1/batches/1/claim", json={})
    assert (got.status_code, got.headers["retry-after"]) == (503, "2")


# --- E6: what stays behind ---


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
