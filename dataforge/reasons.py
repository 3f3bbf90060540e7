"""Why rows are left out, in a sentence each: for `trace`, the report and docs/reasons.md. Names of the user's own lists and
models are reasons too (`quality.lists`, `quality.models`), and what operators of their own say (`own`).
"""

from __future__ import annotations

REASONS: dict[str, dict[str, str]] = {
    "Reading": {
        "http_status": "The archived answer is no page: its HTTP status is not 200.",
        "content_type": "The archived answer is neither HTML nor plain text.",
        "binary": "The archived answer calls itself text but holds zero bytes.",
        "repeated_key": "The same row was read before: same source, same key, same content.",
        "superseded": "A newer row of the same source and key replaces it.",
    },
    "Slack": {
        "channel_event": "It tells of a channel (joined, renamed, pinned), nobody says anything.",
        "machine": "Slack itself wrote it: a reminder, a bot added, a call.",
        "deleted": "It was deleted in Slack.",
        "bot": "A bot wrote it, and `slack.bots` drops bots.",
        "no_user": "It names neither a person nor a bot as its author.",
        "opt_out": "Its author opted out.",
        "opt_out_thread": "It answers a thread that someone who opted out began.",
        "external": "Its author belongs to another workspace, and `slack.external` drops them.",
        "external_thread": "It answers a thread that someone of another workspace began.",
        "bot_noise": "A conversation in which bots alone speak.",
    },
    "Quality: length and words": {
        "empty": "There is nothing to judge: no text, or a rule has nothing to divide by.",
        "too_few_words": "It has fewer words than the preset asks for.",
        "too_many_words": "It has more words than the preset allows.",
        "short_words": "Its words are too short on average.",
        "long_words": "Its words are too long on average.",
        "few_letters": "Too small a share of its characters are letters.",
        "few_alphabetic_words": "Too many of its words have no letter.",
        "few_alphabetic_tokens": "Too many of its tokens (words and marks) have no letter.",
        "few_stop_words": "It has too few of the small words that prose has (the, be, to, of, …).",
        "too_many_words_removed": "The preset's line edits removed too large a share of its words.",
        "language": "Its language is none of `language.keep`, surely enough.",
    },
    "Quality: marks and lines": {
        "many_hashes": "Too many hash marks for its length.",
        "many_ellipses": "Too many ellipses for its length.",
        "many_symbols": "Too many hash marks and ellipses for its length.",
        "bullet_lines": "Too many of its lines begin with a bullet.",
        "ellipsis_lines": "Too many of its lines end in an ellipsis: teasers.",
        "few_terminal_lines": "Too few of its lines end in a mark that ends a sentence.",
        "short_lines": "Too many of its lines are short: menus, tables, lists.",
        "many_newlines": "Too many line breaks for its words.",
        "lorem_ipsum": "It holds “lorem ipsum”: filler text.",
        "curly_bracket": "It holds a curly bracket: code, or what is left of a template.",
        "too_few_sentences": "Fewer sentences are left after the line rules than the preset asks for.",
        "too_few_paragraphs": "It has too few lines to be an article.",
        "short_paragraphs": "Its third-longest line is too short for an article.",
    },
    "Quality: repetition": {
        "repeated_lines": "Too many of its lines repeat others of the same text; or nearly all stand in earlier "
        "documents (`dedupe.exact: line`).",
        "repeated_paragraphs": "Too many of its paragraphs repeat others of the same text; or nearly all stand in earlier "
        "documents (`dedupe.exact: paragraph`).",
        "repeated_line_characters": "Too large a share of its characters stands in repeated lines.",
        "repeated_paragraph_characters": "Too large a share of its characters stands in repeated paragraphs.",
        **{f"top_{n}_gram": f"The most frequent run of {n} words makes up too much of it." for n in (2, 3, 4)},
        **{f"repeated_{n}_grams": f"Runs of {n} words that occur again make up too much of it." for n in range(5, 11)},
    },
    "Duplicates and evaluation texts": {
        "exact_duplicate": "Another document has the same text; that one stays.",
        "near_duplicate": "Another document is nearly the same, by the true Jaccard similarity; that one stays.",
        "near_duplicate_of_earlier": "The living index holds a document of earlier data that is nearly the same.",
        "repeated_sentences": "Nearly all of its sentences stand in earlier documents.",
        "repeated_runs": "Nearly all of it are runs of words that stand in earlier documents (`dedupe.substring`).",
        "contaminated": "It shares a run of words with an evaluation text (`split.decontaminate`).",
        "held_out_in_train": "A row of validation or test that a training row contains.",
    },
    "Personal data and review": {
        "personal_data": "More personal data was found in it than `pii.drop_above` allows.",
        "rejected_in_review": "People rejected it in the review.",
        "empty_edit": "Of what people wrote in its place nothing is left to ask, or nothing to answer.",
    },
    "Pairs from conversations": {
        "orphan_thread": "The message that began the thread is missing.",
        "low_score": "It is not sure enough that these messages belong together.",
        "no_question": "Nobody asks anything.",
        "unanswered": "Nobody answers the question.",
        "persona_silent": "The person whose voice is wanted says nothing.",
        "expressive": "The answer is thanks, a greeting or the like, and `instruct.expressives` drops them.",
        "unresolved": "Nobody marked the question as solved, and `instruct.require_resolved` asks for it.",
        "disputed": "Somebody disputed the answer.",
        "removed_by_pii": "The answer was mostly personal data or a secret.",
        "no_words": "The answer has no word.",
        "link_only": "The answer is a link and nothing else.",
        "mention_only": "The answer names somebody and says nothing else.",
        "emoji_only": "The answer is emoji and nothing else.",
        "see_dm": "The answer points elsewhere: a direct message, a call, an attachment.",
        "one_word": "The answer is one word.",
        "too_short": "The answer has fewer words than `instruct.min_words`.",
        "deferred": "The answer only promises one: “let me check”.",
        "not_known": "The answer is that somebody does not know.",
        "no_answer": "The answer answers nothing: “same here”.",
        "asks_back": "The answer is a question back.",
        "refers": "The answer only names somebody else to ask.",
    },
    "Packing": {
        "overlong": "It has more tokens than a sequence, and `pack` does not split it.",
        "all_masked": "No token of it counts for the loss.",
    },
}
_SENTENCES = {reason: sentence for group in REASONS.values() for reason, sentence in group.items()}


def explained(reason: str, step: str = "") -> str:
    """The sentence of a reason, "" for one of the user's own: `explained("bot")` -> "A bot wrote it, …"."""
    return "" if is_own(step) else _SENTENCES.get(reason, "")


def is_own(step: str) -> bool:
    """True for an operator of the user's own (`own:`), whose reasons mean what the user says: "corpus/own-KeepRecipes"."""
    return "/own-" in step


def group_of(reason: str) -> str:
    """The heading of a reason in REASONS, "" for one of the user's own."""
    return next((heading for heading, group in REASONS.items() if reason in group), "")


def reasons() -> frozenset[str]:
    """Every reason that the operators can give."""
    return frozenset(_SENTENCES)
