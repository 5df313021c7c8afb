"""A real receiver of webhooks on this machine, in threads of its own: what it answers is scripted."""

import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "/secret/path?token=1"


class Receiver:
    """Answers POSTs with what it `meets` next, the last of it without end; keeps what came in `got`."""

    def __init__(self, *meets: int | tuple[int, float] | str) -> None:
        self.meets: list[int | tuple[int, float] | str] = list(meets) or [200]
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.released = threading.Event()
        self.answer = b"thank you"
        self.cut_off = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    @contextmanager
    def listening(self, trust: ssl.SSLContext | None = None) -> Generator["Receiver"]:
        receiver = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                receiver.paths.append(self.path)
                meets = receiver.meets.pop(0) if len(receiver.meets) > 1 else receiver.meets[0]
                if isinstance(meets, str):
                    receiver.released.wait(20)
                    return
                status, pause_s = meets if isinstance(meets, tuple) else (meets, None)
                self.send_response(status)
                if pause_s is not None:
                    self.send_header("Retry-After", str(int(pause_s)))
                if 300 <= status < 400:
                    self.send_header("Location", receiver.url)
                if status != 204:
                    self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                try:
                    self.wfile.write(receiver.answer if status != 204 else b"")
                except OSError:
                    receiver.cut_off.set()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that hangs up is no news."""

        server = Server(("127.0.0.1", 0), Answering)
        if trust is not None:
            server.socket = trust.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            server.shutdown()
            thread.join()
            server.server_close()
