"""Where pieces may begin: the split patterns of GPT-2, cl100k, Llama-3, Qwen2 and o200k, as patterns and as rules.

`PATTERNS` is what the reference engine runs, and the definition. The rules say the same without a regex engine: "does a
piece begin at character i?", from the neighbours' classes and from values carried through runs of characters. They are
what the compiled faces (`cuda/split.cuh`) implement; the rule numbers D, G, C, F stand there again.
A text's characters are looked at through `Text`, which answers OUTSIDE before the first and after the last one.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from dataforge.kernels.char_classes import DIGIT, LETTER, LOWER, MARK, OTHER, SPACE, UPPER, classes

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    # `\p{N}{1,3}` has lost the possessive plus of tiktoken's spelling: Oniguruma reads it as a repeated group.
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "llama3": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
    "qwen2": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + CONTRACTIONS + "?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + CONTRACTIONS + "?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
OUTSIDE = 255  # the kind and case of a character that is not there


def pieces(text: str, pattern: str) -> list[str]:
    """The definition: `text` cut by the reference engine with `PATTERNS[pattern]`. "a b" -> ["a", " b"]"""
    return [piece for piece, _ in _splitter(pattern).pre_tokenize_str(text)]


@functools.cache
def _splitter(pattern: str) -> Any:
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Split(Regex(PATTERNS[pattern]), behavior="isolated", invert=False)


def cut(text: str, starts: list[bool]) -> list[str]:
    """Pieces from start flags: ("a b", [True, True, False]) -> ["a", " b"]"""
    edges = [i for i, start in enumerate(starts) if start] + [len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


class Text:
    """A text as parallel lists with three entries too many, so that index -1 and n to n + 2 answer OUTSIDE."""

    def __init__(self, text: str) -> None:
        table, end = classes(), [OUTSIDE] * 3
        self.n = len(text)
        self.code = [ord(char) for char in text] + [-1] * 3
        self.kind = [int(table.kind[c]) for c in self.code[: self.n]] + end
        self.case = [int(table.case[c]) for c in self.code[: self.n]] + end

    def newline(self, i: int) -> bool:
        return self.code[i] in (10, 13)  # D2

    def space(self, i: int) -> bool:
        """U+0020 itself, the only blank that the patterns spell as ` ?`."""
        return self.code[i] == 32

    def contraction(self, i: int, *, any_case: bool) -> int:
        """D5. Characters of the contraction whose apostrophe is at i: 2 ('s 't 'm 'd), 3 ('ll 've 're) or 0."""
        if self.code[i] != 0x27:
            return 0
        a, b = (_folded(c) if any_case else c for c in self.code[i + 1 : i + 3])
        if a in (0x73, 0x74, 0x6D, 0x64):
            return 2
        return 3 if (a, b) in ((0x6C, 0x6C), (0x76, 0x65), (0x72, 0x65)) else 0


def _folded(code: int) -> int:
    """Lower case as far as contractions need it; both engines fold U+017F LONG S to s."""
    return code + 32 if 0x41 <= code <= 0x5A else 0x73 if code == 0x17F else code


def starts(text: str, pattern: str) -> list[bool]:
    """bool per character of `text`: a piece begins here. The rules, not the pattern, decide."""
    chars = Text(text)
    begins = RULES[pattern](chars)
    return [i == 0 or begins(i) for i in range(chars.n)]  # G2, C5, F12


# --- values carried through runs --------------------------------------------------------------------------------------


def _newline_ahead(chars: Text, blank: list[bool]) -> list[bool]:
    """D3. A newline at i or later in the run of `blank` that i is in."""
    ahead = [False] * (chars.n + 1)
    for i in reversed(range(chars.n)):
        ahead[i] = blank[i] and (chars.newline(i) or ahead[i + 1])
    return ahead


def _digit_index(chars: Text, most: int) -> list[int]:
    """D6. Place of a digit in its group of at most `most`; 0 for what is no digit."""
    index = [0] * chars.n
    for i in range(1, chars.n):
        if chars.kind[i] == chars.kind[i - 1] == DIGIT:
            index[i] = (index[i - 1] + 1) % most
    return index


def _blank_rule(chars: Text, blank: list[bool]) -> Callable[[int], bool]:
    """D7. Whether a piece begins at blank i > 0, in every pattern but GPT-2's."""
    ahead = _newline_ahead(chars, blank)

    def begins(i: int) -> bool:
        if not blank[i - 1]:
            return True  # first of its run
        if ahead[i]:
            return False  # `\s*[\r\n]+` reaches to the last newline of the run
        return ahead[i - 1] or (i + 1 < chars.n and not blank[i + 1])  # after that newline, or alone before a visible

    return begins


def _around(lengths: list[int], i: int) -> bool | None:
    """D8. False inside a contraction, True right behind one, else None. `lengths[j]` is that of an apostrophe at j."""
    if any(i >= d and lengths[i - d] > d for d in (1, 2)):
        return False
    return True if any(i >= d and lengths[i - d] == d for d in (2, 3)) else None


# --- the rules --------------------------------------------------------------------------------------------------------


def _gpt2(chars: Text) -> Callable[[int], bool]:
    kind = chars.kind

    def counts(i: int) -> bool:  # G1
        return kind[i - 1] in (LETTER, DIGIT, OUTSIDE) or (kind[i - 1] == SPACE and not chars.space(i - 1))

    lengths = [chars.contraction(i, any_case=False) if counts(i) else 0 for i in range(chars.n)]

    def begins(i: int) -> bool:
        around = _around(lengths, i)
        if around is not None:
            return around  # G3, G4
        if kind[i] == SPACE:  # G5
            return kind[i - 1] != SPACE or kind[i + 1] not in (SPACE, OUTSIDE)
        return kind[i] != kind[i - 1] and not chars.space(i - 1)  # G6

    return begins


def _cl100k_family(chars: Text, *, digits: int, tail_is_one: bool) -> Callable[[int], bool]:
    kind, n = chars.kind, chars.n
    absorbed = [False] * n  # C1: newlines behind punctuation belong to it
    for i in range(1, n):
        absorbed[i] = chars.newline(i) and (kind[i - 1] == OTHER or absorbed[i - 1])
    blank = [kind[i] == SPACE and not absorbed[i] for i in range(n)]  # C2
    opens = [kind[i] == OTHER and kind[i - 1] != OTHER and not chars.space(i - 1) for i in range(n)]  # C3
    lengths = [chars.contraction(i, any_case=True) if opens[i] else 0 for i in range(n)]  # C4
    index, blank_begins = _digit_index(chars, digits), _blank_rule(chars, blank)
    tail = n if tail_is_one else 2 * n + 1
    while 0 < tail <= n and blank[tail - 1]:
        tail -= 1

    def begins(i: int) -> bool:
        around = _around(lengths, i)
        if around is not None:
            return around  # C6, C7
        if absorbed[i]:
            return False  # C8
        if blank[i]:
            return i <= tail and blank_begins(i)  # C9 (tiktoken's cl100k only), C10
        if kind[i] == LETTER:  # C11
            return chars.newline(i - 1) if kind[i - 1] == SPACE else kind[i - 1] != LETTER and not opens[i - 1]
        if kind[i] == DIGIT:
            return index[i] == 0  # C12
        return kind[i - 1] != OTHER and not chars.space(i - 1)  # C13

    return begins


NOTHING, WORD, PREFIX, PUNCT, TAIL, TWO_LEFT, ONE_LEFT, ENDED = range(8)


def _o200k_states(chars: Text) -> Iterator[int]:
    """What each character is part of: NOTHING (blank, digit), WORD, the PREFIX of one, PUNCT, its TAIL of newlines and
    slashes, or a contraction with TWO_LEFT, ONE_LEFT or none (ENDED) to come. A function of the state before."""
    state = NOTHING
    for i in range(chars.n):
        state = _o200k_step(state, i, chars)
        yield state


def _o200k_step(state: int, i: int, chars: Text) -> int:
    if state in (TWO_LEFT, ONE_LEFT):
        return state + 1  # F1
    if (state in (PUNCT, TAIL) and chars.newline(i)) or (state == TAIL and chars.code[i] == 0x2F):
        return TAIL  # F2
    if chars.kind[i] in (SPACE, DIGIT):
        return NOTHING  # F3
    if chars.kind[i] == LETTER or (chars.case[i] == MARK and state != PUNCT):
        return WORD  # F4
    if state == PUNCT:
        return PUNCT  # F5
    length = chars.contraction(i, any_case=True) if state == WORD else 0
    if length:
        return ONE_LEFT if length == 2 else TWO_LEFT  # F6
    leads = not chars.space(i - 1) and (chars.kind[i + 1] == LETTER or chars.case[i + 1] == MARK)
    return PREFIX if leads else PUNCT  # F7, F8


def _case_rule(chars: Text, word: list[bool]) -> Callable[[int], bool]:
    """F11. Whether a new piece begins at i inside a run of WORD: "aB", "ABc" -> "A", "Bc" do not; "aBC" does."""
    n = chars.n
    upper = [word[i] and chars.case[i] == UPPER for i in range(n)]
    to_end = [False] * (n + 1)  # F9: upper case from i to the end of the run
    after_lower = [False] * n  # F10: the nearest cased letter at or before i in the run is lower case
    for i in reversed(range(n)):
        to_end[i] = upper[i] and (i + 1 == n or not word[i + 1] or to_end[i + 1])
    for i in range(n):
        carried = i > 0 and after_lower[i - 1]
        after_lower[i] = word[i] and not upper[i] and (chars.case[i] == LOWER or carried)
    return lambda i: upper[i] and not upper[i - 1] and (after_lower[i - 1] or to_end[i])


def _o200k(chars: Text) -> Callable[[int], bool]:
    kind, states = chars.kind, list(_o200k_states(chars))
    blank = [kind[i] == SPACE and states[i] != TAIL for i in range(chars.n)]
    index, blank_begins = _digit_index(chars, 3), _blank_rule(chars, blank)
    case_break = _case_rule(chars, [state == WORD for state in states])

    def begins(i: int) -> bool:
        state, before = states[i], states[i - 1]
        if state in (TWO_LEFT, ONE_LEFT, ENDED, TAIL):
            return False  # F13
        if before in (ENDED, TAIL):
            return True  # F14
        if blank[i]:
            return blank_begins(i)  # F15
        if kind[i] == DIGIT:
            return index[i] == 0  # F16
        if state != WORD:
            return before != PUNCT and not chars.space(i - 1)  # F18
        if before == WORD:
            return case_break(i)  # F17
        return chars.newline(i - 1) if blank[i - 1] else before != PREFIX

    return begins


RULES: dict[str, Callable[[Text], Callable[[int], bool]]] = {
    "gpt2": _gpt2,
    "cl100k": lambda chars: _cl100k_family(chars, digits=3, tail_is_one=True),
    "llama3": lambda chars: _cl100k_family(chars, digits=3, tail_is_one=False),
    "qwen2": lambda chars: _cl100k_family(chars, digits=1, tail_is_one=False),
    "o200k": _o200k,
}
