"""Tokens of a message for the act tagger: UTF-8 bytes (lower-cased) → token arrays. Compiled by numba, integers only.

Takes `data[start:stop]`, gives per token: a 64-bit hash, its kind, flags and the byte where it begins.
Words keep inner apostrophes and hyphens; a split-off contraction ("do n't", "I 'll") is joined again, letters drawn out
("sooo") count once, so that one lexicon serves chat, tweets, transcripts and tokenized corpora. Chinese and Japanese
characters are one token each. It does not know any language. Imported lazily: it loads numba.
"""

from __future__ import annotations

import numpy as np

from dataforge.kernels.cpu.compiled import helper

WORD, NUMBER, IDEOGRAPH, EMOJI, MARK, URL, MENTION, TAG, PUNCT, STOP, NEWLINE = range(11)
MAX_TOKENS = 384  # a longer message is judged by its first 384 tokens

# Flags of PUNCT and STOP tokens.
ASKS, CRIES, TRAILS, COMMA, QUOTE, DASH = 1, 2, 4, 8, 16, 32

SEED = np.uint64(0xCBF29CE484222325)  # FNV-1a, 64 bit: offset basis and prime
PRIME = np.uint64(0x100000001B3)


@helper
def feed(state: int, byte: int) -> int:
    return (np.uint64(state) ^ np.uint64(byte)) * PRIME


@helper
def mix(state: int) -> int:
    """Spreads a hash over all its bits (finalizer of splitmix64)."""
    value = np.uint64(state)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@helper
def decode(data: np.ndarray, at: int, stop: int) -> tuple[int, int]:
    """Code point at `at` and its width in bytes; broken UTF-8 counts as one byte."""
    first = int(data[at])
    if first < 0x80:
        return first, 1
    if first >= 0xF0 and at + 3 < stop:
        tail = (data[at + 1] & 63) << 12 | (data[at + 2] & 63) << 6 | (data[at + 3] & 63)
        return (first & 7) << 18 | int(tail), 4
    if 0xE0 <= first < 0xF0 and at + 2 < stop:
        return (first & 15) << 12 | int(data[at + 1] & 63) << 6 | int(data[at + 2] & 63), 3
    if 0xC0 <= first < 0xE0 and at + 1 < stop:
        return (first & 31) << 6 | int(data[at + 1] & 63), 2
    return first, 1


@helper
def is_letter(code: int) -> bool:
    """Letters of scripts with spaces; ranges, not tables: exact for the scripts the lexicons cover."""
    if code < 0x80:
        return 97 <= code <= 122 or 65 <= code <= 90
    if code < 0x250:
        return code >= 0xC0 and code != 0xD7 and code != 0xF7
    return code < 0x2000 or 0xAC00 <= code <= 0xD7A3


@helper
def is_ideograph(code: int) -> bool:
    return (0x3041 <= code <= 0x30FF and code != 0x30FB) or 0x3400 <= code <= 0x9FFF


@helper
def is_digit(code: int) -> bool:
    return 48 <= code <= 57 or 0xFF10 <= code <= 0xFF19


@helper
def is_apostrophe(code: int) -> bool:
    return code == 39 or code == 0x2019 or code == 0x60


@helper
def punct_flags(code: int) -> int:
    """Flags of one punctuation character; 0 for the others."""
    if code == 63 or code == 0xFF1F:
        return ASKS
    if code == 33 or code == 0xFF01:
        return CRIES
    if code == 44 or code == 59 or code == 58 or code == 0x3001 or code == 0xFF0C:
        return COMMA
    if code == 34 or code == 0x201C or code == 0x201D or code == 0x201E:
        return QUOTE
    if code == 45 or code == 0x2013 or code == 0x2014:
        return DASH
    return TRAILS if code == 0x2026 else 0


@helper
def is_stop(code: int) -> bool:
    return code in (46, 33, 63, 0x3002, 0xFF01, 0xFF1F, 0x2026)


@helper
def is_blank(code: int) -> bool:
    return code == 32 or 9 <= code <= 13 or code == 0xA0 or code == 0x3000


