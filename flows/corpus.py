"""Raw documents → cleaned, judged, deduplicated, masked documents. Scores are made once; one late Select applies them."""

from __future__ import annotations

from collections.abc import Sequence

from dataforge.flows.config import Config
from dataforge.flows.duplicates import find_duplicates
from dataforge.flows.parameters import clean, language_rule, pii, quality_rules, treatment
from dataforge.operators.ingest import ByKey
from dataforge.operators.language import Language
from dataforge.operators.quality import Quality
from dataforge.operators.select import Judge, Select
from dataforge.operators.split import SplitByCluster
from dataforge.step import Step


def clean_corpus(sources: Sequence[Step], config: Config, parts: int) -> Step:
    """SELECTED rows of all document sources."""
    raw = Step("corpus/ingested", ByKey(parts), tuple(sources))
    documents = Step("corpus/documents", clean(config), (raw,))
    quality = Step("corpus/quality", Quality(), (documents,))
    language = Step("corpus/language", Language(), (documents,))
    personal = Step("corpus/pii", pii(config), (documents,))
    verdicts = Step("corpus/verdicts", Judge(quality_rules(config), language_rule(config)), (quality, language))
    names = tuple(source.name for source in config.sources)
    twins = find_duplicates(documents, config.dedupe, parts=parts, prefix="corpus", verdicts=verdicts, sources=names)
    split = Step("corpus/split", SplitByCluster(tuple(config.publish.splits.items()), config.split.salt), (twins,))
    inputs = (documents, verdicts, twins, personal, split, language)
    return Step("corpus/selected", Select(treatment(config)), inputs)
