"""Load and kill tests of the review page: many simulated annotators, and a server that is killed while they work.

    python tests/benchmarks/annotators.py --annotators 200 --think 2 --seconds 60    p95 and double assignments
    python tests/benchmarks/annotators.py --annotators 50 --sockets 10000            the same beside silent sockets
    python tests/benchmarks/annotators.py --kills 100                                acknowledged answers lost or doubled

Prints one JSON document. Each annotator claims, thinks, answers and retries with the same client_key until the server
has said "saved", as the page's outbox does. The server runs in a process of its own on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import pyarrow as pa
import sqlalchemy as sa

from dataforge.review import auth
from dataforge.review import tables as t
from dataforge.review.database import Database, open_database
from dataforge.review.seed import BatchSpec, seed

SERVE = "import sys; from dataforge.review.commands import serve; serve(sys.argv[1], port=int(sys.argv[2]))"
NEED = 2


@dataclass
class Tally:
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"claim": [], "answer": []})
    acknowledged: set[str] = field(default_factory=set)
    tries_again: int = 0
    logged_in: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)  # everybody starts to work at once
    stop: bool = False


def prepare(folder: Path, items: int, people: int) -> tuple[Database, list[str]]:
    """A seeded database and a login token for each person."""
    database = open_database(folder / "review.sqlite")
    rows = pa.table(
        {"id": [f"{k:032x}" for k in range(items)], "text": [f"invented text number {k}" for k in range(items)]}
    )
    seed(database, rows, BatchSpec("load", kind="dropped", need=NEED, lease_s=60))
    return database, [auth.add_user(database, f"person{k}") for k in range(people)]


def start_server(folder: Path, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SERVE, str(folder / "review.sqlite"), str(port)])


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


async def until_up(base: str) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(600):
            try:
                await client.get(base + "/readyz", timeout=2)
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    raise RuntimeError("the server does not answer")


async def send(
    client: httpx.AsyncClient, tally: Tally, kind: str, path: str, body: dict[str, object]
) -> httpx.Response | None:
    """The answer, tried again until there is one; None when the test ends first."""
    while not tally.stop:
        started = time.perf_counter()
        try:
            response = await client.post(path, json=body)
        except httpx.TransportError:
            tally.tries_again += 1
            await asyncio.sleep(0.05)
            continue
        if response.status_code != 503:
            tally.seconds.setdefault(kind, []).append(time.perf_counter() - started)
            return response
        tally.tries_again += 1
        await asyncio.sleep(0.2)
    return None


async def annotate(base: str, token: str, tally: Tally, think: float) -> None:
    headers = {"Origin": base, "X-Dataforge": "1"}
    dice = random.Random(token)
    # No TLS here: without verify=False each client would spend 50 ms on reading certificates.
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30, verify=False, trust_env=False) as client:
        if await send(client, tally, "login", "/api/v1/session", {"token": token}) is None:
            return
        tally.logged_in += 1
        await tally.go.wait()
        await asyncio.sleep(dice.random() * think)
        while not tally.stop:
            claimed = await send(client, tally, "claim", "/api/v1/batches/1/claim", {"n": 3})
            items = claimed.json().get("items", []) if claimed is not None else []
            if not items:
                return
            for item in items:
                await asyncio.sleep(think * (0.5 + dice.random()))
                key = uuid.uuid4().hex
                body = {"client_key": key, "labels": [dice.choice(("right", "wrong"))], "seconds": 1.0}
                saved = await send(client, tally, "answer", f"/api/v1/items/{item['id']}/answers", body)
                if saved is not None and saved.status_code == 200:
                    tally.acknowledged.add(key)


def check(database: Database, tally: Tally) -> dict[str, object]:
    """What must hold whatever happened: nothing acknowledged is lost, nothing is stored twice, no item over need."""
    a, i = t.annotation, t.item
    with database.read() as c:
        stored = list(c.scalars(sa.select(a.c.client_key)))
        pairs = c.execute(
            sa.select(a.c.item_id, a.c.user_id).where(a.c.superseded_by.is_(None), a.c.kind != "skip")
        ).all()
        over = c.scalar(sa.select(sa.func.count()).select_from(i).where(i.c.done > i.c.need))
        live = (
            sa.select(sa.func.count())
            .select_from(a)
            .where(a.c.item_id == i.c.id, a.c.extra.is_(False), a.c.superseded_by.is_(None))
        )
        wrong = c.scalar(sa.select(sa.func.count()).select_from(i).where(i.c.done != live.scalar_subquery()))
        ok = c.exec_driver_sql("pragma integrity_check").scalar()
    return {
        "acknowledged": len(tally.acknowledged),
        "stored": len(stored),
        "lost": len(tally.acknowledged - set(stored)),
        "stored_twice": len(stored) - len(set(stored)),
        "double_assignments": len(pairs) - len(set(pairs)) + int(over or 0),
        "wrong_counts": int(wrong or 0),
        "integrity": ok,
    }


def fsync_ms(folder: Path) -> float:
    """Median of 20 fsyncs of a 4 KiB write: the floor of every answer's time."""
    times = []
    with open(folder / "fsync", "wb") as file:
        for _ in range(20):
            file.write(os.urandom(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return round(1000 * median(times), 3)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile_ms(values: list[float], q: float) -> float | None:
    return round(1000 * sorted(values)[min(len(values) - 1, int(q * len(values)))], 2) if values else None


async def silent(port: int, many: int) -> list[asyncio.StreamWriter]:
    """Sockets that say nothing, from several loopback addresses: one has no more than 28,000 ports."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened = [await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.0.{2 + k % 4}", 0)) for k in range(many)]
    return [writer for _, writer in opened]


async def load(
    folder: Path, people: int, think: float, seconds: float, items: int, sockets: int = 0
) -> dict[str, object]:
    port = free_port()
    database, tokens = prepare(folder, items, people)
    base, tally = f"http://127.0.0.1:{port}", Tally()
    server = start_server(folder, port)
    try:
        await until_up(base)
        tasks = [asyncio.create_task(annotate(base, token, tally, think)) for token in tokens]
        while tally.logged_in < people:
            await asyncio.sleep(0.1)
        held = await silent(port, sockets)
        before = cpu_seconds(server.pid)  # start and logins are not what is measured
        tally.go.set()
        started = time.perf_counter()
        await asyncio.wait(tasks, timeout=seconds)
        tally.stop, elapsed, used = True, time.perf_counter() - started, cpu_seconds(server.pid) - before
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in held:
            writer.close()
    finally:
        server.terminate()
        server.wait()
    every = tally.seconds["claim"] + tally.seconds["answer"]
    figures = {
        f"{kind}_{name}_ms": quantile_ms(tally.seconds[kind], q)
        for kind in ("claim", "answer")
        for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }
    return {
        "annotators": people,
        "silent_sockets": sockets,
        "think_s": think,
        "requests_per_s": round(len(every) / elapsed),
        "server_cpu_ms_per_request": round(1000 * used / max(len(every), 1), 2),
        "p95_ms": quantile_ms(every, 0.95),
        **figures,
        "fsync_ms": fsync_ms(folder),
        **check(database, tally),
    }


async def kill(folder: Path, kills: int, people: int = 6, seed_: int = 1) -> dict[str, object]:
    """Kills the server `kills` times at random moments while people answer without thinking."""
    port, dice = free_port(), random.Random(seed_)
    database, tokens = prepare(folder, 400 * max(kills, 5), people)
    base, tally = f"http://127.0.0.1:{port}", Tally()
    server = start_server(folder, port)
    await until_up(base)
    tally.go.set()
    tasks = [asyncio.create_task(annotate(base, token, tally, 0.01)) for token in tokens]
    for _ in range(kills):
        await asyncio.sleep(0.1 + dice.random() * 0.5)
        server.send_signal(signal.SIGKILL)
        server.wait()
        server = start_server(folder, port)
        await until_up(base)
    await asyncio.sleep(0.5)
    tally.stop = True
    await asyncio.gather(*tasks)
    server.terminate()
    server.wait()
    return {"kills": kills, "tries_again": tally.tries_again, **check(database, tally)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotators", type=int, default=200)
    parser.add_argument("--think", type=float, default=2.0, help="seconds, on average")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--sockets", type=int, default=0, help="silent ones beside them")
    parser.add_argument("--kills", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="review-load-") as name:
        folder = Path(name)
        run = (
            kill(folder, given.kills)
            if given.kills
            else load(folder, given.annotators, given.think, given.seconds, given.items, given.sockets)
        )
        print(json.dumps(asyncio.run(run), indent=1))


if __name__ == "__main__":
    main()
