"""Bridges by files: Prodigy JSONL, doccano JSONL, Label Studio JSON, Hugging Face Parquet, and CSV (out only).

Every record carries the row's id and item key, every answer its annotator and kind, so that a team may label elsewhere
and bring the answers back: export, then import into a batch of the same rows, gives the same decisions. Items without
an answer are exported as tasks. Annotators are a01, a02, ... unless names are asked for.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from dataforge.errors import ConfigError, InputError, SchemaError
from dataforge.review import tables as t
from dataforge.review.answers import Batch, Given
from dataforge.review.decisions import Decision
from dataforge.review.export import answers_of, batch_row, export_lines, in_order, pseudonyms, records, suggestions_of
from dataforge.review.label_sets import LabelSet
from dataforge.review.queue import labels_of

KINDS = ("label", "unsure", "reject", "flag")
FILE_LIMIT = 1 << 28


@dataclass(frozen=True)
class Exported:
    """One item with all that a bridge may write. `answers` hold annotator, kind, labels, seconds, flagged, instruct."""

    row_id: str
    item_key: str
    text: str
    context: list[dict[str, Any]]
    suggestion: dict[str, Any] | None
    answers: list[dict[str, Any]]
    decision: dict[str, Any]  # as in the native export

    def meta(self, label_set: LabelSet) -> dict[str, Any]:
        decided = {
            k: self.decision[k] for k in ("decided_by", "labels", "rejected", "instruct", "error_category", "agreement")
        }
        return {"id": self.row_id, "item_key": self.item_key, "decision": decided,
                "label_schema": f"{label_set.name}/{label_set.version}", "guideline": self.decision["guideline_version"]}


def exported(c: sa.Connection, batch_id: int, *, with_names: bool = False) -> Iterator[Exported]:
    label_set, answers, suggested = (
        labels_of(c, batch_row(c, batch_id).label_schema_id),
        answers_of(c, batch_id),
        suggestions_of(c, batch_id),
    )
    names = pseudonyms(a for given in answers.values() for a in given)
    decided = {record["id"]: record for record in records(c, batch_id)}
    items = c.execute(sa.select(t.item).where(t.item.c.batch_id == batch_id).order_by(t.item.c.row_id)).all()
    for item in sorted(items, key=lambda x: x.row_id):
        given = [
            {"annotator": a.name if with_names else names[a.name], "kind": a.kind, "labels": in_order(a.labels_json, label_set),
             "seconds": a.seconds, "flagged": bool(a.flagged), "instruct": json.loads(a.instruct_json) if a.instruct_json else None}
            for a in answers.get(item.id, [])
        ]
        yield Exported(item.row_id, item.item_key, item.text, json.loads(item.context_json or "[]"), suggested.get(item.id),
                       sorted(given, key=lambda x: x["annotator"]), decided[item.row_id])


# --- Prodigy: one line per answer, `choice` view ---


def write_prodigy(items: Iterable[Exported], label_set: LabelSet) -> Iterator[str]:
    options = [{"id": label.name, "text": label.singular} for label in label_set.labels]
    style = "multiple" if label_set.multi else "single"
    for item in items:
        task = {"text": item.text, "options": options, "meta": item.meta(label_set), "_view_id": "choice",
                "_input_hash": _hash32(item.text), "_task_hash": _hash32(item.item_key), "config": {"choice_style": style}}
        for a in item.answers:
            answer = {"label": "accept", "reject": "reject"}.get(a["kind"], "ignore")
            yield _line({**task, "accept": a["labels"], "answer": answer, "_session_id": a["annotator"],
                         "_annotator_id": a["annotator"], "meta": {**task["meta"], **_beside(a)}})
        if not item.answers:
            yield _line(task)


def read_prodigy(path: Path, label_set: LabelSet) -> Batch:
    def answer(record: dict[str, Any], meta: dict[str, Any]) -> tuple[str, str, list[str]] | None:
        if "answer" not in record:
            return None
        kind = {"accept": "label", "reject": "reject"}.get(record["answer"], meta.get("kind", "unsure"))
        return (
            str(record.get("_annotator_id") or record.get("_session_id") or "prodigy"),
            kind,
            record.get("accept") or [],
        )

    return _read_lines(path, label_set, answer)


def _hash32(text: str) -> int:
    """A signed 32-bit number, as Prodigy's own hashes are."""
    value = zlib.crc32(text.encode())
    return value - (1 << 32) if value >= 1 << 31 else value


