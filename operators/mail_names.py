"""Names of people from the mail headers of a corpus, as a keyed list: who wrote is then found wherever a text says so.

Read are header lines (`From: Anna Berg <anna@example.org>`, quoted ones and those of forwarded mails too) and the line
above a quotation (`On Monday Anna Berg <…> wrote:`). A name without an address counts only among other headers. Names
of roles (`Support Team`) are none. The list holds keyed hashes: no name is stored, nor can one be looked up.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dataforge.operator import Fold
from dataforge.operators.pii_names import NAMES_FILE, hashed_names, read_names_key

_STATE = pa.schema([pa.field("line", pa.string(), nullable=False)])
LONGEST_LINE = 2_000  # characters
_PEOPLE = "From|To|Cc|Bcc|Sender|Reply-To|Von|An|De|À|Para"
_OTHERS = "Sent|Date|Subject|Gesendet|Datum|Betreff|Envoyé|Objet|Enviado|Fecha|Asunto"
_QUOTED = r"[> \t|*]{0,20}"
_HEADER = re.compile(rf"{_QUOTED}(?:X-)?(?:{_PEOPLE})\*?[ \t]*:\*?[ \t]*(.*)", re.IGNORECASE)
_ANY_HEADER = re.compile(rf"{_QUOTED}(?:X-)?(?:{_PEOPLE}|{_OTHERS})\*?[ \t]*:", re.IGNORECASE)
_MAY_HOLD = rf"(?im)^{_QUOTED}(?:X-)?(?:{_PEOPLE})\*?[ \t]*:|@[^\n]{{0,200}}:[ \t]*$"  # RE2: most texts end here
_ADDRESS = re.compile(r"\s{0,3}[\"']?\s{0,3}[<\[(]\s*(?:mailto:)?[^\s<>@()\[\]]{1,64}@[^\s<>@()\[\]]{1,253}[>\])]*")
_BEFORE = 80  # characters before an address in which its name stands
_WORD = r"[^\W\d_][^\W\d_'’.-]*(?:['’-][^\W\d_]+)*\.?"
_LAST_FIRST = re.compile(rf"({_WORD}(?: {_WORD})?), ({_WORD}(?: {_WORD})?)")
_NAME_AT_END = re.compile(rf"{_WORD}(?: {_WORD}){{0,3}}$")
_PARTICLE_WORDS = "von van der den de del della di da du la le bin ibn al el zu zur ten ter"
# Words that no name holds; months and days that are names too (`Jan`, `April`) are not among them.
_ROLE_WORDS = """
    admin administrator alert alerts all api billing bot bugs careers centre center committee community company
    contact customer daemon department dept desk development digest editor events group gmbh help helpdesk hr inc info
    list lists mail mailer mailing manager marketing members news newsletter no noreply notification notifications office
    on online orders owner postmaster press reply sales security service services shop staff store subject subscription
    support system systems team the undisclosed recipients university update updates user users via webmaster
    monday tuesday wednesday thursday friday saturday sunday january february march july september october november
    december montag dienstag mittwoch donnerstag freitag samstag sonntag
"""
_PARTICLES, _ROLES = frozenset(_PARTICLE_WORDS.split()), frozenset(_ROLE_WORDS.split())


@dataclass(frozen=True)
class MailNames(Fold):
    """Rows `id, text` → `names.jsonl` of keyed hashes, for FindPii. The key stays where `key_place` says."""

    key_place: str = field(metadata={"identity": False})  # env:NAME or file:PATH
    key_fingerprint: str

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def observe(self, index: int, batch: pa.RecordBatch) -> pa.Table:
        texts = batch.column("text")
        among = texts.filter(pc.fill_null(pc.match_substring_regex(texts, _MAY_HOLD), False))
        names = {name for text in among.to_pylist() for name in names_in_headers(text)}  # mails alone come so far
        return pa.table([pa.array(hashed_names(names, _key(self.key_place)), pa.string())], schema=_STATE)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        lines = pc.unique(pa.concat_tables([left, right])["line"])
        return pa.table([lines.take(pc.sort_indices(lines))], schema=_STATE)

    def finish(self, state: pa.Table | None, out: Path) -> None:
        lines = sorted(set(state["line"].to_pylist())) if state is not None else []
        (out / NAMES_FILE).write_text("".join(f"{line}\n" for line in lines), "utf-8")


@functools.cache
def _key(place: str) -> bytes:
    return read_names_key(place)


def names_in_headers(text: str) -> set[str]:
    """`"From: \\"Berg, Anna\\" <a@x.org>"` → `{"Anna Berg"}`."""
    lines = text.split("\n")
    found: set[str] = set()
    for at, line in enumerate(lines):
        header = _HEADER.match(line) if len(line) <= LONGEST_LINE else None
        if header is not None and "@" in header[1]:
            found.update(_with_address(header[1]))
        elif header is not None:
            if any(
                _ANY_HEADER.match(beside[:LONGEST_LINE]) for beside in (*lines[max(at - 1, 0) : at], *lines[at + 1 : at + 2])
            ):
                found.update(_without_address(header[1]))
        elif "@" in line and len(line) <= LONGEST_LINE and line.rstrip().endswith(":"):
            found.update(_with_address(line))
    return found


def _with_address(value: str) -> Iterator[str]:
    """The name that stands right before each address."""
    done = 0
    for address in _ADDRESS.finditer(value):
        before = value[max(done, address.start() - _BEFORE) : address.start()].strip(" \t,;\"'")
        done = address.end()
        turned = _LAST_FIRST.fullmatch(before)
        last = _NAME_AT_END.search(before)
        if turned and _is_name(f"{turned[2]} {turned[1]}"):
            yield f"{turned[2]} {turned[1]}"
        elif last:
            yield from _longest_name(last[0])


def _longest_name(words: str) -> Iterator[str]:
    """Of `On Monday Anna Berg` the end: `Anna Berg`."""
    rest = words.split(" ")
    while len(rest) > 1:
        if _is_name(" ".join(rest)):
            yield " ".join(rest)
            return
        rest = rest[1:]


def _without_address(value: str) -> Iterator[str]:
    """`Anna Berg; Bob Stone`, `Berg, Anna; Stone, Bob` or `Anna Berg, Bob Stone`."""
    for part in value.split(";"):
        plain = part.strip(" \t\"'*")
        turned = _LAST_FIRST.fullmatch(plain)
        if turned and " " not in turned[1]:
            plain = f"{turned[2]} {turned[1]}"
        yield from (name for one in plain.split(",") if _is_name(name := one.strip(" \t\"'*")))


def _is_name(name: str) -> bool:
    """Two to four words of letters, each with a capital but for particles, none the word of a role."""
    words = name.split(" ")
    if not 2 <= len(words) <= 4 or not re.fullmatch(rf"{_WORD}(?: {_WORD}){{1,3}}", name):
        return False
    if words[0].lower() in _PARTICLES or any(word.lower() in _ROLES for word in words):
        return False
    return all(not word[0].islower() or word in _PARTICLES for word in words)
