"""Texts that are dense in what finders of personal data look for, by name: nothing but candidates, whole or in pieces."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

HEX, DIGITS = "0123456789abcdef", "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

UNITS = {
    "a.": "a.", "1.1.": "1.1.", "ones": "1", "ats": "@", "dots": ".", "spaces": " ", "angles": "<", "quotes": '"',
    "newlines": "\n", "dashes": "-", "colons": "::", "letters": "A", "accents": "é", "marks": "a\u0301",
    "zero width": "a\u200bb", "full width": "１２３", "single digits": "1 ", "short groups": "12-", "commas": "1,",
    "a@": "a@", "a.a@": "a.a@", "addresses": "a@b.co ", "spelled addresses": "a (at) b [dot] ",
    "spoken addresses": "a at b dot c ", "nested urls": "http://a.b/?u=http://c.d/?u=",
    "urls with credentials": "https://u:p@h.com/?token=abc ", "ibans": "DE89 3704 0044 0532 0130 00 ",
    "ibans in one": "DE89370400440532013000", "phones": "+49 30 901820 ", "plus": "+1 ", "brackets": "(030) 12-",
    "words for phones": "tel 12 phone 345-678 ", "cards": "4111111111111111 ", "cards in groups": "4444 4444 4444 ",
    "social security": "123-45-6789 ", "pieces of it": "123-45-", "addresses of hosts": "1.2.3.4 ",
    "ipv6": "1:2:3:4:5:6:7:8 ", "mac": "00:11:22:33:44:55 ", "hex colons": "a:b:c:", "wallets": "bc1q", "hex": "0x",
    "passwords": "password=", "password values": "password=a ", "quoted passwords": 'password="', "keys": "api_key: 'x' ",
    "jwt": "eyJ", "dotted jwt": "eyJhbGci.", "aws": "AKIA", "slack": "xoxb-1-", "github": "ghp_", "openai": "sk-",
    "pem": "-----BEGIN PRIVATE KEY-----", "context words": "passport 1234567 birth 1.1.1990 ",
}  # fmt: skip


def drawn(alphabet: str, *, between: str = "", longest: int = 1) -> Callable[[int, random.Random], str]:
    """Words of up to `longest` characters of the alphabet."""

    def text(size: int, chance: random.Random) -> str:
        words, length = [], 0
        while length < size:
            words.append("".join(chance.choices(alphabet, k=chance.randint(1, longest))))
            length += len(words[-1]) + len(between)
        return between.join(words)

    return text


def pieces(*parts: str) -> Callable[[int, random.Random], str]:
    """The parts in random order: candidates of different rules side by side."""
    return lambda size, chance: "".join(chance.choices(parts, k=size // min(map(len, parts)) + 1))[: size + 1]


DRAWN = {
    "digits": drawn(DIGITS),
    "hex digits": drawn(HEX),
    "hashes": drawn(HEX, between=" ", longest=40),
    "pieces of phones": drawn(DIGITS, between=" ", longest=4),
    "pieces with dashes": drawn(DIGITS, between="-", longest=4),
    "runs of digits": drawn(DIGITS, between=" ", longest=19),
    "digits and dots": drawn(DIGITS + "."),
    "digits and signs": drawn(DIGITS + ".,:;-_/()+ "),
    "signs": drawn(".,:;-_@#/\\()[]{}<>\"'=+*"),
    "printable": drawn("".join(map(chr, range(32, 127)))),
    "like ibans": drawn("ABCDEFGHIJ0123456789", between=" ", longest=34),
    "like wallets": drawn(LETTERS + DIGITS, between=" ", longest=40),
    "mixed scripts": drawn("aб漢١२ก1.@-:", between=" ", longest=6),
    "log of mixtures": pieces(
        "tel=+14155552671;",
        "\n",
        "434 14 557 km",
        "(",
        "card 503867297114",
        "&",
        "4111 1111 1111 1111 ",
        "hf_f0S",
        "::",
    ),
    "json of mixtures": pieces(
        '{"phone": "', '", "a": [{"id": ', "+1", "2023", '"password": "', "%40", "020 7946 0958", "}, ", "1.2.3.4", "x@y.de"
    ),
    "digits of many scripts": drawn("１２３٠٤١٢३४५৪৫๔๕ -.+"),
    "rows of cards": pieces("4111 1111 1111 1111 ", "5500 0000 0000 0004 ", "3782 822463 10005 ", "1234 "),
    "rows of phones": pieces("020 7946 0958 ", "07700 900123 ", "415-555-2671/", "+1 415 555 2671 ", "12 "),
    "cards and phones": pieces("4111 1111 1111 1111", " +1 415 555 2671", " 020 7946 0958", " 5500-0000-0000-0004", " "),
    "near cards": drawn("45", between=" ", longest=16),
    "near cards in groups": pieces("4111 ", "1111 ", "5500-", "0000-", "3782 822463 ", "10005 ", "\n"),
    "near ibans": pieces("DE89 3704 ", "0044 0532 ", "GB29 NWBK ", "FR14", "AT61-", "0130 00 ", "de", "XX00 "),
    "csv of near misses": pieces("4111111111111112;", "DE88370400440532013000;", "000-12-3456;", "Anna;", '"";', "\n"),
    "json log": pieces(
        '{"ts":"2025-01-01T00:00:00Z","msg":"',
        'user=anna@example.com"',
        ',"ip":"203.0.113.7"',
        ',"id":4012888888881881',
        "}\n",
        ',"token":"',
        '\\"password\\":\\"x1y2z3\\"',
    ),
    "passwords in a row": pieces("password: ", "pwd=a1b2;", "pass is ", "the password is ", "'", '"', "token=", "api key: "),
    "prefixes of tokens": pieces(
        "AKIA",
        "ghp_",
        "github_pat_",
        "xoxb-",
        "xoxp-1-",
        "sk-",
        "sk_live_",
        "AIza",
        "eyJ",
        "hf_",
        "glpat-",
        "npm_",
        "SG.",
        "SK",
        "AC",
        "key-",
        "dop_v1_",
        "hvs.",
        "sq0atp-",
        "shpat_",
        "pypi-AgE",
        "bearer ",
        "AccountKey=",
        "?sig=",
        "Q~",
        " ",
    ),
    "tokens cut short": pieces(
        "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P ", "AKIAABCDEFGHIJKLMNO ", "xoxb-123456789 ", "sk-a1b2c3d4 "
    ),
    "keys of storage": pieces("AccountKey=", "a1B2c3D4", "+ASt", "Q~", "AZDO", "&sig="),
    "pem without ends": pieces("-----BEGIN RSA PRIVATE KEY-----\n", "MIIEpAIBAAKCAQEA0a1b2c3d4e5f6g7h\n", "-----BEGIN "),
    "putty keys": pieces("PuTTY-User-Key-File-2: ", "Private-MAC: ", "P", "ssh-rsa "),
    "nested credentials": pieces("https://u:p1@", "ftp://:x9@", "//", "a.b/", "?u=", "%40", ":"),
    "urls with parameters": pieces("https://a.example/?", "token=", "sig=abcdefgh&", "&t=", "user_id=1234&", "email=", " "),
    "urls of people": pieces(
        "https://linkedin.com/in/", "/users/", "~", "@anna", "https://x.com/", "file:///home/", "a", " "
    ),
    "base64 wall": lambda size, chance: "\n".join(
        base64.b64encode(chance.randbytes(48)).decode() for _ in range(size // 64)
    ),
    "base64 wall in one": lambda size, chance: base64.b64encode(chance.randbytes(size * 3 // 4 + 3)).decode(),
    "quoted printable": pieces("=40", "=3D", "=C3=A9", "a", ".com", "=\n", "anna=40example=2Ecom "),
    "percent encoded": pieces("anna%40", "example", ".com", "%2B49", "%20", "&", "="),
    "entities": pieces("&#64;", "&#x40;", "&commat;", "anna", "example", ".com", "&amp;"),
    "mixed spelled": pieces("anna ", "(at)", "[dot]", " dot ", " at ", "example ", "{at}", "_at_", "_dot_", "<at>", "com "),
    "mail headers": pieces(
        "From: ", "<anna@example.com>", " (Anna Berg)\n", '"Berg, Anna" ', "Received: from [", "203.0.113.7", "]\n"
    ),
    "local parts": lambda size, chance: drawn(LETTERS + DIGITS + ".+_-'")(size, chance),
    "long local parts": pieces("a.b-c_d+e" * 12, "@", "x.y", " "),
    "long domains": pieces("a@", "sub.domain-" * 9, ".co", "m ", "_"),
    "phones of many countries": pieces(
        "+49 30 901820\n",
        "+33 1 23 45 67 89\n",
        "020 7946 0958\n",
        "(030) 12 34 56\n",
        "06.12.34.56.78\n",
        "98765 43210\n",
        "(11) 91234-5678\n",
        "8 (912) 158-48-62\n",
        "138 0013 8000\n",
        "210 350 9578\n",
        "03-1234-5678\n",
    ),
    "near phones": pieces("+49 ", "(0)", "030/", "12-", "34.", "(0", ")", "00 ", "011 ", "ext 5 ", "x1", "tel ", " - "),
    "groups with each sign": drawn(DIGITS + DIGITS + " .()/-+"),
    "groups of three": drawn(DIGITS, between=".", longest=3),
    "groups with slashes": drawn(DIGITS, between="/", longest=5),
    "groups with two spaces": drawn(DIGITS, between="  ", longest=5),
    "dates and times": pieces("2025-01-02", "T", "03:04:05", "12.03.2025 ", "3/14/99 ", "1914-1918 ", "20250102 030405 "),
    "versions": pieces("1.2.3.40 ", "v", "119.0.6045.105", "version ", "-rc1 ", "10.0.0.1/", " build "),
    "ipv6 pieces": pieces("2001:", "db8::", "::", "ffff:", "1.2.3.4", "%eth0", " ", "/64"),
    "mac pieces": pieces("00:1b:", "44-11-", "3a", ":b7", "001b.", "4411.", " "),
    "wallets of all kinds": pieces(
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb ", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5 ", "0x" + HEX * 2, "ltc1"
    ),
    "like base58": drawn("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", between=" ", longest=36),
    "ssn pieces with words": pieces("ssn ", "123 45 6789 ", "social ", "000-12-3456", " 123456789", "-", "\n"),
    "words for everything": pieces("card ", "order ", "tel ", "ip ", "version ", "eth ", "iban ", "id ", "12345678", " 9"),
    "national numbers": pieces(
        "123.456.789-09 ", "44051401359 ", "BSN ", "12345678Z ", "900101-1234 ", "RSSMRA85T10A562S ", "756.9217.0769.85 "
    ),
    "near national numbers": pieces("123.456.", "789-", "90.01.01-", "X1", "234567", "AB 12 ", "34 56", "C ", "1 85 05 "),
    "words for national numbers": pieces("bsn ", "pesel: ", "cpf ", "nhs ", "sin ", "passport no. ", "123456782 ", "1", " "),
    "eleven digits": lambda size, chance: " ".join(f"{chance.randrange(10**11):011}," for _ in range(size // 13)),
    "letters and digits": drawn("ABXYZ0123456789", between=" ", longest=18),
    "dates of birth": pieces("born on ", "12 May 1984", "dob: ", "3.", "geboren am ", "1990-", "fecha de nacimiento "),
    "streets": pieces("12 ", "Old ", "Mill ", "Road", "Haupt", "straße ", "N. ", "5b-7 ", "St. ", "Apt "),
    "names": pieces("Anna ", "Ber", "g <", "mailto:", "a@b", "Dear ", "my name is ", "van ", '"'),
    "combining": pieces("a\u0301", "4\u0308", "@\u0300", "e\u20dd", "1\u200d", "."),
    "right to left": pieces("\u202e1234\u202c ", "שלום 054-123-4567 ", "هاتف ٠١٢٣٤٥٦٧٨٩ ", "\u200f+972 54 123 4567 "),
    "full width mixtures": pieces("４１１１ １１１１ ", "ａ＠ｂ．ｃｏ ", "１２３－４５－６７８９ ", "＋４９　３０ "),
    "rows": pieces("|", " --- ", "4111 1111 | ", "020 7946 | ", "\t", "12345 ", "\n"),
    "one row a candidate": pieces("a@b.co\n", "1.2.3.4\n", "123-45-6789\n", "00:1b:44:11:3a:b7\n"),
    "overlapping": pieces("https://a.b/?email=", "a@b.co&", "user:", "pw1@", "203.0.113.7", "/users/", "+14155552671"),
    "one long url": lambda size, chance: "http://x.org/" + drawn(LETTERS + DIGITS + "?&=/")(size, chance),
    "base64": lambda size, chance: base64.b64encode(chance.randbytes(size)).decode()[:size],
}


def hostile(name: str, size: int) -> str:
    """A text of about `size` characters, the same for equal arguments."""
    if name in UNITS:
        return UNITS[name] * (size // len(UNITS[name]))
    return DRAWN[name](size, random.Random(5))[:size]


NAMES = (*UNITS, *DRAWN)
