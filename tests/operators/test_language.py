"""Language identification: codes, what is taken off first, agreement on short text, equal results in any batch."""

import importlib.util

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError, MissingExtraError
from dataforge.operators import language
from dataforge.operators.language import LANGUAGE, Language, iso639_3, language_text, languages, script_of

ENGLISH = "The ships lay quiet in the harbour while the crew waited for the morning tide to come in."
GERMAN = "Die Schiffe lagen still im Hafen, während die Mannschaft auf die Flut am Morgen wartete."
JAPANESE = "船は静かに港に停泊していて、乗組員は朝の潮が満ちるのを待っていました。"
RUSSIAN = "Корабли тихо стояли в гавани, пока команда ждала утреннего прилива у берега."


def judge(*texts: str, **settings_) -> list[tuple[str, float]]:
    batch = pa.record_batch({"id": [f"{i:032x}" for i in range(len(texts))], "text": pa.array(texts, pa.string())})
    rows = Language(**settings_).start([])(batch).kept
    assert rows.schema == LANGUAGE and rows.column("id").equals(batch.column("id"))
    return list(zip(rows.column("language").to_pylist(), rows.column("language_score").to_pylist(), strict=True))


def test_languages_are_named_by_iso_639_3():
    found = judge(ENGLISH, GERMAN, JAPANESE, RUSSIAN, ENGLISH.upper())
    assert [name for name, _ in found] == ["eng", "deu", "jpn", "rus", "eng"]
    assert all(score > 0.65 for _, score in found)


def test_code_links_and_mentions_do_not_count():
    noise = "```\nfor line in the_file: print(line)\n``` https://example.org/the/english/path @the_user `the code` "
    assert judge(noise * 3 + GERMAN)[0][0] == "deu"
    assert language_text(pa.array([noise])).to_pylist() == [""]
    assert language_text(pa.array(["Hello\nWORLD 42 :smile: a@b.org <@U123>", "ALL CAPS"])).to_pylist() == [
        "Hello WORLD",
        "all caps",
    ]


def test_too_little_text_has_no_language():
    assert (
        judge("", "ok", "12345 67890 12345", "```code only, but long enough to have been judged```")
        == [("und", 0.0)] * 4
    )


def test_short_text_needs_agreement():
    (name, score), *_ = judge("Vielen Dank für die schnelle Antwort")
    assert (name, score > 0.5) == ("deu", True)
    assert judge("xkcd qwrt plmk zxvb")[0] == ("und", 0.0)
    assert judge(GERMAN[:30], agreed_score=1.0)[0] == ("und", 0.0)


def test_japanese_is_known_by_its_kana():
    assert judge("右击向左箭头向上箭头向上翻页退格键")[0][0] in ("zho", "und")
    assert judge("右クリックで戻る矢印を選択します")[0][0] == "jpn"


class Second:
    """Stands for the other model."""

    def __init__(self, label: str, score: float) -> None:
        self.answer = label, score

    def __call__(self, text: str) -> tuple[str, float]:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "found"),
    [(("de", 0.2), ("deu", 0.6)), (("nl", 0.99), ("und", 0.0)), (("nb", 0.99), ("und", 0.0))],
)
def test_two_models_must_agree_on_short_text(answer, found):
    operator, short = Language(), "Vielen Dank für die schnelle Antwort"
    name, score = operator._language(language._model(), Second(*answer), short)
    assert name == found[0] and (score >= found[1] if found[1] else score == 0)
    assert operator._language(language._model(), Second("xx", 1.0), GERMAN)[0] == "deu", "long texts ask one model"


def test_the_second_model_is_sure_where_the_first_is_not():
    pytest.importorskip("py3langid", reason="pip install dataforge[language]")
    both = ("lid176", "langid")
    assert judge("Edit the points", models=both)[0][0] in ("eng", "und")
    found = judge("Vielen Dank für die Antwort", "Thanks for the answer, see you", "xkcd qwrt plmk", models=both)
    assert [name for name, _ in found] == ["deu", "eng", "und"]


def test_models_are_named_right_and_installed():
    with pytest.raises(ConfigError, match="lid176, langid"):
        Language(models=("langid",))
    if importlib.util.find_spec("py3langid") is None:
        with pytest.raises(MissingExtraError, match="py3langid"):
            Language(models=("lid176", "langid"))


def test_a_long_text_is_judged_by_beginning_middle_and_end():
    page = f"{GERMAN}\n" * 200
    assert judge(page)[0][0] == "deu"
    assert judge(ENGLISH + "\n" + page, sample_chars=900)[0][0] == "deu"


@settings(max_examples=10)
@given(st.lists(st.sampled_from([ENGLISH, GERMAN, JAPANESE, "hi", ENGLISH * 60]), min_size=1, max_size=6))
def test_the_verdict_is_that_of_the_text_alone(texts):
    assert judge(*texts) == [judge(text)[0] for text in texts]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("abc", "Latn"),
        ("漢字かな", "Jpan"),
        ("漢字", "Hani"),
        ("한글", "Hang"),
        ("где", "Cyrl"),
        ("42", ""),
        ("ｱｲｳ", "Jpan"),
    ],
)
def test_scripts(text, script):
    assert script_of(text) == script


def test_the_table_of_codes():
    assert len(languages()) == 176
    assert all(len(language.code) == 3 and language.scripts for language in languages().values())
    assert [iso639_3(name) for name in ("en", "eng", "ZH", "und")] == ["eng", "eng", "zho", "und"]


def test_settings_are_checked():
    with pytest.raises(ConfigError):
        iso639_3("klingon")
    with pytest.raises(ConfigError):
        Language(fewest=0)
