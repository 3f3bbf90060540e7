"""Counters of a text, one read for all quality presets: integers only, ratios are formed later.

`measure` gives int64[n, len(COUNTERS)]; `COUNTERS` names the columns. Characters are code points; tokens follow the
word rule of `text_words`; the definitions, slow on purpose, are in `text_stats_reference`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataforge.kernels.buffers import Strings, strings_of
from dataforge.kernels.minhash import refuse

VERSION = 2  # raise when a counter gets another meaning
SHORT_LINE = 30
LONG_WORD = 1000

COUNTERS = (
    "bytes",
    "characters",
    "newlines",
    "letters",
    "uppers",  # upper-case letters
    "digits",  # 0-9
    "blanks",
    "marks",  # Unicode punctuation
    "non_ascii",
    "hashes",  # '#'
    "ellipses",  # '...' without overlap, and '…'
    "spaced_ellipses",  # '. . .' without overlap
    "braces",  # '{'
    "replacements",  # U+FFFD
    # tokens of the word rule; a word has a character that is no symbol
    "tokens",
    "words",
    "word_characters",
    "longest_word",
    "alphabetic_tokens",  # with a letter
    "stop_words",  # distinct of the be to of and that have with, exact case
    # words between blanks
    "split_words",
    "split_word_characters",
    "split_alphabetic_words",
    "split_stop_words",  # the same eight, any ASCII case, repeats count
    # lines as str.splitlines cuts them
    "lines",
    "bullet_lines",  # '•' or '-' first, after blanks
    "star_bullet_lines",  # '●', '•', '*' or '-' first, after blanks
    "ellipsis_lines",  # '...' or '…' last, before blanks
    # lines between '\n' that are not blank
    "filled_lines",
    "terminal_lines",  # end with a sentence-terminal mark
    "short_lines",  # at most 30 characters
    "filled_repeats",  # second and later copies
    "filled_repeat_characters",
    # lines between runs of '\n'
    "runs",
    "run_repeats",
    "run_repeat_characters",
    # paragraphs: between runs of two and more '\n' in the stripped text
    "paragraphs",
    "paragraph_repeats",
    "paragraph_repeat_characters",
    # n tokens joined by blanks: copies of the most frequent, the first of ties, times its characters
    "top_2_gram_characters",
    "top_3_gram_characters",
    "top_4_gram_characters",
    # n tokens joined without blanks, seen before; n tokens are skipped after a hit
    "repeat_5_gram_characters",
    "repeat_6_gram_characters",
    "repeat_7_gram_characters",
    "repeat_8_gram_characters",
    "repeat_9_gram_characters",
    "repeat_10_gram_characters",
    # C4's line rules, with and without the rule on end marks: what stops the text (1 lorem ipsum, 2 a curly bracket)
    "c4_stop",
    "c4_sentences",  # in kept lines, up to where the text was stopped
    "c4_lines",  # kept
    "c4_any_end_stop",
    "c4_any_end_sentences",
    "c4_any_end_lines",
    "third_line_characters",  # of the third-longest line between '\n', 0 where there are fewer
    # DCLM's recipe (dclm_rules): words of UAX 29 that begin with a letter or a digit; every copy counts, the first too
    "split_alphanumeric_words",  # words between blanks that begin with a letter or a digit
    "dclm_removed_words",  # words between blanks that its line edits take out
    "dclm_lines",  # stripped, filled lines between '\n'
    "dclm_line_characters",
    "dclm_line_copies",
    "dclm_line_copy_characters",
    "dclm_paragraphs",  # the same between '\n\n'
    "dclm_paragraph_characters",
    "dclm_paragraph_copies",
    "dclm_paragraph_copy_characters",
    "dclm_words",
    "dclm_word_characters",
    # the most frequent n words, the longest of ties, times its characters; 0 where nothing is there twice
    "dclm_top_2_gram_characters",
    "dclm_top_3_gram_characters",
    "dclm_top_4_gram_characters",
    # characters of all words that stand in n words which are there twice
    "dclm_repeat_5_gram_characters",
    "dclm_repeat_6_gram_characters",
    "dclm_repeat_7_gram_characters",
    "dclm_repeat_8_gram_characters",
    "dclm_repeat_9_gram_characters",
    "dclm_repeat_10_gram_characters",
)


def measure(texts: pa.Array | pa.ChunkedArray | Strings) -> npt.NDArray[np.int64]:
    """int64[n, len(COUNTERS)]. A null row counts as empty. Raises ValueError where a text is not UTF-8."""
    from dataforge.kernels.cpu.equal_keys import AT_ONCE
    from dataforge.kernels.cpu.text_stats import measure_rows
    from dataforge.kernels.dclm_rules import word_classes
    from dataforge.kernels.text_words import kinds

    strings = texts if isinstance(texts, Strings) else strings_of(texts)
    counts = np.zeros((len(strings), len(COUNTERS)), np.int64)
    refuse(measure_rows(strings.offsets, strings.data, kinds(), word_classes(), AT_ONCE, counts))
    return counts
