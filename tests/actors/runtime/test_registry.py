from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
import trio.testing

from fleet.actors.runtime.actor import Actor, Inbox
from fleet.actors.runtime.ref import Message, Ref
from fleet.actors.runtime.registry import ActorRegistry
from fleet.errors import Unavailable
from fleet.limits import GIVEN_UP_RETRY_S, RESTART_INTENSITY

Clock = trio.testing.MockClock


class Counter:
    """Counts its commands; activation takes `start_s`, the stop `stop_s`; `crash` crashes it, `slow` takes 1 s."""

    def __init__(self, world: "World", key: str, inbox: Inbox[str, int]) -> None:
        self.world = world
        self.id = key
        self.effects = 0
        self.actor = Actor(inbox, self.handle, owns_inbox=False)

    @property
    def busy(self) -> bool:
        return self.effects > 0 or self.actor.busy

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Ref[str, int]]) -> None:
        world = self.world
        world.living[self.id] = world.living.get(self.id, 0) + 1
        assert world.living[self.id] == 1, f"two actors for {self.id}"
        world.starts += 1
        try:
            await trio.sleep(world.start_s)
            if self.id in world.broken:
                raise OSError(f"{self.id} cannot start")
            await self.actor.run(stopping, task_status=task_status)
            await trio.sleep(world.stop_s)
        finally:
            world.living[self.id] -= 1

    async def handle(self, message: Message[str, int]) -> None:
        if message.command == "crash":
            raise ZeroDivisionError(self.id)
        if message.command == "slow":
            await trio.sleep(1)
        count = self.world.counts[self.id] = self.world.counts.get(self.id, 0) + 1
        message.reply(count)


class World:
    def __init__(self, *, start_s: float = 0, stop_s: float = 0, active_max: int = 1000) -> None:
        self.start_s = start_s
        self.stop_s = stop_s
        self.broken: set[str] = set()
        self.living: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.residents: dict[str, Counter] = {}
        self.starts = 0
        self.registry: ActorRegistry[str, int] = ActorRegistry(
            "counter", self.create, passivate_after_s=100, active_max=active_max
        )

    def create(self, key: str, inbox: Inbox[str, int]) -> Counter:
        self.residents[key] = Counter(self, key, inbox)
        return self.residents[key]


@asynccontextmanager
async def running(world: World) -> AsyncGenerator[ActorRegistry[str, int]]:
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(world.registry.run, stopping)
        yield world.registry
        stopping.set()


async def code_of(ask: Awaitable[int]) -> str:
    with pytest.raises(Unavailable) as refusal:
        await ask
    return refusal.value.code


async def test_a_message_activates_and_concurrent_ones_share_the_actor(autojump_clock: Clock) -> None:
    world = World(start_s=2)
    replies: list[int] = []

    async def ask(registry: ActorRegistry[str, int]) -> None:
        replies.append(await registry.ask("x", "count"))

    async with running(world) as registry:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ask, registry)
        assert sorted(replies) == list(range(1, 51))
        assert world.starts == 1
        registry.tell("y", "count")
        assert await registry.ref("y").ask("count") == 2
        assert registry.statistics().active == 2


async def test_an_idle_actor_is_passivated_and_activated_again(autojump_clock: Clock) -> None:
    world = World()
    async with running(world) as registry:
        await registry.ask("x", "count")
        await trio.sleep(90)
        assert registry.statistics().active == 1
        await trio.sleep(60)
        assert registry.statistics().active == 0
        assert world.living == {"x": 0}
        assert await registry.ask("x", "count") == 2
        assert registry.statistics().passivations == 1


async def test_an_actor_with_traffic_or_effects_stays(autojump_clock: Clock) -> None:
    world = World()
    async with running(world) as registry:
        for _ in range(10):
            await registry.ask("traffic", "count")
            await registry.ask("effects", "count")
            world.residents["effects"].effects = 1
            await trio.sleep(60)
        assert world.starts == 2
        await trio.sleep(150)
        assert world.living == {"traffic": 0, "effects": 1}


async def test_a_message_to_a_passivating_actor_activates_it_again(autojump_clock: Clock) -> None:
    world = World(stop_s=5)
    async with running(world) as registry:
        await registry.ask("x", "count")
        await trio.sleep(126)  # the first sweep after the message is at 25 s, and from there it is idle for 100 s
        assert _stopping(world, "x")
        assert await registry.ask("x", "count") == 2
        assert world.starts == 2


def _stopping(world: World, key: str) -> bool:
    return world.living[key] == 1 and not world.residents[key].actor.statistics().running


async def test_a_crash_interrupts_its_caller_and_waiting_messages_are_handled_after_the_restart(
    autojump_clock: Clock,
) -> None:
    world = World()
    replies: list[int] = []

    async def ask(registry: ActorRegistry[str, int]) -> None:
        replies.append(await registry.ask("x", "count"))

    async with running(world) as registry:
        async with trio.open_nursery() as nursery:
            registry.tell("x", "crash")
            nursery.start_soon(ask, registry)
            nursery.start_soon(ask, registry)
            await trio.testing.wait_all_tasks_blocked()
            assert replies == []
        assert sorted(replies) == [1, 2]
        assert await code_of(registry.ask("x", "crash")) == "interrupted"
        assert await registry.ask("x", "count") == 3
        assert registry.statistics().restarts == 2


