"""The drill's clients: they order over HTTP, ask again under the same key until they are answered, and remember.

`Api` is the way in, which outlives servers. `Client` lives the life of one session; `answer_requests` is the person at
the inbox.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx
import msgspec
import trio

from tests.e2e.drill.ledger import KINDS, Ledger
from tests.patience import PATIENCE_S

AGAIN = (429, 503)
HELP_S = 10.0
"""After a prompt that was to help, the next comes so much later."""
ENDED = ("stopped", "completed", "disconnected", "error")
BUSY = ("created", "active", "waiting_input")


class Answer(NamedTuple):
    """What a request was answered: `body` is decoded JSON, None for none."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        """The problem's code, empty where there is none."""
        return "" if self.status < 400 or self.body is None else str(self.body.get("code", ""))


class Content(httpx.AsyncByteStream, AsyncIterator[bytes]):
    """A request's body. httpx's own is a generator, which trio complains of where a connection fails half-way."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        content, self._content = self._content, b""
        if not content:
            raise StopAsyncIteration
        return content


def request(method: str, url: str, body: Any, headers: Mapping[str, str]) -> httpx.Request:
    """Return a request that leaves nothing behind when its server is killed half-way."""
    content = b"" if body is None else msgspec.json.encode(body)
    its = {"Host": httpx.URL(url).netloc.decode("ascii"), **headers}
    if content:
        its |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    return httpx.Request(method, url, headers=its, stream=Content(content))


class Api:
    """The way to the server, wherever it listens just now."""

    def __init__(self, url: Callable[[], str | None], ledger: Ledger, random: Random) -> None:
        self._url = url
        self._ledger = ledger
        self._random = random
        self._http = httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False, verify=False)

    async def close(self) -> None:
        """Give the connections up."""
        await self._http.aclose()

    async def call(self, method: str, path: str, body: Any = None, *, may: Collection[str] = ()) -> Answer:
        """Return the answer, however many servers it takes. A problem whose code is not in `may` is noted as wrong."""
        headers = {} if method == "GET" else {"Idempotency-Key": f"drill-{self._random.getrandbits(64):016x}"}
        end = trio.current_time() + PATIENCE_S
        while True:
            answer = await self._once(method, path, body, headers)
            late = trio.current_time() > end
            if answer is not None and (late or answer.status not in AGAIN or "sessionId" in answer.body):
                break
            if late:
                raise AssertionError(f"{method} {path} was not answered within {PATIENCE_S:.0f} s")
            await trio.sleep(0.1)
        if answer.status >= 500 and not answer.code:
            self._ledger.wrong.append(f"{method} {path} was answered {answer.status}: {answer.body}")
        elif answer.status >= 400 and answer.code not in may:
            self._ledger.wrong.append(f"{method} {path} was refused: {answer.body}")
        return answer

    async def _once(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer | None:
        url = self._url()
        if url is None:
            return None
        try:
            answer = await self._http.send(request(method, f"{url}/api{path}", body, headers))
            return Answer(answer.status_code, answer.json() if answer.content else None)
        except httpx.TransportError:
            self._ledger.unanswered += 1
            return None


class Client:
    """A person who works with one session."""

    def __init__(self, api: Api, ledger: Ledger, random: Random, name: str) -> None:
        self._api = api
        self._ledger = ledger
        self._random = random
        self.name = name
        self.id = ""
        self.workspace = ""

    async def create(self, project: Path, strategy: str, parent: str | None = None) -> None:
        """Create the session; one whose instance was killed meanwhile is resumed."""
        body: dict[str, Any] = {"directory": str(project), "title": self.name, "isolationStrategy": strategy}
        if parent is not None:
            body["onComplete"] = {"notifySessionId": parent}
        answer = await self._api.call("POST", "/sessions", body, may=_LOST)
        item = (await self._api.call("GET", f"/sessions/{answer.body['sessionId']}")).body if answer.code else None
        item = item or answer.body["session"]
        self.id, self.workspace = item["id"], item["workspaceId"]
        self._ledger.sessions[self.id] = self.name

    async def live(self, stopping: trio.Event) -> None:
        """Do one thing after the other until told to stop."""
        acts = (self.prompt, self.abort, self.stop_and_resume, self.clean_up_and_restore)
        while not stopping.is_set():
            act = self._random.choices(acts, (80, 8, 6, 6))[0]
            await act()
            await self._has_room(stopping)
            with trio.move_on_after(self._random.expovariate(1)):
                await stopping.wait()

    async def _has_room(self, stopping: trio.Event) -> None:
        """Wait until little waits in the queue, sometimes until nothing runs."""
        most = self._random.choice((0, 0, 1, 1, 2))
        while not stopping.is_set():
            item = (await self._api.call("GET", f"/sessions/{self.id}")).body
            if item["status"] not in BUSY or item["queued"] + 1 <= most:
                return
            await trio.sleep(0.3)

    async def prompt(self, kind: str | None = None) -> None:
        """Send a prompt; where the session has ended, bring it back with it or before it."""
        asked = self._ledger.ask(kind or self._random.choices(KINDS, (30, 25, 20, 15, 10))[0], self.id)
        body = {"text": asked.text, "resume": self._random.random() < 0.5}
        while not asked.acknowledged:
            answer = await self._api.call("POST", f"/sessions/{self.id}/prompt", body, may=_NOT_NOW)
            asked.acknowledged = answer.status == 204
            if answer.code:
                await self.resume()
        self._ledger.count(f"prompt:{asked.kind}")

    async def resume(self) -> None:
        """Resume the session, or find that there is nothing to resume."""
        await self._api.call("POST", f"/sessions/{self.id}/resume", may={"session_active", *_LOST, *_NOT_NOW})
        self._ledger.count("resume")

    async def abort(self) -> None:
        """Abort what runs."""
        await self._api.call("POST", f"/sessions/{self.id}/abort")
        self._ledger.count("abort")

    async def stop_and_resume(self) -> None:
        """Terminate the session and bring it back."""
        await self._api.call("DELETE", f"/sessions/{self.id}")
        await self.resume()
        self._ledger.count("stop")

    async def clean_up_and_restore(self) -> None:
        """Terminate the session with its workspace, and bring both back."""
        answer = await self._api.call("DELETE", f"/sessions/{self.id}?cleanupWorkspace=true", may={"workspace_busy"})
        if not answer.code and answer.body["workspace"]["removed"]:
            await self._api.call("POST", f"/workspaces/{self.workspace}/restore")
            self._ledger.count("restore")
        await self.resume()

    async def erase(self) -> None:
        """Delete the session for good."""
        self._ledger.erased.add(self.id)
        path = f"/sessions/{self.id}?permanent=true"
        answer = await self._api.call("DELETE", path, may={"session_not_found", "erased", "workspace_busy"})
        if answer.code == "workspace_busy":
            await self._api.call("DELETE", f"{path}&force=true", may={"session_not_found", "erased"})
        self._ledger.count("erase")

    async def quiet(self, killing_ends: trio.Event | None = None) -> dict[str, Any]:
        """Wait until nothing runs or waits, helping along what only a person can, and return the item.

        While servers are still being killed there is no end to the patience.
        """
        end = trio.current_time() + PATIENCE_S
        help_at = trio.current_time() + 1.0
        while True:
            item: dict[str, Any] = (await self._api.call("GET", f"/sessions/{self.id}")).body
            if item["status"] == "idle" and not item["queued"]:
                return item
            if killing_ends is not None and not killing_ends.is_set():
                end = trio.current_time() + PATIENCE_S
            if trio.current_time() > end:
                raise AssertionError(f"{self.name} has not become quiet within {PATIENCE_S:.0f} s: {item}")
            if item["status"] in ENDED:
                await self.resume()
                item = (await self._api.call("GET", f"/sessions/{self.id}")).body
            if item["status"] in ("idle", "error") and trio.current_time() > help_at:
                help_at = trio.current_time() + HELP_S
                await self.prompt("write")  # prompts that an error held back wait for a person to prompt
            await trio.sleep(0.3)


_LOST = {"opencode_exited", "opencode_unreachable", "opencode_not_ready", "timed_out"}
_NOT_NOW = {*(f"session_{status}" for status in ENDED), "session_not_ready", "queue_full"}


async def answer_requests(api: Api, ledger: Ledger, random: Random) -> None:
    """Answer everything in the inbox, without end."""
    gone = {"request_not_found", "request_answered", "session_not_found", "erased"}
    while True:
        for item in (await api.call("GET", "/inbox")).body:
            request = item["request"]
            if request is None:
                continue
            if random.random() < 0.15:
                body: dict[str, Any] = {"reply": "reject"}
                for asked in ledger.asked:  # a permission's text names the marker too
                    asked.dismissed |= asked.session == item["sessionId"] and asked.marker in str(request)
            else:
                body = {"reply": "once"} if item["kind"] == "permission" else {"answers": [["left"]]}
            await api.call("POST", f"/sessions/{item['sessionId']}/requests/{request['id']}", body, may=gone)
            ledger.count(item["kind"])
        await trio.sleep(0.25)
