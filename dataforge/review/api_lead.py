"""The interface for leads: numbers, decisions, bulk labels, closing, files."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.responses import Response, StreamingResponse

from dataforge.review import formats
from dataforge.review import stats as numbers
from dataforge.review.adjudication import adjudication
from dataforge.review.answers import Batch, import_answers, read_answers
from dataforge.review.batches import batch_row, labels_of
from dataforge.review.calls import MAX_ID, Call, route
from dataforge.review.closing import close, preview
from dataforge.review.commands import closed_event
from dataforge.review.decisions import Decision, adjudicate, withdraw
from dataforge.review.export import export_sha256
from dataforge.review.problems import Invalid
from dataforge.review.queue import NOTE_LIMIT, bulk_label, check_triple


def get_stats(call: Call) -> dict[str, Any]:
    return {"schema": 1, **numbers.stats(call.database, call.id("batch"))}


def get_adjudication(call: Call) -> dict[str, Any]:
    with call.database.read() as c:
        return adjudication(c, call.id("item"), call.user)


def decide(call: Call) -> dict[str, Any]:
    b = call.body
    instruct = b.get("instruct")
    if not all(isinstance(x, str) for x in [*b.get("labels", []), *(instruct or {}).values()]):
        raise Invalid("labels and the triple are texts")
    if instruct is not None:
        check_triple(instruct)
    if len(b.get("note", "")) > NOTE_LIMIT:
        raise Invalid(f"a note has at most {NOTE_LIMIT} characters")
    decision = Decision(
        b.get("kind", "label"),
        tuple(b.get("labels", ())),
        "adjudicated",
        0,
        instruct=json.dumps(instruct, ensure_ascii=False, sort_keys=True) if instruct else None,
        error_category=b.get("error_category", ""),
        note=b.get("note", ""),
    )
    final = adjudicate(call.database, call.id("item"), call.user.id, decision)
    return {"source": final.source, "labels": final.labels, "kind": final.kind}


def undecide(call: Call) -> None:
    withdraw(call.database, call.id("item"), call.user.id)


def bulk(call: Call) -> dict[str, Any]:
    ids = call.body.get("item_ids", [])
    if not all(isinstance(x, int) and 0 < x <= MAX_ID for x in ids) or len(ids) > 1000:
        raise Invalid("item_ids are up to 1000 numbers")
    b = call.body
    return {
        "added": bulk_label(call.database, call.id("batch"), call.user.id, ids, b.get("label", ""), b.get("client_key", ""))
    }


def get_preview(call: Call) -> dict[str, Any]:
    closing = preview(call.database, call.id("batch"))
    return {**asdict(closing), "sentence": closing.sentence()}


def close_batch(call: Call) -> dict[str, Any]:
    batch_id = call.id("batch")
    already = preview(call.database, batch_id).state == "closed"
    closing = close(
        call.database,
        batch_id,
        call.user.id,
        allow_unresolved=call.body.get("allow_unresolved", False),
        now_at_once=call.body.get("now", False),
        digest=export_sha256,
    )
    if closing.state == "closed" and not already and call.page.on_closed:
        call.page.on_closed(closed_event(call.database, batch_id))
    return {**asdict(closing), "sentence": closing.sentence()}


def export(call: Call) -> Response:
    name, batch_id = call.request.query_params.get("format", "jsonl"), call.id("batch")
    if name not in formats.FORMATS:
        raise Invalid(f"format must be one of {', '.join(formats.FORMATS)}")
    with call.database.read() as c:
        label_set = labels_of(c, batch_row(c, batch_id).label_schema_id)
        if name == "parquet":
            chunks: list[bytes] = [_parquet(formats.hf_table(formats.exported(c, batch_id), label_set))]
        else:
            chunks = ["".join(formats.export_text(c, batch_id, name)).encode()]
    headers = {"Content-Disposition": f'attachment; filename="batch-{batch_id}-{name}.{formats.ENDINGS[name]}"'}
    return StreamingResponse(iter(chunks), media_type="application/octet-stream", headers=headers)


def _parquet(table: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def import_(call: Call) -> dict[str, Any]:
    name, batch_id = call.request.query_params.get("format", "jsonl"), call.id("batch")
    if name != "jsonl" and name not in formats.READERS:
        raise Invalid(f"format must be one of jsonl, {', '.join(formats.READERS)}")
    with call.database.read() as c:
        label_set = labels_of(c, batch_row(c, batch_id).label_schema_id)
    with tempfile.NamedTemporaryFile(prefix="review-import-") as file:
        file.write(call.request.scope["state"]["body"])
        file.flush()
        path = Path(file.name)
        given = Batch(tuple(read_answers(path, label_set))) if name == "jsonl" else formats.READERS[name](path, label_set)
        return asdict(import_answers(call.database, batch_id, given, file="import"))


DECISION_FIELDS = {"kind": str, "labels": list, "instruct": dict, "error_category": str, "note": str}
ROUTES = [
    route("/items/{item:int}/adjudication", get_adjudication, "GET", lead=True),
    route("/items/{item:int}/decision", decide, "POST", DECISION_FIELDS, lead=True),
    route("/items/{item:int}/decision", undecide, "DELETE", lead=True),
    route("/batches/{batch:int}/stats", get_stats, "GET", lead=True),
    route("/batches/{batch:int}/preview", get_preview, "GET", lead=True),
    route("/batches/{batch:int}/close", close_batch, "POST", {"allow_unresolved": bool, "now": bool}, lead=True),
    route("/batches/{batch:int}/bulk", bulk, "POST", {"item_ids": list, "label": str, "client_key": str}, lead=True),
    route("/batches/{batch:int}/export", export, "GET", lead=True),
    route("/batches/{batch:int}/import", import_, "POST", lead=True, raw=True),
]
