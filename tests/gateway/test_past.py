"""What lists say with `at`: the same as they said when the log ended there, after all that happened since."""

from random import Random
from typing import Any

import pytest
import trio

from fleet.core.session.events import CallbacksErased
from fleet.core.session.turn_events import StepSnapshotTaken as Step
from fleet.core.times import rfc3339
from fleet.limits import FEED_PAGE_EVENTS
from tests.gateway.machine import PLAIN, REPOSITORY, Answer, Api, Machine
from tests.step_load import step_load

Said = dict[str, Any]
"""What was answered, by path."""

TEXTS = ("turn:3", "ask", "question", "fail", "hang", "bash:5", "write", "task turn:2", "hello", "retry:2")


OF_SESSION = ("queue", "todos", "requests", "children", "messages", "turns", "diffs?contents=false")
QUOTING = ("queue", "messages", "turns")
UNPAGED = ("todos", "diffs", "summary")


def without_signals(path: str, answer: Any) -> Any:
    """Return an answer without what is in no event: text in flight, calls that ran, the limits of models."""
    if path == "fleet/summary":
        return {name: count for name, count in answer.items() if name not in ("memoryBytes", "uptimeSeconds")}
    for item in answer if path in ("sessions", "inbox") or path.endswith("children") else ():
        item.pop("activity", None)
        item.pop("contextLimit", None)
        if item.get("context"):
            item["context"].pop("tool")
    return answer


class Life:
    """A random run of a Fleet on a fake machine, which writes down what was said at each position."""

    def __init__(self, api: Api, random: Random) -> None:
        self.said: dict[int, Said] = {}
        self._api = api
        self._random = random
        self._sessions: list[str] = []

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            await self._step()
            await trio.sleep(self._random.choice((0.05, 0.5, 3, 20)))
            await self._write_down()

    async def _step(self) -> None:
        session = f"/api/sessions/{self._random.choice(self._sessions)}" if self._sessions else ""
        what = self._random.choices(
            (self._create, self._prompt, self._answer, self._order, self._erase), (2, 6, 3, 4, 0.3)
        )[0]
        await (what(session) if session else self._create(session))

    async def _create(self, _: str) -> None:
        parent = self._random.choice([None, *self._sessions])
        fields: dict[str, Any] = {"directory": self._random.choice((PLAIN, REPOSITORY)), "tags": ["a"]}
        if parent is not None:
            fields["onComplete"] = {"notifySessionId": parent}
        if self._random.random() < 0.3:
            fields["budget"] = {"tokens": 300}
        made = await self._api.send("POST", "/api/sessions", fields)
        if made.status == 200:
            self._sessions.append(made.json["session"]["id"])

    async def _prompt(self, session: str) -> None:
        body = {"text": self._random.choice(TEXTS), "resume": self._random.random() < 0.5}
        if self._random.random() < 0.2:
            body["delivery"] = "steer"
        await self._api.send("POST", f"{session}/prompt", body)

    async def _answer(self, session: str) -> None:
        for item in (await self._api.send("GET", "/api/inbox")).json:
            if item["request"] is not None:
                body = {"reply": "once"} if item["kind"] == "permission" else {"answers": [["Yes"]]}
                path = f"/api/sessions/{item['sessionId']}/requests/{item['request']['id']}"
                await self._api.send("POST", path, body)
                return
        await self._api.send("POST", f"{session}/abort")

    async def _order(self, session: str) -> None:
        method, path, body = self._random.choice(
            (
                ("PATCH", "", {"title": f"Title {self._random.random()}", "tags": ["b"]}),
                ("POST", "/abort", None),
                ("POST", "/resume", None),
                ("DELETE", "", None),
                ("PATCH", "", {"budget": None}),
            )
        )
        await self._api.send(method, f"{session}{path}", body)

    async def _erase(self, session: str) -> None:
        if (await self._api.send("DELETE", f"{session}?permanent=true&force=true")).status == 200:
            self._sessions.remove(session.rpartition("/")[2])

    async def _write_down(self) -> None:
        """Write down what is said now, if nothing has happened while it was asked."""
        paths = ["sessions", "inbox", "sessions?status=idle&tag=a", "fleet/summary", "workspaces"]
        some = self._random.sample(self._sessions, min(2, len(self._sessions)))
        paths += [f"sessions/{each}/{what}" for each in some for what in OF_SESSION]
        begun = self._api.fleet.log.head()
        said = {path: await asked(self._api, path) for path in paths}
        if self._api.fleet.log.head() == begun:
            self.said[begun] = said


