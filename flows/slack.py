"""Slack messages → masked, tagged (and where asked, labelled) messages → conversations → instruct pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dataforge.flows.config import Config
from dataforge.flows.duplicates import find_duplicates
from dataforge.flows.leaks import held_out_apart
from dataforge.flows.own import with_own
from dataforge.flows.parameters import (
    gold,
    instruct,
    labels,
    pair_labels,
    pii,
    retrain,
    reviewed_pairs,
    sample,
    tagger,
    treatment,
)
from dataforge.operators.acts_retrained import RetaggedActs, Taught
from dataforge.operators.annotated import Annotated
from dataforge.operators.conversations import Conversations
from dataforge.operators.first_rows import underlying
from dataforge.operators.ingest import ByKey
from dataforge.operators.neighbours import Neighbours
from dataforge.operators.pairs_review import PairSample
from dataforge.operators.sample import Candidates
from dataforge.operators.select import DropTwins, Hashed, Mask, SelectPairs, WithActs
from dataforge.operators.split import SplitByCluster
from dataforge.operators.split_groups import Grouped
from dataforge.step import Step


@dataclass(frozen=True)
class SlackSteps:
    """What the rest of the flow reads. `annotations` is None when review is off, `retrained` unless that is asked for."""

    tagged: Step
    conversations: Step
    pairs: Step
    annotations: Step | None
    retrained: Step | None


def read_slack(sources: Sequence[Step], config: Config, parts: int, names: Sequence[Step] = ()) -> SlackSteps:
    """Personal data is masked before taggers or people see a message. `names`: lists of names found elsewhere."""
    raw = Step("slack/ingested", ByKey(parts, newest=("version",)), tuple(sources))
    personal = Step("slack/pii", pii(config), (raw, *names))
    messages = Step("slack/messages", Mask(treatment(config)), (raw, personal))
    loose_context = Step("slack/neighbours", Neighbours(parts, config.conversations.gap_s), (messages,))
    context = Step("slack/context", ByKey(parts), (loose_context,))
    acts = Step("slack/acts", tagger(config), (messages, context))
    answered = _reviewed(messages, acts, context, config, parts)
    retrained = None
    if answered is not None and config.review.retrain:
        taught = Step("review/taught", Taught(), (answered, messages, context))
        retrained = Step("review/retrained", retrain(config), (taught,))
        acts = Step("slack/acts-retrained", RetaggedActs(tagger(config)), (messages, context, retrained))
    inputs = (messages, acts) if answered is None else (messages, acts, answered)
    tagged = Step("slack/tagged", WithActs(labelled=answered is not None), inputs)
    talk = Conversations(parts, config.conversations.gap_s, config.conversations.merge_s)
    loose = Step("slack/conversations-by-channel", talk, (tagged,))
    conversations = Step("slack/conversations", ByKey(parts), (loose,))
    annotations = None
    if answered is not None:
        annotations = Step("review/annotations", Annotated(), (answered, messages, context))
    selected = _looked_at(_pairs(conversations, sources, config, parts), sources, config, parts, names)
    pairs = held_out_apart(selected, config, parts=parts, prefix="instruct")
    return SlackSteps(tagged, conversations, pairs, annotations, retrained)


def _reviewed(messages: Step, acts: Step, context: Step, config: Config, parts: int) -> Step | None:
    if not config.review.enabled:
        return None
    candidates = Step("review/candidates", Candidates(beside=True), (messages, acts, context))
    known = (Step("review/gold", gold(config)),) if config.review.gold is not None else ()
    sampled = Step("review/sample", sample(config), (candidates, *known))
    closed = Step("review/closed", labels(config), (sampled,))
    return Step("review/labels", ByKey(parts), (closed,))


def _pairs(conversations: Step, sources: Sequence[Step], config: Config, parts: int) -> Step:
    """Pairs of a conversation, and near-duplicates of them, share a split; on request those of a channel or person."""
    made = Step("instruct/made", instruct(config, [underlying(s.operator) for s in sources]), (conversations,))
    rows = Step("instruct/rows", Hashed(), (Step("instruct/by-id", ByKey(parts), (made,)),))
    by = config.split.together
    groups = Step("instruct/groups", Grouped(by), (rows,)) if by != "conversation" else None
    twins = find_duplicates(rows, config.dedupe, parts=parts, prefix="instruct", family="conversation", together=groups)
    split = Step("instruct/split", SplitByCluster(tuple(config.publish.splits.items()), config.split.salt), (twins,))
    selected = Step("instruct/selected", SelectPairs(config.dedupe.threshold), (rows, twins, split))
    return with_own(selected, "pairs", config)


def _looked_at(selected: Step, sources: Sequence[Step], config: Config, parts: int, names: Sequence[Step]) -> Step:
    """People see pairs that would be published; what they make of them is private, told apart and held out as before."""
    if not config.review.pairs.enabled:
        return selected
    sampled = Step("review/pairs-sample", PairSample(config.review.pairs.rows), (selected,))
    closed = Step("review/pairs-closed", pair_labels(config), (sampled,))
    said = Step("review/pairs", ByKey(parts), (closed,))
    edited = reviewed_pairs(config, [underlying(s.operator) for s in sources])
    edits = Step("instruct/reviewed", edited, (selected, said, *names))
    twins = find_duplicates(edits, config.dedupe, parts=parts, prefix="reviewed")  # of edits: the others have none left
    return Step("instruct/different", DropTwins(config.dedupe.threshold), (edits, twins))
