"""Runs in the peers' environment: datatrove TEXTS.jsonl ANSWER.json.

The answer: {"version", "mb_s", "reasons": {preset: […]}, "words": […]}.
"""

import json
import sys
import time
from importlib.metadata import version

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import split_into_words


def reason(kind, text):
    try:
        verdict = kind.filter(Document(text=text, id=""))
    except ZeroDivisionError:
        return "empty"
    return None if verdict is True or verdict[0] else verdict[1]


def main():
    _, given, answer = sys.argv[1:]
    with open(given, encoding="utf8") as file:
        texts = [json.loads(line) for line in file]
    filters = {
        "gopher_quality": GopherQualityFilter(),
        "gopher_repetition": GopherRepetitionFilter(),
        "c4": C4QualityFilter(),
        "fineweb": FineWebQualityFilter(),
    }
    for kind in filters.values():
        reason(kind, "A text to warm up with.")
    start = time.process_time()
    reasons = {name: [reason(kind, text) for text in texts] for name, kind in filters.items()}
    took = time.process_time() - start
    size = sum(len(text.encode()) for text in texts)
    words = [len(split_into_words(text, "eng")) for text in texts]
    with open(answer, "w") as file:
        json.dump({"version": version("datatrove"), "mb_s": size / took / 1e6, "reasons": reasons, "words": words}, file)


main()