async def asked(api: Api, path: str, at: int | None = None) -> Any:
    """Return the whole list."""
    given = ["limit=200"] if not any(name in path for name in UNPAGED) else []
    given += [] if at is None else [f"at={at}"]
    mark = "&" if "?" in path else "?"
    answer = await api.send("GET", f"/api/{path}{mark}{'&'.join(given)}")
    assert answer.status == 200, answer
    return without_signals(path.partition("?")[0], answer.json)


def told(path: str, answer: Any, there: set[str]) -> Any:
    """Return what is still to be told of an answer: nothing of what was erased since."""
    kind = path.partition("?")[0]
    if kind == "sessions":
        return [item for item in answer if item["id"] in there]
    if kind.endswith("children"):
        return [item for item in answer if item["id"] in there]
    return [item for item in answer if item["sessionId"] in there] if kind == "inbox" else answer


def quotes_erased(api: Api, session_id: str, position: int) -> bool:
    """Return whether what was said of the session then may quote a child that was erased since."""
    events = api.fleet.log.replay(f"session-{session_id}", after=position)
    return any(isinstance(event, CallbacksErased) for _, _, event in events)


async def check(api: Api, said: dict[int, Said], random: Random) -> None:
    there = {state.id for state in api.fleet.views.sessions}
    positions = list(said)
    random.shuffle(positions)  # forth and back
    for position in positions:
        unchanged = {each for each in there if not quotes_erased(api, each, position)}
        for path, answer in said[position].items():
            if path.count("/") == 2 and path.split("/")[1] not in (unchanged if path.endswith(QUOTING) else there):
                continue
            if path == "fleet/summary" and not there.issuperset(item["id"] for item in said[position]["sessions"]):
                continue  # what was erased is not counted any more
            again = await asked(api, path, position)
            assert told(path, again, there) == again, "nothing of what was erased since"
            assert told(path, again, unchanged) == told(path, answer, unchanged), (path, position)


@pytest.mark.parametrize("seed", range(4))
async def test_earlier_list_is_what_it_was_then(machine: Machine, seed: int) -> None:
    random = Random(seed)
    async with machine.fleet() as api:
        life = Life(api, random)
        await life.run(40)
        assert len(life.said) > 10
        await check(api, life.said, random)
    async with machine.fleet() as api:
        await trio.sleep(60)  # what runs comes to rest, and changes more
        await check(api, life.said, random)


async def test_a_process_that_did_not_answer_is_remembered(machine: Machine, api: Api) -> None:
    item = await api.session()
    before = api.fleet.log.head()
    machine.world.hang(item["instanceId"])
    await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "unreachable")
    silent = await asked(api, "sessions")
    position = api.fleet.log.head()
    assert "does not answer" in silent[0]["evidence"]
    await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": "Later"})
    assert await asked(api, "sessions", position) == silent
    assert "does not answer" not in (await asked(api, "sessions", before))[0]["evidence"]
    one = (await api.send("GET", f"/api/sessions/{item['id']}?at={position}")).json
    assert one["evidence"] == silent[0]["evidence"]


async def test_lists_at_position_zero_are_empty(api: Api) -> None:
    item = await api.session(initialPrompt="hang")
    for path in ("sessions", "inbox", f"sessions/{item['id']}/queue", f"sessions/{item['id']}/todos"):
        assert await asked(api, path, 0) == []
        refused = await api.send("GET", f"/api/{path}?at={api.fleet.log.head() + 1}")
        assert refused.problem(422, "invalid")["field"] == "at"
    (await api.send("GET", f"/api/sessions/{item['id']}/queue?instanceId=x&at=0")).problem(404, "instance_not_found")


