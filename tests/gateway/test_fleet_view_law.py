"""The law of the fleet view: what a reader holds is what REST lists, after all events and wherever it is cut off."""

from random import Random

import pytest
import trio

from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine
from tests.gateway.sockets import connected
from tests.gateway.views import Reader, listed

WORDS = ("Hello", "turn:3", "fail", "ask", "question", "bash:1", "hang", "task Look", "retry:1", "write")


class Life:
    """Does everything that may happen to sessions, by one seed."""

    def __init__(self, api: Api, random: Random) -> None:
        self.api = api
        self.random = random

    async def step(self) -> None:
        """Do something, and let some time pass."""
        ids = [state.id for state in self.api.fleet.views.sessions]
        steps = (self.create, self.prompt, self.prompt, self.reply, self.abort, self.rename, self.end, self.resume)
        step = self.random.choice(steps) if ids else self.create
        await step(self.random.choice(ids) if ids else "")
        await trio.sleep(self.random.choice((0, 0, 0.01, 0.1, 0.3, 2)))

    async def create(self, _: str) -> None:
        where = self.random.choice((PLAIN, REPOSITORY))
        fields = {"isolationStrategy": "worktree"} if where == REPOSITORY else {}
        prompt = self.random.choice((None, *WORDS))
        await self.api.session(directory=where, **fields, **({} if prompt is None else {"initialPrompt": prompt}))

    async def prompt(self, session_id: str) -> None:
        body = {"text": self.random.choice(WORDS), "resume": self.random.random() < 0.5}
        await self.api.send("POST", f"/api/sessions/{session_id}/prompt", body)

    async def reply(self, _: str) -> None:
        for waiting in (await self.api.send("GET", "/api/inbox")).json:
            if waiting["request"] is not None:
                body = {"reply": self.random.choice(("once", "reject"))} if waiting["kind"] == "permission" else {}
                path = f"/api/sessions/{waiting['sessionId']}/requests/{waiting['request']['id']}"
                await self.api.send("POST", path, body or {"answers": [["Red"]]})

    async def abort(self, session_id: str) -> None:
        await self.api.send("POST", f"/api/sessions/{session_id}/abort")

    async def rename(self, session_id: str) -> None:
        await self.api.send("PATCH", f"/api/sessions/{session_id}", {"title": f"T{self.random.random()}"})

    async def end(self, session_id: str) -> None:
        permanent = self.random.choice(("", "?permanent=true"))
        await self.api.send("DELETE", f"/api/sessions/{session_id}{permanent}")

    async def resume(self, session_id: str) -> None:
        await self.api.send("POST", f"/api/sessions/{session_id}/resume")


@pytest.mark.parametrize("seed", range(12))
async def test_a_reader_of_the_fleet_view_holds_what_rest_lists(machine: Machine, seed: int) -> None:
    """After all events, wherever the reader is cut off and comes back, and over restarts of the server."""
    random, reader = Random(seed), Reader()
    for _ in range(2):
        async with machine.fleet(killed=random.random() < 0.5) as api, api.listen() as port:
            life = Life(api, random)
            for _ in range(4):
                async with connected(port) as client:
                    await reader.begin(client, random.choice((1, 2, 10**6)))
                    for _ in range(random.randrange(6)):
                        await life.step()
                        for _ in range(random.randrange(3)):
                            with trio.move_on_after(0):
                                reader.take(await client.frame())
                for _ in range(random.randrange(3)):
                    await life.step()
            async with connected(port) as client:
                await reader.begin(client)
                await life.step()
                await trio.sleep(30)
                await reader.catch_up(client)
                assert reader.held == await listed(api)
                untold = api.fleet.log.read_all(reader.position or 0)
                assert [event.stream for event in untold if event.stream.startswith("session-")] == []
