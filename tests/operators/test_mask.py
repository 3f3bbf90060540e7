"""Masking and pseudonyms: spans go, the rest of the text stays byte for byte."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.errors import ConfigError
from dataforge.operators.mask import apply_spans
from dataforge.operators.pseudonym import pseudonym
from dataforge.schemas.verdict import SPAN

KEY, OTHER_KEY = b"0123456789abcdef", b"fedcba9876543210"


def spans_of(*rows: list[tuple[int, int, str]]) -> pa.Array:
    full = [[{"start": a, "end": b, "kind": k, "rule": "r", "score": 0.9} for a, b, k in row] for row in rows]
    return pa.array(full, pa.list_(SPAN))


def test_a_masked_span_reads_as_its_kind() -> None:
    texts = pa.array(["mail a@b.org now", "nothing", "x"])
    masked = apply_spans(texts, spans_of([(5, 12, "EMAIL_ADDRESS")], [], [(0, 1, "SECRET")]), "mask")
    assert masked.texts.to_pylist() == ["mail <EMAIL_ADDRESS> now", "nothing", "<SECRET>"]
    assert masked.counts == {"EMAIL_ADDRESS": 1, "SECRET": 1}
    assert not masked.drop.any()


def test_positions_are_characters_not_bytes() -> None:
    texts = pa.array(["é日🎉 a@b.org 🎉", "日本"])
    masked = apply_spans(texts, spans_of([(4, 11, "EMAIL_ADDRESS")], [(1, 2, "PERSON")]), "mask")
    assert masked.texts.to_pylist() == ["é日🎉 <EMAIL_ADDRESS> 🎉", "日<PERSON>"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_type_nulls_and_slices_are_kept(kind: pa.DataType) -> None:
    texts = pa.array(["zz", "ab", None, "cd"], kind).slice(1)
    spans = spans_of([(0, 1, "URL")], [(0, 1, "PERSON")], [], [(1, 2, "PERSON")]).slice(1)
    masked = apply_spans(texts, spans, "mask")
    assert masked.texts.type == kind
    assert masked.texts.to_pylist() == ["<PERSON>b", None, "c<PERSON>"]
    assert masked.counts == {"PERSON": 2}


def test_rows_without_a_spans_value_stay() -> None:
    spans = pa.array([None, [{"start": 0, "end": 1, "kind": "URL", "rule": "r", "score": 1.0}]], pa.list_(SPAN))
    assert apply_spans(pa.array(["ab", "cd"]), spans, "mask").texts.to_pylist() == ["ab", "<URL>d"]


def test_overlapping_spans_are_masked_as_one() -> None:
    spans = spans_of([(0, 4, "URL"), (2, 6, "SECRET"), (6, 7, "PERSON")])
    assert apply_spans(pa.array(["abcdefgh"]), spans, "mask").texts.to_pylist() == ["<URL><PERSON>h"]


def test_drop_names_the_rows_and_masks_the_others() -> None:
    spans = spans_of([(0, 1, "URL"), (1, 2, "URL")], [(0, 1, "URL")], [])
    masked = apply_spans(pa.array(["abc", "abc", "abc"]), spans, "drop", drop_above=1)
    assert masked.drop.tolist() == [True, False, False]
    assert masked.texts.to_pylist()[1:] == ["<URL>bc", "abc"]
    assert apply_spans(pa.array(["abc", "abc", "abc"]), spans, "drop").drop.tolist() == [True, True, False]


def test_an_unknown_action_and_a_short_key_are_errors() -> None:
    with pytest.raises(ConfigError, match="action"):
        apply_spans(pa.array(["a"]), spans_of([]), "hide")
    with pytest.raises(ConfigError, match="16 bytes"):
        apply_spans(pa.array(["a"]), spans_of([]), "pseudonym", b"short")


words = st.lists(st.tuples(st.text("ab é日🎉", max_size=5), st.booleans()), max_size=6)


@given(st.lists(words, max_size=5))
def test_masking_equals_its_definition(rows: list[list[tuple[str, bool]]]) -> None:
    texts, spans, expected = [], [], []
    for row in rows:
        text, found, masked = "", [], ""
        for word, hit in row:
            if hit and word:
                found.append((len(text), len(text) + len(word), "PERSON"))
            masked += "<PERSON>" if hit and word else word
            text += word
        texts.append(text), spans.append(found), expected.append(masked)
    result = apply_spans(pa.array(texts, pa.string()), spans_of(*spans), "mask")
    assert result.texts.to_pylist() == expected
    assert sum(result.counts.values()) == sum(map(len, spans))


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        ("PERSON", "Anna Berg", "Gulepe Nibimi"),
        ("EMAIL_ADDRESS", "a@b.org", "guzigi@tegumi.example"),
        ("IBAN_CODE", "DE89370400440532013000", "<IBAN_CODE_31e93b38bf>"),
    ],
)
def test_a_pseudonym_depends_on_value_and_key_only(kind: str, value: str, made: str) -> None:
    """Not on the process, the machine or the release: who keeps the key gets the same names again."""
    assert pseudonym(kind, value, KEY) == made
    assert pseudonym(kind, value, OTHER_KEY) != made


def test_the_same_person_keeps_one_name() -> None:
    full, first = pseudonym("PERSON", "Anna Berg", KEY), pseudonym("PERSON", "anna", KEY)
    assert full.split()[0] == first and len(full.split()) == 2


def test_an_email_stays_an_email_and_capitals_do_not_matter() -> None:
    made = pseudonym("EMAIL_ADDRESS", "anna.berg+x@Example.com", KEY)
    assert re.fullmatch(r"[a-z]{6}\.[a-z]{6}\+[a-z]{6}@[a-z]{6}\.example", made)
    assert made == pseudonym("EMAIL_ADDRESS", "ANNA.Berg+X@example.COM", KEY)
    domain = made.rpartition("@")[2]
    assert pseudonym("EMAIL_ADDRESS", "otto@example.com", KEY).endswith(f"@{domain}")


def test_a_spelled_out_email_is_the_same_person() -> None:
    plain = pseudonym("EMAIL_ADDRESS", "anna@example.com", KEY)
    for spelled in (
        "anna (at) example (dot) com",
        "anna[at]example.com",
        "anna at example dot com",
        "anna%40example.com",
    ):
        assert pseudonym("EMAIL_ADDRESS", spelled, KEY) == plain


@pytest.mark.parametrize("number", ["+46 (0)8 928 571 38", "(415) 555-0132", "0494 92 82 32", "+1-604-696-5272x565"])
def test_a_telephone_number_keeps_its_form(number: str) -> None:
    made = pseudonym("PHONE_NUMBER", number, KEY)
    assert re.sub(r"\d", "9", made) == re.sub(r"\d", "9", number)
    assert made != number


def test_one_telephone_number_in_two_forms_gets_the_same_digits() -> None:
    one, two = (pseudonym("PHONE_NUMBER", n, KEY) for n in ("+1 415 555 0132", "(415) 555-0132"))
    assert re.sub(r"\D", "", one)[-9:] == re.sub(r"\D", "", two)[-9:]


def test_addresses_become_private_ones() -> None:
    assert pseudonym("IP_ADDRESS", "8.8.4.40", KEY).startswith("10.")
    assert pseudonym("IP_ADDRESS", "2001:db8::1", KEY).startswith("fd")
    assert re.fullmatch(r"02(-[0-9a-f]{2}){5}", pseudonym("MAC_ADDRESS", "00-1B-44-11-3A-B7", KEY))


def test_other_kinds_get_a_tag_and_secrets_none() -> None:
    assert re.fullmatch(r"<CREDIT_CARD_[0-9a-f]{10}>", pseudonym("CREDIT_CARD", "4111 1111 1111 1111", KEY))
    assert pseudonym("CREDIT_CARD", "4111111111111111", KEY) == pseudonym("CREDIT_CARD", "4111-1111-1111-1111", KEY)
    assert pseudonym("SECRET", "hunter2", KEY) == "<SECRET>"


def test_pseudonyms_are_put_into_the_text() -> None:
    masked = apply_spans(pa.array(["hi Anna, é"]), spans_of([(3, 7, "PERSON")]), "pseudonym", KEY)
    name = pseudonym("PERSON", "Anna", KEY)
    assert masked.texts.to_pylist() == [f"hi {name}, é"]


def test_a_national_number_is_the_same_however_it_is_written() -> None:
    made = pseudonym("NATIONAL_ID", "529.982.247-25", KEY)
    assert made == pseudonym("NATIONAL_ID", "52998224725", KEY) != pseudonym("NATIONAL_ID", "52998224726", KEY)
