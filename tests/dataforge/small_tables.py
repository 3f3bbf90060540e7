"""Small Tables written straight with PartWriter: a whole graph from a source to packed rows, in invented words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.identity import part_of, row_id
from dataforge.operator import Contract, Rows
from dataforge.part import PartWriter, read_record
from dataforge.schemas.act import ACT, ACTS
from dataforge.schemas.document import DOCUMENT
from dataforge.schemas.edge import TWINS
from dataforge.schemas.tokens import PACKED, TOKENS
from dataforge.schemas.verdict import DROPPED, QUARANTINED, SPANS
from dataforge.table import Table, write_manifest

PARTS = 4
SPLIT = pa.schema([("id", pa.string()), ("split", pa.string())])
LANGUAGE = pa.schema([("id", pa.string()), ("language", pa.string()), ("language_score", pa.float32())])
INSTRUCT = pa.schema(
    [
        ("id", pa.string()),
        ("parents", pa.list_(pa.string())),
        ("source", pa.string()),
        ("instruction", pa.string()),
        ("input", pa.string()),
        ("output", pa.string()),
        ("text", pa.string()),
        ("prompt", pa.string()),
        ("completion", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("act", pa.string()),
        ("meta", pa.string()),
        ("split", pa.string()),
    ]
)


def write(
    store: Path,
    step: str,
    rows: pa.Table,
    *,
    contract: Contract = Contract.SAME,
    inputs: tuple[Table, ...] = (),
    dropped: pa.Table | None = None,
    quarantined: pa.Table | None = None,
    operator: dict[str, Any] | None = None,
    source: bool = False,
    parts: int = PARTS,
) -> Table:
    """A finished Table of `rows`, partitioned and sorted by id."""
    path = store / step / row_id("table", step)[:12]
    step_id = row_id("table", step) * 2
    for part in range(parts):
        with PartWriter(path, part, rows.schema, contract, step_id=step_id) as writer:
            mine, lost = _part(rows, part, parts), _part(dropped, part, parts)
            bad = quarantined if part == 0 else None
            _see(writer, contract, mine, lost, bad)
            writer.write(Rows(mine, lost, bad))
    manifest = {
        "step": step,
        "id": step_id,
        "operator": operator or {"": step.rsplit("/", 1)[-1]},
        "version": 1,
        "contract": "source" if source else contract.value,
        "inputs": [{"step": t.step, "id": t.id} for t in inputs],
        "parts": [read_record(path, part, step_id=step_id) for part in range(parts)],
        "files": [],
    }
    return write_manifest(path, manifest, rows.schema)


def _part(rows: pa.Table | None, part: int, parts: int) -> Any:
    if rows is None or rows.num_rows == 0:
        return rows
    return rows.filter(pa.array(part_of(rows["id"], parts) == part)).sort_by("id")


def _see(writer: PartWriter, contract: Contract, mine: pa.Table, lost: pa.Table | None, bad: pa.Table | None) -> None:
    if contract is Contract.DERIVED:
        parents = pc.unique(pc.list_flatten(mine["parents"])) if mine.num_rows else pa.array([], pa.string())
        writer.saw(parents, len(parents))
    else:
        writer.saw(mine["id"], mine.num_rows)
    if lost is not None:
        writer.saw(lost["id"], lost.num_rows)
    if bad is not None:
        writer.saw(None, bad.num_rows)


class Graph:
    """40 documents of two sources: 4 too short, 4 duplicates, the rest published; 8 instruct rows of conversations."""

    def __init__(self, store: Path, *, rows: int = 40) -> None:
        self.store = store
        self.documents = self._documents(rows)
        self.ids: list[str] = self.documents["id"].to_pylist()
        self._write_tables()

    def _documents(self, rows: int) -> pa.Table:
        records = []
        for n in range(rows):
            source = "notes" if n % 2 else "manuals"
            text = (
                "short"
                if n % 10 == 9
                else f"Row {n}: write to ana{n}@example.org about the blue harbour. " * (1 + n % 5)
            )
            records.append(
                {"id": row_id(source, str(n)), "source": source, "key": str(n), "text": text, "licence": "MPL-2.0"}
            )
        return pa.Table.from_pylist(records, schema=DOCUMENT).sort_by("id")

    def _write_tables(self) -> None:
        docs, store = self.documents, self.store
        read = {"": "Jsonl", "name": "notes", "licence": "MPL-2.0"}
        bad = pa.Table.from_pylist(
            [{"file": "a.jsonl", "line": 3, "code": "SCHEMA", "reason": "not JSON"}], schema=QUARANTINED
        )
        mine = [docs.filter(pc.equal(docs["source"], name)) for name in ("notes", "manuals")]
        kinds = {"contract": Contract.SUBSET, "source": True, "parts": 1}
        self.notes = write(store, "read/notes", mine[0], quarantined=bad, operator=read, **kinds)
        self.manuals = write(store, "read/manuals", mine[1], operator={**read, "name": "manuals"}, **kinds)
        self.rows = write(store, "corpus/documents", docs, inputs=(self.notes, self.manuals))
        self.language = write(store, "corpus/language", self._language(), inputs=(self.rows,))
        self.pii = write(store, "corpus/pii", self._spans(), inputs=(self.rows,))
        self.acts = write(store, "corpus/acts", self._acts(), inputs=(self.rows,))
        self.twins = write(store, "corpus/twins", self._twins(), inputs=(self.rows,))
        self.split = write(store, "corpus/split", self._split(), inputs=(self.twins,))
        kept, dropped = self._selected()
        self.clean = write(
            store, "corpus/clean", kept, dropped=dropped, contract=Contract.SUBSET, inputs=(self.rows, self.twins)
        )
        self.instruct = write(
            store, "instruct/rows", self._instruct(kept), contract=Contract.DERIVED, inputs=(self.clean,)
        )
        self.tokens = write(store, "corpus/tokens", self._tokens(kept), inputs=(self.clean,))
        self.packed = write(store, "corpus/packed", self._packed(), contract=Contract.DERIVED, inputs=(self.tokens,))

    def tables(self) -> list[Table]:
        return [self.notes, self.manuals, self.rows, self.language, self.pii, self.acts, self.twins, self.split,
                self.clean, self.instruct, self.tokens, self.packed]  # fmt: skip

    def configs(self) -> dict[str, list[Table]]:
        rendered = {name: [self.instruct] for name in ("instruct", "sft", "chat")}
        return {"corpus": [self.clean], **rendered, "tokenized": [self.tokens], "packed-64": [self.packed]}

    def _language(self) -> pa.Table:
        spoken = ["en" if int(i[0], 16) < 12 else "de" for i in self.ids]
        return pa.table([self.ids, spoken, pa.array([0.9] * len(self.ids), pa.float32())], schema=LANGUAGE)

    def _spans(self) -> pa.Table:
        rows = []
        for row in self.documents.to_pylist():
            found = [m.span() for m in re.finditer(r"ana\d+@example\.org", row["text"])]
            spans = [{"start": a, "end": b, "kind": "EMAIL_ADDRESS", "rule": "email", "score": 1.0} for a, b in found]
            rows.append({"id": row["id"], "spans": spans})
        return pa.Table.from_pylist(rows, schema=SPANS)

    def _acts(self) -> pa.Table:
        scores = [1.0, *[0.0] * (len(ACTS) - 1)]
        rows = [
            {
                "id": i,
                "act": ACTS[int(i[0], 16) % 8],
                "form": "declarative",
                "act_score": 0.5,
                "act_scores": scores,
                "act_by": "rules",
            }
            for i in self.ids
        ]
        return pa.Table.from_pylist(rows, schema=ACT)

    def _twins(self) -> pa.Table:
        """The rows with keys 8, 18, 28 and 38 are near-duplicates of the one with the smallest id of them."""
        group = sorted(r["id"] for r in self.documents.to_pylist() if int(r["key"]) % 10 == 8)
        rows = [
            {"id": i, "cluster": group[0] if i in group else i, "duplicate": "near" if i in group[1:] else None,
             "into": group[0] if i in group[1:] else None}
            for i in self.ids
        ]  # fmt: skip
        return pa.Table.from_pylist(rows, schema=TWINS)

    def _split(self) -> pa.Table:
        clusters = self.twins.to_table(["id", "cluster"]).to_pylist()
        return pa.table([[r["id"] for r in clusters], [_place(r["cluster"]) for r in clusters]], schema=SPLIT)

    def _selected(self) -> tuple[pa.Table, pa.Table]:
        twins = {r["id"]: r for r in self.twins.to_table().to_pylist()}
        kept, dropped = [], []
        for row in self.documents.to_pylist():
            twin = twins[row["id"]]
            if row["text"] == "short":
                dropped.append({"id": row["id"], "reason": "too_few_words", "score": 1.0, "threshold": 3.0})
            elif twin["into"]:
                dropped.append({"id": row["id"], "reason": "near_duplicate", "into": twin["into"]})
            else:
                text = row["text"].replace(f"ana{row['key']}@example.org", "<EMAIL_ADDRESS>")
                kept.append({**row, "text": text, "language": "en", "split": _place(twin["cluster"])})
        schema = DOCUMENT.append(pa.field("language", pa.string())).append(pa.field("split", pa.string()))
        return pa.Table.from_pylist(kept, schema=schema), pa.Table.from_pylist(dropped, schema=DROPPED)

    def _instruct(self, kept: pa.Table) -> pa.Table:
        rows = []
        for parent in kept.to_pylist():
            ask, answer = f"What about {parent['key']}?", "It is in the harbour."
            prompt = f"###Instruction\n{ask}\n\n###Response\n"
            messages = [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]
            row = {
                "id": row_id("instruct", parent["id"]),
                "parents": [parent["id"]],
                "source": "notes",
                "instruction": ask,
                "input": "",
                "output": answer,
                "text": prompt + answer,
                "prompt": prompt,
                "completion": answer,
                "messages": messages,
                "act": "questions",
                "meta": json.dumps({"channel": "general"}),
                "split": parent["split"],
            }
            rows.append(row)
        return pa.Table.from_pylist(rows, schema=INSTRUCT)

    def _tokens(self, kept: pa.Table) -> pa.Table:
        rows = []
        for row in kept.to_pylist():
            ids = [len(word) for word in row["text"].split()][:60]
            rows.append(
                {
                    "id": row["id"],
                    "input_ids": ids,
                    "labels": ids,
                    "attention_mask": [1] * len(ids),
                    "length": len(ids),
                    "split": row["split"],
                }
            )
        return pa.Table.from_pylist(rows, schema=TOKENS.append(pa.field("split", pa.string())))

    def _packed(self) -> pa.Table:
        """Two texts a row, cut to 32 tokens each."""
        rows = []
        tokens = self.tokens.to_table().to_pylist()
        for split in ("train", "validation"):
            mine = [row for row in tokens if row["split"] == split]
            for at in range(0, len(mine), 2):
                pair = [(row["id"], row["input_ids"][:32]) for row in mine[at : at + 2]]
                ids = [token for _, tokens in pair for token in tokens]
                positions = [n for _, tokens in pair for n in range(len(tokens))]
                row = {
                    "id": row_id("pack", pair[0][0]),
                    "parents": [parent for parent, _ in pair],
                    "input_ids": ids,
                    "labels": [-100 if place == 0 else token for place, token in zip(positions, ids, strict=True)],
                    "position_ids": positions,
                    "seq_lengths": [len(tokens) for _, tokens in pair],
                    "split": split,
                }
                rows.append(row)
        return pa.Table.from_pylist(rows, schema=PACKED)


def _place(cluster: str) -> str:
    return "validation" if int(cluster[1], 16) < 3 else "train"


def tokenizer_folder(path: Path) -> Path:
    """The smallest tokenizer that its library opens: a list of words."""
    path.mkdir(parents=True, exist_ok=True)
    vocabulary = {"<unk>": 0, **{f"w{n}": n for n in range(1, 40)}}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor", "decoder"))
    document = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model, **empty}
    (path / "tokenizer.json").write_text(json.dumps(document))
    (path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"})
    )
    return path
