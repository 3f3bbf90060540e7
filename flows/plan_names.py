"""Parameters of operators as the keys of a config that set them: `rules.rules.0.min_words.value` of Judge is
`quality.min_words`. What no key sets keeps its own name.
"""

from __future__ import annotations

import re

# Operator → (pattern of a parameter, config key); of a source the key stands behind its name.
_KEYS: dict[str, tuple[tuple[str, str], ...]] = {
    "Judge": (
        (r"rules\.rules\.\d+\.(\w+)(?:\.value)?", r"quality.\1"),
        (r"rules\b.*", "quality.preset"),
        (r"language\.(\w+)", r"language.\1"),
        (r"limits\b.*", "quality.lists or quality.models"),
    ),
    "Own": (
        (r"sha256", "the code of own.use"),
        (r"parameters\.(\w+)", r"own.with.\1"),
        (r"parameters", "own.with"),
        (r"on_error", "own.on_error"),
        (r"changes.*", "own.at"),
        (r"name", "own.use"),
    ),
    "Clean": ((r"text\.(\w+)", r"clean.\1"), (r"(\w+)", r"clean.\1")),
    "Language": ((r"models", "language.models"),),
    "MailNames": ((r"key_fingerprint", "pii.key"),),
    "FindPii": ((r"(kinds|ner|private_addresses)", r"pii.\1"),),
    "Select": ((r"near", "dedupe.threshold"), (r"treatment\.key_fingerprint", "pii.key"), (r"treatment\.(\w+)", r"pii.\1")),
    "Mask": ((r"treatment\.key_fingerprint", "pii.key"), (r"treatment\.(\w+)", r"pii.\1")),
    "SelectPairs": ((r"near", "dedupe.threshold"),),
    "Verify": ((r"threshold", "dedupe.threshold"), (r"spec\.shingle", "dedupe.shingle"), (r"spec\.n", "dedupe.n")),
    "Bands": ((r"bands|rows", "dedupe.bands"), (r"spec\.shingle", "dedupe.shingle"), (r"spec\.n", "dedupe.n")),
    "Carry": ((r"spec\.shingle", "dedupe.shingle"), (r"spec\.n", "dedupe.n"), (r"spec\.k", "dedupe.bands")),
    "Members": ((r"sources", "the order of sources"), (r"(keep|protected)", r"dedupe.\1"), (r"score", "quality.model")),
    "Keep": ((r"protected", "dedupe.protected"),),
    "InIndex": ((r"threshold", "dedupe.threshold"), (r"digest", "the index"), (r"origin", "the input")),
    "WithEarlier": ((r"threshold", "dedupe.threshold"),),
    "TextUnits": ((r"unit", "dedupe.exact"), (r"shortest", "dedupe.unit_characters")),
    "Repeats": ((r"copies", "dedupe.unit_copies"),),
    "WithoutRepeats": ((r"(max_removed|protected)", r"dedupe.\1"),),
    "Anchors": ((r"words", "dedupe.substring"),),
    "Windows": ((r"words", "dedupe.substring"),),
    "SplitByCluster": ((r"shares", "publish.splits"), (r"salt", "split.salt")),
    "HeldOut": ((r"words", "split.words"),),
    "Contained": ((r"words", "split.words"),),
    "TagActs": ((r"digest", "acts.model"),),
    "Instruct": ((r"(\w+)", r"instruct.\1"),),
    "TrainTokenizer": ((r"(kind|vocab_size|min_frequency|pattern|special_tokens|sample_bytes)", r"tokenizer.\1"),),
    "Pack": ((r"sequence_length", "pack.sequence_length"), (r"tables\.\d+\.(\w+)", r"pack.\1")),
    "Sample": ((r"size", "review.size"),),
    "Labels": ((r"(title|need|allow_multi)", r"review.\1"),),
    "Conversations": ((r"(\w+)", r"conversations.\1"),),
    "ByKey": ((r"parts", "ingest.parts"),),
}


def config_key(operator: str, parameter: str) -> str:
    """The key of the config that sets a parameter, or the parameter's own name."""
    for pattern, key in _KEYS.get(operator, ()):
        if re.fullmatch(pattern, parameter):
            return re.sub(f"^(?:{pattern})$", key, parameter)
    return parameter