def _beside(answer: dict[str, Any]) -> dict[str, Any]:
    """What a format has no field for."""
    return {
        name: answer[name] for name in ("kind", "seconds", "flagged", "instruct") if answer[name] not in (None, False)
    }


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) + "\n"


# --- doccano: one line per answer, text classification ---


def write_doccano(items: Iterable[Exported], label_set: LabelSet) -> Iterator[str]:
    number = 0
    for item in items:
        for a in item.answers or [
            {"annotator": None, "labels": [], "kind": None, "seconds": None, "flagged": False, "instruct": None}
        ]:
            number += 1
            meta = {**item.meta(label_set), **({"annotator": a["annotator"]} if a["annotator"] else {}), **_beside(a)}
            yield _line({"id": number, "text": item.text, "label": a["labels"], "meta": meta})


def read_doccano(path: Path, label_set: LabelSet) -> Batch:
    """doccano 1.8 writes the meta keys at the top level of a line; both shapes are read."""

    def answer(record: dict[str, Any], meta: dict[str, Any]) -> tuple[str, str, list[str]] | None:
        labels = record.get("label") or record.get("labels") or []
        kind = "label" if labels else meta.get("kind")
        if kind is None:
            return None
        return str(record.get("username") or meta.get("annotator") or "doccano"), kind, labels

    return _read_lines(path, label_set, answer)


# --- Label Studio: one task per item ---


def write_label_studio(items: Iterable[Exported], label_set: LabelSet) -> Iterator[str]:
    """A JSON array. An adjudicated decision is an annotation with `ground_truth`."""
    yield "["
    for number, item in enumerate(items, 1):
        annotations = [_studio_annotation(a["annotator"], a["kind"], a["labels"], a["seconds"]) for a in item.answers]
        decision = item.decision
        if decision["decided_by"] == "adjudicated":
            kind = "reject" if decision["rejected"] else "label"
            annotations.append({**_studio_annotation("lead", kind, decision["labels"], None), "ground_truth": True})
        suggestion, predictions = item.suggestion, []
        if suggestion:
            predictions = [{"model_version": suggestion["suggestion_by"], "score": suggestion["suggestion_score"],
                            "result": [_studio_choice([suggestion["suggestion"]])]}]
        beside = {a["annotator"]: _beside(a) for a in item.answers}
        task = {"id": number, "data": {"text": item.text, "dataforge": {**item.meta(label_set), "answers": beside}},
                "predictions": predictions, "annotations": annotations}
        yield (",\n" if number > 1 else "\n") + json.dumps(task, ensure_ascii=False, sort_keys=True)
    yield "\n]\n"


def _studio_annotation(annotator: str, kind: str, labels: list[str], seconds: float | None) -> dict[str, Any]:
    result = {"label": [_studio_choice(labels)], "reject": [_studio_choice(["reject"])]}.get(kind, [])
    return {"completed_by": {"email": annotator}, "was_cancelled": kind in ("unsure", "flag"), "ground_truth": False,
            "lead_time": seconds, "result": result}


def _studio_choice(labels: list[str]) -> dict[str, Any]:
    return {"from_name": "act", "to_name": "text", "type": "choices", "value": {"choices": labels}}


def label_studio_config(label_set: LabelSet) -> str:
    """The XML of the labeling interface that fits the export."""
    choices = "\n".join(
        f"    <Choice value={quoteattr(x.name)} alias={quoteattr(x.name)} hint={quoteattr(x.definition)} hotkey={quoteattr(x.key)}/>"
        for x in label_set.labels
    )
    kind = "multiple" if label_set.multi else "single"
    return (f'<View>\n  <Text name="text" value="$text"/>\n  <Choices name="act" toName="text" choice="{kind}">\n{choices}\n'
            '    <Choice value="reject" alias="reject"/>\n  </Choices>\n</View>\n')


