"""Invented texts with personal data, from a seed: chat sentences, secrets by kind, numbers that must stay.

`python -m tests.pii_texts FILE ROWS SEED` writes a labelled file for `dataforge pii evaluate`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator

from dataforge.operators.pii_rules import expand

ENDS = (
    ", ok?",
    ".",
    ") thanks",
    '" is it',
    "> here",
    "",
    "\n",
    " please",
    "; also",
    "!",
    "`",
    "' then",
    "] so",
    "…",
    ":",
)
STARTS = (
    "use ",
    "my key: ",
    "(",
    '"',
    "<",
    "",
    "here it is ",
    "rotate `",
    "old one was ",
    "try '",
    "[",
    "日本 ",
    "FYI ",
)

# Tokens by kind, as their makers format them; `{alnum:36}` is drawn.
PREFIXED = {
    "aws": ("AKIA{upper:16}", "ASIA{upper:16}"),
    "github": ("ghp_{alnum:36}", "gho_{alnum:36}", "ghs_{alnum:36}", "ghr_{alnum:36}", "github_pat_{alnum:82}"),
    "slack-bot": ("xoxb-{digit:12}-{digit:13}-{alnum:24}",),
    "slack-user": ("xoxp-{digit:12}-{digit:12}-{digit:13}-{hex:32}",),
    "slack-app": ("xapp-1-A{upper:10}-{digit:13}-{hex:64}",),
    "slack-refresh": ("xoxe-1-{alnum:146}", "xoxe.xoxb-1-{alnum:163}"),
    "slack-webhook": ("https://hooks.slack.com/services/T{upper:8}/B{upper:10}/{alnum:24}",),
    "stripe": ("sk_live_{alnum:24}", "rk_live_{alnum:24}", "sk_test_{alnum:99}"),
    "google": ("AIza{url64:35}", "GOCSPX-{url64:28}"),
    "jwt": ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{url64:60}.{url64:43}",),
    "private-key": (
        "-----BEGIN RSA PRIVATE KEY-----\n{base64:64}\n{base64:64}\n{base64:20}==\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{base64:70}\n{base64:70}\n-----END OPENSSH PRIVATE KEY-----",
    ),
    "openai": ("sk-{alnum:20}T3BlbkFJ{alnum:20}", "sk-{alnum:48}", "sk-proj-{url64:74}T3BlbkFJ{url64:74}"),
    "anthropic": ("sk-ant-api03-{url64:93}AA",),
    "hugging-face": ("hf_{alnum:34}",),
    "gitlab": ("glpat-{url64:20}",),
    "npm": ("npm_{alnum:36}",),
    "python-upload": ("pypi-AgEIcHlwaS5vcmc{url64:160}",),
    "twilio": ("SK{hex:32}", "AC{hex:32}"),
    "sendgrid": ("SG.{url64:22}.{url64:43}",),
    "azure": ("DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={base64:86}==", "{alnum:3}8Q~{alnum:34}"),
    "discord": ("M{alnum:23}.{alnum:6}.{alnum:38}",),
    "telegram": ("{digit:10}:AA{url64:33}",),
}  # fmt: skip
ASSIGNED = {
    "password": (
        "password={alnum:12}",
        "password: {alnum:6}!{alnum:5}",
        "DB_PASSWORD='{alnum:16}'",
        'passwd = "{alnum:9}$"',
        "pwd={alnum:10}",
        "the password is {alnum:8}7",
    ),
    "url-credentials": (
        "postgres://app:{alnum:16}@db.example.com:5432/main",
        "https://anna:{alnum:10}@git.example.org/x.git",
        "mongodb+srv://root:{alnum:20}@cluster0.example.net",
        "redis://:{hex:32}@cache.example.com:6379",
    ),
}
HARMLESS = (
    "1510321670.000102", "ts 1699999999.123456", "v1.2.3.4", "version 10.15.7.1", "numpy 2.4.6", "2023-11-15T10:30:00Z",
    "commit {hex:40}", "{hex:7}", "sha256:{hex:64}", "{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}", "12:30:45",
    "1,234,567.89", "0x{hex:8}", "order 40{digit:8}", "ISBN 978-0-306-40615-7", "192.168.{digit:1}.1",
    "10.0.0.{digit:1}",
    "port 5432", "#12{digit:3}", "1914-1918", "page 12345678", "std::vector", "127.0.0.1:8080", "+/- 0.{digit:8}",
    "2.5.4.16.{digit:1}", "foo@1.{digit:1}.0", "<@U{upper:8}>", "<#C{upper:8}|general>", "a1b2c3d", "C{upper:10}",
    "build 20231115.{digit:4}", "localhost:{digit:4}", "chr1:1234567-2345678", "3.14159265358979", "1e-{digit:2}",
)  # fmt: skip


def secrets(kinds: dict[str, tuple[str, ...]], count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """(kind, sentence, what must be found) `count` times per kind."""
    draw = random.Random(seed)
    for kind, forms in kinds.items():
        for number in range(count):
            token = expand(forms[number % len(forms)], draw.getrandbits(32))
            yield kind, draw.choice(STARTS) + token + draw.choice(ENDS), _value(kind, token)


def _value(kind: str, token: str) -> str:
    """Of an assignment only the value must be hidden."""
    if kind == "password":
        return token.replace(": ", "=").replace(" is ", "=").replace(" = ", "=").partition("=")[2].strip("'\"")
    return token.partition("AccountKey=")[2] or token


def harmless(count: int, seed: int) -> Iterator[str]:
    """Sentences of chat with numbers and ids that are nobody's."""
    draw = random.Random(seed)
    for _ in range(count):
        parts = [expand(draw.choice(HARMLESS), draw.getrandbits(32)) for _ in range(draw.randint(1, 3))]
        yield draw.choice(("see ", "deployed ", "at ", "", "why ", "got ")) + draw.choice((", ", " and ", " -> ")).join(
            parts
        )


