"""A headless Chromium drives the page as people do: by keyboard, through a killed server, offline, with hostile text."""

import json

import pyarrow as pa
import pytest
import sqlalchemy as sa

from dataforge.operators.labels import Labels
from dataforge.review import auth
from dataforge.review import tables as t
from dataforge.review.database import open_database
from dataforge.review.leases import claim
from dataforge.review.queue import Answer, submit
from tests.review.invented import LABELS, free_port, make_people, row_id, sample
from tests.review.served import Server, browser

pytestmark = pytest.mark.browser
FIRST = ["6", "3", "8", "q", "d", "o"]  # keys of questions, directives, other: digits, then letters
NAMES = {"6": "questions", "q": "questions", "3": "directives", "d": "directives", "8": "other", "o": "other"}


@pytest.fixture(scope="module")
def chrome():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def location(tmp_path_factory):
    return str(tmp_path_factory.mktemp("review") / "review.sqlite")


@pytest.fixture(scope="module")
def database(location):
    opened = open_database(location)
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def people(database):
    return make_people(database)


@pytest.fixture(scope="module")
def server(location, people):
    started = Server(location, free_port())
    yield started
    started.stop()


@pytest.fixture
def label_file(tmp_path, request):
    """A version of its own for each test: no answers are carried over from another test's batch."""
    path = tmp_path / "three.yaml"
    path.write_text(f"version: {request.node.name!r}\nlabels:\n" + LABELS)
    return str(path)


@pytest.fixture
def visit(chrome, server, database):
    """visit("ana", "/b/1/next") -> a page of a person's own browser, with what went wrong on it in `.troubles`."""
    contexts = []

    if server.process.poll() is not None:  # a test that failed in the middle must not take the others with it
        server.start()

    def go(name, path, **options):
        context = chrome.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.troubles = []
        page.on("dialog", lambda d: (page.troubles.append("dialog"), d.dismiss()))
        page.on("pageerror", lambda e: page.troubles.append(str(e)))
        page.on("console", lambda m: page.troubles.append(m.text) if "Content Security Policy" in m.text else None)
        page.on(
            "request",
            lambda r: page.troubles.append(r.url) if not r.url.startswith((server.base, "data:", "blob:")) else None,
        )
        page.goto(f"{server.base}/login#{auth.new_link(database, name)}")
        page.wait_for_url(server.base + "/")
        page.goto(server.base + path)
        return page

    yield go
    for context in contexts:
        context.close()


def target(page):
    return page.locator("#target").inner_text()


def on_item(page):
    page.locator("#desk:not([aria-busy]) #labels button").first.wait_for()
    return target(page)


def next_item(page, before):
    page.wait_for_function(
        "t => document.getElementById('target').innerText !== t || document.getElementById('desk').hidden", arg=before
    )
    page.wait_for_function(  # a key pressed too soon after the last one is taken for its echo
        "() => (d => d.hidden || !d.hasAttribute('aria-busy'))(document.getElementById('desk')) "
        "&& !('settling' in document.getElementById('desk').dataset)"
    )


def all_sent(page):
    page.wait_for_function(
        "() => Object.keys(localStorage).filter(k => k.endsWith(':outbox')).every(k => localStorage[k] === '[]')"
    )


def live(database, user, batch):
    a = t.annotation
    with database.read() as c:
        rows = c.execute(
            sa.select(t.item.c.row_id, a.c.kind, a.c.labels_json, a.c.note, a.c.flagged, a.c.reason, a.c.instruct_json)
            .join(t.item, t.item.c.id == a.c.item_id)
            .where(t.item.c.batch_id == batch, a.c.user_id == user, a.c.superseded_by.is_(None))
            .order_by(t.item.c.row_id)
        ).all()
    return rows


