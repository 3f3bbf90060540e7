"""Repairs of one text, in a fixed order, and the table that says what happens to each unwanted code point.

`clean_text` is the definition. `suspicious` finds, for a whole column at once, the texts that it could change at all:
most texts are clean, and the repairs (ftfy above all, at about 1 MB/s) need not see them. A test holds both together.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataforge.errors import ConfigError
from dataforge.kernels.buffers import strings_of

MARKS_LIE_IN = (0x300, 0x20000)  # in every Unicode so far; looking at all planes takes each worker 0.2 s more
MAX_MARKS = 8  # combining marks on one letter; no script stacks more, "Zalgo" text does
_LONGEST_SIGN = 8  # characters that any of ftfy's signs spans, and one to spare
_FTFY_SEGMENT = 1_000_000  # ftfy cuts longer lines; then its context, and so its verdict, is not that of the line

# What happens to a code point. Not listed: kept. ZWNJ, ZWJ, LRM, RLM and variation selectors carry meaning in many
# scripts and in emoji; the joiners are removed only between ASCII characters and spaces, where they serve to hide words.
NEWLINES = {"\x0b": "\n", "\x0c": "\n", "\x85": "\n", "\u2028": "\n", "\u2029": "\n\n"}
CONTROLS = "\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f"  # C0 but tab, newline, \v, \f, CR; DEL; C1 but NEL
HIDDEN = (
    "\u00ad"  # soft hyphen
    "\u034f\u180e\u200b\u2060-\u2064\ufeff"  # grapheme joiner, zero-width space, word joiner, invisible signs, BOM
    "\u202a-\u202e\u2066-\u2069\u206a-\u206f"  # bidi embeddings, overrides, isolates; deprecated format marks
    "\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff"  # interlinear annotation, noncharacters
    "\U000e0000-\U000e007f"  # tags: invisible ASCII
)
SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f"  # to a plain space; the ideographic space U+3000 stays
JOINERS = "\u200c\u200d"

_CONTROLS, _HIDDEN, _SPACES = re.compile(f"[{CONTROLS}]"), re.compile(f"[{HIDDEN}]"), re.compile(f"[{SPACES}]")
_PLAIN = f"[\x00-\x7f{SPACES}]"
_LOOSE_JOINER = re.compile(f"(?:^|(?<={_PLAIN}))[{JOINERS}]+(?={_PLAIN}|$)")
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL_BYTES = bytes(byte for byte in range(128) if _CONTROLS.match(chr(byte)))
_TERMINAL = re.compile("\x1b\\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class TextRules:
    """Which repairs are made. `whitespace`: keep, lines (none at line ends, one blank line), collapse (runs too)."""

    encoding: bool = True  # ftfy: undo text that was decoded with the wrong encoding
    normalize: Literal["NFC", "NFKC", "none"] = "NFC"
    whitespace: str = "lines"

    def __post_init__(self) -> None:
        if self.normalize not in ("NFC", "NFKC", "none"):
            raise ConfigError("expected NFC, NFKC or none", key="clean.normalize")
        if self.whitespace not in ("keep", "lines", "collapse"):
            raise ConfigError("expected keep, lines or collapse", key="clean.whitespace")


def clean_text(text: str, rules: TextRules) -> tuple[str, list[str]]:
    """The repaired text and the names of the repairs that changed it, in order.

    "a\\r\\nb \\n" -> ("a\\nb", ["newlines", "whitespace"]); time is linear in the text.
    """
    names = []
    for name, repair in _repairs(rules):
        repaired = repair(text)
        if repaired != text:
            names.append(name)
            text = repaired
    return text, names


@functools.cache
def _repairs(rules: TextRules) -> tuple[tuple[str, Callable[[str], str]], ...]:
    """Encoding first: what looks like a control character may be half of a broken letter. Whitespace last."""
    chosen: list[tuple[str, Callable[[str], str]]] = []
    if rules.encoding:
        chosen.append(("encoding", _fix_encoding))
    chosen += [("newlines", _fix_newlines), ("controls", _fix_controls), ("hidden", _fix_hidden), ("marks", _cut_marks)]
    if rules.normalize != "none":
        chosen.append((rules.normalize.lower(), functools.partial(_normalize, rules.normalize)))
    chosen.append(("joiners", _cut_joiners))
    if rules.whitespace != "keep":
        chosen.append(("whitespace", _trim_lines if rules.whitespace == "lines" else _collapse))
    return tuple(chosen)


def _fix_encoding(text: str) -> str:
    """ftfy on the lines that are not ASCII; "schÃ¶n" -> "schön". Characters that are right are left as they are."""
    if text.isascii():
        return text
    fix, sign = _ftfy(), _mojibake_sign()
    if len(text) <= _FTFY_SEGMENT and not sign.search(text):
        return text
    lines = text.split("\n")
    return "\n".join([line if line.isascii() or not _may_be_broken(line) else fix(line) for line in lines])


def _may_be_broken(line: str) -> bool:
    """Whether ftfy's own test would find broken encoding in a line: asked only around the signs of it, exactly.

    Lines beyond ftfy's segment are always for it to judge: it cuts them, and a cut is the start of a line to it.
    """
    from ftfy.badness import BADNESS_RE

    if len(line) > _FTFY_SEGMENT:
        return True
    around = ((max(0, sign.start() - _LONGEST_SIGN), sign.end() + _LONGEST_SIGN) for sign in _mojibake_sign().finditer(line))
    return any(BADNESS_RE.search(line, start, end) for start, end in around)


@functools.cache
def _ftfy() -> Callable[[str], str]:
    import ftfy

    only_encoding = ftfy.TextFixerConfig(
        unescape_html=False,
        remove_terminal_escapes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_line_breaks=False,
        remove_control_chars=False,
        normalization=None,
        explain=False,
    )
    return functools.partial(ftfy.fix_text, config=only_encoding)


def _fix_newlines(text: str) -> str:
    if not any(char in text for char in ("\r", *NEWLINES)):  # 2 GB/s, the pattern 0.05
        return text
    return _BREAKS.sub(lambda found: NEWLINES.get(found.group(), "\n"), text)


def _fix_controls(text: str) -> str:
    raw = text.encode()
    if len(raw.translate(None, _CONTROL_BYTES)) == len(raw) and b"\xc2" not in raw:  # 0.7 GB/s, the pattern 0.1
        return text
    return _CONTROLS.sub("", _TERMINAL.sub("", text) if "\x1b" in text else text)


def _fix_hidden(text: str) -> str:
    """Removes what cannot be seen."""
    return text if text.isascii() else _HIDDEN.sub("", text)


@functools.cache
def mark_class() -> str:
    """All code points with a combining class, as ranges of a regular expression (Unicode version of this Python)."""
    marks = [point for point in range(*MARKS_LIE_IN) if unicodedata.combining(chr(point))]
    ranges: list[list[int]] = []
    for point in marks:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(chr(first) if first == last else f"{chr(first)}-{chr(last)}" for first, last in ranges)


@functools.cache
def _long_marks() -> str:
    return f"[{_re2(mark_class())}]{{{MAX_MARKS + 1}}}"


@functools.cache
def _marks() -> tuple[Any, re.Pattern[str]]:
    """(whether there is a long run of marks, what is cut of it): RE2 looks for one 30 times as fast as re."""
    import re2

    return re2.compile(_long_marks()), re.compile(f"([{mark_class()}]{{{MAX_MARKS}}})[{mark_class()}]+")


def _cut_marks(text: str) -> str:
    """Before normalisation, which takes quadratic time on long runs of marks."""
    if text.isascii():
        return text
    long_run, rest = _marks()
    return rest.sub(r"\1", text) if long_run.search(text) else text


def _normalize(form: Literal["NFC", "NFKC"], text: str) -> str:
    return text if unicodedata.is_normalized(form, text) else unicodedata.normalize(form, text)


def _cut_joiners(text: str) -> str:
    """After normalisation: what stands beside a joiner may be ASCII only then, as the Kelvin sign is."""
    return _LOOSE_JOINER.sub("", text) if "\u200c" in text or "\u200d" in text else text


def _trim_lines(text: str) -> str:
    """No space at a line's end, at most one blank line, none at the ends; indentation and inner runs stay."""
    if not text.isascii():
        text = _SPACES.sub(" ", text)
    if " \n" in text or "\t\n" in text:
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    text = text.rstrip(" \t\n").lstrip("\n")
    while "\n\n\n" in text:  # a run of n newlines takes log n turns
        text = text.replace("\n\n\n", "\n\n")
    return text


