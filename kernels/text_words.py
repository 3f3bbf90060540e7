"""The word rule of the quality statistics: what stands in for the English word tokenizer of the reference filters.

A chunk is a maximal run of characters that are not blank. From its front and its back tokens are peeled: runs of two or
more dots, then single punctuation marks, quotes, currency signs and pictographs; from the back also 's, n't, 'll, 're,
've, 'd, 'm, a unit after a digit, and a full stop after a small letter, a digit, a mark or two capitals. Abbreviations
keep their stop. What is left is cut at ellipses and pictographs, at hyphens and , : < > = / between letters, at a stop
between a small and a capital letter and at operators between digits, unless it is an address of the web or of mail.
Punctuation is a token. Rules in the spirit of UAX 29, chosen to agree with spaCy's for English on whole documents.
"""

# ruff: noqa: SIM905 -- a line of words is easier to read and to check than a list of strings
from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from dataforge.kernels import unicode

(LETTER, DIGIT, UPPER, BLANK, FRONT, BACK, ICON, QUOTE, SYMBOLIC, TERMINAL, MARK, BREAK, HYPHEN, JOINT, STOP_AFTER) = (
    np.uint16(1 << bit) for bit in range(15)
)
# Marks of the word rule: always a token at either end of a chunk
MARKS = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
QUOTES = "'\"”“`‘´’‚„»«「」『』（）〔〕【】《》〈〉⟦⟧"
CURRENCY = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
FRONT_ONLY, BACK_ONLY = "§%=—–" + CURRENCY, "—–"
# A token of these characters only is a symbol and no word (datatrove 0.10.0, utils/text.py PUNCTUATION)
SYMBOLS = "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
CONTROLS = ((0, 9), (11, 13), (13, 32), (127, 160))
BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"  # where str.splitlines breaks
# Unicode's Sentence_Terminal, hexadecimal
TERMINALS = (
    "21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 "
    "17d4-17d6 17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f "
    "203c-203d 2047-2049 2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f a9c8-a9c9 "
    "aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 "
    "110be-110c1 11141-11143 111c5-111c6 111cd 111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3 "
    "115c9-115d7 11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8 11f43-11f44 "
    "16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88 "
)
# Abbreviations of at most 8 bytes that keep their full stop
KEPT = [
    *"Adm. Ak. Ala. Apr. Ariz. Ark. Aug. Bros. Calif. Co. Colo. Conn. Corp. Dec. Del. Dr. E.g. Feb. Fla. Ga.".split(),
    *"Gen. Gov. I.e. Ia. Id. Ill. Inc. Ind. Jan. Jr. Jul. Jun. Kan. Kans. Ky. La. Ltd. Mar. Mass. Md.".split(),
    *"Messrs. Mich. Minn. Miss. Mo. Mont. Mr. Mrs. Ms. Mt. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. Ph.D.".split(),
    *"Prof. Rep. Rev. Sen. Sep. Sept. St. Tenn. Va. Wash. Wis. a.m. co. e.g. i.e. p.m. v.s. vs.".split(),
    *(f"{letter}." for letter in "abcdefghijklmnopqrstuvwxyz"),
]
# Cut off after a digit, the longest that fits; ASCII of at most 4 bytes
UNITS = [
    *"km m dm cm mm ha nm yd in ft kg g mg t lb oz m/s km/h kmh mph hPa Pa mbar".split(),
    *"mb MB kb KB gb GB tb TB T G M K %".split(),
]
CONTRACTIONS = ["'s", "'S", "'d", "'D", "'m", "'M", "'ll", "'LL", "'re", "'RE", "'ve", "'VE", "n't", "N'T"]
STOP_WORDS = ["the", "be", "to", "of", "and", "that", "have", "with"]


@functools.cache
def kinds() -> npt.NDArray[np.uint16]:
    """uint16[0x110000]: the bits LETTER … STOP_AFTER of each code point."""
    classes = unicode.classes()
    bits = np.zeros(unicode.CODE_POINTS, np.uint16)
    for theirs, ours in ((unicode.LETTER, LETTER), (unicode.UPPER, UPPER), (unicode.BLANK, BLANK)):
        bits[(classes & theirs) != 0] |= ours
    bits[(classes & unicode.PUNCTUATION) != 0] |= MARK
    bits[0x1C:0x20] |= BLANK
    bits[ord("0") : ord("9") + 1] |= DIGIT
    for chars, bit in _literal_kinds():
        bits[[ord(char) for char in chars]] |= bit
    for start, stop in CONTROLS:
        bits[start:stop] |= SYMBOLIC
    for word in TERMINALS.split():
        start, stop = int(word.split("-")[0], 16), int(word.split("-")[-1], 16)
        bits[start : stop + 1] |= TERMINAL | SYMBOLIC
    _mark_icons(bits, classes)
    bits.flags.writeable = False
    return bits


def _literal_kinds() -> list[tuple[str, np.uint16]]:
    both = FRONT | BACK
    return [
        (MARKS + QUOTES, both | STOP_AFTER),
        (FRONT_ONLY, FRONT),
        (BACK_ONLY, BACK),
        (QUOTES, QUOTE),
        (SYMBOLS, SYMBOLIC),
        (BREAKS, BREAK),
        ("-–—~", HYPHEN),
        (":<>=/", JOINT),
        ("0123456789%²-+", STOP_AFTER),
    ]