def test_twenty_items_by_keyboard_through_a_killed_server_then_adjudicated_and_closed(
    server, visit, database, location, people, make_batch, label_file
):
    waiting = Labels(title="acts", label_set=label_file, guideline="speech_acts", database=location)
    batch = waiting.seed(sample(20))
    for item in claim(database, batch, people["bo"], 20).item_ids:
        submit(database, item, people["bo"], Answer(f"key-of-bo-{item}", labels=("questions",)))
    page = visit("ana", f"/b/{batch}/next")
    given, killed = {}, None
    for k in range(20):
        text = on_item(page)
        key = "6" if k != 11 else "d"
        given[text] = NAMES[key]
        if k >= 6 and killed is None:
            page.wait_for_function("() => document.getElementById('desk').dataset.ahead !== '0'")  # it is being fetched
            killed = k if int(page.locator("#desk").get_attribute("data-ahead")) >= 2 else None
        page.keyboard.press(key)
        if k == killed:
            server.kill()  # the answer may be on its way: nobody knows
        if killed is not None and k == killed + 2:  # two more, prefetched, answered without any server
            server.start()
        next_item(page, text)
    assert killed is not None
    page.locator("#empty-title", has_text="All done").wait_for()
    all_sent(page)
    assert {r.row_id: json.loads(r.labels_json)[0] for r in live(database, people["ana"], batch)} == {
        row_id(k): given[f"text {k}"] for k in range(20)
    }
    with database.read() as c:
        ours = t.item.c.batch_id == batch
        answers = (
            sa.select(sa.func.count()).select_from(t.annotation).join(t.item, t.item.c.id == t.annotation.c.item_id)
        )
        assert c.scalar(answers.where(ours)) == 40
        assert set(c.scalars(sa.select(t.item.c.done).where(ours))) == {2}
    assert page.troubles == []

    lead = visit("lea", f"/b/{batch}/adjudicate")
    assert on_item(lead) in given
    lead.keyboard.press("3")
    lead.keyboard.press("Enter")
    lead.locator("#empty", has_text="Nothing to adjudicate").wait_for()
    lead.goto(f"{server.base}/b/{batch}/stats")
    assert "19 agreed, 1 adjudicated, 0 unresolved" in lead.locator("#closing").inner_text()
    lead.locator("#close button").click()
    lead.get_by_role("button", name="Close for good").click()
    lead.locator("#closing", has_text="Closed").wait_for()
    (file,) = waiting.read(waiting.splits()[0])  # the waiting flow goes on
    (rows,) = file.rows
    assert rows.kept.num_rows == 20 and len(waiting.digest()) == 64
    assert lead.troubles == []


def test_undo_flag_reject_unsure_skip_and_notes_by_keyboard(visit, database, people, make_batch):
    batch = make_batch(database, 5, need=1)
    page = visit("ana", f"/b/{batch}/next")
    first = on_item(page)
    page.keyboard.press("q")
    next_item(page, first)
    all_sent(page)
    second = target(page)
    assert page.locator("#own").inner_text() == "1 by me"
    page.keyboard.press("u")  # back to the first
    page.wait_for_function("t => document.getElementById('target').innerText === t", arg=first)
    assert page.locator("#own").inner_text() == ""
    page.keyboard.press("8")
    next_item(page, first)
    assert target(page) == second
    page.keyboard.press("f")
    page.keyboard.type("Which rule holds here?")
    page.keyboard.press("Control+Enter")
    next_item(page, second)
    third = target(page)
    page.keyboard.press("x")
    page.keyboard.press("2")
    next_item(page, third)
    fourth = target(page)
    page.keyboard.press("0")
    next_item(page, fourth)
    fifth = target(page)
    page.keyboard.press("Space")
    all_sent(page)
    on_item(page)
    assert target(page) == fifth  # the only one left: it comes back
    page.keyboard.press("n")
    page.keyboard.type("3 dogs? q")  # keys in a text box are text
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    page.locator("#empty-title").wait_for()
    all_sent(page)
    got = {
        row.row_id: (row.kind, row.labels_json, row.note, bool(row.flagged), row.reason)
        for row in live(database, people["ana"], batch)
    }
    rows = [row_id(int(text.split()[1])) for text in (first, second, third, fourth, fifth)]
    assert [got[r] for r in rows] == [
        ("label", '["other"]', None, False, None),
        ("flag", "[]", "Which rule holds here?", True, None),
        ("reject", "[]", None, False, "personal_data"),
        ("unsure", "[]", None, False, None),
        ("label", '["directives"]', "3 dogs? q", False, None),
    ]
    assert page.troubles == []


def test_instruct_triple_is_edited_and_history_reopens_it(visit, database, people, make_batch):
    triple = {"instruction": "Say it", "input": "in", "output": "hi! run it"}
    batch = make_batch(
        database, rows=sample(2, instruct=[triple] * 2), kind="instruct", label_set="", guideline="", need=1
    )
    page = visit("ana", f"/b/{batch}/next")
    first = on_item(page)
    page.keyboard.press("i")
    page.locator("#output").fill("Run it.")
    assert "hi!" in page.locator("#diff del").all_inner_texts()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    next_item(page, first)
    all_sent(page)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("t => document.getElementById('target').innerText === t", arg=first)
    assert page.locator("#output").input_value() == "Run it."
    page.locator("#output").fill("Run it now.")
    page.locator("#output").press("Control+Enter")
    next_item(page, first)
    all_sent(page)
    (row,) = live(database, people["ana"], batch)
    assert json.loads(row.instruct_json)["output"] == "Run it now."