async def test_pages_and_filters_are_those_of_then(api: Api) -> None:
    items = [await api.session(title=f"Number {number}") for number in range(3)]
    position = api.fleet.log.head()
    for item in items:
        await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": "Renamed"})
    page = await api.send("GET", f"/api/sessions?at={position}&limit=1&offset=1&search=number")
    assert [item["title"] for item in page.json] == ["Number 1"]
    assert page.headers["x-total-count"] == "3"
    assert int(page.headers["fleet-position"]) == api.fleet.log.head()


async def test_a_long_past_is_read_a_page_at_a_time_and_from_the_nearest_state(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await api.session()
        for number in range(3 * FEED_PAGE_EVENTS):
            await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": f"Title {number}"})
    async with machine.fleet() as api:
        middle, head = 2 * FEED_PAGE_EVENTS, api.fleet.log.head()
        with step_load(api.fleet) as first:
            found = await asked(api, "sessions", middle)
        assert first.events > middle / 2
        assert first.events_max <= FEED_PAGE_EVENTS + 3
        with step_load(api.fleet) as near:
            assert await asked(api, "sessions", middle + 1) != found
        assert near.events <= FEED_PAGE_EVENTS + 10
        with step_load(api.fleet) as newest:
            await asked(api, "sessions", head)
        assert newest.events <= 6  # what has not changed since is today's state


async def test_a_time_is_the_last_position_at_or_before_it(machine: Machine, api: Api) -> None:
    item = await api.session(title="First")
    path, position, begun_ms = f"sessions/{item['id']}", api.fleet.log.head(), machine.clock.now_ms()
    await trio.sleep(3600)
    await api.send("PATCH", f"/api/{path}", {"title": "Second"})
    for time in (rfc3339(begun_ms), rfc3339(begun_ms + 1_800_000)):
        for each in ("sessions", path, "fleet/summary", "workspaces", f"workspaces/{item['workspaceId']}"):
            by_time, by_position = [await api.send("GET", f"/api/{each}?at={at}") for at in (time, position)]
            assert (by_time.status, by_time.json) == (200, by_position.json)
    assert (await api.send("GET", f"/api/{path}?at={rfc3339(begun_ms)}")).json["title"] == "First"
    assert (await api.send("GET", f"/api/{path}?at={rfc3339(machine.clock.now_ms())}")).json["title"] == "Second"
    (await api.send("GET", f"/api/{path}?at=2001-01-01")).problem(404, "session_not_found")
    for wrong in ("", "soon", "-1", "2026-01-31T12:00:00"):
        assert (await api.send("GET", f"/api/{path}?at={wrong}")).problem(422, "invalid")["field"] == "at"


@pytest.mark.parametrize("at", ["999999", "99999999999999999999999", "2999-01-01T00:00:00Z"])
async def test_a_moment_ahead_of_the_log_is_refused_with_its_end(api: Api, at: str) -> None:
    await api.session()
    refused = (await api.send("GET", f"/api/sessions?at={at}")).problem(422, "invalid")
    assert refused["field"] == "at"
    assert f" {api.fleet.log.head()}" in refused["detail"]


async def test_the_date_of_today_is_the_end_of_what_is_recorded(machine: Machine, api: Api) -> None:
    await api.session()
    today, head = rfc3339(machine.clock.now_ms())[:10], api.fleet.log.head()
    answer = await api.send("GET", f"/api/sessions?at={today}")
    assert (answer.headers["fleet-position"], len(answer.json)) == (str(head), 1)
    tomorrow = rfc3339(machine.clock.now_ms() + 86_400_000)[:10]
    (await api.send("GET", f"/api/sessions?at={tomorrow}")).problem(422, "invalid")


async def test_a_diff_of_a_turn_that_ran_then_says_so(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    path = f"/api/sessions/{item['id']}/diffs?contents=false"
    machine.files.contents.setdefault(item["directory"], {})["a.txt"] = b"1\n"
    await api.prompt(item["id"], "Go on")
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "hang"})
    await trio.sleep(1)
    during = api.fleet.log.head()
    found = [await api.send("GET", path + more) for more in ("", f"&at={during}", f"&at={during}&turn=1", "&at=1")]
    assert [answer.headers["fleet-running"] for answer in found] == ["true", "true", "false", "false"]
    assert [answer.headers.get("fleet-as-of-turn") for answer in found] == [None, "1", "1", None]
    assert [[(each["asOfTurn"], each["running"]) for each in answer.json] for answer in found] == [
        [(None, True)],
        [(1, True)],
        [(1, False)],
        [],
    ]


