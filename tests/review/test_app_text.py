"""The page over HTTP: hostile text, injection, sizes, slowness (E1, E5 of the cases of abuse)."""

import json
import logging
import re
import time

import pytest
import sqlalchemy as sa

from dataforge.review import guard
from dataforge.review import tables as t
from tests.review.browser import BASE, Web, answer, claimed
from tests.review.invented import sample

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
