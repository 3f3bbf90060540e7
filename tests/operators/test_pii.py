"""FindPii: what it finds, what it leaves alone, and that nothing but the text decides."""

import dataclasses
import json
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.errors import ConfigError, InputError
from dataforge.identity import digest_of
from dataforge.operators.pii import STRUCTURED, FindPii
from dataforge.operators.pii_names import NAME_KINDS, hashed_names, read_names_key
from dataforge.operators.pii_rules import KINDS, RULE_FILES, Rule, load_rules
from dataforge.operators.pii_scan import merge_spans, without_overlaps
from dataforge.operators.secrets import secrets_scanner
from dataforge.schemas.verdict import SPAN, SPANS
from tests.hostile_texts import NAMES, hostile
from tests.pii_texts import ASSIGNED, PREFIXED, harmless, labelled, secrets

FIND = FindPii().scanner()
EVERY = FindPii(kinds=tuple(kind for kind in KINDS if kind not in NAME_KINDS)).scanner()


def found(text: str, finder: FindPii | None = None) -> list[tuple[str, str]]:
    scanner = finder.scanner() if finder else FIND
    [spans] = scanner.spans(pa.array([text])).to_pylist()
    return [(s["kind"], text[s["start"] : s["end"]]) for s in spans]


def test_it_gives_a_row_of_spans_per_row_of_text() -> None:
    batch = pa.record_batch({"id": ["a", "b"], "text": ["é mail a@b.org", "nothing"]})
    operator = FindPii()
    assert operator.gives([batch.schema]) == SPANS and operator.needs() == (("id", "text"),)
    kept = operator.start([])(batch).kept
    assert kept.schema == SPANS
    assert kept.column("id").to_pylist() == ["a", "b"]
    [first, second] = kept.column("spans").to_pylist()
    assert [(s["start"], s["end"], s["kind"], s["rule"]) for s in first] == [(7, 14, "EMAIL_ADDRESS", "email")]
    assert second == []


@pytest.mark.parametrize("seed", range(3))
def test_every_structured_kind_is_found_whole_in_chat(seed: int) -> None:
    rows = list(labelled(350, seed))
    spans = FIND.spans(pa.array([row["text"] for row in rows])).to_pylist()
    missed = [
        (gold["label"], row["text"])
        for row, have in zip(rows, spans, strict=True)
        for gold in row["spans"]
        if (gold["label"], gold["start"], gold["end"]) not in {(s["kind"], s["start"], s["end"]) for s in have}
    ]
    assert missed == []


@pytest.mark.parametrize("forms", [PREFIXED, ASSIGNED], ids=["prefixed", "assigned"])
def test_secrets_are_covered_in_chat(forms: dict[str, tuple[str, ...]]) -> None:
    rows = list(secrets(forms, 20, seed=11))
    texts = pa.array([text for _, text, _ in rows])
    for spans in (secrets_scanner().spans(texts).to_pylist(), FIND.spans(texts).to_pylist()):
        for (kind, text, value), have in zip(rows, spans, strict=True):
            at = text.index(value)
            covering = [s for s in have if s["start"] <= at and s["end"] >= at + len(value) and s["kind"] == "SECRET"]
            assert covering, (kind, text)


def test_ids_versions_hashes_and_timestamps_are_left_alone() -> None:
    texts = list(harmless(1500, seed=5))
    spans = FIND.spans(pa.array(texts)).to_pylist()
    assert [(text, s["rule"]) for text, have in zip(texts, spans, strict=True) for s in have] == []


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("４１１１ １１１１ １１１１ １１１１", "CREDIT_CARD", "４１１１ １１１１ １１１１ １１１１"),
        ("card 4111\u00a01111\u00a01111\u00a01111", "CREDIT_CARD", "4111\u00a01111\u00a01111\u00a01111"),
        ("call +44\u201120\u20117946\u20110958", "PHONE_NUMBER", "+44\u201120\u20117946\u20110958"),
        ("mail an\u200bna@ex\u00adample.com", "EMAIL_ADDRESS", "an\u200bna@ex\u00adample.com"),
        ("phone ٠٤١٢٣٤٥٦٧٨", "PHONE_NUMBER", "٠٤١٢٣٤٥٦٧٨"),
        ("anna＠example．com", "EMAIL_ADDRESS", "anna＠example．com"),
        ("<mailto:a@b.org|a@b.org>", "EMAIL_ADDRESS", "a@b.org"),
    ],
)
def test_disguises_do_not_help(text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(text)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("annatxt@example.com.txt", "EMAIL_ADDRESS", "annatxt@example.com"),
        ("file-anna@example.com.pdf", "EMAIL_ADDRESS", "file-anna@example.com"),
        ("anna@example.com_backup", "EMAIL_ADDRESS", "anna@example.com"),
        ("anna@example.com2024", "EMAIL_ADDRESS", "anna@example.com"),
        ('"anna berg"@example.com', "EMAIL_ADDRESS", '"anna berg"@example.com'),
        ("card_4111111111111111", "CREDIT_CARD", "4111111111111111"),
        ("id=4111111111111111;", "CREDIT_CARD", "4111111111111111"),
        ("Anna_Berg_4111111111111111.txt", "CREDIT_CARD", "4111111111111111"),
        ("tel_+14155552671_x", "PHONE_NUMBER", "+14155552671"),
    ],
)
def test_what_stands_right_beside_it_hides_nothing(text: str, kind: str, value: str) -> None:
    assert found(text) == [(kind, value)]


