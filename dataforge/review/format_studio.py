"""Label Studio JSON: one task per item, the suggestion as a prediction, an adjudicated decision as ground truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from dataforge.errors import SchemaError
from dataforge.review.answers import Batch, Given
from dataforge.review.decisions import Decision
from dataforge.review.format_records import Exported, beside, given_answer, lead_decision, needed, read_bytes
from dataforge.review.label_sets import LabelSet


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
            predictions = [
                {
                    "model_version": suggestion["suggestion_by"],
                    "score": suggestion["suggestion_score"],
                    "result": [_studio_choice([suggestion["suggestion"]])],
                }
            ]
        kinds = {a["annotator"]: beside(a) for a in item.answers}
        task = {
            "id": number,
            "data": {"text": item.text, "dataforge": {**item.meta(label_set), "answers": kinds}},
            "predictions": predictions,
            "annotations": annotations,
        }
        yield (",\n" if number > 1 else "\n") + json.dumps(task, ensure_ascii=False, sort_keys=True)
    yield "\n]\n"


def _studio_annotation(annotator: str, kind: str, labels: list[str], seconds: float | None) -> dict[str, Any]:
    result = {"label": [_studio_choice(labels)], "reject": [_studio_choice(["reject"])]}.get(kind, [])
    return {
        "completed_by": {"email": annotator},
        "was_cancelled": kind in ("unsure", "flag"),
        "ground_truth": False,
        "lead_time": seconds,
        "result": result,
    }


def _studio_choice(labels: list[str]) -> dict[str, Any]:
    return {"from_name": "act", "to_name": "text", "type": "choices", "value": {"choices": labels}}


def label_studio_config(label_set: LabelSet) -> str:
    """The XML of the labeling interface that fits the export."""
    choices = "\n".join(
        f"    <Choice value={quoteattr(x.name)} alias={quoteattr(x.name)} hint={quoteattr(x.definition)}"
        f" hotkey={quoteattr(x.key)}/>"
        for x in label_set.labels
    )
    kind = "multiple" if label_set.multi else "single"
    return (
        f'<View>\n  <Text name="text" value="$text"/>\n  <Choices name="act" toName="text" choice="{kind}">\n{choices}\n'
        '    <Choice value="reject" alias="reject"/>\n  </Choices>\n</View>\n'
    )


def read_label_studio(path: Path, label_set: LabelSet) -> Batch:
    answers: list[Given] = []
    decisions: dict[str, Decision] = {}
    for number, task in enumerate(_json_array(path), 1):
        ours = needed(task, path, number, "data", "dataforge")
        for annotation in task.get("annotations") or []:
            who = annotation.get("completed_by")
            name = str(who.get("email") or who.get("id")) if isinstance(who, dict) else str(who)
            kept = (ours.get("answers") or {}).get(name, {})
            labels = [
                x for result in annotation.get("result") or [] for x in (result.get("value") or {}).get("choices") or []
            ]
            kind = "reject" if labels == ["reject"] else "label" if labels else kept.get("kind", "unsure")
            given = given_answer(
                ours["id"], name, kind, [] if kind != "label" else labels, label_set, path, number, kept
            )
            if annotation.get("ground_truth"):
                decisions[given.row_id] = lead_decision(kind, given.labels, ours.get("decision") or {})
            else:
                answers.append(_with_seconds(given, annotation.get("lead_time")))
    return Batch(tuple(answers), decisions)


def _with_seconds(given: Given, seconds: Any) -> Given:
    return Given(
        **{**given.__dict__, "seconds": float(seconds) if isinstance(seconds, (int, float)) else given.seconds}
    )


def _json_array(path: Path) -> list[Any]:
    try:
        value = json.loads(read_bytes(path))
    except (ValueError, RecursionError):
        raise SchemaError("not JSON", file=str(path)) from None
    if not isinstance(value, list):
        raise SchemaError("a Label Studio file is a JSON array of tasks", file=str(path))
    return value
