"""A real Chromium, without a window, on a profile of its own; and a foreign web site for it to visit."""

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright

from tests.patience import PATIENCE_S

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",  # tests run as root, in containers
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)


class Chromium:
    """A browser with a profile. Every name resolves to this machine."""

    def __init__(self, profile: Path) -> None:
        found = next((path for name in NAMES if (path := shutil.which(name))), None)
        if found is None:
            pytest.fail(
                "The browser tests need Chromium: run `make browser` as root on Debian, or install it (apt install "
                "chromium).",
                pytrace=False,
            )
        rules = "--host-resolver-rules=MAP * 127.0.0.1, EXCLUDE localhost"
        self._command = [found, *OPTIONS, rules, f"--user-data-dir={profile}"]
        self._environment = {**os.environ, "HOME": str(profile)}

    def dump(self, url: str) -> str:
        """Open an address, as a person does who types it, and return the page that it gave."""
        command = [*self._command, "--dump-dom", url]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        return done.stdout

    @contextmanager
    def driven(self, playwright: Playwright) -> Generator[Page]:
        """Return a page to click in while the block runs."""
        program, *options = self._command
        options = [option for option in options if not option.startswith("--user-data-dir=")]
        started = playwright.chromium.launch(executable_path=program, args=options, env=dict(self._environment))
        try:
            page = started.new_page()
            page.set_default_timeout(PATIENCE_S * 1000)
            yield page
        finally:
            started.close()

    @contextmanager
    def visiting(self, url: str) -> Generator[None]:
        """Stay on a page while the block runs."""
        with subprocess.Popen(
            [*self._command, "--remote-debugging-port=0", url],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as browser:
            try:
                yield
            finally:
                os.killpg(browser.pid, signal.SIGKILL)


class Site:
    """A web site: serves one page, takes reports from it, and notes what else it is asked for."""

    def __init__(self, page: str) -> None:
        self.reports: queue.Queue[dict[str, Any]] = queue.Queue()
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(page.encode() if self.path == "/" else b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if self.path == "/report":
                    site.reports.put(json.loads(body))
                self._answer(b"")

            def do_OPTIONS(self) -> None:
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                site.asked.append((self.command, self.path, headers))
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]

    @contextmanager
    def open(self) -> Generator["Site"]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