def test_a_longer_word_is_no_place_for_an_address_or_a_card() -> None:
    for text in ("root@web.node1", "icon@2x.de.png", "x4111111111111111_y", "10203040506_4111111111111111_n.jpg"):
        assert found(text) == []


def test_the_longest_span_wins_then_the_kind_that_comes_first() -> None:
    a, b = (0, 5, "PHONE_NUMBER", "p", 0.9), (0, 5, "CREDIT_CARD", "c", 0.6)
    c, d = (3, 9, "URL", "u", 0.5), (9, 12, "URL", "u", 0.5)
    assert without_overlaps([a, b]) == [b]
    assert without_overlaps([a, c, d, b]) == [c, d]


@pytest.mark.parametrize("phone", ["+1 415 555 2671", "415-555-2671", "(415) 555-2671", "+44 20 7946 0958", "+49 30 901820"])
@pytest.mark.parametrize("card", ["4111 1111 1111 1111", "4111111111111111", "5500-0000-0000-0004", "3782 822463 10005"])
def test_a_telephone_number_beside_a_card_hides_neither(phone: str, card: str) -> None:
    both = [("PHONE_NUMBER", phone), ("CREDIT_CARD", card)]
    assert found(f"{phone} {card}") == both
    assert found(f"{card} {phone}") == both[::-1]


def test_context_raises_and_lowers() -> None:
    assert found("4155550132") == []
    assert found("phone 4155550132") == [("PHONE_NUMBER", "4155550132")]
    assert found("phone order 4155550132") == []


def test_context_does_not_reach_over_rows() -> None:
    assert FIND.spans(pa.array(["my phone is", "4155550132"])).to_pylist() == [[], []]
    assert [len(row) for row in FIND.spans(pa.array(["12", "434 14 557", "9"])).to_pylist()] == [0, 1, 0]


def test_private_addresses_are_found_when_asked_for() -> None:
    assert found("from 10.1.2.99 and fe80::1:2:3") == []
    asked = FindPii(private_addresses=True)
    assert found("from 10.1.2.99 and fe80::1:2:3", asked) == [
        ("IP_ADDRESS", "10.1.2.99"),
        ("IP_ADDRESS", "fe80::1:2:3"),
    ]


def test_only_the_kinds_named_are_found() -> None:
    text = "a@b.org, 541-714-1388, born on 12 May 1984, 12 Baker Street"
    assert found(text, FindPii(kinds=("PHONE_NUMBER",))) == [("PHONE_NUMBER", "541-714-1388")]
    assert {kind for kind, _ in found(text)} == {"EMAIL_ADDRESS", "PHONE_NUMBER"}
    assert {kind for kind, _ in found(text, FindPii(kinds=KINDS))} >= {"DATE_OF_BIRTH", "STREET_ADDRESS"}


@pytest.mark.parametrize("rule", load_rules("national"), ids=lambda rule: rule.name)
def test_a_national_number_is_found_among_all_rules(rule: Rule) -> None:
    """By this rule or another of its kind, and never as something else: rules share patterns and triggers."""
    for example in rule.finds:
        wanted = [(rule.kind, part.split("»")[0]) for part in example.split("«")[1:]]
        assert found(example.replace("«", "").replace("»", "")) == wanted, example


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("BSN 123456782 12-03-1985", "123456782"),  # the run of digits goes on
        ("PESEL: 44051401359, tel. none", "44051401359"),
        ("Steuer-ID (86095742719)", "86095742719"),
        ("my NHS number: 943 476 5919", "943 476 5919"),
    ],
)
def test_a_number_near_its_word_is_cut_out_of_its_run(text: str, value: str) -> None:
    assert found(text) == [("NATIONAL_ID", value)]


def test_digits_alone_are_no_national_number() -> None:
    assert found("orders 123456782, 44051401359, 86095742719, 9434765919 and 999941057058") == []


@pytest.mark.parametrize(
    "text", ["doc 2001:db8::1", "10:20:30:11:21:31", "we met at noon dot com", "lotto 05 12 23 34 41 49"]
)
def test_what_only_looks_like_personal_data_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown kind"):
        FindPii(kinds=("EMAIL",))


@pytest.mark.parametrize("ner", ["spacy", "flair:x", "presidio:"])
def test_a_model_that_is_not_named_right_is_an_error(ner: str) -> None:
    with pytest.raises(ConfigError, match="spacy:MODEL"):
        FindPii(ner=ner).start([])


