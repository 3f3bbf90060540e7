"""The page over HTTP: the way of an annotator and a lead; retries and taken slots (E2, E3 of the cases of abuse)."""

import json
import re

import sqlalchemy as sa

from dataforge.review import tables as t
from tests.review.browser import Web, answer, claimed
from tests.review.invented import row_id, sample


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
