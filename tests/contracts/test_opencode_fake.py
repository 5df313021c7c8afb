"""The fake OpenCode keeps the contract, and what the simulation relies on beyond it."""

from collections.abc import AsyncGenerator

import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from fleet.errors import Unavailable
from fleet.limits import EVENT_SILENCE_S
from fleet.ports import Exit, MessageChanged, Prompt, StatusChanged, StreamLost, StreamOpened, TurnErrored
from tests.contracts.compaction_contract import CompactionContract
from tests.contracts.copies_contract import CopiesContract
from tests.contracts.offers_contract import OffersContract, WriteFile
from tests.contracts.opencode_contract import (
    OpenCodeContract,
    OpenCodeSide,
    delivered,
    finished,
    following,
    is_busy,
    requested,
    text_of,
    until,
)
from tests.contracts.subagents_contract import SubagentsContract
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.opencode import FakeOpenCodeWorld


class Words:
    """The fake's script words."""

    def text(self, said: str) -> str:
        return said

    def steps(self, count: int) -> str:
        return f"turn:{count}"

    def shell(self, seconds: int) -> str:
        return f"bash:{seconds}"

    def ask(self) -> str:
        return "ask"

    def question(self) -> str:
        return "question"

    def task(self) -> str:
        return "task think"

    def hang(self) -> str:
        return "hang"

    def fail(self) -> str:
        return "fail"


@pytest.fixture
def clock() -> Clock:
    return MockClock(autojump_threshold=0)


@pytest.fixture
async def world() -> AsyncGenerator[FakeOpenCodeWorld]:
    async with trio.open_nursery() as nursery:
        yield FakeOpenCodeWorld(nursery, seed=7, lost_idle_chance=0, swallowed_term_chance=0)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def side(world: FakeOpenCodeWorld) -> OpenCodeSide:
    host = world.host()
    identity = await host.spawn("shared", "/work/one")
    return OpenCodeSide(
        host=host,
        next_host=world.host,
        instance_id="shared",
        identity=identity,
        endpoint=await host.wait_ready("shared", identity),
        directory="/work/one",
        other_directory="/work/two",
        script=Words(),
        new_id=FakeIds(FakeClock()).opencode,
        kill=lambda instance_id, _: world.kill(instance_id),
    )


@pytest.fixture
def write_file(world: FakeOpenCodeWorld) -> WriteFile:
    def write(directory: str, name: str) -> None:
        world.disk.contents.setdefault(directory, {})[name] = b""

    return write


class TestFakeKeepsTheContract(OpenCodeContract, CompactionContract, CopiesContract, OffersContract, SubagentsContract):
    pass


async def test_a_prompt_is_lost_when_the_process_dies_before_it_is_stored(
    world: FakeOpenCodeWorld, side: OpenCodeSide, clock: Clock
) -> None:
    async with side.connect() as opencode:
        session_id = await side.session(opencode)
        prompt = side.prompt("hello")
        await opencode.prompt(session_id, side.directory, prompt)
        world.kill("shared")
    assert world.store.transcript(session_id) == []
    assert world.model_calls == {}


async def test_prompts_to_a_busy_session_merge(world: FakeOpenCodeWorld, side: OpenCodeSide, clock: Clock) -> None:
    async with side.connect() as opencode:
        session_id = await side.session(opencode)
        first, second = side.prompt("turn:5"), side.prompt("second")
        await opencode.prompt(session_id, side.directory, first)
        await until(lambda: is_busy(opencode, session_id, side.directory))
        await opencode.prompt(session_id, side.directory, second)
        await finished(opencode, session_id, side.directory, second)
    assert world.finished_turns == {second.message_id: 1}
    assert world.model_calls[first.message_id] < 5


async def test_a_turn_continues_with_the_step_it_had_reached(
    world: FakeOpenCodeWorld, side: OpenCodeSide, clock: Clock
) -> None:
    prompt = side.prompt("turn:3")
    async with side.connect() as opencode, following(opencode) as follower:
        session_id = await side.session(opencode)
        await opencode.prompt(session_id, side.directory, prompt)
        await follower.wait_for(MessageChanged, lambda e: e.info.finish == "tool-calls")
        await follower.wait_for(MessageChanged, lambda e: e.info.role == "assistant" and e.info.completed_ms is None)
        await trio.sleep(0.02)
        world.kill("shared")
        await follower.wait_for(StreamLost)
    host = world.host()
    identity = await host.spawn("heir", side.directory)
    async with host.connect("heir", await host.wait_ready("heir", identity)) as opencode:
        await opencode.prompt(session_id, side.directory, prompt)
        answers = await finished(opencode, session_id, side.directory, prompt)
    assert world.runs == {(session_id, prompt.message_id): 2}
    assert world.finished_turns == {prompt.message_id: 1}
    assert world.model_calls[prompt.message_id] == 4
    assert [answer.info.finish for answer in answers] == ["tool-calls", None, "tool-calls", "stop"]


async def test_two_processes_that_run_one_session_are_reported(
    world: FakeOpenCodeWorld, side: OpenCodeSide, clock: Clock
) -> None:
    identity = await side.host.spawn("second", side.directory)
    endpoint = await side.host.wait_ready("second", identity)
    async with side.connect() as one, side.host.connect("second", endpoint) as two:
        session_id = await side.session(one)
        await one.prompt(session_id, side.directory, side.prompt("hang"))
        await until(lambda: is_busy(one, session_id, side.directory))
        assert world.double_runs == []
        await two.prompt(session_id, side.directory, side.prompt("hello"))
        await trio.sleep(1)
    assert world.double_runs == [session_id]