def test_double_press_labels_one_item_and_offline_answers_arrive_later(visit, database, people, make_batch):
    batch = make_batch(database, 4, need=1)
    page = visit("ana", f"/b/{batch}/next")
    first = on_item(page)
    page.keyboard.press("6")
    page.keyboard.press("6")
    next_item(page, first)
    all_sent(page)
    assert len(live(database, people["ana"], batch)) == 1
    page.context.set_offline(True)
    second = target(page)
    page.keyboard.press("3")
    next_item(page, second)
    assert "wait" in page.locator("#saved").inner_text() or "Sending" in page.locator("#saved").inner_text()
    assert len(live(database, people["ana"], batch)) == 1
    page.context.set_offline(False)
    all_sent(page)
    assert len(live(database, people["ana"], batch)) == 2
    page.go_back()  # the back button repeats nothing
    page.go_forward()
    on_item(page)
    assert len(live(database, people["ana"], batch)) == 2


def test_two_tabs_share_items_and_store_one_answer(visit, database, people, make_batch):
    batch = make_batch(database, 1, need=1)
    one = visit("ana", f"/b/{batch}/next")
    on_item(one)
    two = one.context.new_page()
    two.goto(one.url)
    on_item(two)
    one.keyboard.press("6")
    one.locator("#empty-title").wait_for()
    two.keyboard.press("3")
    two.locator("#conflicts", has_text="already answered").wait_for()
    two.get_by_role("button", name="Replace my earlier answer").click()
    two.locator("#conflicts").wait_for(state="hidden")
    all_sent(two)
    assert [json.loads(r.labels_json) for r in live(database, people["ana"], batch)] == [["directives"]]


def test_session_that_ends_in_mid_form_keeps_the_form_and_the_answer(visit, database, people, make_batch):
    auth.set_passphrase(database, people["ana"], "correct horse battery")
    batch = make_batch(database, 2, need=1)
    page = visit("ana", f"/b/{batch}/next")
    on_item(page)
    with database.write() as c:
        c.execute(t.session.delete())
    page.keyboard.press("n")
    page.keyboard.type("kept")
    page.keyboard.press("Escape")
    page.keyboard.press("8")
    page.locator("#relogin").wait_for(state="visible")
    page.locator("#relogin [name=passphrase]").fill("correct horse battery")
    page.locator("#relogin .primary").click()
    all_sent(page)
    assert [(r.labels_json, r.note) for r in live(database, people["ana"], batch)] == [('["other"]', "kept")]


def varied_threads():
    """Texts of one word to fifty lines, threads of none to three messages before, suggestions for some."""
    before = {"speaker": "tom", "text": "before " * 30, "after": False}
    texts = ["short", "word " * 500, "هل يمكنك إرسال القائمة؟", "x", "line\n" * 50, "a question?"]
    columns = {"act": ["questions", "other"] * 3, "act_score": [0.5] * 6, "act_by": ["a tagger of some name", "m"] * 3}
    rows = sample(6, **columns, context=[[before] * k for k in (0, 3, 1, 2, 0, 3)])
    rows = rows.append_column("random", pa.array([False, False, True] * 2))  # those show no suggestion
    return rows.set_column(rows.schema.get_field_index("text"), "text", pa.array(texts))


@pytest.mark.parametrize("width", [1280, 360])
def test_buttons_and_header_stay_where_they_are_whatever_the_text(visit, database, people, make_batch, width):
    batch = make_batch(database, rows=varied_threads(), need=1)
    page = visit("ana", f"/b/{batch}/next", viewport={"width": width, "height": 740})
    places, bar = set(), page.locator(".bar").bounding_box()
    for _ in range(6):
        text = on_item(page)
        assert page.locator(".bar").bounding_box() == bar  # "Sending" and "Saved" move nothing
        assert page.evaluate("document.activeElement.id") == "target"
        buttons = page.locator("#labels button, .actions button, .bar nav a")
        places.add(tuple(tuple(round(x / 2) for x in box.bounding_box().values()) for box in buttons.all()))
        seen, labels = page.locator("#target").bounding_box(), page.locator(".answer").bounding_box()
        assert bar["height"] <= seen["y"] + 1 and (width > 360 or seen["y"] + min(seen["height"], 60) <= labels["y"])
        page.keyboard.press("6")
        next_item(page, text)
    assert len(places) == 1
    assert page.troubles == []


