"""The review page in a process of its own, so that a test can kill it; and a Chromium to look at it with."""

import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

SERVE = "import sys; from dataforge.review.commands import serve; serve(sys.argv[1], port=int(sys.argv[2]))"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Server:
    def __init__(self, database: str, port: int, *, before: str = ""):
        """`before`: code that runs first, for instance to shorten a limit."""
        self.database, self.port, self.base, self.code = database, port, f"http://127.0.0.1:{port}", before + SERVE
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-c", self.code, self.database, str(self.port)])
        for _ in range(400):
            try:
                urllib.request.urlopen(self.base + "/healthz", timeout=1).read()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError("the server did not start") from None
                time.sleep(0.05)
        raise RuntimeError("the server did not answer")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def chromium() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium; apt-get install --no-install-recommends chromium fonts-noto-cjk")
    pytest.importorskip("playwright")
    return found


@contextmanager
def browser():
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        started = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()