@helper
def starts_with(data: np.ndarray, at: int, stop: int, word: np.ndarray) -> bool:
    if at + word.size > stop:
        return False
    for i in range(word.size):  # noqa: SIM110 (numba has no generators here)
        if data[at + i] != word[i]:
            return False
    return True


HTTP = np.frombuffer(b"http", np.uint8)
WWW = np.frombuffer(b"www.", np.uint8)


@helper
def scan_name(data: np.ndarray, at: int, stop: int) -> int:
    """End of a run of letters, digits, `_`, and non-ASCII bytes: a handle or a hashtag."""
    while at < stop:
        c = data[at]
        if not (97 <= c <= 122 or 48 <= c <= 57 or 65 <= c <= 90 or c == 95 or c >= 0x80):
            break
        at += 1
    return at


@helper
def scan_mark(data: np.ndarray, at: int, stop: int) -> tuple[int, int]:
    """Kind and end of what begins with one of `< @ # :` or a URL at `at`; kind -1 where nothing does."""
    c = data[at]
    if (c == 104 and starts_with(data, at, stop, HTTP)) or (c == 119 and starts_with(data, at, stop, WWW)):
        end = at
        while end < stop and data[end] > 32:
            end += 1
        return (URL, end) if end - at > 4 else (-1, at)
    if c == 64 or c == 35:
        end = scan_name(data, at + 1, stop)
        return (MENTION if c == 64 else TAG, end) if end > at + 1 else (-1, at)
    if c == 60:
        end = at + 1
        while end < stop and end - at < 400 and data[end] != 62 and data[end] != 10:
            end += 1
        if end < stop and data[end] == 62 and end > at + 1:
            second = data[at + 1]
            if second == 64 or second == 33 or second == 35:
                return MENTION, end + 1
            return (URL if starts_with(data, at + 1, stop, HTTP) else MARK), end + 1
    if c == 58:
        end = at + 1
        while end < stop and (97 <= data[end] <= 122 or 48 <= data[end] <= 57 or data[end] in (95, 43, 45)):
            end += 1
        if end < stop and data[end] == 58 and end > at + 1:
            return EMOJI, end + 1
        if end == at + 2 and (data[at + 1] == 100 or data[at + 1] == 112):  # ":d" and ":p"
            return EMOJI, end
    return -1, at


@helper
def scan_word(data: np.ndarray, at: int, stop: int, state: int) -> tuple[int, int]:
    """Hash state and end of a word that begins at `at`; an inner apostrophe or hyphen belongs to it."""
    while at < stop:
        code, width = decode(data, at, stop)
        if is_letter(code) or is_digit(code):
            run = at + width
            if width == 1:
                while run < stop and data[run] == data[at]:
                    run += 1
                if run - at < 3:
                    run = at + 1
            for i in range(width):
                state = feed(state, data[at + i])
            at = run
            continue
        if code == 95:  # "T_V_" is "TV"
            at += 1
            continue
        if (is_apostrophe(code) or code == 45) and at + width < stop:
            after = decode(data, at + width, stop)[0]
            if is_letter(after):
                state = feed(state, 39 if code != 45 else 45)
                at += width
                continue
        break
    return state, at


@helper
def is_clitic(data: np.ndarray, at: int, end: int) -> bool:
    """Does data[at:end] look like a split-off contraction: n't, 's, 'm, 'd, 're, 've, 'll?"""
    if end - at == 3 and data[at] == 110 and data[at + 1] == 39 and data[at + 2] == 116:
        return True
    return data[at] == 39 and 2 <= end - at <= 3 and data[at + 1] in (115, 109, 100, 114, 118, 108, 116)


