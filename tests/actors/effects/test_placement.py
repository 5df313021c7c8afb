"""What the operator allows: so many processes, so much memory, so long idle; and processes that do not answer."""

from typing import Any

import pytest
import trio
from msgspec.structs import replace

from fleet.limits import (
    EVENT_SILENCE_S,
    IDLE_SWEEP_S,
    IDLE_TIMEOUT_S,
    INSTANCE_QUEUE_S,
    MIB,
    UNREACHABLE_GRACE_S,
    UNREACHABLE_POLL_S,
)
from fleet.ports import ProcessIdentity
from tests.gateway.machine import PLAIN, REPOSITORY, Answer, Api, Machine


def allow(api: Api, instances: int) -> None:
    api.fleet.context.policy = replace(api.fleet.context.policy, instances_max=instances)


class Creation:
    """A create that may have to wait."""

    def __init__(self, api: Api, directory: str) -> None:
        self._api = api
        self._directory = directory
        self.answer: Answer | None = None
        self.done = trio.Event()

    async def run(self) -> None:
        self.answer = await self._api.send("POST", "/api/sessions", {"directory": self._directory})
        self.done.set()

    async def waiting(self) -> dict[str, Any]:
        """Return the session's item once it waits in line."""
        while True:
            for item in (await self._api.send("GET", "/api/sessions?status=created")).json:
                if "in line" in item["evidence"] and item["directory"] == self._directory:
                    found: dict[str, Any] = item
                    return found
            await trio.sleep(0.1)


