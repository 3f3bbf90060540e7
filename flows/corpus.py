"""Raw documents → cleaned, judged, deduplicated, masked documents. Scores are made once; one late Select applies them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataforge.flows.config import Config
from dataforge.flows.duplicates import find_duplicates
from dataforge.flows.index import against_earlier
from dataforge.flows.leaks import held_out_apart
from dataforge.flows.own import with_own
from dataforge.flows.parameters import clean, judge, mail_names, pii, score_operators, treatment
from dataforge.flows.repeats import without_repeats
from dataforge.flows.sources import location
from dataforge.operators.decontaminate import Decontaminate, Ngrams
from dataforge.operators.files_jsonl import JsonlFiles
from dataforge.operators.ingest import ByKey
from dataforge.operators.language import Language
from dataforge.operators.quality import Quality
from dataforge.operators.select import DropContaminated, Select
from dataforge.operators.split import SplitByCluster
from dataforge.step import Step


def clean_corpus(sources: Sequence[Step], config: Config, parts: int, device: str) -> Step:
    """SELECTED rows of all document sources."""
    raw = Step("corpus/ingested", ByKey(parts), tuple(sources))
    documents = without_repeats(raw, clean(config), config.dedupe, parts=parts, prefix="corpus")
    documents = with_own(documents, "after_clean", config)
    quality = Step("corpus/quality", Quality(device), (documents,))
    language = Step("corpus/language", Language(models=config.language.models), (documents,))
    names = mail_names(config)
    known = (Step("corpus/mail-names", names, (documents,)),) if names else ()
    personal = Step("corpus/pii", pii(config), (documents, *known))
    scores = _scores(documents, language, config)
    verdicts = Step("corpus/verdicts", judge(config), (quality, language, *scores))
    if config.dedupe.index is not None:
        verdicts = against_earlier(documents, verdicts, sources, config)
    order = tuple(source.name for source in config.sources)
    models = next((step for step in scores if step.name == "corpus/models" and config.quality.model), None)
    scored = models if "best_score" in config.dedupe.keep else None
    judged: dict[str, Any] = {"verdicts": verdicts, "scores": scored, "sources": order, "device": device}
    twins = find_duplicates(documents, config.dedupe, parts=parts, prefix="corpus", **judged)
    split = Step("corpus/split", SplitByCluster(tuple(config.publish.splits.items()), config.split.salt), (twins,))
    inputs = (documents, verdicts, twins, personal, split, language)
    selected = Step("corpus/selected", Select(treatment(config), config.dedupe.threshold), inputs)
    return _decontaminated(with_own(selected, "after_select", config), config, parts)


def _scores(documents: Step, language: Step, config: Config) -> list[Step]:
    """Tables of the user's word lists and models, where there are any."""
    operators = score_operators(config)
    inputs = {"corpus/lists": (documents, language), "corpus/models": (documents,)}
    return [Step(name, operator, inputs[name]) for name, operator in operators.items()]


def _decontaminated(selected: Step, config: Config, parts: int) -> Step:
    """Without rows that share n-grams with evaluation files or the dataset's own held-out rows, where that is asked."""
    split = config.split
    if split.decontaminate is not None:
        files = JsonlFiles(name="evaluation", path=location(split.decontaminate, config))
        known = Step("decontaminate/evaluation", Ngrams(split.words), (Step("decontaminate/read", files),))
        marks = Step("corpus/contamination", Decontaminate(split.fewest), (selected, known))
        selected = Step("corpus/decontaminated", DropContaminated(split.fewest), (selected, marks))
    if split.own_splits == "any":
        known = Step("decontaminate/held-out", Ngrams(split.words, ("validation", "test")), (selected,))
        marks = Step("corpus/leaks", Decontaminate(split.fewest, by_split=True), (selected, selected, known))
        selected = Step("corpus/without-leaks", DropContaminated(split.fewest), (selected, marks))
    return held_out_apart(selected, config, parts=parts, prefix="corpus")
