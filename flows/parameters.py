"""Sections of the config → parameters of operators: the only place that knows both."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from dataforge.errors import ConfigError
from dataforge.flows.config import Config
from dataforge.flows.config_filters import TextModelConfig
from dataforge.operator import Operator
from dataforge.operators.acts import TagActs
from dataforge.operators.acts_retrained import Retrain
from dataforge.operators.clean import Clean
from dataforge.operators.clean_text import TextRules
from dataforge.operators.gold import GoldRows
from dataforge.operators.instruct import Instruct
from dataforge.operators.labels import Labels
from dataforge.operators.language import iso639_3
from dataforge.operators.mail_names import MailNames
from dataforge.operators.pairs_review import ReviewedPairs
from dataforge.operators.pii import STRUCTURED, FindPii
from dataforge.operators.pii_custom import read_rules
from dataforge.operators.publish import Publish
from dataforge.operators.quality import QualityRules, Rule, rules_of
from dataforge.operators.sample import Sample
from dataforge.operators.select import Judge, LanguageRule
from dataforge.operators.slack_source import SlackSource
from dataforge.operators.slack_users import key_fingerprint, read_key
from dataforge.operators.text_model import ModelFile, ModelScores
from dataforge.operators.tokenizer_import import ImportTokenizer
from dataforge.operators.tokenizer_train import TrainTokenizer
from dataforge.operators.treatment import Treatment
from dataforge.operators.word_lists import ListFile, WordLists


def secret_place(place: str, config: Config) -> str:
    """`env:NAME` as it is; `file:PATH` with the path made absolute."""
    kind, _, name = place.partition(":")
    return place if kind == "env" else f"file:{config.path(name)}"


def clean(config: Config) -> Clean:
    c = config.clean
    text = TextRules(encoding=c.encoding, normalize=c.normalize, whitespace=c.whitespace)
    return Clean(text=text, line_rules=c.line_rules, max_removed=c.max_removed, code=c.code)


def quality_rules(config: Config, changes: Mapping[str, float] | None = None) -> QualityRules:
    """The rules of a config's preset with its thresholds, and `changes` by key, e.g. {"quality.min_words": 30}."""
    overrides: dict[str, Any] = dict(config.quality.model_extra or {})
    if config.quality.preset == "none":
        return QualityRules(())
    keys = {rule.key for rule in rules_of(config.quality.preset).rules}
    given = {key.removeprefix("quality."): value for key, value in (changes or {}).items()}
    return rules_of(config.quality.preset, overrides | {k: v for k, v in given.items() if k in keys})


def score_rules(config: Config, changes: Mapping[str, float]) -> tuple[Rule, ...]:
    """Rules over the scores of word lists and models, after those of the preset. The reason is the name of the score."""
    rules: list[Rule] = []
    for name, words in config.quality.lists.items():
        key = f"lists.{name}.max_per_1000"
        value = changes.get(f"quality.{key}", words.max_per_1000)
        rules += [Rule(name, f"list_{name}", ">", value, key)] if value is not None else []
    for name, model in text_models(config).items():
        for sign, end in (("<", "min_score"), (">", "max_score")):
            key = end if name == "quality" and config.quality.model else f"models.{name}.{end}"
            value = changes.get(f"quality.{key}", getattr(model, end))
            rules += [Rule(name, f"model_{name}", sign, value, key)] if value is not None else []
    return tuple(rules)


def text_models(config: Config) -> dict[str, TextModelConfig]:
    """All models by name, that of `quality.model` first."""
    quality = config.quality
    first = {"quality": TextModelConfig(path=quality.model, min_score=quality.min_score)} if quality.model else {}
    return first | quality.models


def score_operators(config: Config) -> dict[str, Operator]:
    """Step name → what scores texts by the user's lists (these read the languages too) and models."""
    found: dict[str, Operator] = {}
    lists = [
        ListFile.of(name, language if language == "all" else iso639_3(language), config.path(path))
        for name, words in config.quality.lists.items()
        for language, path in (words.path if isinstance(words.path, dict) else {"all": words.path}).items()
    ]
    models = [ModelFile.of(name, config.path(m.path), m.label) for name, m in text_models(config).items()]
    if lists:
        found["corpus/lists"] = WordLists(tuple(lists))
    if models:
        found["corpus/models"] = ModelScores(tuple(models))
    return found


def judge(config: Config, changes: Mapping[str, float] | None = None) -> Judge:
    """All thresholds on stored scores, those of `changes` in place of the config's."""
    changes, tables = changes or {}, bool(config.quality.lists) + bool(text_models(config))
    rules = QualityRules((*quality_rules(config, changes).rules, *score_rules(config, changes)))
    return Judge(rules, language_rule(config, changes), tables)


def thresholds(config: Config) -> dict[str, float]:
    """Every threshold that `changes` may name, with its value now."""
    known = {f"quality.{rule.key}": rule.value for rule in judge(config).rules.rules}
    language = config.language
    known |= {"dedupe.threshold": config.dedupe.threshold} if config.dedupe.near else {}
    return known | ({"language.min_score": language.min_score} if language.keep else {})


def language_rule(config: Config, changes: Mapping[str, float] = MappingProxyType({})) -> LanguageRule:
    keep = tuple(iso639_3(code) for code in config.language.keep)
    score = changes.get("language.min_score", config.language.min_score)
    return LanguageRule(keep, score, config.language.min_letters)


def pii(config: Config) -> FindPii:
    p = config.pii
    place = secret_place(p.key, config) if p.key and p.mail_names else ""
    rules = read_rules(config.path(p.rules)) if p.rules else ""
    kinds = p.kinds or STRUCTURED
    return FindPii(kinds, ner=p.ner, private_addresses=p.private_addresses, rules=rules, names_key=place)