def luhn_completed(digits: str) -> str:
    """The digits and the check digit that makes them valid."""
    total = sum(int(d) if i % 2 else int(d) * 2 - 9 * (int(d) > 4) for i, d in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def card(draw: random.Random) -> str:
    prefix, length = draw.choice((("4", 16), ("51", 16), ("37", 15), ("6011", 16), ("3530", 16), ("2221", 16)))
    number = luhn_completed(prefix + "".join(draw.choices("0123456789", k=length - len(prefix) - 1)))
    gap = draw.choice(("", "", " ", "-"))
    return gap.join((number[:4], number[4:8], number[8:12], number[12:])) if length == 16 else number


def iban(draw: random.Random) -> str:
    country, form = draw.choice(
        (("DE", "d" * 18), ("GB", "aaaa" + "d" * 14), ("NO", "d" * 11), ("FR", "d" * 10 + "c" * 11 + "dd"))
    )
    alphabet = {"d": "0123456789", "a": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "c": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    body = "".join(draw.choice(alphabet[c]) for c in form)
    check = 98 - int("".join(str(int(c, 36)) for c in body + country + "00")) % 97
    number = f"{country}{check:02}{body}"
    return number if draw.random() < 0.5 else " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def email(draw: random.Random) -> str:
    name = draw.choice(("anna", "b.berg", "chen_w", "o'neil", "d-42", "FRIDA.K"))
    host = draw.choice(
        ("example.com", "mail.example.co.uk", "EXAMPLE.ORG", "sub.example.museum", "xn--bcher-kva.example")
    )
    return draw.choice(
        (f"{name}@{host}", f"{name}+{draw.randint(1, 99)}@{host}", f"{name} (at) {host.replace('.', ' (dot) ')}")
    )


def phone(draw: random.Random) -> str:
    form = draw.choice(
        ("+1 2dd-555-01dd", "(4dd) 555-01dd", "+44 20 7946 0ddd", "+49 30 dddd dddd", "07700 900ddd",
         "+33 1 dd dd dd dd",
         "+91 98ddd ddddd", "+81-3-dddd-dddd", "001-2dd-555-01dd", "+1-604-555-01ddx5dd", "+4670ddddddd",
         "+55 11 9dddd-dddd")
    )  # fmt: skip
    return "".join(draw.choice("23456789") if c == "d" else c for c in form)


def ip_address(draw: random.Random) -> str:
    if draw.random() < 0.3:
        return "2a02:810:" + ":".join(f"{draw.getrandbits(16):x}" for _ in range(6))
    return f"{draw.choice((8, 41, 93, 151, 203))}.{draw.randint(40, 255)}.{draw.randint(0, 255)}.{draw.randint(1, 254)}"


def mac_address(draw: random.Random) -> str:
    return draw.choice(":-").join(f"{draw.randint(160, 255):02x}" for _ in range(6))


def ssn(draw: random.Random) -> str:
    return f"{draw.randint(100, 665)}-{draw.randint(10, 99)}-{draw.randint(1000, 9999)}"


STRUCTURED: dict[str, Callable[[random.Random], str]] = {
    "EMAIL_ADDRESS": email, "PHONE_NUMBER": phone, "CREDIT_CARD": card, "IBAN_CODE": iban, "US_SSN": ssn,
    "IP_ADDRESS": ip_address, "MAC_ADDRESS": mac_address,
}  # fmt: skip


def labelled(count: int, seed: int) -> Iterator[dict[str, object]]:
    """Rows of a labelled file: a value of each kind in turn in a sentence that does not say what it is."""
    draw = random.Random(seed)
    kinds = list(STRUCTURED)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        start, value, end = (
            draw.choice(("see ", "é 日本: ", "", "(", "it is ", "<")),
            STRUCTURED[kind](draw),
            draw.choice(ENDS),
        )
        text = start + value + end
        yield {"text": text, "spans": [{"start": len(start), "end": len(start) + len(value), "label": kind}]}


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in labelled(int(sys.argv[2]), int(sys.argv[3])))