@helper
def tokenize(
    data: np.ndarray,
    start: int,
    stop: int,
    hashes: np.ndarray,
    kinds: np.ndarray,
    flags: np.ndarray,
    begins: np.ndarray,
) -> int:
    """Fills the four arrays (length ≥ MAX_TOKENS + 1) and returns the number of tokens."""
    n, at = 0, start
    while at < stop and n < MAX_TOKENS:
        code, width = decode(data, at, stop)
        if code == 10:
            hashes[n], kinds[n], flags[n], begins[n] = SEED, NEWLINE, 0, at
            n, at = n + 1, at + 1
            continue
        if is_blank(code) or code == 0xFE0F or code == 0x200D or 0x1F3FB <= code <= 0x1F3FF or 0x200B <= code <= 0x200F:
            at += width
            continue
        kind, end = scan_mark(data, at, stop)
        if kind >= 0:
            state = SEED
            if kind == EMOJI:
                for i in range(at, end):
                    state = feed(state, data[i])
            hashes[n], kinds[n], flags[n], begins[n] = mix(state + np.uint64(kind)), kind, 0, at
            n, at = n + 1, end
            continue
        quoted = is_apostrophe(code) and at + width < stop and is_letter(decode(data, at + width, stop)[0])
        if is_letter(code) or quoted:
            joined = n > 0 and kinds[n - 1] == WORD
            state, end = scan_word(data, at + (width if quoted else 0), stop, feed(SEED, 39) if quoted else SEED)
            if joined and is_clitic(data, at, end):
                state, end = scan_word(data, begins[n - 1], stop, SEED)  # the word before, then the clitic
                state, end = join_clitic(data, at, stop, state)
                n -= 1
            else:
                begins[n] = at
            hashes[n], kinds[n], flags[n] = mix(state), WORD, 0
            n, at = n + 1, end
            continue
        if is_ideograph(code):
            state = SEED
            for i in range(width):
                state = feed(state, data[at + i])
            hashes[n], kinds[n], flags[n], begins[n] = mix(state), IDEOGRAPH, 0, at
            n, at = n + 1, at + width
            continue
        if is_digit(code):
            end = at
            while end < stop and (48 <= data[end] <= 57 or data[end] in (44, 46, 58) or data[end] >= 0x80):
                if data[end] < 48 and not (end + 1 < stop and 48 <= data[end + 1] <= 57):
                    break
                if data[end] == 58 and not (end + 1 < stop and 48 <= data[end + 1] <= 57):
                    break
                if data[end] >= 0x80 and not is_digit(decode(data, end, stop)[0]):
                    break
                end += 1 if data[end] < 0x80 else 3
            end = max(end, at + width)
            hashes[n], kinds[n], flags[n], begins[n] = mix(SEED + np.uint64(NUMBER)), NUMBER, 0, at
            n, at = n + 1, end
            continue
        n, at = punctuation(data, at, stop, n, hashes, kinds, flags, begins)
    return n


@helper
def join_clitic(data: np.ndarray, at: int, stop: int, state: int) -> tuple[int, int]:
    if data[at] == 39:
        return scan_word(data, at + 1, stop, feed(state, 39))
    return scan_word(data, at, stop, state)


@helper
def punctuation(
    data: np.ndarray,
    at: int,
    stop: int,
    n: int,
    hashes: np.ndarray,
    kinds: np.ndarray,
    flags: np.ndarray,
    begins: np.ndarray,
) -> tuple[int, int]:
    """One token for a run of punctuation, one for each other symbol (emoji). STOP if the run may end a sentence."""
    code, width = decode(data, at, stop)
    plain = code < 0xC0 or 0x2010 <= code <= 0x2027 or 0x3001 <= code <= 0x3003 or 0xFF00 <= code <= 0xFF65
    if not plain:
        state = SEED
        for i in range(width):
            state = feed(state, data[at + i])
        hashes[n], kinds[n], flags[n], begins[n] = mix(state), EMOJI, 0, at
        return n + 1, at + width
    state, end, flag, stops, dots = SEED, at, 0, False, 0
    while end < stop:
        code, width = decode(data, end, stop)
        inside = (code > 32 and code < 0x80 and not is_letter(code) and not is_digit(code)) or is_stop(code)
        if not (inside or end == at):
            break
        if end > at and (code == 64 or code == 35 or code == 60):
            break
        flag |= punct_flags(code)
        stops = stops or is_stop(code)
        dots += 1 if code == 46 else 0
        for i in range(width):
            state = feed(state, data[end + i])
        end += width
    if dots > 1:
        flag |= TRAILS
    wide = end - at >= 3 and data[at] >= 0xE0
    ends_here = end >= stop or data[end] <= 32 or wide or flag & (ASKS | CRIES)
    hashes[n], kinds[n], flags[n], begins[n] = mix(state), STOP if stops and ends_here else PUNCT, flag, at
    return n + 1, end