def mail_names(config: Config) -> MailNames | None:
    """None where the config does not ask for it."""
    place = secret_place(config.pii.key, config) if config.pii.key and config.pii.mail_names else ""
    return MailNames(place, key_fingerprint(read_key(place))) if place else None


def treatment(config: Config) -> Treatment:
    """The key of pseudonyms enters identity as a fingerprint only."""
    place = secret_place(config.pii.key, config) if config.pii.key else ""
    fingerprint = key_fingerprint(read_key(place)) if place else ""
    return Treatment(config.pii.action, place, fingerprint, config.pii.drop_above)


MODELS = {"default": "shipped", "rules": "none"}  # what acts.model may say beside a folder


def tagger(config: Config) -> TagActs:
    return TagActs(context="table", model=MODELS.get(config.acts.model) or str(config.path(config.acts.model)))


def retrain(config: Config) -> Retrain:
    return Retrain(tagger(config))


def gold(config: Config) -> GoldRows:
    from dataforge.review.label_sets import load_label_set

    label_set = load_label_set(_named(config.review.label_set, ".yaml", config) or "speech_acts")
    words = tuple(word for label in label_set.labels for word in dict.fromkeys((label.name, label.singular)))
    return GoldRows(str(config.path(config.review.gold or "")), words)


def sample(config: Config) -> Sample:
    return Sample(size=config.review.size, gold=config.review.gold is not None)


def labels(config: Config) -> Labels:
    review = config.review
    return Labels(
        title=review.title or f"{config.name} speech acts",
        need=review.need,
        label_set=_named(review.label_set, ".yaml", config),
        guideline=_named(review.guideline, ".md", config),
        allow_multi=review.allow_multi,
        show_suggestions=review.show_suggestions,
        **_queue(config, review.answers),
    )


def pair_labels(config: Config) -> Labels:
    pairs = config.review.pairs
    return Labels(title=f"{config.name} instruct pairs", kind="instruct", need=pairs.need, **_queue(config, pairs.answers))


def audit_labels(config: Config) -> Labels:
    audit = config.review.audit
    return Labels(title=f"{config.name} dropped rows", kind="dropped", need=audit.need, **_queue(config, audit.answers))


def _queue(config: Config, answers: str | None) -> dict[str, Any]:
    """What all batches of a config share: none of it can change a label's meaning."""
    review = config.review
    return {
        "database": review_database(config),
        "answers": str(config.path(answers)) if answers else "",
        "lease_s": review.lease_s,
        "deadline": _deadline(review.deadline),
        "on_deadline": review.on_deadline,
        "link": review.link,
    }


def _named(value: str, suffix: str, config: Config) -> str:
    """The name of a packaged file, or a path of the user's made absolute; the kind's own default stays unnamed."""
    if value == "speech_acts":
        return ""
    return str(config.path(value)) if value.endswith((suffix, ".yml")) else value


def review_database(config: Config) -> str:
    """Path or URL of the review database."""
    place = config.review.database
    if place is None:
        return str(config.path(config.store) / "review.sqlite")
    return place if "://" in place else str(config.path(place))


def _deadline(text: str | None) -> float | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)  # checked when the config was loaded
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


RAW_USER_ID = re.compile(r"[UW][A-Z0-9]+")


def instruct(config: Config, sources: Sequence[Operator]) -> Instruct:
    """Raw user ids of persona and team become pseudonyms here, so that no manifest ever holds them.

    Raises ConfigError for an id that no list of members holds, where there is one.
    """
    slack = [source for source in sources if isinstance(source, SlackSource)]

    def shown(user: str, key: str) -> str:
        people = [source.people() for source in slack] if RAW_USER_ID.fullmatch(user) else []
        if not people:
            return user
        if all(them.members and them.unknown(user) for them in people):
            raise ConfigError("no list of members holds this id", key=key, hint="a member's profile shows it: U…")
        return next((them for them in people if not them.unknown(user)), people[0]).pseudonym(user)

    chosen = config.instruct.model_dump()
    team = tuple(shown(user, "instruct.team") for user in config.instruct.team)
    return Instruct(**chosen | {"persona": shown(config.instruct.persona, "instruct.persona"), "team": team})


def reviewed_pairs(config: Config, sources: Sequence[Operator]) -> ReviewedPairs:
    """Edits pass everything that messages pass before people see them."""
    workspaces = tuple(source for source in sources if isinstance(source, SlackSource))
    return ReviewedPairs(config.instruct.template, clean(config).text, pii(config), treatment(config), workspaces)


def tokenizer(config: Config, *, tables: int) -> Operator:
    t = config.tokenizer
    if t.path is not None:
        named = {"pattern": t.pattern} if t.pattern else {}  # a named tokenizer usually says itself how it cuts text
        return ImportTokenizer.of(config.path(t.path), template=config.instruct.template, **named)
    options: dict[str, Any] = {"min_frequency": t.min_frequency} if t.kind == "bpe" else {}
    return TrainTokenizer(
        kind=t.kind,
        vocab_size=t.vocab_size,
        pattern=t.pattern or "llama3",
        special_tokens=t.special_tokens,
        sample_bytes=t.sample_bytes,
        template=config.instruct.template,
        tables=tables,
        splits=("train",) if t.train_on == "train" else (),
        **options,
    )


def publication(config: Config) -> Publish:
    p = config.publish
    return Publish(
        name=config.name,
        version=config.version,
        splits=tuple(p.splits.items()),
        salt=config.split.salt,
        pretty_name=p.pretty_name,
        description=p.description,
        licence=p.licence,
        citation=p.citation,
        arrow=p.arrow,
        content_defined_chunking=p.content_defined_chunking,
    )
