"""A small client that does what the page's script does: same headers, cookie kept. And the app on a test database."""

import sqlalchemy as sa
from starlette.testclient import TestClient

from dataforge.review import auth
from dataforge.review import tables as t
from dataforge.review.app import create_app

BASE = "http://localhost"
OURS = {"Origin": BASE, "X-Dataforge": "1", "Content-Type": "application/json"}


class Web:
    def __init__(self, database, **options):
        self.database = database
        self.app = create_app(database, **options)

    def client(self, name=None):
        client = TestClient(
            self.app, base_url=options_base(self.app), follow_redirects=False, raise_server_exceptions=False
        )
        client.headers.update({**OURS, "Origin": options_base(self.app)})
        if name:
            answer = client.post("/api/v1/session", json={"token": auth.new_link(self.database, name)})
            assert answer.status_code == 200, answer.text
        return client

    def count(self, table):
        with self.database.read() as c:
            return c.scalar(sa.select(sa.func.count()).select_from(table))

    def state(self):
        """Everything that a refused request must leave as it was."""
        with self.database.read() as c:
            return {
                x.name: c.execute(sa.select(x)).all() for x in (t.annotation, t.decision, t.batch, t.account, t.item)
            }


def options_base(app):
    return app.state.page.public_url or BASE


def answer(label="questions", key="a-key-of-ours", **more):
    return {"client_key": key, "kind": "label", "labels": [label], **more}


def claimed(client, batch, n=3):
    got = client.post(f"/api/v1/batches/{batch}/claim", json={"n": n})
    assert got.status_code == 200, got.text
    return got.json()["items"]
