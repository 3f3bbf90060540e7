"""Sections of the config about talk and people: acts, review, conversations, instruct."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from dataforge.flows.config_types import Count, Positive, Section, Share, finite, moment


class ActsConfig(Section):
    """Speech acts of messages."""

    model: str = "default"
    """`default` (shipped), `rules` (no model), or the folder that `dataforge acts train` wrote."""
    expect: dict[str, tuple[Share, Share]] = {}
    """Shares that an act may have in each source and split, e.g. {questions: [0.2, 0.5]}; outside: an alert."""
    expect_rows: Positive = 30
    """Groups with fewer rows are not held against `expect`: their shares say nothing."""
    gate: bool = False
    """Outside `expect`: stop before publishing, exit code 4."""

    @field_validator("expect")
    @classmethod
    def _ranges(cls, value: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        if turned := next((act for act, (low, high) in value.items() if low > high), None):
            raise ValueError(f"the range of {turned} has its larger end first")
        return value


class AuditConfig(Section):
    """People judge random drops of each filter; the report gives the measured false-drop rate with its interval."""

    enabled: bool = False
    """Stop (exit code 5) until people have judged dropped rows."""
    rows: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Rows of each filter (a step and a reason), drawn at random; all where there are fewer."""
    reasons: tuple[str, ...] = ()
    """Only drops for these reasons; empty: all but exact duplicates. Drops for personal data are never shown."""
    need: Annotated[int, Field(ge=1, le=20)] = 1
    """Answers per row, of different people (1 to 20)."""
    answers: str | None = None
    """JSONL of id, label (right, wrong), annotator: imported after seeding, closes the audit."""


class PairReviewConfig(Section):
    """People look at random instruct pairs: what they edit is published as they wrote it, what is unfit is dropped."""

    enabled: bool = False
    """Stop (exit code 5) until a batch of pairs is closed."""
    rows: Annotated[int, Field(ge=1, le=100_000)] = 50
    """Pairs, drawn at random; all where there are fewer."""
    need: Annotated[int, Field(ge=1, le=20)] = 1
    """Answers per pair, of different people (1 to 20). Who edit differently leave it to a lead."""
    answers: str | None = None
    """JSONL of id, label (fit, unfit), annotator and optionally instruct {instruction, input, output}: closes the batch."""


class ReviewConfig(Section):
    """The labeling step."""

    enabled: bool = False
    """Stop after seeding the queue (exit code 5) until a batch of labels is closed."""
    need: Annotated[int, Field(ge=1, le=20)] = 2
    """Answers per row, of different people (1 to 20)."""
    size: Positive = 200
    """Rows in the sample: 55 % uncertain, 20 % equal per act and source, 20 % random, 5 % gold (or uncertain)."""
    gold: str | None = None
    """JSONL of id, text, label with known answers, mixed in unseen: how right each annotator is."""
    title: str = ""
    """Title of the batch; empty: the dataset's name and `speech acts`. Another title is another batch."""
    label_set: str = "speech_acts"
    """What may be answered: a file of configs/labels (speech_acts, bias, anomaly) or the path of a YAML file."""
    guideline: str = "speech_acts"
    """What annotators read: a file of configs/guidelines or the path of a Markdown file."""
    allow_multi: bool = False
    """Two labels may be given; agreement then counts partly equal answers (MASI)."""
    min_alpha: Annotated[float, Field(ge=-1, le=1), AfterValidator(finite)] = 0.667
    """Krippendorff's alpha below which the report alerts; his marks are 0.667 (tentative) and 0.8."""
    gate: bool = False
    """Alpha below `min_alpha`: stop before publishing, exit code 4."""
    retrain: bool = False
    """Train the tagger anew on the labels; used where it is at least as right as before on labels it did not see."""
    pairs: PairReviewConfig = PairReviewConfig()
    """Random training pairs, approved, edited or rejected by people."""
    audit: AuditConfig = AuditConfig()
    """Random drops of each filter, judged by people."""
    database: str | None = None
    """Path or PostgreSQL URL; default {store}/review.sqlite."""
    answers: str | None = None
    """JSONL of id, label, annotator: imported after seeding, closes the batch."""
    on_deadline: Literal["wait", "close_resolved", "fail"] = "wait"
    """What happens to an open batch at the deadline."""
    deadline: Annotated[str, AfterValidator(moment)] | None = None
    """ISO date and time, e.g. 2026-12-01T18:00; UTC unless it names a zone."""
    show_suggestions: Literal["always", "after", "never"] = "always"
    """When annotators see the tagger's label: at once, after their own answer, or not at all."""
    lease_s: Annotated[int, Field(ge=10, le=86400)] = 300
    """Seconds for which one annotator holds a row (10 to 86400)."""
    link: str = ""
    """Where annotators find the page; shown in messages and artifacts."""


class ConversationsConfig(Section):
    """Messages → conversations. A channel is never cut, since a thread may go on after years: one worker holds the columns
    of a whole channel, some 0.8 GiB for a million messages of 100 characters."""

    gap_s: Positive = 900
    """Seconds of silence after which talk of a channel goes on only where much speaks for it; four times as many end it."""
    merge_s: Count = 120
    """Pause within one turn of a person, in seconds."""


class InstructConfig(Section):
    """Conversations → training pairs."""

    template: Literal["book", "alpaca"] = "book"
    """How a pair is rendered: `###Instruction` (book) or `### Instruction:` (alpaca)."""
    answers: Literal["one", "all"] = "one"
    """The best answer to a question, or one pair per answer."""
    require_resolved: bool = False
    """Only answers that a reaction or thanks accepted."""
    allow_disputed: bool = False
    """Also answers that someone rejected."""
    allow_orphans: bool = False
    """Also threads whose first message is missing."""
    expressives: Literal["drop", "keep"] = "drop"
    """Thanks, greetings and jokes as answers."""
    min_words: Count = 3
    """Words of an answer."""
    min_score: Share = 0.5
    """How surely the messages of a conversation belong together (0 to 1)."""
    timestamps: Literal["keep", "drop"] = "keep"
    """Slack's ts in `meta` of published rows: whoever may read the workspace finds the message, and its author, by it."""
    max_history_tokens: Count = 512
    """What came before the question, cut to so many tokens; four bytes count as one."""
    persona: str = ""
    """Pseudonym or id of the one user whose replies become the assistant's turns."""
    team: tuple[str, ...] = ()
    """Pseudonyms of the only people whose answers count; empty: anyone."""
    consent: str = ""
    """With persona: where that person's consent is on file."""
