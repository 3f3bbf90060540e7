"""Presets drop what their sources drop: for each reason a text that triggers it and one that just does not."""

import pyarrow as pa
import pytest

from dataforge.errors import ConfigError
from dataforge.kernels.text_stats import COUNTERS
from dataforge.operators.quality import SCHEMA, Quality, count_batch, presets, rules_of, score_of, verdicts


def batch_of(*texts):
    return pa.RecordBatch.from_pydict({"id": [f"{i:032x}" for i in range(len(texts))], "text": list(texts)})


def reason_of(preset, text, **overrides):
    return verdicts(count_batch(batch_of(text)).kept, rules_of(preset, overrides))[0][0].as_py()


def alone(preset, reason, text):
    """The reason when only this rule of the preset is on."""
    others = {rule.key: None for rule in rules_of(preset).rules if rule.reason != reason}
    return reason_of(preset, text, **others)


def stats_of(**counts):
    columns = {name: [counts.get(name, 0)] for name in COUNTERS}
    return pa.RecordBatch.from_pydict(columns)


GOPHER = [  # reason, text that triggers, text that just does not
    ("too_few_words", "word " * 49, "word " * 50),
    ("too_many_words", "a " * 100_001, "a " * 100_000),
    ("short_words", "ab abc", "abc abc"),
    ("long_words", "a" * 10 + " " + "b" * 11, "a" * 10 + " " + "b" * 10),
    ("many_hashes", "a b c d e f g h # #", "a b c d e f g h i #"),
    ("many_ellipses", "a b c d e f g ... … h", "a b c d e f g h i …"),
    ("bullet_lines", "- a\n" * 10, "- a\n" * 9 + "b"),
    ("ellipsis_lines", "a...\nb…\nc\nd\n", "a...\nb…\nc…\n" + "d\n" * 7),
    ("few_alphabetic_tokens", "a b c 1", "a b c d 1"),
    ("few_stop_words", "the the The", "the and"),
]


def test_every_reason_of_gopher_has_a_case():
    assert [case[0] for case in GOPHER + REPETITION] == [rule.reason for rule in rules_of("gopher").rules]


@pytest.mark.parametrize(("reason", "bad", "good"), GOPHER, ids=[case[0] for case in GOPHER])
def test_gopher_quality(reason, bad, good):
    assert alone("gopher_quality", reason, bad) == reason
    assert alone("gopher_quality", reason, good) is None


REPETITION = [
    ("repeated_paragraphs", "a\n\na\n\nb", "a\n\na\n\nb\n\nc"),
    ("repeated_paragraph_characters", "aaaa\n\naaaa\n\nb", "a\n\na\n\nbbbbbbbb"),
    ("repeated_lines", "a\na\nb", "a\na\nb\nc"),
    ("repeated_line_characters", "aaaa\naaaa\nb", "a\na\nbbbbbbbb"),
    ("top_2_gram", "ab cd ab cd ab cd ef", "ab cd " + "x" * 20),
    ("top_3_gram", "a b c d e f", "a b c " + "d" * 30),
    ("top_4_gram", "a b c d e f", "a b c d " + "e" * 50),
    ("repeated_5_grams", "a b c d e a b c d e", "a b c d e b c d a e"),
    ("repeated_6_grams", "a b c d e f " * 2, "a b c d e f x a b c d e y f"),
    ("repeated_7_grams", "a b c d e f g " * 2, "a b c d e f g x a b c d e f y g"),
    ("repeated_8_grams", "a b c d e f g h " * 2, "a b c d e f g h x a b c d e f g y h"),
    ("repeated_9_grams", "a b c d e f g h i " * 2, "a b c d e f g h i x a b c d e f g h y i"),
    ("repeated_10_grams", "a b c d e f g h i j " * 2, "a b c d e f g h i j x a b c d e f g h i y j"),
]


@pytest.mark.parametrize(("reason", "bad", "good"), REPETITION, ids=[case[0] for case in REPETITION])
def test_gopher_repetition(reason, bad, good):
    assert alone("gopher_repetition", reason, bad) == reason
    assert alone("gopher_repetition", reason, good) is None


SENTENCES = "This is a fine line.\n" * 5