def test_next_item_is_there_when_the_key_is_pressed_and_is_told_to_who_cannot_see(visit, database, people, make_batch):
    rows = sample(3, speaker=["mira"] * 3, act=["questions"] * 3, act_score=[0.5] * 3, act_by=["m"] * 3)
    page = visit("ana", f"/b/{make_batch(database, rows=rows, need=1)}/next")
    first = on_item(page)
    page.wait_for_function("() => document.getElementById('desk').dataset.ahead !== '0'")
    after = page.evaluate(
        """() => {
          document.dispatchEvent(new KeyboardEvent('keydown', {key: '6', code: 'Digit6', bubbles: true}));
          const given = document.querySelector('#labels .given .name').textContent;
          return [document.getElementById('target').innerText, given, document.getElementById('announce').textContent];
        }"""
    )  # in the same turn of the browser: nothing was waited for
    assert after[0] != first and after[1:] == ["question", f"mira: {after[0]} Suggested: question."]
    page.locator("#saved", has_text="Saved question").wait_for()


def test_a_claim_that_overtakes_an_answer_brings_no_answered_item_back(visit, database, people, make_batch):
    batch = make_batch(database, 4, need=1)
    page = visit("ana", f"/b/{batch}/next")
    first, claims, answers = on_item(page), [], []
    page.wait_for_function("() => document.getElementById('desk').dataset.ahead === '3'")
    for key in "68":  # the third is on the desk, one is ahead: the page asks for more
        text = target(page)
        if key == "8":
            page.route("**/claim", lambda route: claims.append((route, route.fetch())))  # the server has answered …
            page.route("**/answers", lambda route: answers.append(route))
            with page.expect_request("**/answers"):
                page.keyboard.press(key)
        else:
            page.keyboard.press(key)
        next_item(page, text)
    page.wait_for_function("() => document.querySelector('#saved').textContent.startsWith('Sending')")
    assert claims and len(answers) == 1
    page.unroute("**/answers")
    answers[0].continue_()
    all_sent(page)
    claims[0][0].fulfill(response=claims[0][1])  # … and is heard only after the answer was stored
    page.unroute("**/claim")
    for _ in range(2):
        text = on_item(page)
        page.keyboard.press("3")
        next_item(page, text)
    page.locator("#empty-title", has_text="All done").wait_for()
    all_sent(page)
    assert len(live(database, people["ana"], batch)) == 4 and first
    assert page.locator("#conflicts").is_hidden()


def test_header_counts_what_others_answer_while_i_think(visit, database, people, make_batch):
    batch = make_batch(database, 6, need=1)
    page = visit("ana", f"/b/{batch}/next")
    on_item(page)
    assert page.locator("#count").inner_text() == "0/6"
    for item in claim(database, batch, people["bo"], 2).item_ids:
        submit(database, item, people["bo"], Answer(f"key-of-bo-{item}", labels=("other",)))
    page.locator("#count", has_text="2/6").wait_for()


def test_looking_back_at_nothing_leaves_the_item_where_it_is(visit, database, people, make_batch):
    batch = make_batch(database, 1, need=1)
    page = visit("ana", f"/b/{batch}/next")
    on_item(page)
    page.keyboard.press("ArrowLeft")
    page.locator("#notice", has_text="nothing further back").wait_for()
    page.keyboard.press("6")
    page.locator("#empty-title", has_text="All done").wait_for()
    all_sent(page)
    assert len(live(database, people["ana"], batch)) == 1


def test_a_lead_makes_another_person_lead_by_keyboard(visit, database, people):
    page = visit("lea", "/admin/users")
    page.get_by_role("button", name="Make cy lead").focus()
    page.keyboard.press("Enter")
    page.locator("#notice", has_text="cy is lead now").wait_for()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Make cy annotator"
    page.keyboard.press("Space")
    page.locator("#notice", has_text="cy is annotator now").wait_for()
    assert {x["name"]: x["role"] for x in auth.users(database)}["cy"] == "annotator"
    assert page.get_by_role("button", name="Make lea annotator").count() == 0  # nobody locks himself out
    assert page.troubles == []


HOSTILE = [
    "<script>alert(1)</script><img src=//evil.example/x onerror=alert(1)>",
    "</textarea></script><b>{{7*7}}</b> javascript:alert(1)",
    "\x1b[31m a\u202eb <EMAIL_ADDRESS>",
    "w" * 1_000_000,
]