async def test_a_stopped_process_times_out_and_falls_silent(
    world: FakeOpenCodeWorld, side: OpenCodeSide, clock: Clock
) -> None:
    async with side.connect() as opencode, following(opencode) as follower:
        world.hang("shared")
        with pytest.raises(Unavailable):
            await opencode.health()
        lost_after = trio.current_time()
        await follower.wait_for(StreamLost)
        assert trio.current_time() - lost_after <= EVENT_SILENCE_S
        world.resume("shared")
        await trio.sleep(3)
        assert isinstance(follower.events[-1], StreamOpened)
        assert await opencode.health() == side.endpoint.version


async def test_dropped_events_are_not_replayed(world: FakeOpenCodeWorld, side: OpenCodeSide, clock: Clock) -> None:
    async with side.connect() as opencode, following(opencode) as follower:
        session_id = await side.session(opencode)
        world.drop_events("shared")
        follower.events.clear()
        world.processes[0].show_idle(session_id)
        await follower.wait_for(StreamOpened)
        assert [type(event) for event in follower.events] == [StreamLost, StreamOpened]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("missing", "opencode_missing"),
        ("not_executable", "opencode_not_executable"),
        ("downgrade", "opencode_downgrade"),
        ("exits", "opencode_exited"),
        ("never_ready", "opencode_not_ready"),
    ],
)
async def test_faults_of_a_start(world: FakeOpenCodeWorld, fault: str, code: str, clock: Clock) -> None:
    world.fail_next_spawn(fault)  # type: ignore[arg-type]  # parametrize knows no literals
    host = world.host()
    with pytest.raises(Unavailable) as refused:
        await host.wait_ready("i", await host.spawn("i", "/work/one"))
    assert refused.value.code == code
    await host.stop("i", None)
    assert world.living() == ()


async def test_an_error_may_not_be_final(world: FakeOpenCodeWorld, side: OpenCodeSide, clock: Clock) -> None:
    async with side.connect() as opencode, following(opencode) as follower:
        session_id = await side.session(opencode)
        prompt = side.prompt("overflow")
        await opencode.prompt(session_id, side.directory, prompt)
        await follower.wait_for(TurnErrored)
        answers = await finished(opencode, session_id, side.directory, prompt)
        assert answers[-1].info.finish == "stop"


async def test_retries_show_as_status(side: OpenCodeSide, clock: Clock) -> None:
    async with side.connect() as opencode, following(opencode) as follower:
        session_id = await side.session(opencode)
        prompt = side.prompt("retry:2")
        await opencode.prompt(session_id, side.directory, prompt)
        await finished(opencode, session_id, side.directory, prompt)
        retries = [event.status.attempt for event in follower.seen(StatusChanged) if event.status]
        assert [attempt for attempt in retries if attempt] == [1, 2]


async def test_the_idle_event_may_be_missing(side: OpenCodeSide, clock: Clock) -> None:
    async with side.connect() as opencode, following(opencode) as follower:
        session_id = await side.session(opencode)
        prompt = side.prompt("quiet please")
        await opencode.prompt(session_id, side.directory, prompt)
        answers = await finished(opencode, session_id, side.directory, prompt)
        assert "quiet" in text_of(answers[-1])
        await trio.sleep(1)
        assert None not in [event.status for event in follower.seen(StatusChanged)]


async def test_a_turn_continues_after_an_answer(world: FakeOpenCodeWorld, side: OpenCodeSide, clock: Clock) -> None:
    async with side.connect() as opencode:
        session_id = await side.session(opencode)
        prompt = side.prompt("ask")
        await opencode.prompt(session_id, side.directory, prompt)
        waiting = await until(lambda: requested(opencode, session_id, side.directory))
        world.answer(waiting[0].id)
        answers = await finished(opencode, session_id, side.directory, prompt)
        assert answers[-1].info.finish == "stop"
        assert await requested(opencode, session_id, side.directory) == []


async def test_an_id_of_another_session_is_its_message(side: OpenCodeSide, clock: Clock) -> None:
    async with side.connect() as opencode, following(opencode) as follower:
        first, second = await side.session(opencode), await side.session(opencode)
        prompt = side.prompt("mine")
        await opencode.prompt(first, side.directory, prompt)
        await delivered(opencode, first, prompt)
        await opencode.prompt(second, side.directory, prompt)
        await follower.wait_for(TurnErrored, lambda e: e.session_id == second)
        assert await opencode.read_messages(second) == ()


async def test_an_unknown_agent_is_an_error_without_an_end(side: OpenCodeSide, clock: Clock) -> None:
    async with side.connect() as opencode, following(opencode) as follower:
        session_id = await side.session(opencode)
        prompt = Prompt(side.new_id("msg"), (side.new_id("prt"),), "hello", agent="nope")
        await opencode.prompt(session_id, side.directory, prompt)
        await follower.wait_for(TurnErrored, lambda e: "nope" in e.message)
        await trio.sleep(1)
        assert await opencode.read_messages(session_id) == ()
        assert follower.seen(StatusChanged) == []


async def test_a_reboot_ends_everything(world: FakeOpenCodeWorld, side: OpenCodeSide, clock: Clock) -> None:
    world.reboot()
    host = world.host()
    assert await host.find() == ()
    assert await host.wait_exit("shared", side.identity) == Exit()
    again = await host.spawn("shared", side.directory)
    assert again.boot_id != side.identity.boot_id


async def test_a_swallowed_term_is_repeated(clock: Clock) -> None:
    async with trio.open_nursery() as nursery:
        host = FakeOpenCodeWorld(nursery, swallowed_term_chance=1).host()
        identity = await host.spawn("i", "/work/one")
        assert [step.step for step in await host.stop("i", identity)] == ["term", "term_again"]
        nursery.cancel_scope.cancel()
