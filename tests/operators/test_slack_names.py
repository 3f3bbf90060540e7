"""Names in running text: display names that stand bare, and full names in file names."""

import unicodedata

import pytest

from dataforge.operators.slack_names import PERSON, Names


def names(*users: dict[str, object]) -> Names:
    known = Names({})
    for number, user in enumerate(users, 1):
        known.learn(user, f"user_{number}")
    return known


def member(real: str, shown: str, **more: object) -> dict[str, object]:
    return {"profile": {"real_name": real, "display_name": shown}, **more}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("ask CanaryDisp in the office", "ask user_1 in the office"),
        ("canarydisp said so, CanaryDisp's idea", "user_1 said so, user_1's idea"),
        ("the class `CanaryDisp` stays", "the class `CanaryDisp` stays"),
        ("we met Sparky there", "we met user_2 there"),
        ("ask Sparky. Thanks Sparky", "ask user_2. Thanks user_2"),
        ("sparky wine. Sparky wine", "sparky wine. Sparky wine"),
        ("the Support desk", "the Support desk"),
        ("a GitHub action", "a GitHub action"),
        ("see Zelda_Vantongeren_2024.txt", "see user_1_2024.txt"),
        ("zelda_notes.txt and snake_case", "zelda_notes.txt and snake_case"),
    ],
)
def test_display_names_and_file_names(text: str, hidden: str) -> None:
    users = (
        member("Zelda Vantongeren", "CanaryDisp"),
        member("Otto Haldorsen", "Sparky"),
        member("Ida Lund", "Support"),
        member("", "GitHub", is_bot=True),
    )
    assert names(*users).hide(text) == hidden


def test_a_display_name_of_two_people_is_nobody_in_particular() -> None:
    known = names(member("Zelda Vantongeren", "Sparky"), member("Otto Haldorsen", "Sparky"))
    assert known.hide("we met Sparky") == f"we met {PERSON}"


@pytest.mark.parametrize("order", [1, -1])
def test_a_real_name_is_one_whatever_the_order_of_members(order: int) -> None:
    users = [member("Sparky Lund", ""), member("Otto Haldorsen", "Sparky")][::order]
    assert names(*users).hide("Sparky came") == f"{PERSON} came"


@pytest.mark.parametrize("member_form", ["NFC", "NFD"])
@pytest.mark.parametrize("text_form", ["NFC", "NFD"])
def test_a_name_is_one_however_its_accents_are_typed(member_form: str, text_form: str) -> None:
    known = names(member(unicodedata.normalize(member_form, "Jürgen Müllerschön"), ""))
    text = unicodedata.normalize(text_form, "Jürgen Müllerschön sagt: `# Müllerschön, Jürgen Müllerschön` – Jürgen")
    code = unicodedata.normalize("NFC", "`# Müllerschön, user_1`")
    assert known.hide(text) == f"user_1 sagt: {code} – user_1"


def test_code_without_a_name_stays_byte_for_byte() -> None:
    code = "`" + unicodedata.normalize("NFD", "größe = 1") + "`"
    assert names(member("Jürgen Müllerschön", "")).hide(code) == code


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("ZorkmidQuibblet did it, zorkmidquibblet too", "user_1 did it, user_1 too"),
        ("zorkmid.quibblet and Zorkmid-Quibblet's file", "user_1 and user_1's file"),
        ("see anna-berg.pdf, x.org/anna.berg-2.txt, cv_Anna-Berg", "see user_2.pdf, x.org/user_2-2.txt, cv_user_2"),
        ("anna.berg@else.org", "user_2@else.org"),
        ("the Quibblets came, two Zorkmids", "the user_1 came, two user_1"),
        ("the Zorkmid Quibblets", "the user_1"),
        ("`/home/zorkmidquibblet/x.py`", "`/home/user_1/x.py`"),
        ("AnnaBerg and anna.berg wrote", "user_2 and user_2 wrote"),
        ("annaberg is a village, `AnnaBerg` a class", "annaberg is a village, `AnnaBerg` a class"),
        ("MarkDown writes markdown, see Downs", "user_3 writes markdown, see user_3"),
        ("the bergs, berg's, Berges", "the bergs, user_2's, user_2"),
        ("Bills were paid, marks were given", "Bills were paid, marks were given"),
    ],
)
def test_full_names_however_joined_and_names_in_the_plural(text: str, hidden: str) -> None:
    users = (
        member("Zorkmid", "Zorkmid Quibblet"),
        {"profile": {"real_name": "Anna Berg", "last_name": "Berg"}},
        {"profile": {"real_name": "Mark Down", "last_name": "Down"}},
        {"profile": {"real_name": "Bill Mark"}},
    )
    known = names(*users)
    known.learn({"profile": {"last_name": "Quibblet"}}, "user_1")
    assert known.hide(text) == hidden