def test_hostile_text_runs_nothing_and_asks_nobody(visit, database, people, make_batch):
    rows = [
        {
            "id": row_id(k),
            "text": text,
            "speaker": text[:500],
            "channel": text[:500],
            "act": "other",
            "act_by": text[:100],
            "act_score": 0.5,
            "context": [{"speaker": text[:500], "text": text[:500], "after": bool(k % 2)}],
            "instruct": {"instruction": text[:5000], "input": text[:5000], "output": text[:5000]},
        }
        for k, text in enumerate(HOSTILE)
    ]
    batch = make_batch(database, rows=pa.Table.from_pylist(rows), title=HOSTILE[0])
    for who in ("bo", "cy"):
        for item in claim(database, batch, people[who], 4).item_ids:
            submit(database, item, people[who], Answer(f"{who}-key-{item}", "flag", note=HOSTILE[0] + HOSTILE[1]))
    with database.read() as c:
        items = c.scalars(sa.select(t.item.c.id).where(t.item.c.batch_id == batch).order_by(t.item.c.row_id)).all()
    page = visit("lea", "/")
    for path in (
        "/",
        f"/b/{batch}/review",
        f"/b/{batch}/adjudicate",
        f"/b/{batch}/stats",
        "/admin/users",
        *(f"/i/{k}" for k in items),
    ):
        page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/")[2] + path, wait_until="networkidle")
        assert page.evaluate("document.querySelectorAll('#main script, #main img, #target b').length") == 0, path
    page.goto(page.url.rsplit("/", 1)[0] + f"/{items[2]}")
    on_item(page)
    assert page.locator("#target .control").all_inner_texts() == ["U+001B", "U+202E"]
    assert page.locator("#target .chip").all_inner_texts() == ["EMAIL_ADDRESS"]
    assert page.troubles == []


NAMELESS = """() => [...document.querySelectorAll('button, a[href], input, select, textarea, dialog, progress')]
  .filter(e => e.offsetParent && e.tabIndex >= 0 || e.matches('progress'))
  .filter(e => !(e.getAttribute('aria-label') || e.labels?.length || e.innerText?.trim() ||
                 document.getElementById(e.getAttribute('aria-labelledby'))?.innerText.trim()))
  .map(e => e.outerHTML.slice(0, 120))"""
FAINT = """() => {
  const lin = c => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
  const lum = ([r, g, b]) => .2126 * lin(r) + .7152 * lin(g) + .0722 * lin(b);
  const rgb = s => (s.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const text = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!text || !e.offsetParent || e.matches('option, .away, .jump')) continue;
    const a = lum(rgb(getComputedStyle(e).color)), b = lum(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push([e.tagName, e.className, ratio.toFixed(2), e.innerText.slice(0, 30)].join(' '));
  }
  return bad;
}"""


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_control_has_a_name_every_text_has_contrast_and_nothing_overflows(
    visit, database, people, make_batch, width, scheme
):
    rows = sample(
        3, act=["other"] * 3, act_score=[0.7] * 3, context=[[{"speaker": "mira", "text": "before", "after": False}]] * 3
    )
    batch = make_batch(database, rows=rows)
    for who, label in (("bo", "other"), ("cy", "questions")):
        for item in claim(database, batch, people[who], 2).item_ids:
            submit(database, item, people[who], Answer(f"{who}-key-{item}", labels=(label,), note="a note"))
    page = visit("lea", "/", color_scheme=scheme, viewport={"width": width, "height": 740}, reduced_motion="reduce")
    for path in (
        "/",
        f"/b/{batch}/next",
        f"/b/{batch}/review",
        f"/b/{batch}/adjudicate",
        f"/b/{batch}/stats",
        "/admin/users",
    ):
        page.goto("/".join(page.url.split("/")[:3]) + path, wait_until="networkidle")
        assert page.evaluate(NAMELESS) == [], path
        assert page.evaluate(FAINT) == [], path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
    page.goto("/".join(page.url.split("/")[:3]) + f"/b/{batch}/next", wait_until="networkidle")
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.dataset.label || document.activeElement.dataset.do || document.activeElement.id"
            )
        )
    assert [x for x in reached if x in ("questions", "directives", "other", "skip", "note", "submit")][:6] == [
        "questions",
        "directives",
        "other",
        "skip",
        "note",
        "submit",
    ]
    assert page.troubles == []