async def test_a_session_beyond_the_process_limit_waits_in_the_queue_and_shows_it(machine: Machine, api: Api) -> None:
    allow(api, 1)
    first = await api.session(PLAIN)
    late = Creation(api, REPOSITORY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(late.run)
        with trio.fail_after(10):
            item = await late.waiting()
        assert (item["status"], "the limit" in item["evidence"]) == ("created", True)
        assert (await api.session(PLAIN))["instanceId"] == first["instanceId"]  # sharing one costs nothing
        assert len(machine.world.living()) == 1
        for session in (await api.send("GET", "/api/sessions?status=idle")).json:
            await api.send("DELETE", f"/api/sessions/{session['id']}")
        with trio.fail_after(30):
            await late.done.wait()
    assert late.answer is not None
    assert (late.answer.status, late.answer.json["session"]["status"]) == (200, "idle")
    assert "in line" not in late.answer.json["session"]["evidence"]
    assert len(machine.world.living()) == 1


async def test_a_session_that_waits_too_long_is_rejected_and_can_resume(machine: Machine, api: Api) -> None:
    allow(api, 1)
    await api.session(PLAIN)
    began = trio.current_time()
    answer = await api.send("POST", "/api/sessions", {"directory": REPOSITORY})
    refused = answer.problem(503, "overloaded")
    assert "the limit" in refused["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert INSTANCE_QUEUE_S <= trio.current_time() - began < INSTANCE_QUEUE_S + 10
    (item,) = (await api.send("GET", "/api/sessions?status=error")).json
    assert item["id"] == refused["sessionId"]
    assert "the limit" in item["failure"]["detail"]
    allow(api, 2)
    assert (await api.send("POST", f"/api/sessions/{item['id']}/resume")).status == 200
    assert len(machine.world.living()) == 2


async def test_too_little_memory_is_a_reason_as_well(machine: Machine, api: Api) -> None:
    machine.world.free_memory_bytes = 100 * MIB
    await api.session(PLAIN)  # the first one has to start, or nothing ever would
    late = Creation(api, REPOSITORY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(late.run)
        with trio.fail_after(10):
            assert "memory" in (await late.waiting())["evidence"]
        machine.world.free_memory_bytes = 4096 * MIB
        with trio.fail_after(30):
            await late.done.wait()
    assert late.answer is not None
    assert late.answer.status == 200


async def test_waiting_sessions_start_in_order_and_within_the_limit(machine: Machine, api: Api) -> None:
    allow(api, 1)
    first = await api.session(PLAIN)
    machine.files.add_repository("/home/user/second")
    second, third = Creation(api, REPOSITORY), Creation(api, "/home/user/second")
    async with trio.open_nursery() as nursery:
        for creation in (second, third):
            nursery.start_soon(creation.run)
            await creation.waiting()
        await api.send("DELETE", f"/api/sessions/{first['id']}")
        await second.done.wait()
        assert second.answer is not None
        assert not third.done.is_set()
        assert len(machine.world.living()) == 1
        allow(api, 2)
        await third.done.wait()
    assert third.answer is not None
    assert (second.answer.status, third.answer.status, len(machine.world.living())) == (200, 200, 2)


async def test_a_session_that_waits_for_a_process_can_be_stopped(machine: Machine, api: Api) -> None:
    allow(api, 1)
    await api.session(PLAIN)
    late = Creation(api, REPOSITORY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(late.run)
        item = await late.waiting()
        began = trio.current_time()
        assert (await api.send("DELETE", f"/api/sessions/{item['id']}")).json["session"]["status"] == "stopped"
        assert trio.current_time() - began < 15
        await late.done.wait()
    allow(api, 2)
    await trio.sleep(INSTANCE_QUEUE_S)
    assert len(machine.world.living()) == 1


async def test_stopping_a_waiting_session_does_not_wait_for_the_queue(machine: Machine, api: Api) -> None:
    allow(api, 1)
    await api.session(PLAIN)
    ahead, behind = Creation(api, REPOSITORY), Creation(api, REPOSITORY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ahead.run)
        first = await ahead.waiting()
        nursery.start_soon(behind.run)
        second = first
        while second["id"] == first["id"]:
            await trio.sleep(0.1)
            second = (await api.send("GET", "/api/sessions?status=created")).json[0]
        began = trio.current_time()
        assert (await api.send("DELETE", f"/api/sessions/{second['id']}")).json["session"]["status"] == "stopped"
        assert trio.current_time() - began < 15
        nursery.cancel_scope.cancel()


async def test_a_session_gets_another_process_if_the_shared_one_does_not_respond(machine: Machine, api: Api) -> None:
    first = await api.session(PLAIN)
    machine.world.hang(first["instanceId"])
    await api.fleet.views.instances.wait(first["instanceId"], lambda s: s.phase == "unreachable")
    second = await api.session(PLAIN)
    assert second["instanceId"] != first["instanceId"]
    assert (await api.prompt(second["id"], "work"))["outcome"] == "finished"


async def test_a_session_in_error_does_not_keep_an_idle_process(machine: Machine, api: Api) -> None:
    item = await api.session(PLAIN)
    assert (await api.prompt(item["id"], "fail"))["status"] == "error"
    await trio.sleep(IDLE_TIMEOUT_S + 2 * IDLE_SWEEP_S)
    await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "stopped")
    assert machine.world.living() == ()
    assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["status"] == "error"
    assert (await api.prompt(item["id"], "again"))["outcome"] == "finished"


async def test_an_idle_process_is_stopped_and_its_sessions_are_completed(machine: Machine, api: Api) -> None:
    first, second = await api.session(REPOSITORY), await api.session(REPOSITORY, isolationStrategy="worktree")
    await trio.sleep(IDLE_TIMEOUT_S - 60)
    await api.prompt(second["id"], "still needed")
    await trio.sleep(120)
    for item in (first, second):
        assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["status"] == "idle"
    await trio.sleep(IDLE_TIMEOUT_S)
    for item in (first, second):
        done = (await api.send("GET", f"/api/sessions/{item['id']}")).json
        assert (done["status"], "idle for 30 minutes" in done["evidence"]) == ("completed", True)
        assert done["endedAt"] is not None
        refused = await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "x"})
        assert "/resume" in refused.problem(409, "session_completed")["hint"]
    await api.fleet.views.instances.wait(first["instanceId"], lambda s: s.phase == "stopped")
    assert machine.world.living() == ()
    resumed = await api.send("POST", f"/api/sessions/{first['id']}/resume")
    assert resumed.json["instanceId"] != first["instanceId"]
    assert (await api.prompt(first["id"], "back"))["outcome"] == "finished"


@pytest.mark.parametrize("text", ["hang", "ask", "bash:100000"])
async def test_a_session_that_works_or_waits_for_a_person_is_not_idle(machine: Machine, api: Api, text: str) -> None:
    busy, idle = await api.session(REPOSITORY), await api.session(REPOSITORY)
    await api.send("POST", f"/api/sessions/{busy['id']}/prompt", {"text": text})
    await trio.sleep(IDLE_SWEEP_S * 20)
    context = api.fleet.context
    context.policy = replace(context.policy, idle_timeout_s=60)
    await trio.sleep(IDLE_SWEEP_S * 3)
    for item, statuses in ((busy, ("active", "waiting_input")), (idle, ("idle",))):
        assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["status"] in statuses
    assert len(machine.world.living()) == 1


async def test_a_hung_process_is_unreachable_and_then_given_up_by_a_second_sign(machine: Machine, api: Api) -> None:
    idle = await api.session(REPOSITORY)
    busy = await api.session(REPOSITORY, initialPrompt="hang")
    await api.fleet.views.sessions.wait(busy["id"], lambda s: s.turn is not None and s.turn.delivered)
    instance = f"/api/instances/{idle['instanceId']}"
    machine.world.hang(idle["instanceId"])
    await api.fleet.views.instances.wait(idle["instanceId"], lambda s: s.phase == "unreachable")
    shown = (await api.send("GET", instance)).json
    assert (shown["status"], shown["evidence"] != "") == ("unreachable", True)
    for item in (idle, busy):
        assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["status"] in ("idle", "active")
    await trio.sleep(UNREACHABLE_GRACE_S + 2 * UNREACHABLE_POLL_S + 30)
    for item in (idle, busy):
        lost = (await api.send("GET", f"/api/sessions/{item['id']}")).json
        assert lost["status"] == "disconnected"
        assert lost["evidence"] != ""
    assert machine.world.living() == ()
    assert (await api.send("POST", f"/api/sessions/{busy['id']}/resume")).status == 200
    assert (await api.send("GET", f"/api/sessions/{busy['id']}")).json["outcome"] != "finished"


async def test_a_process_that_answers_again_is_ready_again(machine: Machine, api: Api) -> None:
    item = await api.session(initialPrompt="bash:90")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    machine.world.hang(item["instanceId"])
    await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "unreachable")
    machine.world.resume(item["instanceId"])
    await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "ready")
    assert (await api.settled(item["id"]))["outcome"] == "finished"
    assert len(machine.world.living()) == 1