def read_label_studio(path: Path, label_set: LabelSet) -> Batch:
    answers: list[Given] = []
    decisions: dict[str, Decision] = {}
    for number, task in enumerate(_json_array(path), 1):
        ours = _need(task, path, number, "data", "dataforge")
        for annotation in task.get("annotations") or []:
            who = annotation.get("completed_by")
            name = str(who.get("email") or who.get("id")) if isinstance(who, dict) else str(who)
            beside = (ours.get("answers") or {}).get(name, {})
            labels = [
                x for result in annotation.get("result") or [] for x in (result.get("value") or {}).get("choices") or []
            ]
            kind = "reject" if labels == ["reject"] else "label" if labels else beside.get("kind", "unsure")
            given = _given(ours["id"], name, kind, [] if kind != "label" else labels, label_set, path, number, beside)
            if annotation.get("ground_truth"):
                decisions[given.row_id] = _decision(kind, given.labels, ours.get("decision") or {})
            else:
                answers.append(_with_seconds(given, annotation.get("lead_time")))
    return Batch(tuple(answers), decisions)


def _with_seconds(given: Given, seconds: Any) -> Given:
    return Given(
        **{**given.__dict__, "seconds": float(seconds) if isinstance(seconds, (int, float)) else given.seconds}
    )


def _json_array(path: Path) -> list[Any]:
    try:
        value = json.loads(_bytes(path))
    except ValueError:
        raise SchemaError("not JSON", file=str(path)) from None
    if not isinstance(value, list):
        raise SchemaError("a Label Studio file is a JSON array of tasks", file=str(path))
    return value


# --- Hugging Face Parquet: one row per item ---


def hf_table(items: Iterable[Exported], label_set: LabelSet) -> pa.Table:
    """Loads with `datasets.load_dataset("parquet", ...)`; `label` is a ClassLabel, -1 where there is no decision."""
    rows = []
    for item in items:
        d = item.decision
        answers = [{"user": a["annotator"], "label": "|".join(a["labels"]) or a["kind"], "seconds": a["seconds"],
                    "beside": json.dumps(_beside(a), sort_keys=True)} for a in item.answers]
        context = [f"{x['speaker']}: {x['text']}" if x["speaker"] else x["text"] for x in item.context]
        rows.append({"id": item.row_id, "text": item.text, "context": context, "labels_all": answers, "source": d["decided_by"],
                     "label": label_set.names.index(d["label"]) if d["label"] else -1, "rejected": d["rejected"],
                     "agreement": d["agreement"], "guideline_version": d["guideline_version"], "item_key": item.item_key,
                     "meta": json.dumps(item.meta(label_set), ensure_ascii=False, sort_keys=True)})
    return pa.Table.from_pylist(rows, _hf_schema(label_set))


