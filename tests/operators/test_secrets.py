"""Secrets in chat sentences: found whole, masked, and nothing around them touched."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.operators.pii_rules import expand
from dataforge.operators.secrets import mask_secrets, secrets_scanner
from dataforge.schemas.verdict import SPAN

TOKEN = expand("ghp_{alnum:36}", 1)


def test_a_secret_is_masked_and_the_sentence_stays() -> None:
    assert mask_secrets(f"use {TOKEN}, ok?") == "use <SECRET>, ok?"


def test_text_without_secrets_is_the_same_object() -> None:
    text = "nothing to hide here"
    assert mask_secrets(text) is text


@pytest.mark.parametrize("end", ["", "|x>", "\n", *",.)\">`']:;!? …。"])
def test_chat_terminators_end_a_token(end: str) -> None:
    assert mask_secrets(f"({TOKEN}{end}") == f"(<SECRET>{end}"


def test_zero_width_characters_inside_do_not_hide_a_token() -> None:
    assert mask_secrets(f"é {TOKEN[:9]}\u200b{TOKEN[9:20]}\ufeff{TOKEN[20:]} é") == "é <SECRET> é"


def test_full_width_forms_do_not_hide_a_token() -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) for c in TOKEN)
    assert mask_secrets(f"日本 {wide}、日本") == "日本 <SECRET>、日本"


def test_spans_are_in_characters_of_the_row() -> None:
    texts = pa.array(["é", f"日本 {TOKEN}.", None, TOKEN])
    found = secrets_scanner().spans(texts)
    assert found.type == pa.list_(SPAN)
    assert [[(s["start"], s["end"], s["kind"], s["rule"]) for s in row] for row in found.to_pylist()] == [
        [],
        [(3, 43, "SECRET", "github-token")],
        [],
        [(0, 40, "SECRET", "github-token")],
    ]


def test_no_rows_give_no_rows() -> None:
    assert secrets_scanner().spans(pa.array([], pa.string())).to_pylist() == []
    assert secrets_scanner().spans(pa.array([""])).to_pylist() == [[]]


def test_a_slice_and_large_strings_are_read_right() -> None:
    texts = pa.array(["x", TOKEN, "y", TOKEN], pa.large_string()).slice(1, 2)
    assert [len(row) for row in secrets_scanner().spans(texts).to_pylist()] == [1, 0]


def test_two_secrets_in_one_text() -> None:
    aws = expand("AKIA{upper:16}", 2)
    assert mask_secrets(f"{aws}:{TOKEN}") == "<SECRET>:<SECRET>"


def test_underscores_around_a_token_do_not_hide_it() -> None:
    aws = expand("AKIA{upper:16}", 2)
    assert mask_secrets(f"key_{aws}_end token_{TOKEN}") == "key_<SECRET>_end token_<SECRET>"


def test_masking_twice_changes_nothing() -> None:
    once = mask_secrets(f"password={TOKEN} and url https://a:b1c2d3@example.com/x")
    assert mask_secrets(once) == once


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4), st.sampled_from(["", "\u200b", "é", "日"]))
def test_a_token_is_found_wherever_it_stands(around: list[str], glue: str) -> None:
    around = [part.encode("utf-8", "replace").decode() for part in around]
    text = f"{around[0]} {glue} {TOKEN} {around[-1]}"
    assert TOKEN not in mask_secrets(text)
    [row] = secrets_scanner().spans(pa.array([text])).to_pylist()
    assert any(text[s["start"] : s["end"]] == TOKEN for s in row)