@pytest.mark.parametrize(
    ("reason", "bad", "good"),
    [
        ("lorem_ipsum", SENTENCES + "Some Lorem Ipsum here.", SENTENCES + "Some lorem here, ipsum there"),
        ("curly_bracket", SENTENCES + "A { b c.", SENTENCES + "A line { without an end"),
        ("too_few_sentences", "This is a fine line.\n" * 4 + "Only four of them", SENTENCES),
    ],
)
def test_c4(reason, bad, good):
    assert reason_of("c4", bad) == reason
    assert reason_of("c4", good) is None


def test_a_bracket_in_a_dropped_line_does_not_drop_the_text():
    assert reason_of("c4", SENTENCES + "javascript { is here.") is None
    assert reason_of("c4_any_end", SENTENCES + "An open { line without end") == "curly_bracket"


LONG = "This line is longer than thirty characters"


@pytest.mark.parametrize(
    ("reason", "bad", "good"),
    [
        ("few_terminal_lines", f"{LONG}.\n" + f"{LONG}\n" * 8, f"{LONG}.\n" + f"{LONG}\n" * 7),
        ("few_terminal_lines", f"{LONG}. ", f"{LONG}."),
        ("short_lines", f"{'x' * 30}\n", f"{'x' * 31}\n"),
        ("repeated_line_characters", "a\na\n" + "b" * 97, "a\na\n" + "b" * 98),
        ("many_newlines", "a b c\n", "a b c d\n"),
    ],
)
def test_fineweb(reason, bad, good):
    assert alone("fineweb", reason, bad) == reason
    assert alone("fineweb", reason, good) is None


def test_fineweb_paper_allows_more_repetition():
    text = "a\na\n" + "b" * 50
    assert alone("fineweb", "repeated_line_characters", text) == "repeated_line_characters"
    assert alone("fineweb_paper", "repeated_line_characters", text) is None


PARAGRAPHS = ("x" * 200 + "\n") * 2 + "y" * 200


@pytest.mark.parametrize(
    ("reason", "bad", "good"),
    [
        ("too_few_paragraphs", "x" * 500 + "\n" + "y" * 500, PARAGRAPHS),
        ("short_paragraphs", PARAGRAPHS[1:] + "\nshort", PARAGRAPHS + "\nshort"),
    ],
)
def test_c4_paragraph(reason, bad, good):
    assert reason_of("c4_paragraph", bad) == reason
    assert reason_of("c4_paragraph", good) is None


def again(n, fill):
    """n words, something between, the n words again; `fill` characters of other words."""
    gram = " ".join("abcdefghij"[:n])
    return f"{gram} {'x' * (fill // 2)} {gram} {'y' * (fill - fill // 2)}"


DCLM = [
    ("too_few_words", "ab " * 49 + "- * …", "ab " * 50),
    ("too_many_words", "a " * 100_001, "a " * 100_000 + "* " * 9),
    ("short_words", "ab abc", "abc abc"),
    ("long_words", "a" * 10 + " " + "b" * 11, "a" * 10 + " " + "b" * 10),
    ("many_symbols", "a b c d e f g h # ...", "a b c d e f g h i #"),
    ("bullet_lines", "* a\n" * 5 + "● b\n" * 5, "* a\n" * 9 + "b"),
    ("ellipsis_lines", "a...\nb…\nc\nd\n", "a...\nb…\nc…\n" + "d\n" * 7),
    ("few_alphabetic_words", "a b c 1", "a b c d 1"),
    ("few_stop_words", "The cat", "The the"),
    ("repeated_lines", "a\na\nb\nc\nd\ne", "a\na\nb\nc\nd\ne\nf"),
    ("repeated_paragraphs", "a\n\na\n\nb\n\nc\n\nd\n\ne", "a\n\na\n\nb\n\nc\n\nd\n\ne\n\nf"),
    ("repeated_line_characters", "a\na\n" + "b" * 7, "a\na\n" + "b" * 8),
    ("repeated_paragraph_characters", "a\n\na\n\n" + "b" * 7, "a\n\na\n\n" + "b" * 8),
    ("top_2_gram", again(2, 15), again(2, 16)),
    ("top_3_gram", again(3, 27), again(3, 28)),
    ("top_4_gram", again(4, 41), again(4, 42)),
    ("repeated_5_grams", again(5, 56), again(5, 57)),
    ("repeated_6_grams", again(6, 73), again(6, 74)),
    ("repeated_7_grams", again(7, 93), again(7, 94)),
    ("repeated_8_grams", again(8, 117), again(8, 118)),
    ("repeated_9_grams", again(9, 145), again(9, 146)),
    ("repeated_10_grams", again(10, 179), again(10, 180)),
    ("too_many_words_removed", "a b c d e\n" * 19 + "word\n" * 6, "a b c d e\n" * 19 + "word\n" * 5),
]