def _hf_schema(label_set: LabelSet) -> pa.Schema:
    answer = pa.struct(
        [("user", pa.string()), ("label", pa.string()), ("seconds", pa.float64()), ("beside", pa.string())]
    )
    fields = {
        "id": pa.string(), "text": pa.string(), "context": pa.list_(pa.string()), "label": pa.int64(), "rejected": pa.bool_(),
        "labels_all": pa.list_(answer), "source": pa.string(), "agreement": pa.float64(), "guideline_version": pa.string(),
        "item_key": pa.string(), "meta": pa.string(),
    }
    features: dict[str, Any] = {
        name: {"dtype": str(kind).replace("double", "float64"), "_type": "Value"} for name, kind in fields.items()
    }
    features["label"] = {"names": list(label_set.names), "_type": "ClassLabel"}
    features["context"] = {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    inner = {x.name: {"dtype": str(x.type).replace("double", "float64"), "_type": "Value"} for x in answer}
    features["labels_all"] = {"feature": inner, "_type": "List"}
    return pa.schema(list(fields.items()), metadata={"huggingface": json.dumps({"info": {"features": features}})})


def read_hf(path: Path, label_set: LabelSet) -> Batch:
    try:
        rows = pq.read_table(path, columns=["id", "labels_all", "meta"]).to_pylist()
    except (pa.ArrowInvalid, OSError, KeyError):
        raise InputError("not a Parquet file with id, labels_all and meta", file=str(path)) from None
    answers, decisions = [], {}
    for number, row in enumerate(rows, 1):
        for a in row["labels_all"] or []:
            beside = json.loads(a["beside"] or "{}")
            kind = beside.get("kind", "label")
            labels = a["label"].split("|") if kind == "label" else []
            answers.append(_given(row["id"], a["user"], kind, labels, label_set, path, number, beside))
        _keep_decision(decisions, row["id"], (json.loads(row["meta"] or "{}")).get("decision"))
    return Batch(tuple(answers), decisions)


# --- CSV for spreadsheets, out only ---


def write_csv(items: Iterable[Exported], label_set: LabelSet) -> Iterator[str]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(["id", "text", "label", "decided_by", "agreement", "answers"])
    for item in items:
        answers = "; ".join(f"{a['annotator']}: {' + '.join(a['labels']) or a['kind']}" for a in item.answers)
        d = item.decision
        row = [item.row_id, item.text, " + ".join(d["labels"]), d["decided_by"], d["agreement"], answers]
        writer.writerow([harmless(cell) for cell in row])
    yield buffer.getvalue()


def harmless(cell: Any) -> Any:
    """A cell that a spreadsheet would take for a formula gets an apostrophe in front: "=1+1" -> "'=1+1"."""
    return "'" + cell if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else cell


# --- what the readers share ---


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise InputError(f"larger than {FILE_LIMIT >> 20} MiB", file=str(path))
        return path.read_bytes()
    except OSError:
        raise InputError("the file cannot be read", file=str(path)) from None


AnswerOf = Callable[[dict[str, Any], dict[str, Any]], tuple[str, str, list[str]] | None]


def _read_lines(path: Path, label_set: LabelSet, answer_of: AnswerOf) -> Batch:
    answers, decisions = [], {}
    for number, line in enumerate(_bytes(path).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            raise SchemaError("not a JSON object", file=str(path), row=number) from None
        meta = record.get("meta") if isinstance(record, dict) else None
        meta = meta if isinstance(meta, dict) else record
        _need({"meta": meta}, path, number, "meta", "id", leaf=str)
        if found := answer_of(record, meta):
            annotator, kind, labels = found
            answers.append(
                _given(meta["id"], annotator, kind, labels if kind == "label" else [], label_set, path, number, meta)
            )
        _keep_decision(decisions, meta["id"], meta.get("decision"))
    return Batch(tuple(answers), decisions)


def _need(value: Any, path: Path, number: int, *names: str, leaf: type = dict) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, leaf) or (leaf is dict and not isinstance(value.get("id"), str)):
        raise SchemaError("a record does not name the row it answers: its meta has no `id`", file=str(path), row=number,
                          hint="keep the meta fields of the exported file")
    return value


def _given(
    row_id: str, annotator: str, kind: str, labels: list[str], label_set: LabelSet, path: Path, number: int, beside: dict[str, Any]
) -> Given:
    names = [label_set.stored_name(label) for label in labels]
    if None in names or kind not in KINDS or (kind == "label" and not names):
        raise SchemaError(f"a label is not in the label set {label_set.name!r}", file=str(path), row=number,
                          hint=f"use {', '.join(label_set.names)}")
    return Given(row_id, annotator, kind, tuple(str(x) for x in names), number, beside.get("seconds"), beside.get("instruct"),
                 bool(beside.get("flagged")))


def _keep_decision(decisions: dict[str, Decision], row_id: str, decided: Any) -> None:
    if isinstance(decided, dict) and decided.get("decided_by") == "adjudicated":
        decisions[row_id] = _decision(
            "reject" if decided.get("rejected") else "label", tuple(decided.get("labels") or ()), decided
        )


def _decision(kind: str, labels: tuple[str, ...], decided: dict[str, Any]) -> Decision:
    instruct = decided.get("instruct")
    return Decision(kind, labels, "adjudicated", 0, decided.get("agreement"),
                    json.dumps(instruct, ensure_ascii=False, sort_keys=True) if instruct else None,
                    decided.get("error_category") or "")


WRITERS = {"prodigy": write_prodigy, "doccano": write_doccano, "label-studio": write_label_studio, "csv": write_csv}
READERS = {"prodigy": read_prodigy, "doccano": read_doccano, "label-studio": read_label_studio, "parquet": read_hf}
FORMATS = ("jsonl", *WRITERS, "parquet")
ENDINGS = {
    "jsonl": "jsonl",
    "prodigy": "jsonl",
    "doccano": "jsonl",
    "label-studio": "json",
    "csv": "csv",
    "parquet": "parquet",
}


def export_text(c: sa.Connection, batch_id: int, name: str, *, with_names: bool = False) -> Iterator[str]:
    """A batch in a text format of FORMATS (all but parquet)."""
    if name == "jsonl":
        yield from export_lines(c, batch_id)
        return
    if name not in WRITERS:
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}")
    label_set = labels_of(c, batch_row(c, batch_id).label_schema_id)
    yield from WRITERS[name](exported(c, batch_id, with_names=with_names), label_set)