def _collapse(text: str) -> str:
    """As `_trim_lines`, and every run of spaces and tabs becomes one space, none at a line's start."""
    return "\n".join([" ".join(re.split("[ \t]+", line.strip(" \t"))) for line in _trim_lines(text).split("\n")])


def suspicious(texts: pa.Array, rules: TextRules) -> pa.Array:
    """bool[n]: the texts that `clean_text` could change. A text that is not among them is certain to stay the same."""
    if rules.whitespace == "collapse" or texts.null_count or not len(texts):
        return _looked_through(texts, rules)
    found = odd_ascii(texts, whitespace=rules.whitespace != "keep")
    if rules.encoding:
        found |= pc.binary_length(texts).to_numpy() > _FTFY_SEGMENT
    wide = pc.invert(pc.string_is_ascii(texts)).to_numpy(zero_copy_only=False)
    if wide.any():
        found[wide] = _looked_through(texts.filter(pa.array(wide)), rules).to_numpy(zero_copy_only=False)
    return pa.array(found)


def odd_ascii(texts: pa.Array, *, whitespace: bool) -> np.ndarray:
    """bool[n]: what the pattern of all repairs says of texts in ASCII, four times as fast; of others it says nothing.

    Few bytes of a text are other than printable: only those are looked at. With `whitespace` spaces and newlines that
    `lines` takes away are odd, too.
    """
    strings = strings_of(texts)
    raw, ends = strings.data, strings.offsets
    first, last = int(ends[0]), int(ends[-1])
    places = np.flatnonzero((raw[first:last] - np.uint8(0x20)) > 0x5E) + first  # neither printable nor a space
    kinds = raw[places]
    odd = (kinds < 0x80) & (kinds != 9) & (kinds != 10)
    if whitespace:
        before, earlier = raw[places - 1], raw[np.maximum(places - 2, 0)]  # another row's? then this one begins with it
        odd |= (kinds == 10) & ((before == 9) | (before == 32) | ((before == 10) & (earlier == 10)))
    found = np.zeros(len(texts), bool)
    found[np.searchsorted(ends, places[odd], side="right") - 1] = True
    if whitespace:
        full = np.flatnonzero(np.diff(ends))
        ending = raw[ends[full + 1] - 1]
        found[full] |= (raw[ends[full]] == 10) | (ending == 9) | (ending == 10) | (ending == 32)
    return found