@pytest.mark.parametrize(("reason", "bad", "good"), DCLM, ids=[case[0] for case in DCLM])
def test_dclm(reason, bad, good):
    assert alone("dclm", reason, bad) == reason
    assert alone("dclm", reason, good) is None


def test_dclm_has_a_case_for_each_of_its_reasons():
    assert [case[0] for case in DCLM] == [rule.reason for rule in rules_of("dclm").rules]


def test_dclm_never_drops_a_text_without_repetition_for_its_top_n_gram():
    assert alone("dclm", "top_2_gram", "ab cd ef") is None
    assert alone("gopher_repetition", "top_2_gram", "ab cd ef") == "top_2_gram"


@pytest.mark.parametrize(
    ("reason", "bad", "good"),
    [
        ("too_few_words", "word " * 19, "word " * 20),
        ("few_letters", "a 12", "a 1"),
        ("repeated_lines", "a\na\na", "a\na"),
    ],
)
def test_chat(reason, bad, good):
    assert alone("chat", reason, bad) == reason
    assert alone("chat", reason, good) is None


def test_the_first_reason_in_the_order_of_the_source_wins():
    assert reason_of("gopher", "- 1\n") == "too_few_words"
    assert rules_of("fineweb_run").rules[0].reason == "repeated_paragraphs"


def test_a_verdict_has_its_score_and_threshold_and_a_kept_row_has_neither():
    stats = count_batch(batch_of("word " * 3, "word " * 50)).kept
    only = {rule.key: None for rule in rules_of("gopher_quality").rules if rule.reason != "too_few_words"}
    found = verdicts(stats, rules_of("gopher_quality", only))
    assert [column.to_pylist() for column in found] == [["too_few_words", None], [3.0, None], [50.0, None]]


def test_nothing_to_divide_by_is_empty_and_has_no_score():
    rules = rules_of("gopher_quality", {"min_words": None, "max_words": None})
    found = verdicts(count_batch(batch_of("")).kept, rules)
    assert [column.to_pylist() for column in found] == [["empty"], [None], [None]]
    assert reason_of("fineweb", " \n ") == "empty"


def test_a_threshold_is_changed_by_its_key():
    assert reason_of("gopher", "the and " + "word " * 20, min_words=10) != "too_few_words"
    assert rules_of("gopher", {"min_words": 7}).rules[0].value == 7.0


def test_wrong_presets_and_keys_are_refused_with_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean gopher"):
        rules_of("gophre")
    with pytest.raises(ConfigError, match="did you mean min_words"):
        rules_of("gopher", {"min_word": 3})
    with pytest.raises(ConfigError, match="must be a number"):
        rules_of("gopher", {"min_words": "many"})


@pytest.mark.parametrize("preset", presets())
def test_every_preset_loads_and_judges_any_row(preset):
    rules = rules_of(preset)
    assert rules.counters()
    assert len(verdicts(count_batch(batch_of("", "some text.")).kept, rules)[0]) == 2


def test_scores_are_sums_of_counters_with_one_division():
    assert score_of(stats_of(hashes=1, ellipses=2, words=6), "hashes + ellipses / words").tolist() == [0.5]
    assert score_of(stats_of(characters=9, newlines=1, words=4), "words / characters - newlines").tolist() == [0.5]


def test_quality_gives_the_same_ids_and_does_not_depend_on_the_batch():
    batch = batch_of("the cat. " * 30, "", "漢字 and more")
    run = Quality().start(())
    whole = run(batch).kept
    parts = [run(batch.slice(i, 1)).kept for i in range(3)]
    assert whole.schema == SCHEMA == Quality().gives(())
    assert pa.Table.from_batches(parts).to_pydict() == pa.Table.from_batches([whole]).to_pydict()
    assert whole.column("id").equals(batch.column("id"))
