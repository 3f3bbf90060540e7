"""A sentence without a word of the matter answers nothing, whatever its form; one word of the matter keeps it."""

import time

import pytest

from dataforge.operators.instruct_answer import reason_unhelpful
from dataforge.operators.instruct_empty_words import emptiness

STATUS = """
On it, give me five minutes | deferred
We are aware of it and working on a fix | deferred
Will check and let you know tomorrow morning | deferred
let me ask the infra team | deferred
sorry for the delay, looking now | deferred
forwarded to @user_abcdefghij, will keep you posted | deferred
thanks for reporting, we'll look into it | no_answer
many thanks for the quick help, that worked | no_answer
I'm seeing this too since yesterday | no_answer
no idea, never seen that before | not_known
someone from the data team will know | refers
Bin schon dran, ich melde mich gleich | deferred
schaue ich mir morgen mal an | deferred
vielen Dank für die schnelle Hilfe | no_answer
das weiß ich leider auch nicht | not_known
je regarde ça et je reviens vers vous | deferred
merci beaucoup pour votre aide | no_answer
ahora lo miro y te digo | deferred
muchas gracias por la ayuda, ya funciona | no_answer
"""
ANSWERS = """
looking into nginx.conf helps, line 3
It should take about ten minutes
You should report it to the security team
wait until the sync has finished, then retry
We fixed it by raising the memory limit
Yes, you can take it home
thanks to the new index it takes two minutes
schau in die Datei config.yaml, Zeile 12
Moment mal reicht nicht, du brauchst Adminrechte dafür
regarde dans les paramètres, onglet Sécurité
mira en la carpeta de logs del servidor
"""


@pytest.mark.parametrize("line", STATUS.strip().splitlines())
def test_status_and_thanks_answer_nothing(line: str) -> None:
    text, _, reason = line.rpartition(" | ")
    assert reason_unhelpful(text, 3) == reason


@pytest.mark.parametrize("text", ANSWERS.strip().splitlines())
def test_a_word_of_the_matter_keeps_a_sentence(text: str) -> None:
    assert emptiness(text) == "" and reason_unhelpful(text, 3) == ""


def test_a_filler_before_the_answer_leaves_the_answer() -> None:
    assert reason_unhelpful("Let me check. The cache is full, run make clean.", 3) == ""


@pytest.mark.parametrize("unit", ["team ", "a-", "looking ", "@", "the a b "])
def test_a_megabyte_takes_less_than_a_second(unit: str) -> None:
    started = time.process_time()
    reason_unhelpful(unit * (1_000_000 // len(unit)), 3)
    assert time.process_time() - started < 1
