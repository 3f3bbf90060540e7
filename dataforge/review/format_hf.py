"""Hugging Face Parquet: one row per item, `label` a ClassLabel. Written by pyarrow, so `datasets` is not needed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataforge.errors import InputError
from dataforge.review.answers import Batch, Given
from dataforge.review.decisions import Decision
from dataforge.review.format_records import Exported, beside, given_answer, keep_decision
from dataforge.review.label_sets import LabelSet


def hf_table(items: Iterable[Exported], label_set: LabelSet) -> pa.Table:
    """Loads with `datasets.load_dataset("parquet", ...)`; `label` is a ClassLabel, -1 where there is no decision."""
    rows = []
    for item in items:
        d = item.decision
        answers = [
            {
                "user": a["annotator"],
                "label": "|".join(a["labels"]) or a["kind"],
                "seconds": a["seconds"],
                "beside": json.dumps(beside(a), sort_keys=True),
            }
            for a in item.answers
        ]
        context = [f"{x['speaker']}: {x['text']}" if x["speaker"] else x["text"] for x in item.context]
        rows.append(
            {
                "id": item.row_id,
                "text": item.text,
                "context": context,
                "labels_all": answers,
                "source": d["decided_by"],
                "label": label_set.names.index(d["label"]) if d["label"] else -1,
                "rejected": d["rejected"],
                "agreement": d["agreement"],
                "guideline_version": d["guideline_version"],
                "item_key": item.item_key,
                "meta": json.dumps(item.meta(label_set), ensure_ascii=False, sort_keys=True),
            }
        )
    return pa.Table.from_pylist(rows, _hf_schema(label_set))


def _hf_schema(label_set: LabelSet) -> pa.Schema:
    answer = pa.struct(
        [("user", pa.string()), ("label", pa.string()), ("seconds", pa.float64()), ("beside", pa.string())]
    )
    fields = {
        "id": pa.string(),
        "text": pa.string(),
        "context": pa.list_(pa.string()),
        "label": pa.int64(),
        "rejected": pa.bool_(),
        "labels_all": pa.list_(answer),
        "source": pa.string(),
        "agreement": pa.float64(),
        "guideline_version": pa.string(),
        "item_key": pa.string(),
        "meta": pa.string(),
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
    answers: list[Given] = []
    decisions: dict[str, Decision] = {}
    for number, row in enumerate(rows, 1):
        for a in row["labels_all"] or []:
            kept = json.loads(a["beside"] or "{}")
            kind = kept.get("kind", "label")
            labels = a["label"].split("|") if kind == "label" else []
            answers.append(given_answer(row["id"], a["user"], kind, labels, label_set, path, number, kept))
        keep_decision(decisions, row["id"], (json.loads(row["meta"] or "{}")).get("decision"))
    return Batch(tuple(answers), decisions)