async def test_silence_alone_kills_nothing(machine: Machine, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    item = await api.session()

    def runs(_: ProcessIdentity) -> bool:
        return False

    monkeypatch.setattr(api.fleet.context.local.opencode, "is_suspended", runs)
    machine.world.hang(item["instanceId"])
    await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "unreachable")
    await trio.sleep(EVENT_SILENCE_S * 20)
    assert (await api.send("GET", f"/api/instances/{item['instanceId']}")).json["status"] == "unreachable"
    assert len(machine.world.living()) == 1


async def test_a_new_session_does_not_overtake_waiting_ones(machine: Machine, api: Api) -> None:
    allow(api, 1)
    first = await api.session(PLAIN)
    machine.files.add_repository("/home/user/second")
    second, third = Creation(api, REPOSITORY), Creation(api, "/home/user/second")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(second.run)
        await second.waiting()
        await api.send("DELETE", f"/api/sessions/{first['id']}")
        await api.fleet.views.instances.wait(first["instanceId"], lambda s: s.phase == "stopped")
        nursery.start_soon(third.run)
        await second.done.wait()
        assert not third.done.is_set()
        (await third.waiting())
        allow(api, 2)
        await third.done.wait()
    assert second.answer is not None
    assert second.answer.status == 200


async def test_the_evidence_of_a_session_follows_the_state_of_its_process(machine: Machine, api: Api) -> None:
    item = await api.session()
    assert (await api.prompt(item["id"], "work"))["outcome"] == "finished"
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "hang"})
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    working = (await api.send("GET", f"/api/sessions/{item['id']}")).json
    assert (working["status"], working["outcome"]) == ("active", None)
    machine.world.hang(item["instanceId"])
    await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "unreachable")
    silent = (await api.send("GET", f"/api/sessions/{item['id']}")).json
    assert "does not answer" in silent["evidence"]
    assert silent["evidenceAt"] > working["evidenceAt"]
    (listed,) = (await api.send("GET", "/api/sessions")).json
    assert listed["evidence"] == silent["evidence"]
    machine.world.kill(item["instanceId"])
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "disconnected")
    gone = (await api.send("GET", f"/api/sessions/{item['id']}")).json
    assert (gone["status"], gone["outcome"]) == ("disconnected", None)
    assert "does not answer" not in gone["evidence"]
