"""Names in running text: display names that stand bare, and full names in file names."""

import time
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


FORMS = (
    {"profile": {"real_name": "Zorkmid Quibblet", "first_name": "Zorkmid", "last_name": "Quibblet"}},
    {"profile": {"real_name": "Siobhan O'Brienly", "first_name": "Siobhan", "last_name": "O'Brienly"}},
    {"profile": {"real_name": "Jean-Pierre Marchandeau", "first_name": "Jean-Pierre", "last_name": "Marchandeau"}},
    {"profile": {"real_name": "Klaas van der Bergmans", "first_name": "Klaas", "last_name": "van der Bergmans"}},
    {"profile": {"real_name": "王小明"}},
    {"profile": {"real_name": "Bill Mark"}},
    {"profile": {"real_name": "On-Call Helper"}, "is_bot": True},
    {"profile": {"real_name": "Al Bakersson"}},
)


@pytest.mark.parametrize("sign", ["'", "’", "ʼ", "‘", "`", "´"])
def test_an_apostrophe_is_one_however_it_is_typed(sign: str) -> None:
    known = names(*FORMS)
    assert known.hide(f"Siobhan O{sign}Brienly came") == "user_2 came"
    assert known.hide(f"it’s O{sign}Brienly's idea") == "it’s user_2's idea"
    learned = names({"profile": {"last_name": f"O{sign}Brienly"}})
    assert learned.hide("ask O'Brienly, don’t wait") == "ask user_1, don’t wait"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("_Zorkmid_ and __Zorkmid__ and Zorkmid_ and _Zorkmid", "_user_1_ and __user_1__ and user_1_ and _user_1"),
        ("zorkmid__quibblet zorkmid--quibblet _zorkmid_quibblet_", "user_1 user_1 _user_1_"),
        ("__Zorkmid Quibblet__ **Zorkmid** ~~Zorkmid~~", "__user_1__ **user_1** ~~user_1~~"),
        ("x.org/zorkmid_quibblet_ (_Zorkmid_)", "x.org/user_1_ (_user_1_)"),
        ("__init__ _private_ snake__case--kebab", "__init__ _private_ snake__case--kebab"),
    ],
)
def test_underlines_at_the_edges_and_doubled_joints(text: str, hidden: str) -> None:
    assert names(*FORMS).hide(text) == hidden


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("jean-pierre-marchandeau.pdf jean_pierre_marchandeau.pdf", "user_3.pdf user_3.pdf"),
        ("Jean Pierre, Jean\u2011Pierre, Jean–Pierre, JeanPierre", "user_3, user_3, user_3, user_3"),
        ("JeanPierreMarchandeau jeanpierremarchandeau", "user_3 user_3"),
        ("in jean pierre is blue, `jeanpierre`", "in jean pierre is blue, `jeanpierre`"),
        ("Klaas Bergmans, klaas.bergmans, KlaasBergmans, Bergmans", "user_4, user_4, user_4, user_4"),
        ("klaas_van_der_bergmans.doc, van der Waals, van life", "user_4.doc, van der Waals, van life"),
        ("OBrienly siobhan.o'brienly Siobhan_OBrienly", "user_2 user_2 user_2"),
        ("on call today, On Call, a bakersson", "on call today, On Call, a bakersson"),
    ],
)
def test_hyphens_particles_and_apostrophes_in_names(text: str, hidden: str) -> None:
    assert names(*FORMS).hide(text) == hidden


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("wrote it.Zorkmid.Then left", "wrote it.user_1.Then left"),
        ("Zorkmid.Next", "user_1.Next"),
        ("Bill.Mark is paid, `Bill.Mark`", "Bill.Mark is paid, `Bill.Mark`"),
        ("at zorkmid.html", "at zorkmid.html"),
    ],
)
def test_a_missing_blank_after_a_full_stop(text: str, hidden: str) -> None:
    assert names(*FORMS).hide(text) == hidden


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("http://x/Zorkmid%20Quibblet%20CV.pdf", "http://x/user_1%20CV.pdf"),
        ("x.org/%5Aorkmid?a=%E2%9C%93", "x.org/user_1?a=%E2%9C%93"),
        ("%E7%8E%8B%E5%B0%8F%E6%98%8E%2Epdf, 100%ab, %ff", "user_5%2Epdf, 100%ab, %ff"),
        ("Zork\u00admid, Zorkmid\u200b Quibb\u2060let", "user_1, user_1"),
        ("Ｚｏｒｋｍｉｄ！ 𝐙𝐨𝐫𝐤𝐦𝐢𝐝 soft\u00adly １２", "user_1！ user_1 soft\u00adly １２"),
        ("王小明先生，请问王小明在吗, 小明", "user_5先生，请问user_5在吗, 小明"),
    ],
)
def test_codes_of_urls_letters_without_width_and_scripts_without_blanks(text: str, hidden: str) -> None:
    assert names(*FORMS).hide(text) == hidden


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("@zorkmid.quibblet @zorkmid2 me@zorkmid.quibblet.org", "@user_1 @user_1 me@zorkmid.quibblet.org"),
        ("Zorkmid's-mac", "user_1's-mac"),
        ("QuibbletZorkmid quibblet_zorkmid.pdf Quibblet-Zorkmid", "user_1 user_1.pdf user_1"),
        ("zorkmid.quibblet1990 ZorkmidQuibblet2 x.org/zorkmidquibblet1234", "user_1 user_1 x.org/user_1"),
        ("mark_bill and markbill2", "mark_bill and markbill2"),
    ],
)
def test_both_orders_digits_and_names_after_an_at_sign(text: str, hidden: str) -> None:
    assert names(*FORMS).hide(text) == hidden


@pytest.mark.parametrize("unit", ["%20", "zorkmid_", "zorkmid.", "王小", "\u200bz", "'s-", "O'", "_", "Jean-", "@zorkmid."])
def test_a_megabyte_of_joints_and_codes_takes_less_than_a_few_seconds(unit: str) -> None:
    started = time.process_time()
    names(*FORMS).hide(unit * (1_000_000 // len(unit)))
    assert time.process_time() - started < 6  # a square law would take hours
