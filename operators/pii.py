"""FindPii: personal data in texts, as spans beside them. Rows `id, text` in; `id, spans` out. Masks nothing itself.

Structured kinds and secrets come from rules (`configs/pii/`); PERSON, ORGANIZATION and LOCATION from an optional model
or from lists of names (pii_names.py). The text stays as it is: Select applies the spans once (mask.py).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from dataforge.errors import ConfigError
from dataforge.operator import Contract, Map, Rows
from dataforge.operators.pii_custom import custom_rules
from dataforge.operators.pii_finder import Finder, finders
from dataforge.operators.pii_names import NAME_KINDS, KnownName, NamesFinder, read_names, read_names_key, recognizer
from dataforge.operators.pii_rules import KINDS, RULE_FILES, Rule, load_rules
from dataforge.operators.pii_scan import Scanner, merge_spans
from dataforge.schemas.verdict import SPANS

STRUCTURED = (
    "SECRET", "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "NATIONAL_ID", "IP_ADDRESS",
    "MAC_ADDRESS", "URL", "CRYPTO",
)  # fmt: skip


@dataclass(frozen=True)
class FindPii(Map):
    """`kinds`: what is looked for. `ner`: "" for none, "spacy:MODEL" or "presidio:LANGUAGE:MODEL" (extra `ner`).
    With a model, or with names (file inputs, JSONL `{"name", "kind"}`), the kinds of names are looked for as well.
    `private_addresses`: IP addresses of private ranges count too. `rules`: of the user's own (pii_custom.py), whose kinds
    are always looked for.
    """

    VERSION: ClassVar[int] = 8
    contract: ClassVar[Contract] = Contract.SAME

    kinds: tuple[str, ...] = STRUCTURED
    ner: str = ""
    private_addresses: bool = False
    rules: str = ""
    names_key: str = field(default="", metadata={"identity": False})  # env:NAME or file:PATH, where names are hashed

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise ConfigError(f"unknown kind, known are {', '.join(KINDS)}", key=f"pii.kinds.{kind}")

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return SPANS

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        names = tuple(name for file in files for name in read_names(file))
        scanner = self.scanner(names)
        recognize = recognizer(self.ner, self._name_kinds()) if self.ner else None

        def find(batch: pa.RecordBatch) -> Rows:
            texts = batch.column("text")
            spans = scanner.spans(texts)
            if recognize is not None:
                spans = merge_spans(spans, recognize(texts))
            return Rows(pa.RecordBatch.from_arrays([batch.column("id"), spans], schema=SPANS))

        return find

    def scanner(self, names: Sequence[KnownName] = ()) -> Scanner:
        """The finders of these parameters."""
        found_by = [
            *_finders(tuple(sorted(set(self.kinds))), self.private_addresses),
            *finders(custom_rules(self.rules), own=True),
        ]
        wanted = [name for name in names if name.kind in self._name_kinds()]
        known = [NamesFinder(wanted, read_names_key(self.names_key) if self.names_key else b"")] if wanted else []
        return Scanner([*found_by, *known])

    def _name_kinds(self) -> frozenset[str]:
        """Naming one of the kinds of names restricts to those named; else all three."""
        return frozenset(self.kinds) & NAME_KINDS or NAME_KINDS


@functools.cache
def _finders(kinds: tuple[str, ...], private_addresses: bool) -> tuple[Finder, ...]:
    rules = [rule for file in RULE_FILES for rule in load_rules(file) if rule.kind in kinds]
    return tuple(finders(_with_private(rule) if private_addresses else rule for rule in rules))


def _with_private(rule: Rule) -> Rule:
    return dataclasses.replace(rule, validator=f"{rule.validator}_any") if rule.kind == "IP_ADDRESS" else rule
