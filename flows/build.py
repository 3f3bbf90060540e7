"""One config → the graph of Steps, the tables that are published from it, and the number of parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dataforge.commit import write_json
from dataforge.engine.run import State, survey
from dataforge.errors import PartialError
from dataforge.flows.audit import audit_drops
from dataforge.flows.config import Config
from dataforge.flows.corpus import clean_corpus
from dataforge.flows.slack import SlackSteps, read_slack
from dataforge.flows.sources import MESSAGES, check_places, source_steps
from dataforge.flows.tokens import TokenSteps, make_tokens
from dataforge.operator import Source
from dataforge.operators.files import FileSource, Remembered
from dataforge.step import Step, in_order
from dataforge.store import Store

PART_BYTES = 64 << 20  # decompressed input a part
LEAST_PARTS, MOST_PARTS = 8, 65_536
MOST_GROWTH = 4  # of a part, before a corpus that grew is cut anew: part and its shuffle are held in memory
PACK_BYTES = 8 << 20  # input a part of packing: its ids, labels and positions are held in memory together


@dataclass(frozen=True)
class Graph:
    """Everything that a config asks for. `corpus`, `slack` and `audit` are None where the config asks for none.

    `documents` are the sources of the corpus.
    """

    config: Config
    parts: int
    sources: dict[str, Step]
    documents: tuple[Step, ...]
    corpus: Step | None
    slack: SlackSteps | None
    tokens: TokenSteps
    input_bytes: int = 0  # of all sources, decompressed
    audit: Step | None = None  # what people said about dropped rows: for the report alone

    def targets(self) -> tuple[Step, ...]:
        published = dict.fromkeys(step for steps in self.published().values() for step in steps)
        return (*published, self.tokens.tokenizer, *self.reported())

    def reported(self) -> tuple[Step, ...]:
        """Steps that are not published but stand in the report."""
        retrained = self.slack.retrained if self.slack is not None else None
        return tuple(step for step in (self.audit, retrained) if step is not None)

    def selected(self) -> tuple[Step, ...]:
        """The steps whose rows are trained on and published."""
        return tuple(step for step in (self.corpus, self.slack.pairs if self.slack else None) if step is not None)

    def steps(self) -> Iterator[Step]:
        """All steps, inputs before readers."""
        return in_order((*self.sources.values(), *self.targets()))

    def published(self) -> dict[str, tuple[Step, ...]]:
        """Config name → the steps whose rows feed it."""
        configs: dict[str, tuple[Step, ...]] = {}
        if self.slack is not None:
            configs |= dict.fromkeys(("instruct", "sft", "chat"), (self.slack.pairs,))
            if self.slack.annotations is not None:
                configs["annotations"] = (self.slack.annotations,)
        if self.corpus is not None:
            configs["corpus"] = (self.corpus,)
        configs["tokenized"] = self.tokens.encoded
        configs[f"packed-{self.config.pack.sequence_length}"] = (self.tokens.packed,)
        return configs


def build(config: Config, *, device: str = "auto") -> Graph:
    """The graph of a config. Reads the sizes of its inputs (for `parts: auto`), runs nothing."""
    check_places(config)
    store = Store(config.path(config.store))
    sources = source_steps(config)
    kinds = {source.name: source.kind for source in config.sources}
    total = sum(decompressed_bytes(step, store) for step in sources.values())
    parts = parts_of(config, sources, store, total)
    documents = [step for name, step in sources.items() if kinds[name] not in MESSAGES]
    messages = [step for name, step in sources.items() if kinds[name] in MESSAGES]
    corpus = clean_corpus(documents, config, parts, device) if documents else None
    names = [step for step in in_order((corpus,) if corpus else ()) if step.name == "corpus/mail-names"]
    slack = read_slack(messages, config, parts, names) if messages else None
    tokens = make_tokens(corpus, slack.pairs if slack else None, config, power_of_two(total, PACK_BYTES), device)
    audit = audit_drops([step for step in (corpus, slack.pairs if slack else None) if step is not None], config, parts)
    return Graph(config, parts, sources, tuple(documents), corpus, slack, tokens, total, audit)


def look(graph: Graph) -> State:
    """What is there, for commands that only look: a file of the same size and time of change counts as unchanged, where
    a run reads every byte."""
    store = Store(graph.config.path(graph.config.store))
    remembered = read_remembered(store)

    def digest(source: Source) -> str:
        return source.digest(remembered) if isinstance(source, FileSource) else source.digest()

    return survey(store, tuple(graph.steps()), digest=digest)


def power_of_two(total: int, part_bytes: int) -> int:
    """The smallest power of two with at most `part_bytes` a part."""
    parts = 1
    while parts < MOST_PARTS and total > parts * part_bytes:
        parts *= 2
    return parts


def parts_of(config: Config, sources: dict[str, Step], store: Store, total: int) -> int:
    """The configured number of parts. For `auto` that of an earlier ingest of these sources, so that rows keep their part
    as a corpus grows; by decompressed bytes where there is none, or where it would make parts of over four times the size.
    """
    if config.ingest.parts != "auto":
        return config.ingest.parts
    wanted = max(LEAST_PARTS, power_of_two(total, PART_BYTES))
    earlier = max(_parts_before(store, set(sources)), default=0)
    return earlier if earlier * MOST_GROWTH >= wanted else wanted


def _parts_before(store: Store, sources: set[str]) -> Iterator[int]:
    wanted = {f"sources/{name}" for name in sources}
    for folder in ("corpus/ingested", "slack/ingested"):
        for manifest in (store.root / folder).glob("*/manifest.json"):
            document = json.loads(manifest.read_bytes())
            if {entry["step"] for entry in document["inputs"]} <= wanted:
                yield int(document["operator"]["parts"])


def decompressed_bytes(step: Step, store: Store) -> int:
    """Bytes of a source's input once decompressed. Unchanged files are remembered beside the store's tables."""
    source = step.operator
    if not isinstance(source, FileSource):
        return int(source.decompressed_bytes())  # type: ignore[attr-defined]
    remembered = read_remembered(store)
    before = len(remembered)
    size = source.decompressed_bytes(remembered)
    if len(remembered) != before and store.root.exists():
        with suppress(PartialError):  # a store that cannot be written can still be looked at
            write_json(store.root / REMEMBERED, {place: list(known) for place, known in remembered.items()})
    return size


REMEMBERED = "inputs.json"


def read_remembered(store: Store) -> Remembered:
    """What is known of input files by path, size and time of change. A lost or broken file only costs time."""
    path: Path = store.root / REMEMBERED
    try:
        return {place: (str(sha256), int(size)) for place, (sha256, size) in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError):
        return {}
