"""E5 on real sockets: silent, slow, huge and many. Who works on the page does not notice."""

import resource
import socket
import time

import httpx
import pytest

from dataforge.review import auth
from dataforge.review.database import open_database
from dataforge.review.seed import BatchSpec, seed
from tests.review.invented import free_port, make_people, sample
from tests.review.served import Server

SHORT = "from dataforge.review import connections, guard; connections.HEAD_SECONDS = guard.BODY_SECONDS = 0.4; "
PATIENCE = 20.0  # of the test, for a loaded machine


@pytest.fixture(scope="module")
def location(tmp_path_factory):
    return str(tmp_path_factory.mktemp("review") / "review.sqlite")


@pytest.fixture(scope="module")
def server(location):
    database = open_database(location)
    make_people(database)
    seed(database, sample(40), BatchSpec("rows", kind="dropped", need=1))
    token = auth.new_link(database, "ana")
    database.dispose()
    started = Server(location, free_port(), before=SHORT)
    started.token = token
    yield started
    started.stop()


@pytest.fixture(scope="module")
def ana(server):
    headers = {"Origin": server.base, "X-Dataforge": "1"}
    with httpx.Client(base_url=server.base, headers=headers, timeout=PATIENCE, trust_env=False) as client:
        assert client.post("/api/v1/session", json={"token": server.token}).status_code == 200
        yield client


def works(client):
    """A claim and an answer, as the page does them."""
    (item, *_) = client.post("/api/v1/batches/1/claim", json={"n": 1}).json()["items"]
    body = {"client_key": f"key-of-item-{item['id']}", "labels": ["right"]}
    return client.post(f"/api/v1/items/{item['id']}/answers", json=body).status_code == 200


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def until_hung_up(sock):
    """What came back before the server closed the connection. A server that keeps it open fails by timeout."""
    got = b""
    try:
        while chunk := sock.recv(65536):
            got += chunk
    except (ConnectionResetError, BrokenPipeError):
        pass
    return got


HEAD = b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nX-Dataforge: 1\r\n"


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", HEAD + b"X-Slow: "], ids=["silent", "a line", "half a head"])
def test_a_head_that_does_not_come_is_hung_up_on(server, ana, sent):
    with connect(server) as sock:
        sock.sendall(sent)
        assert until_hung_up(sock) == b""
    assert works(ana)


def test_a_head_that_trickles_is_hung_up_on_however_many_bytes_come(server):
    with connect(server) as sock:
        sock.settimeout(0.05)
        began, open_ = time.monotonic(), True
        while open_ and time.monotonic() - began < PATIENCE:
            try:
                sock.sendall(b"X")
                open_ = bool(sock.recv(1))
            except TimeoutError:
                continue
            except OSError:
                open_ = False
        assert not open_


def test_a_body_that_trickles_is_408_and_then_hung_up_on(server, ana):
    with connect(server) as sock:
        sock.sendall(HEAD + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
        assert until_hung_up(sock).startswith(b"HTTP/1.1 408")
    assert works(ana)


def test_a_hundred_megabytes_are_413_before_they_are_sent(server, ana):
    with connect(server) as sock:
        sock.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 413")
    assert works(ana)


@pytest.mark.parametrize(
    "filler", [b"Cookie: " + b"x" * 900_000, b"\r\n".join(b"A%d: x" % k for k in range(90_000))], ids=["one", "many"]
)
def test_huge_heads_are_400(server, ana, filler):
    with connect(server) as sock:
        try:
            sock.sendall(HEAD + filler + b"\r\n\r\n")
        except (ConnectionResetError, BrokenPipeError):  # refused while we were still sending
            return
        assert until_hung_up(sock)[:12] in (b"", b"HTTP/1.1 400")
    assert works(ana)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # TLS spoken to plain HTTP
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\nX: y\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X-A: 1\r\n Set-Cookie: y\x00z\r\n\r\n",
    ],
    ids=["tls", "version", "line", "negative", "two lengths", "chunk", "nul"],
)
def test_what_is_no_http_is_refused_and_nobody_else_notices(server, ana, sent):
    with connect(server) as sock:
        sock.sendall(sent)
        assert sock.recv(100)[:10] in (b"", b"HTTP/1.1 4")  # closed, or 4xx
    assert works(ana)


def test_a_thousand_silent_sockets_keep_nobody_from_working(server, ana):
    """10,000: tests/benchmarks/annotators.py --sockets 10000."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(1000, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, many + 200), hard))
    sockets = [connect(server) for _ in range(many)]
    try:
        assert works(ana)
        assert until_hung_up(sockets[0]) == b"" and until_hung_up(sockets[-1]) == b""
        assert works(ana)
    finally:
        for sock in sockets:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