def _looked_through(texts: pa.Array, rules: TextRules) -> pa.Array:
    """`suspicious` by the pattern of all repairs, for any text."""
    found = pc.match_substring_regex(texts, _pattern(rules))
    if rules.encoding:  # lines that ftfy would cut are left to it
        found = pc.or_(found, pc.greater(pc.binary_length(texts), _FTFY_SEGMENT))
    if rules.normalize == "none":
        return found
    # Only characters that is_normalized knows better than any pattern are left: a C loop over the rows not yet found.
    wide = pc.and_not(pc.invert(pc.string_is_ascii(texts)), found)
    if not pc.any(wide).as_py():
        return found
    check = functools.partial(unicodedata.is_normalized, rules.normalize)
    odd = [bool(is_wide) and not check(text.as_py()) for text, is_wide in zip(texts, wide.to_pylist(), strict=True)]
    return pc.or_(found, pa.array(odd, pa.bool_()))


@functools.cache
def _pattern(rules: TextRules) -> str:
    """One RE2 pattern for all repairs but normalisation."""
    breaks = "".join(f"\\x{{{ord(char):x}}}" for char in ("\r", *NEWLINES))
    parts = [f"[{breaks}{_re2(CONTROLS)}{_re2(HIDDEN)}{_re2(JOINERS)}]", _long_marks()]
    if rules.encoding:
        parts.append(_mojibake())
    if rules.whitespace != "keep":
        parts += [f"[{_re2(SPACES)}]", r"[ \t]\n", r"[ \t]\z", r"\n\n\n", r"\A\n", r"\n\z"]
    if rules.whitespace == "collapse":
        parts += [r"\t", "  ", r"\n ", r"\A "]
    return "|".join(parts)


@functools.cache
def _mojibake_sign() -> re.Pattern[str]:
    return re.compile(re.sub(r"\\x\{([0-9a-f]+)\}", lambda found: f"\\U{int(found.group(1), 16):08x}", _mojibake()))


def _re2(ranges: str) -> str:
    return "".join(char if char == "-" else f"\\x{{{ord(char):x}}}" for char in ranges)


@functools.cache
def _mojibake() -> str:
    """A pattern that matches wherever ftfy could see broken encoding.

    Each of ftfy's signs holds a C1 control, one of a few letters, or two neighbours outside ASCII of which one is a
    letter with an accent, a symbol or a quotation mark: plain Cyrillic, Greek or CJK text never shows them.
    """
    from ftfy.badness import MOJIBAKE_CATEGORIES as kinds

    plain = ("upper_common", "lower_common", "common", "c1", "kaomoji")
    telling = "".join(_re2(letters) for kind, letters in kinds.items() if kind not in plain)
    extra = _re2("°ØÙŸà√≈‚âóāÄ")
    anything = "".join(_re2(letters) for letters in kinds.values()) + extra
    alone = _re2("\x80-\x9fŒœÂÃЂ")
    return f"[{alone}]|[{telling}{extra}][{anything}]|[{anything}][{telling}{extra}]"
