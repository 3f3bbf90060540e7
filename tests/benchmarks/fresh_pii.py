"""Recall and precision on invented sentences with personal data, by kind: `python -m tests.benchmarks.fresh_pii [ROWS]`.

Templates of chat, mails, forms, logs and tables are filled with numbers drawn at random, with right check digits; no
person has them but by chance. Every second template of a kind is held out: rules are mended on the others (`dev`) alone.
The check digits are computed here once more, by the plainest way, so that a mistake of a validator shows as a miss.

Of the values, `whole` are covered by one find of their kind (recall), `partly` only touched by a find or covered by one
of another kind, `missed` by none. Of the `finds`, of any kind, `false` touch no value.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from dataforge.operators.pii import FindPii

Draw = random.Random
_SLOT = re.compile(r"\{(\w+)\}")
TEMPLATES = {
    "EMAIL_ADDRESS": (
        "ping {email}, she has the keys", "cc {email} and {email} pls", "Bitte an {email} weiterleiten.",
        "Scrivimi su {email} quando vuoi", "From: Lena <{email}>", "{n};Lena;{email};Porto",
        'user={email} ip=10.0.3.4', "连络:{email},谢谢", "{email} bounced again :/", "[mail](mailto:{email})",
    ),
    "PHONE_NUMBER": (
        "call me on {phone} at the gate", "Tel.: {phone}", "Mon numéro de portable : {phone}.", "Llámame al {phone}",
        "电话 {phone}", '{{"phone": "{phone}"}}', "Мой телефон {phone}", "| Lena | {phone} |", "Hotline {phone} (9-17 Uhr)",
        "If nobody answers, {phone} is the landline.",
    ),
    "CREDIT_CARD": (
        "the card is {card} exp 04/29", "Kreditkarte {card}, gültig bis 11/28", '{{"pan":"{card}"}}', "| visa | {card} |",
        "Numéro de carte : {card}", "tried {card} and then {card}", "payments: pan={card} code=51", "カードは{card}です",
    ),
    "IBAN_CODE": (
        "please wire it to {iban}", "Bankverbindung: {iban} bei der Sparkasse", '{{"iban": "{iban}"}}', "Lena,{iban},12.50",
        "Numer konta: {iban}", "the old account {iban} is closed", "hesap no: {iban}", "| Lena | {iban} |",
    ),
    "US_SSN": (
        "my social is {ssn}", "SSN: {ssn}", "| Lena | {ssn} |", "the W-2 shows {ssn}, is that right?",
        "payroll: mismatch for ssn {ssn}", "Applicant Lena (SSN {ssn}) called twice.",
    ),
    "IP_ADDRESS": (
        "the box at {ip} is down", "Failed password for admin from {ip} port 51234", "curl http://{ip}:8080/health",
        '{{"remote_addr":"{ip}"}}', "my ip is {ip}.", "X-Forwarded-For: {ip}",
    ),
    "NATIONAL_ID": (
        "Steuer-ID: {de_tax}", "meine Steueridentifikationsnummer lautet {de_tax}", "DNI {es_nif}, domicilio en Bilbao",
        "mi documento es {es_nif}", "CPF: {br_cpf}", "o cpf dela: {br_cpf}, ok?", "PESEL {pl_pesel}", "mój pesel {pl_pesel}",
        "BSN {nl_bsn}", "burgerservicenummer is {nl_bsn}", "AHV-Nr. {ch_ahv}", "| Lena | {ch_ahv} |", "NHS number {uk_nhs}",
        "patient (nhs no. {uk_nhs}) seen today", "SIN: {ca_sin}", "numéro d'assurance sociale {ca_sin}", "TFN {au_tfn}",
        "my tax file number is {au_tfn}", "Aadhaar {in_aadhaar}", '{{"aadhaar": "{in_aadhaar}"}}', "hetu {fi_hetu}",
        "Lena;{fi_hetu};Tampere", "personnummer {se_pnr}", "Lena {se_pnr} Malmö", "NIR {fr_nir}",
        "N° de sécurité sociale : {fr_nir}", "passport no. {passport}", "Reisepassnummer: {passport}",
    ),
    "HARMLESS": (
        "order {n9} shipped", "Rechnung Nr. {n10} vom 12.03.2025", "invoice {n11} is paid", "tracking {n12}", "EAN 4{n12}",
        "row {n}, column 7, value {n}.{n9}", "slack ts 17{n8}.{n6}", "at 17{n8} the job stopped", "epoch ms 17{n11}",
        "lottery: 5, 12, 23, 34, 41 and 49", "Lotto 05 12 23 34 41 49", "part no. {n3}-{n5}-{n2}", "version 1.{n2}.{n4}.2",
        "batch {n4}-{n2}-{n4} passed", "look at noon dot com", "ratio 10:20:30:11:21:31", "see 2001:db8::1 in the standard",
        "{n} {n} {n}", "budget 2024: {n3} {n3} {n3} / {n3} {n3} {n3}", "serial {n4}-{n5}", "flight LH {n3} gate B{n2}",
        "population {n3},{n3},{n3}", "model X{n7}Z", "PID {n5} killed, rss {n6} kB", "a[{n4}] = {n9};", "id {n10}",
    ),
}  # fmt: skip


def digits(draw: Draw, count: int) -> str:
    return "".join(draw.choices("0123456789", k=count))


def _luhn(value: str) -> bool:
    return sum(int(d) if i % 2 == 0 else sum(divmod(2 * int(d), 10)) for i, d in enumerate(value[::-1])) % 10 == 0


def _grouped(draw: Draw, value: str, sizes: Sequence[int], between: str) -> str:
    """Half of the time in groups."""
    if draw.random() < 0.5:
        return value
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return between.join(value[end - size : end] for end, size in zip(ends, sizes, strict=True))


def _day(draw: Draw, order: str) -> str:
    parts = {"y": draw.randint(40, 99), "m": draw.randint(1, 12), "d": draw.randint(1, 28)}
    return "".join(f"{parts[part]:02d}" for part in order)


def _mod_11_10(value: str) -> bool:
    product = 10
    for digit in value[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(value[-1])


def _german_tax(draw: Draw) -> str:
    body = draw.sample("123456789", 9)
    body.insert(draw.randint(1, 9), draw.choice(body))
    whole = next(value for last in "0123456789" if _mod_11_10(value := "".join(body) + last))
    return _grouped(draw, whole, (2, 3, 3, 3), " ")


def _cpf_ends(value: str) -> bool:
    weighted = sum(int(digit) * weight for digit, weight in zip(value[:-1], range(len(value), 1, -1), strict=True))
    return weighted * 10 % 11 % 10 == int(value[-1])


def _cpf(draw: Draw) -> str:
    body = digits(draw, 9)
    for _ in range(2):
        body += next(last for last in "0123456789" if _cpf_ends(body + last))
    return draw.choice((body, f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"))


_DIHEDRAL = [[(a + b) % 5 + 5 * (b > 4) if a < 5 else (a - b) % 5 + 5 * (b < 5) for b in range(10)] for a in range(10)]


def _verhoeff(value: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(value)):
        turned = int(digit)
        for _ in range(place % 8):
            turned = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[turned]
        check = _DIHEDRAL[check][turned]
    return check == 0


def _iban(draw: Draw) -> str:
    country, length = draw.choice((("DE", 18), ("ES", 20), ("PL", 24), ("BE", 12), ("AT", 16)))
    body = digits(draw, length)
    check = 98 - int(body + "".join(str(int(letter, 36)) for letter in country) + "00") % 97
    whole = f"{country}{check:02d}{body}"
    return draw.choice((whole, " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))))


def _phone(draw: Draw) -> str:
    area, rest = draw.randint(201, 989), f"{draw.randint(201, 989)}-{digits(draw, 4)}"
    pairs = " ".join(digits(draw, 2) for _ in range(4))
    forms = (
        f"+1 {area} {rest}",
        f"({area}) {rest}",
        f"+49 30 {digits(draw, 7)}",
        f"+33 6 {pairs}",
        f"+44 20 7946 {digits(draw, 4)}",
    )
    return draw.choice(forms)


def _number(
    d: Draw, starts: str, length: int, right: Callable[[str], bool], sizes: Sequence[int] = (), by: str = " "
) -> str:
    """Drawn again until the check digits are right; half of the time in groups."""
    value = ""
    while not value or not right(value):
        value = (start := d.choice(starts.split("|"))) + digits(d, length - len(start))
    return _grouped(d, value, sizes, d.choice(by)) if sizes else value


def _sums(modulus: int, weights: Sequence[int]) -> Callable[[str], bool]:
    return lambda value: sum(int(digit) * weight for digit, weight in zip(value, weights, strict=True)) % modulus == 0


def _swedish(d: Draw) -> str:
    value = _number(d, _day(d, "ymd"), 10, _luhn)
    return f"{value[:6]}-{value[6:]}"


def _finnish(d: Draw) -> str:
    born, number = _day(d, "dmy"), digits(d, 3)
    return f"{born}-{number}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(born + number) % 31]}"


def _french(d: Draw) -> str:
    body = f"{d.choice('12')}{_day(d, 'ym')}75{digits(d, 6)}"
    return _grouped(d, f"{body}{97 - int(body) % 97:02d}", (1, 2, 2, 2, 3, 3, 2), " ")


def _spanish(d: Draw) -> str:
    number = d.randint(10**7, 10**8 - 1)
    return f"{number}{d.choice(('', '-'))}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


VALUES: dict[str, Callable[[Draw], str]] = {
    "email": lambda d: f"{d.choice(('lena', 'o.petrov'))}{d.randint(1, 99)}@{d.choice(('mail.example', 'uni.ac.uk'))}",
    "phone": _phone,
    "card": lambda d: _number(d, "4|51|55|2221|6011", 16, _luhn, (4, 4, 4, 4), " -"),
    "iban": _iban,
    "ssn": lambda d: f"{d.randint(1, 665):03d}-{d.randint(1, 99):02d}-{d.randint(1, 9999):04d}",
    "ip": lambda d: f"{d.choice((5, 31, 62, 91))}.{d.randint(32, 250)}.{d.randint(0, 255)}.{d.randint(1, 254)}",
    "de_tax": _german_tax,
    "es_nif": _spanish,
    "br_cpf": _cpf,
    "pl_pesel": lambda d: _number(d, _day(d, "ymd"), 11, _sums(10, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1))),
    "nl_bsn": lambda d: _number(d, "1|2", 9, _sums(11, (9, 8, 7, 6, 5, 4, 3, 2, -1))),
    "ch_ahv": lambda d: _number(d, "756", 13, _sums(10, (1, 3) * 6 + (1,)), (3, 4, 4, 2), "."),
    "uk_nhs": lambda d: _number(d, "4|9", 10, _sums(11, range(10, 0, -1)), (3, 3, 4)),
    "ca_sin": lambda d: _number(d, "1|2|4|5|6|7", 9, _luhn, (3, 3, 3), " -"),
    "au_tfn": lambda d: _number(d, "1|4|8", 9, _sums(11, (1, 4, 3, 7, 5, 8, 6, 9, 10)), (3, 3, 3)),
    "in_aadhaar": lambda d: _number(d, "2|3|4|5|6|7|8|9", 12, _verhoeff, (4, 4, 4)),
    "fi_hetu": _finnish,
    "se_pnr": _swedish,
    "fr_nir": _french,
    "passport": lambda d: d.choice((f"C{digits(d, 8)}", digits(d, 9), f"XK{digits(d, 7)}")),
    "n": lambda d: str(d.randint(1000, 99999)),
}
Gold = tuple[str, bool, str, list[tuple[int, int]]]  # kind, held out, text, where the values stand


def sentences(rows: int) -> list[Gold]:
    """`rows` of each kind, the same on every machine."""
    made = []
    for kind, templates in TEMPLATES.items():
        for row in range(rows):
            at, draw = row % len(templates), random.Random(f"{kind} {row}")
            text, spans, last = "", [], 0
            template = templates[at].replace("{{", "\0").replace("}}", "\1")
            for slot in _SLOT.finditer(template):
                text += template[last : slot.start()]
                name, last = slot[1], slot.end()
                value = VALUES[name](draw) if name in VALUES else digits(draw, int(name[1:]))
                if kind != "HARMLESS" and name != "n":
                    spans.append((len(text), len(text) + len(value)))
                text += value
            made.append((kind, at % 2 == 1, (text + template[last:]).replace("\0", "{").replace("\1", "}"), spans))
    return made


def counted(kind: str, spans: Sequence[tuple[int, int]], finds: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """What one sentence adds to the columns of its kind."""
    counts = Counter(values=len(spans), finds=len(finds))
    for start, end in spans:
        touching = [find for find in finds if find["start"] < end and start < find["end"]]
        whole = any(f["kind"] == kind and f["start"] <= start and end <= f["end"] for f in touching)
        counts["whole" if whole else "partly" if touching else "missed"] += 1
    counts["false"] = sum(not any(f["start"] < end and start < f["end"] for start, end in spans) for f in finds)
    return counts


def main(rows: int) -> None:
    gold = sentences(rows)
    found = FindPii().scanner().spans(pa.array([text for _, _, text, _ in gold])).to_pylist()
    cells: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for (kind, held, _, spans), have in zip(gold, found, strict=True):
        cells[kind, held].update(counted(kind, spans, have))
    columns = ("values", "whole", "partly", "missed", "finds", "false")
    print(f"{'kind':14} half {' '.join(f'{name:>6}' for name in columns)} recall")
    for (kind, held), counts in sorted(cells.items()):
        recall = f"{counts['whole'] / counts['values']:.4f}" if counts["values"] else "     -"
        print(f"{kind:14} {'held' if held else 'dev '} {' '.join(f'{counts[name]:6}' for name in columns)} {recall}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 560)
