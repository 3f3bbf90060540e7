"""A user's word lists: whole words in any case, phrases across signs, characters in scripts without blanks."""

from pathlib import Path

import pyarrow as pa
import pytest

from dataforge.errors import ConfigError, InputError, VerifyError
from dataforge.operators.word_lists import Counter, ListFile, WordLists, entries


def per_1000(words, *texts):
    return Counter(frozenset(words)).per_1000(pa.array(texts)).tolist()


@pytest.mark.parametrize(
    ("words", "text", "hits", "among"),
    [
        (["damn"], "Damn! DAMN it, damned damn.", 3, 5),
        (["shut up"], "Shut up. shut-up, shut the door, up", 2, 8),
        (["a", "a b"], "a b a", 3, 3),  # two entries begin at the first word
        (["über"], "ÜBER über uber", 2, 3),
        (["馬 鹿"], "お前は馬鹿だ。馬 鹿", 2, 8),
        (["don t"], "Don't, don’t", 2, 4),
        (["x"], "", 0, 1),
    ],
)
def test_whole_words_are_counted(words, text, hits, among):
    assert per_1000(words, text) == [1000 * hits / among]


def test_a_row_does_not_depend_on_its_neighbours():
    assert per_1000(["a b"], "x a", "b y", None, "a b") == [0.0, 0.0, 0.0, 500.0]


def test_a_list_is_a_file_of_lines_with_comments(tmp_path: Path):
    raw = "\ufeffShut-Up  # rude\n\n# nothing\nDAMN\n馬鹿\nU\u0308ber\n".encode()
    assert entries(raw, tmp_path) == {"shut up", "damn", "馬 鹿", "über"}


def test_lists_of_a_language_count_in_its_texts_alone(tmp_path: Path):
    for name, text in {"en": "damn", "de": "mist", "all": "xyzzy"}.items():
        (tmp_path / name).write_text(text)
    codes = {"en": "eng", "de": "deu", "all": "all"}
    operator = WordLists(tuple(ListFile.of("rude", code, tmp_path / name) for name, code in codes.items()))
    texts = ["damn mist xyzzy", "damn mist xyzzy", "damn mist"]
    documents = pa.RecordBatch.from_pydict({"id": ["1", "2", "3"], "text": texts})
    languages = pa.RecordBatch.from_pydict({"id": ["1", "2", "3"], "language": ["eng", "fra", "und"]})
    kept = operator.start(())(documents, languages).kept
    assert kept.schema == operator.gives(())
    assert kept.column("list_rude").to_pylist() == [pytest.approx(2000 / 3), pytest.approx(1000 / 3), 0.0]


def test_what_is_wrong_with_a_list_is_said_before_any_work(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        ListFile.of("a", "all", tmp_path / "none")
    (tmp_path / "empty").write_text("# only this\n")
    with pytest.raises(ConfigError, match="no words"):
        ListFile.of("a", "all", tmp_path / "empty")
    (tmp_path / "latin").write_bytes(b"ok\n\xe4\n")
    with pytest.raises(InputError, match="not UTF-8") as caught:
        ListFile.of("a", "all", tmp_path / "latin")
    assert "line=2" in caught.value.line()


def test_a_list_that_changes_under_way_is_refused(tmp_path: Path):
    (tmp_path / "a").write_text("one")
    operator = WordLists((ListFile.of("a", "all", tmp_path / "a"),))
    (tmp_path / "a").write_text("two")
    with pytest.raises(VerifyError, match="changed"):
        operator.start(())