def _mark_icons(bits: npt.NDArray[np.uint16], classes: npt.NDArray[np.uint16]) -> None:
    """Pictographs: symbols from the letterlike block on, but neither arrows nor mathematics, and a few before."""
    icons = (classes & unicode.SYMBOL) != 0
    icons[:0x2100] = False
    icons[[ord(char) for char in "¦©®°"]] = True
    icons[0x2190:0x2195] = icons[0x2200:0x2300] = icons[0xFB00:0xFFE4] = False  # arrows and mathematics
    bits[icons] |= FRONT | BACK | ICON


# The reference face: the definition, slow on purpose. `kind(char)` is the set of bits of a character.


def kind(char: str) -> int:
    return int(kinds()[ord(char)]) if char else 0


def tokens_of(text: str) -> list[str]:
    """'He said: "don't!"' -> ['He', 'said', ':', '"', 'do', "n't", '!', '"']."""
    spaced = "".join(" " if kind(char) & BLANK else char for char in text)
    return [token for chunk in spaced.split(" ") if chunk for token in _tokens_of_chunk(chunk)]


def _tokens_of_chunk(chunk: str) -> list[str]:
    front: list[str] = []
    back: list[str] = []
    while size := front_size(chunk):
        front, chunk = [*front, chunk[:size]], chunk[size:]
    while size := back_size(chunk):
        back, chunk = [chunk[-size:], *back], chunk[:-size]
    return front + _pieces(chunk) + back


def front_size(chunk: str) -> int:
    """Characters to peel from the front."""
    dots = len(chunk) - len(chunk.lstrip("."))
    if dots > 1:
        return dots
    plus = chunk[:1] == "+" and not kind(chunk[1:2]) & DIGIT
    return int(plus or bool(kind(chunk[:1]) & FRONT))


def back_size(chunk: str) -> int:
    """Characters to peel from the back."""
    if not chunk or chunk in KEPT:
        return 0
    dots, before = len(chunk) - len(chunk.rstrip(".")), kind(chunk[-2:-1])
    straight = chunk.replace("’", "'")
    if dots > 1:
        return dots
    if kind(chunk[-1]) & BACK:
        return 1
    for ending in CONTRACTIONS:
        if straight.endswith(ending) and kind(chunk[-len(ending) - 1 : -len(ending)]) & LETTER:
            return len(ending)
    if chunk[-1] == "+" or chunk[-1] in CURRENCY:
        return int(bool(before & DIGIT))
    for size in (4, 3, 2, 1):
        if chunk[-size:] in UNITS and len(chunk[-size:]) == size and kind(chunk[-size - 1 : -size]) & DIGIT:
            return size
    if dots == 1:
        small = before & STOP_AFTER or (before & LETTER and not before & UPPER)
        return int(bool(small or (before & UPPER and kind(chunk[-3:-2]) & UPPER)))
    return 0


def _pieces(chunk: str) -> list[str]:
    if is_address(chunk):
        return [chunk]
    cuts, at = [0], 1
    while at < len(chunk):
        size = infix_size(chunk, at)
        cuts += [at, at + size] if size else []
        at += max(size, 1)
    pieces = [chunk[start:stop] for start, stop in zip(cuts, [*cuts[1:], len(chunk)], strict=True)]
    return [piece for piece in pieces if piece]


def infix_size(chunk: str, at: int) -> int:
    """Characters of the token that cuts the chunk at `at`, 0 for none."""
    char, before, after = chunk[at], kind(chunk[at - 1]), kind(chunk[at + 1 : at + 2])
    dots = len(chunk[at:]) - len(chunk[at:].lstrip("."))
    if dots > 1:
        return dots
    if kind(char) & ICON or char == "…":
        return 1
    if char in "+-*^" and before & DIGIT and (after & DIGIT or chunk[at + 1 : at + 2] == "-"):
        return 1
    small = before & QUOTE or (before & LETTER and not before & UPPER)
    if char == "." and small and after & (UPPER | QUOTE):
        return 1
    if char == "," and before & LETTER and after & LETTER:
        return 1
    if before & (LETTER | DIGIT) and kind(char) & JOINT and after & LETTER:
        return 1
    if before & (LETTER | DIGIT) and kind(char) & HYPHEN:
        same = len(chunk[at:]) - len(chunk[at:].lstrip(char))
        limit = {"-": 3, "—": 2}.get(char, 1)
        return same if same <= limit and kind(chunk[at + same : at + same + 1]) & LETTER else 0
    return 0


def is_address(chunk: str) -> bool:
    """`scheme://…`, `name@…`, or a host: labels of letters, digits, - and _, the last of two or more small letters."""
    if "://" in chunk or "@" in chunk[1:]:
        return True
    host = chunk
    for end in "/?#:":
        host = host.split(end)[0]
    labels = host.split(".")
    plain = all(label and all(kind(c) & (LETTER | DIGIT) or c in "-_" for c in label) for label in labels)
    last = labels[-1]
    return plain and len(labels) > 1 and len(last) > 1 and all(kind(c) & LETTER and not kind(c) & UPPER for c in last)