def test_known_names_are_found_as_whole_words(tmp_path: Path) -> None:
    names = tmp_path / "names.jsonl"
    lines = [
        {"name": "Anna"},
        {"name": "Anna Berg"},
        {"name": "Åsa"},
        {"name": "Acme", "kind": "ORGANIZATION"},
        {"name": "will"},
    ]
    names.write_text("\n".join(json.dumps(line) for line in lines), "utf-8")
    text = "Anna Berg, Anna and Åsa will join Acme; Annabel, Hannah, anna stay"
    batch = pa.record_batch({"id": ["x"], "text": [text]})
    [spans] = FindPii().start([names])(batch).kept.column("spans").to_pylist()
    assert [(s["kind"], text[s["start"] : s["end"]]) for s in spans] == [
        ("PERSON", "Anna Berg"),
        ("PERSON", "Anna"),
        ("PERSON", "Åsa"),
        ("ORGANIZATION", "Acme"),
    ]


def test_a_bad_line_of_names_is_named(tmp_path: Path) -> None:
    names = tmp_path / "names.jsonl"
    names.write_text('{"name": "Anna"}\n{"n": 1}\n', "utf-8")
    with pytest.raises(InputError, match="line=2"):
        FindPii().start([names])


def test_spans_of_a_model_join_the_others() -> None:
    def spans(*places: tuple[int, int, str]) -> pa.Array:
        row = [{"start": a, "end": b, "kind": k, "rule": "r", "score": 0.5} for a, b, k in places]
        return pa.array([row], pa.list_(SPAN))

    [merged] = merge_spans(spans((5, 9, "EMAIL_ADDRESS")), spans((0, 4, "PERSON"), (5, 7, "PERSON"))).to_pylist()
    assert [(s["start"], s["kind"]) for s in merged] == [(0, "PERSON"), (5, "EMAIL_ADDRESS")]


PIECES = [
    "a@b.org",
    "541-714-1388",
    "4111 1111 1111 1111",
    "12",
    "é日🎉",
    "\u200b",
    " ",
    ",",
    "1.2.3.4",
    "phone",
    "+",
    "\n",
    "x",
]
texts = st.lists(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), max_size=6)


@given(texts)
def test_a_row_gives_the_same_alone_and_in_a_batch(rows: list[str]) -> None:
    together = FIND.spans(pa.array(rows, pa.string())).to_pylist()
    assert together == [FIND.spans(pa.array([row])).to_pylist()[0] for row in rows]


@given(texts)
def test_spans_are_sorted_apart_and_inside_the_text(rows: list[str]) -> None:
    for text, spans in zip(rows, FIND.spans(pa.array(rows, pa.string())).to_pylist(), strict=True):
        edges = [edge for s in spans for edge in (s["start"], s["end"])]
        assert edges == sorted(edges) and len(set(edges)) >= len(spans) + bool(spans)
        assert all(0 <= s["start"] < s["end"] <= len(text) for s in spans)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_text_takes_time_in_proportion(name: str) -> None:
    def seconds(size: int) -> float:
        text = pa.array([hostile(name, size)])
        start = time.process_time()
        EVERY.spans(text)
        return time.process_time() - start

    seconds(1_000)
    small = max(0.01, seconds(20_000))
    # Eight times the text takes a quadratic finder 64 times as long, and minutes. Automata grow by steps: quick is enough.
    assert seconds(160_000) < max(1.0, 32 * small)


def test_changed_rules_change_the_version() -> None:
    """What is found changed: count `FindPii.VERSION` up in the same commit, and put the new digest here."""
    shown = ("finds", "skips")
    rules = [[{**dataclasses.asdict(r), **dict.fromkeys(shown)} for r in load_rules(file)] for file in RULE_FILES]
    assert (FindPii.VERSION, digest_of(rules)[:12]) == (8, "a122dbea2d07")


def test_the_default_kinds_are_those_with_rules() -> None:
    assert set(STRUCTURED) == {rule.kind for file in ("secrets", "structured", "national") for rule in load_rules(file)}


def test_a_list_of_names_may_be_keyed_hashes(tmp_path: Path) -> None:
    names, keys = tmp_path / "names.jsonl", [tmp_path / "key", tmp_path / "another"]
    for key in keys:
        key.write_text(f"0123456789abcdef of {key.name}")
    people = ["Anna Berg", "Li Åström", "Jean-Luc O'Neill", "Will Grant"]
    names.write_text("\n".join(hashed_names(people, read_names_key(f"file:{keys[0]}"))), "utf-8")
    assert "Anna" not in names.read_text("utf-8")
    text = "Anna\nBerg met Berg and Åström, li stayed; Will Jean-Luc O'Neill grant Will Grant a Grant?"
    batch = pa.record_batch({"id": ["x"], "text": [text]})
    [spans] = FindPii(names_key=f"file:{keys[0]}").start([names])(batch).kept.column("spans").to_pylist()
    assert [text[s["start"] : s["end"]] for s in spans] == [
        *("Anna\nBerg", "Berg", "Åström", "Jean-Luc O'Neill", "Will Grant"),
    ]
    [spans] = FindPii(names_key=f"file:{keys[1]}").start([names])(batch).kept.column("spans").to_pylist()
    assert spans == []