async def test_a_file_is_read_as_it_was_after_a_turn(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    files = machine.files.contents.setdefault(item["directory"], {})
    path, moments = f"/api/sessions/{item['id']}", [api.fleet.log.head()]
    for number in (1, 2):
        files["src/a.txt"] = b"%d\n" % number
        await api.prompt(item["id"], "Go on")
        moments.append(api.fleet.log.head())
    (await api.send("GET", f"{path}/files/src/a.txt?at={moments[0]}")).problem(404, "file_not_found")
    (await api.send("GET", f"{path}/files?at={moments[2]}&path=../a")).problem(422, "path_outside_workspace")
    (await api.send("GET", f"{path}/files?at=1")).problem(410, "tree_gone")
    for at, number in zip(moments[1:], (1, 2), strict=True):
        found = (await api.send("GET", f"{path}/files/src/a.txt?at={at}")).json
        assert (found["content"], found["asOfTurn"], found["running"]) == (f"{number}\n", number, False)
        assert found == (await api.send("GET", f"{path}/files?at={at}&path=src/a.txt")).json
    assert [e["name"] for e in (await api.send("GET", f"{path}/files?at={moments[1]}")).json["entries"]] == ["src"]


async def test_files_and_diffs_are_read_as_they_were_within_a_turn(machine: Machine, api: Api) -> None:
    machine.world.disk = machine.files  # so that the agent's files are those of the workspaces
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await api.prompt(item["id"], "turn:4 write")
    head, path = api.fleet.log.head(), f"/api/sessions/{item['id']}"
    taken = [each for each in api.fleet.log.read_stream(f"session-{item['id']}") if isinstance(each.event, Step)]
    assert len(taken) == 4
    ends = [each.position - 1 for each in taken[1:]]
    for number, (recorded, end) in enumerate(zip(taken, (*ends, taken[-1].position), strict=True), 1):
        for at in (recorded.position, end):
            found = (await api.send("GET", f"{path}/files/notes.txt?at={at}")).json
            assert found["content"].count("\n") == number
            as_of = (recorded.position, recorded.event.part_id, None, True)
            assert tuple(found[each] for each in ("asOfPosition", "asOfPart", "asOfTurn", "running")) == as_of
            for query in ("", "&turn=1"):
                answer = await api.send("GET", f"{path}/diffs?at={at}{query}")
                names = ("fleet-as-of-position", "fleet-as-of-turn", "fleet-running")
                assert [answer.headers.get(name) for name in names] == [str(recorded.position), None, "true"]
                (notes,) = (each for each in answer.json if each["file"] == "notes.txt")
                assert (notes["additions"], notes["after"]) == (number, found["content"])
                assert (await api.send("GET", f"{path}/blobs/{notes['afterDigest']}")).body.decode() == notes["after"]
    at_the_end = (await api.send("GET", f"{path}/files/notes.txt?at={head}")).json
    assert (at_the_end["asOfTurn"], at_the_end["asOfPart"], at_the_end["running"]) == (1, None, False)
    machine.files.trees.clear()
    during = (await api.send("GET", f"{path}/diffs?at={taken[2].position}")).headers
    assert ("fleet-as-of-position" not in during, during["fleet-running"]) == (True, "true")


async def test_what_a_running_turn_was_read_as_is_read_the_same_later(machine: Machine, api: Api) -> None:
    machine.world.disk = machine.files
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    paths = [f"/api/sessions/{item['id']}/{each}" for each in ("files/notes.txt?", "diffs?", "diffs?turn=1&")]
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "turn:6 write"})

    async def told(at: int) -> list[Answer]:
        return [await api.send("GET", f"{path}at={at}") for path in paths]

    said: dict[int, list[bytes]] = {}
    while (state := api.fleet.views.sessions.get(item["id"])) is not None and state.phase == "active":
        await trio.sleep(0.1)
        said.setdefault(head := api.fleet.log.head(), [answer.body for answer in await told(head)])
    await api.prompt(item["id"], "turn:3 write")
    assert len({files for files, _, _ in said.values()}) > 4
    for at, answers in said.items():
        assert [answer.body for answer in await told(at)] == answers
