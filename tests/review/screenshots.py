"""Pictures of the review page on invented data. `python -m tests.review.screenshots [FOLDER]` writes them (docs/review).

Widths 1280 and 360, light and dark; whoever changes the page looks at them before committing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.review import auth
from dataforge.review.database import Database, open_database
from dataforge.review.leases import claim, release
from dataforge.review.queue import Answer, submit
from dataforge.review.seed import BatchSpec, seed
from tests.review.invented import free_port, make_people, row_id
from tests.review.served import Server, browser

TALK = [
    ("mira", "Morning! The new kite frames arrived, 40 of them.", "representatives"),
    ("tom", "Great, thanks for picking them up!", "expressives"),
    ("mira", "Could you check the spars before lunch? Write to <EMAIL_ADDRESS> if one is cracked.", "directives"),
    ("tom", "Will do, I'll start with the big ones.", "commissives"),
    ("ada", "Which glue do we use for the carbon ones?", "questions"),
    ("tom", "The two-part one on the second shelf. It needs a day to harden.", "representatives"),
    ("ada", "That one is far too brittle below ten degrees.", "verdictives"),
    ("mira", "From today the old glue is retired.", "declarations"),
    ("tom", "ok", "other"),
    ("ada", "هل يمكنك إرسال القائمة؟", "directives"),
    ("mira", "Sent. Anything else that is missing?", "questions"),
    ("tom", "Nope :)", "representatives"),
]
LEFT = (2, 5, 9)
PAIRS = [
    {
        "instruction": "Which glue do we use for the carbon frames?",
        "input": "",
        "output": "hey, the two-part one on the second shelf, it needs a day to harden",
    },
]
ANSWERS = [
    "The two-part glue on the second shelf. Let it harden for a day before you load the frame.",
    "glue is on the shelf, just look there",
]


def act_rows() -> pa.Table:
    rows: list[dict[str, Any]] = []
    for k, (speaker, text, act) in enumerate(TALK):
        near = [(n, TALK[n]) for n in range(max(0, k - 3), min(len(TALK), k + 2)) if n != k]
        context = [{"speaker": who, "text": said, "after": n > k} for n, (who, said, _) in near]
        score = 0.45 + 0.04 * k
        row = {"id": row_id(k), "text": text, "act": act, "act_score": score, "act_by": "model", "context": context}
        row |= {"channel": "workshop", "speaker": speaker, "p_selected": 1.0, "random": k % 4 == 3}
        rows.append(row | {"priority": (k - 2) % len(TALK)})
    return pa.Table.from_pylist(rows)


def fill(database: Database) -> dict[str, int]:
    """Batch of each kind, partly answered: two people who agree on most."""
    people = make_people(database)
    acts = seed(database, act_rows(), BatchSpec("Workshop, speech acts", deadline=1_900_000_000.0))
    for name, wrong in (("bo", {7}), ("cy", {4, 6})):  # the first two rows are left for who is looked at
        for item in claim(database, acts, people[name], len(TALK)).item_ids:
            k = (item - 1) % len(TALK)
            if k in LEFT:
                release(database, item, people[name])
                continue
            label = "verdictives" if k in wrong else TALK[k][2]
            note = "Reads like a judgement to me." if k in wrong else ""
            answer = Answer(f"{name}-key-{item}", labels=(label,), seconds=2.5 + k / 4, note=note)
            submit(database, item, people[name], answer)
    triple = pa.Table.from_pylist([{"id": row_id(50), "text": PAIRS[0]["output"], "instruct": PAIRS[0]}])
    instruct = seed(database, triple, BatchSpec("Workshop, pairs", kind="instruct", need=1))
    choice = pa.Table.from_pylist([{"id": row_id(60), "text": PAIRS[0]["instruction"], "responses": ANSWERS}])
    preference = seed(database, choice, BatchSpec("Workshop, which answer", kind="preference", need=1))
    lost = {"id": row_id(70), "text": "Home | Shop | About us | Contact | Home | Shop | About us | Contact", "score": 0.41}
    lost |= {"filter": "corpus/selected: repeated_lines", "threshold": 0.3}
    audit = seed(database, pa.Table.from_pylist([lost]), BatchSpec("Handbook, dropped rows", kind="dropped", need=1))
    return {"acts": acts, "instruct": instruct, "preference": preference, "audit": audit}


def shots(batches: dict[str, int]) -> list[tuple[str, str, str, int, str]]:
    """(file, who, path, width, scheme)."""
    acts = f"/b/{batches['acts']}"
    found = [
        ("item", "ana", f"{acts}/next", 1280, "light"),
        ("item-dark", "ana", f"{acts}/next", 1280, "dark"),
        ("item-360", "ana", f"{acts}/next", 360, "light"),
        ("item-360-dark", "ana", f"{acts}/next", 360, "dark"),
        ("adjudicate-dark", "lea", f"{acts}/adjudicate", 1280, "dark"),
        ("adjudicate-360", "lea", f"{acts}/adjudicate", 360, "light"),
        ("stats", "lea", f"{acts}/stats", 1280, "light"),
        ("stats-360-dark", "lea", f"{acts}/stats", 360, "dark"),
        ("list", "lea", f"{acts}/review", 1280, "light"),
        ("list-360", "lea", f"{acts}/review", 360, "dark"),
        ("home", "lea", "/", 1280, "light"),
        ("home-360", "lea", "/", 360, "dark"),
        ("users", "lea", "/admin/users", 1280, "light"),
        ("instruct", "ana", f"/b/{batches['instruct']}/next", 1280, "light"),
        ("preference", "ana", f"/b/{batches['preference']}/next", 1280, "light"),
        ("preference-360", "ana", f"/b/{batches['preference']}/next", 360, "dark"),
        ("audit", "ana", f"/b/{batches['audit']}/next", 1280, "light"),
        ("login", "", "/login", 1280, "light"),
    ]
    return found


def take(folder: Path, names: set[str]) -> None:
    """Writes the pictures of these names (all where none is named)."""
    with tempfile.TemporaryDirectory(prefix="review-shots-") as scratch, browser() as chrome:
        location = str(Path(scratch) / "review.sqlite")
        database = open_database(location)
        batches = fill(database)
        server = Server(location, free_port())
        try:
            for name, who, path, width, scheme in shots(batches):
                if not names or name in names:
                    size = {"width": width, "height": 800 if width > 360 else 740}
                    page = chrome.new_context(viewport=size, color_scheme=scheme).new_page()
                    if who:
                        page.goto(f"{server.base}/login#{auth.new_link(database, who)}")
                        page.wait_for_url(server.base + "/")
                    page.goto(server.base + path, wait_until="networkidle")
                    desk = path.endswith(("/next", "/adjudicate"))  # buttons stay at the window's end: no longer picture
                    page.screenshot(path=folder / f"{name}.png", full_page=width == 360 and not desk)
                    page.context.close()
        finally:
            server.stop()
            database.dispose()


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent.parent / "docs" / "review"
    where.mkdir(parents=True, exist_ok=True)
    take(where, set(sys.argv[2:]))