async def test_a_failed_start_fails_the_waiting_messages_and_the_next_message_retries(
    autojump_clock: Clock,
) -> None:
    world = World()
    world.broken.add("x")
    async with running(world) as registry:
        assert await code_of(registry.ask("x", "count")) == "interrupted"
        assert await registry.ask("good", "count") == 1
        world.broken.clear()
        assert await registry.ask("x", "count") == 1
        assert registry.statistics().failures == 1


async def test_an_actor_that_crashes_too_often_is_given_up_and_the_next_message_tries_again(
    autojump_clock: Clock,
) -> None:
    world = World()
    async with running(world) as registry:
        for _ in range(10):
            registry.tell("x", "crash")
        assert await code_of(registry.ask("x", "count")) == "interrupted"
        assert registry.statistics().failures == 1
        assert await registry.ask("x", "count") == 1


async def test_an_actor_that_was_given_up_is_activated_again_without_a_message(autojump_clock: Clock) -> None:
    world = World()
    async with running(world) as registry:
        for _ in range(RESTART_INTENSITY + 1):
            registry.tell("x", "crash")
        await trio.sleep(GIVEN_UP_RETRY_S / 2)
        assert (registry.statistics().failures, registry.statistics().active) == (1, 0)
        starts = world.starts
        await trio.sleep(GIVEN_UP_RETRY_S)
        assert (world.starts, registry.statistics().active) == (starts + 1, 1)
    before_s = trio.current_time()
    async with running(world) as registry:
        for _ in range(RESTART_INTENSITY + 1):
            registry.tell("y", "crash")
        await trio.sleep(GIVEN_UP_RETRY_S / 2)
    assert trio.current_time() - before_s < GIVEN_UP_RETRY_S, "a stop does not wait for the next attempt"


async def test_active_actors_are_bounded() -> None:
    world = World(active_max=1)
    async with running(world) as registry:
        assert await registry.ask("x", "count") == 1
        with pytest.raises(Unavailable, match="1 counter are active, which is the limit"):
            registry.tell("y", "count")
        assert await registry.ask("x", "count") == 2


class Lingering:
    """Takes a second to stop, however it is stopped."""

    busy = False

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)


async def test_a_cancelled_registry_rejects_messages_while_its_actors_stop(autojump_clock: Clock) -> None:
    registry = ActorRegistry[str, int]("lingering", lambda _, __: Lingering())
    async with trio.open_nursery() as nursery:
        await nursery.start(registry.run, trio.Event())
        registry.activate("a")
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.sleep(0.5)
            with pytest.raises(Unavailable) as caught:
                registry.activate("b")
            assert caught.value.code == "stopping"


async def test_an_actor_that_starts_while_the_registry_is_cancelled_does_not_count_as_failed() -> None:
    for _ in range(100):  # which of the cancelled tasks runs first is trio's choice
        world = World()
        async with trio.open_nursery() as nursery:
            await nursery.start(world.registry.run, trio.Event())
            world.registry.activate("late")
            nursery.cancel_scope.cancel()
        assert world.registry.statistics().failures == 0


async def test_activate_needs_no_message() -> None:
    world = World()
    async with running(world) as registry:
        registry.activate("x")
        registry.activate("x")
        await trio.testing.wait_all_tasks_blocked()
        assert world.living == {"x": 1}


async def test_a_stopping_registry_rejects_waiting_and_new_messages(autojump_clock: Clock) -> None:
    world = World()
    codes: list[str] = []

    async def ask(registry: ActorRegistry[str, int]) -> None:
        codes.append(await code_of(registry.ask("x", "count")))

    async with trio.open_nursery() as nursery, running(world) as registry:
        registry.tell("x", "slow")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, registry)
        await trio.testing.wait_all_tasks_blocked()
    assert codes == ["stopping"]
    assert world.counts == {"x": 1}
    with pytest.raises(Unavailable, match="does not run"):
        world.registry.tell("x", "count")


@pytest.mark.parametrize("seed", range(20))
async def test_no_ask_is_lost_and_no_two_actors_share_an_id(autojump_clock: Clock, seed: int) -> None:
    """Many askers, few ids, activations and passivations that take time, crashes: every ask ends, once."""
    random = Random(seed)
    world = World(start_s=random.random() * 3, stop_s=random.random() * 3)
    answered = dict.fromkeys("abc", 0)
    crashes = 0

    async def ask(registry: ActorRegistry[str, int]) -> None:
        nonlocal crashes
        for _ in range(5):
            await trio.sleep(random.random() * random.choice([1, 130, 300]))
            key = random.choice("abc")
            if random.random() < 0.05:
                crashes += 1
                assert await code_of(registry.ask(key, "crash", timeout=1e6)) == "interrupted"
            else:
                await registry.ask(key, random.choice(["count", "slow"]), timeout=1e6)
                answered[key] += 1

    async with running(world) as registry, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask, registry)
    assert {key: world.counts.get(key, 0) for key in "abc"} == answered
    assert sum(answered.values()) + crashes == 100
