from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from fleet.actors.runtime.child import ChildSpec, Restart, real_part
from fleet.actors.runtime.supervisor import RestartsExceeded, Supervisor, UnexpectedEnd
from fleet.errors import Unavailable

Clock = trio.testing.MockClock


class Stage:
    """Makes children that note in `scenes` what they do, and crash, end or refuse to stop when told so."""

    def __init__(self) -> None:
        self.scenes: list[str] = []
        self.errors: dict[str, Exception | None] = {}
        self.cues: dict[str, trio.Event] = {}
        self.broken: set[str] = set()

    def child(
        self,
        name: str,
        restart: Restart = "permanent",
        *,
        ready_s: float = 0,
        stop_s: float = 0,
        stop_grace_s: float = 10,
    ) -> ChildSpec:
        async def start(stopping: trio.Event, *, task_status: trio.TaskStatus[str]) -> None:
            self.scenes.append(f"+{name}")
            await trio.sleep(ready_s)
            if name in self.broken:
                raise OSError(f"{name} cannot start")
            cue = self.cues[name] = trio.Event()
            task_status.started(f"{name} ready")
            self.scenes.append(f"{name} ready")
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._leave_when, stopping, nursery.cancel_scope)
                    nursery.start_soon(self._leave_when, cue, nursery.cancel_scope)
                if cue.is_set():
                    if error := self.errors.get(name):
                        raise error
                    return
                await trio.sleep(stop_s)
            finally:
                self.scenes.append(f"-{name}")

        return ChildSpec(name, start, restart, stop_grace_s)

    async def _leave_when(self, event: trio.Event, scope: trio.CancelScope) -> None:
        await event.wait()
        scope.cancel()

    def crash(self, name: str, error: Exception | None = None) -> None:
        self.errors[name] = error or ZeroDivisionError(name)
        self.cues[name].set()

    def end(self, name: str) -> None:
        self.errors[name] = None
        self.cues[name].set()

    def take(self) -> list[str]:
        scenes, self.scenes = self.scenes, []
        return scenes


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncGenerator[trio.Event]:
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run, stopping)
        yield stopping
        stopping.set()


def phases(supervisor: Supervisor) -> dict[str, str]:
    return {child.name: child.phase for child in supervisor.statistics().children}


async def test_starts_in_order_once_the_former_is_ready_and_stops_in_reverse(autojump_clock: Clock) -> None:
    stage = Stage()
    async with running(Supervisor("tree", [stage.child("a", ready_s=5, stop_s=2), stage.child("b", ready_s=1)])):
        assert stage.take() == ["+a", "a ready", "+b", "b ready"]
        assert trio.current_time() == 6
    assert stage.take() == ["-b", "-a"]
    assert trio.current_time() == 8


async def test_a_child_that_does_not_stop_is_cancelled_after_its_grace(autojump_clock: Clock) -> None:
    stage = Stage()
    with structlog.testing.capture_logs() as logs:
        async with running(Supervisor("tree", [stage.child("a"), stage.child("slow", stop_s=99, stop_grace_s=3)])):
            pass
    assert stage.take()[-2:] == ["-slow", "-a"]
    assert trio.current_time() == 3
    assert [(entry["event"], entry["child"]) for entry in logs] == [("child_cancelled", "slow")]


async def test_a_failing_start_fails_the_supervisor_and_stops_the_others() -> None:
    stage = Stage()
    stage.broken.add("b")
    with pytest.raises(OSError, match="b cannot start"):
        await Supervisor("tree", [stage.child("a"), stage.child("b"), stage.child("c")]).run(trio.Event())
    assert stage.take() == ["+a", "a ready", "+b", "-a"]


async def test_a_crash_while_others_start_fails_the_start(autojump_clock: Clock) -> None:
    stage = Stage()
    supervisor = Supervisor("tree", [stage.child("a"), stage.child("b", ready_s=5)])

    async def crash() -> None:
        await trio.sleep(1)
        stage.crash("a")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(crash)
        with pytest.raises(ZeroDivisionError):
            await supervisor.run(trio.Event())
    assert trio.current_time() == 1


async def test_one_for_one_restarts_the_crashed_child_alone(autojump_clock: Clock) -> None:
    stage = Stage()
    supervisor = Supervisor("tree", [stage.child("a"), stage.child("b")], jitter=lambda: 0)
    async with running(supervisor):
        stage.take()
        stage.crash("a")
        await trio.testing.wait_all_tasks_blocked()
        assert phases(supervisor) == {"a": "waiting", "b": "running"}
        await trio.sleep(0.11)
        assert stage.take() == ["-a", "+a", "a ready"]
        assert phases(supervisor) == {"a": "running", "b": "running"}
    assert supervisor.statistics().restarts == 1


async def test_rest_for_one_restarts_those_that_were_started_after_it_too(autojump_clock: Clock) -> None:
    stage = Stage()
    children = [stage.child("a"), stage.child("b"), stage.child("c"), stage.child("d")]
    async with running(Supervisor("tree", children, strategy="rest_for_one")):
        stage.take()
        stage.crash("b")
        await trio.sleep(1)
        assert stage.take() == ["-b", "-d", "-c", "+b", "b ready", "+c", "c ready", "+d", "d ready"]


async def test_rest_for_one_restarts_again_when_an_earlier_child_crashes_during_a_restart(
    autojump_clock: Clock,
) -> None:
    stage = Stage()
    children = [stage.child("a"), stage.child("b"), stage.child("c", ready_s=5)]
    async with running(Supervisor("tree", children, strategy="rest_for_one", jitter=lambda: 0)):
        stage.crash("b")
        await trio.sleep(2)
        stage.take()
        stage.crash("a")
        await trio.sleep(10)
        assert stage.take() == ["-a", "-b", "+a", "a ready", "+b", "b ready", "+c", "c ready"]


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one"])
async def test_a_restart_that_fails_is_tried_again_later_each_time(autojump_clock: Clock, strategy: Any) -> None:
    stage = Stage()
    supervisor = Supervisor("tree", [stage.child("a"), stage.child("b")], strategy=strategy, jitter=lambda: 0)
    async with running(supervisor):
        stage.broken.add("a")
        stage.crash("a")
        await trio.sleep(0.1 + 0.2 + 0.05)
        stage.broken.clear()
        stage.take()
        await trio.sleep(0.5)
        assert stage.take()[:2] == ["+a", "a ready"]
        assert phases(supervisor) == {"a": "running", "b": "running"}


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one"])
async def test_too_many_restarts_crash_the_supervisor_with_the_causes(autojump_clock: Clock, strategy: Any) -> None:
    stage = Stage()
    supervisor = Supervisor("tree", [stage.child("a"), stage.child("b")], strategy=strategy, intensity=2, window_s=60)

    async def crash_often() -> None:
        for number in range(3):
            await trio.sleep(5)
            stage.crash("b", ZeroDivisionError(number))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(crash_often)
        with pytest.raises(RestartsExceeded, match="b ended 3 times within 60 s") as given_up:
            await supervisor.run(trio.Event())
    assert [cause.args for cause in given_up.value.causes] == [(0,), (1,), (2,)]
    assert stage.take()[-2:] == ["-b", "-a"]


async def test_restarts_that_are_far_apart_never_reach_the_limit(autojump_clock: Clock) -> None:
    stage = Stage()
    async with running(Supervisor("tree", [stage.child("a")], intensity=1, window_s=60)) as stopping:
        for _ in range(10):
            stage.crash("a")
            await trio.sleep(61)
        assert not stopping.is_set()
    assert stage.take().count("a ready") == 11


async def test_a_permanent_child_that_ends_is_restarted_a_transient_one_is_not(autojump_clock: Clock) -> None:
    stage = Stage()
    children = [stage.child("p"), stage.child("t", "transient"), stage.child("x", "temporary")]
    supervisor = Supervisor("tree", children)
    async with running(supervisor):
        for name in ("p", "t"):
            stage.end(name)
        stage.crash("x")
        await trio.sleep(1)
        assert phases(supervisor) == {"p": "running", "t": "ended", "x": "ended"}


async def test_the_real_error_is_found_among_cancellations(autojump_clock: Clock) -> None:
    async def start(stopping: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            await stopping.wait()
            await trio.sleep_forever()

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError("the real one")

    with structlog.testing.capture_logs() as logs:
        async with running(Supervisor("tree", [ChildSpec("a", start, stop_grace_s=1)])):
            pass
    crash = next(entry for entry in logs if entry["event"] == "child_crashed")
    assert "the real one" in repr(crash["exc_info"])


def test_real_part_separates_errors_from_unwinding() -> None:
    mixed = BaseExceptionGroup("mixed", [ZeroDivisionError(), KeyboardInterrupt()])
    real, rest = real_part(mixed)
    assert isinstance(real, ExceptionGroup)
    assert isinstance(rest, BaseExceptionGroup)
    assert real_part(KeyboardInterrupt())[0] is None
    assert real_part(OSError())[1] is None


async def test_cancelling_the_supervisor_cancels_its_children() -> None:
    stage = Stage()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(Supervisor("tree", [stage.child("a")]).run, trio.Event())
            scope.cancel()
    assert stage.take()[-1] == "-a"


# ------------------------------------------------------------------------------------------------- dynamic children


async def test_add_child_returns_what_the_child_gives_when_it_is_ready() -> None:
    stage = Stage()
    supervisor = Supervisor("tree")
    async with running(supervisor):
        assert await supervisor.add_child(stage.child("a", "temporary")) == "a ready"
        with pytest.raises(ValueError, match="has a child a already"):
            await supervisor.add_child(stage.child("a"))
        await supervisor.stop_child("a")
        assert phases(supervisor) == {}
        await supervisor.stop_child("a")
        assert await supervisor.add_child(stage.child("a", "temporary")) == "a ready"


async def test_a_child_that_fails_to_start_is_not_one() -> None:
    stage = Stage()
    stage.broken.add("a")
    supervisor = Supervisor("tree")
    async with running(supervisor):
        with pytest.raises(OSError, match="a cannot start"):
            await supervisor.add_child(stage.child("a"))
        assert phases(supervisor) == {}


async def test_a_child_that_ends_before_it_is_ready_fails_its_start() -> None:
    async def start(stopping: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        pass

    supervisor = Supervisor("tree")
    async with running(supervisor):
        with pytest.raises(UnexpectedEnd, match="a ended before it was ready"):
            await supervisor.add_child(ChildSpec("a", start))


async def test_children_are_bounded_and_need_a_running_supervisor() -> None:
    stage = Stage()
    supervisor = Supervisor("tree", children_max=1)
    with pytest.raises(Unavailable, match="tree does not run"):
        await supervisor.add_child(stage.child("a"))
    async with running(supervisor):
        await supervisor.add_child(stage.child("a"))
        with pytest.raises(Unavailable, match="runs 1 children already") as refusal:
            await supervisor.add_child(stage.child("b"))
        assert refusal.value.code == "overloaded"


async def test_rest_for_one_takes_no_further_children() -> None:
    with pytest.raises(ValueError, match="its children are fixed"):
        await Supervisor("tree", strategy="rest_for_one").add_child(Stage().child("a"))


async def test_two_children_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two children named a"):
        Supervisor("tree", [Stage().child("a"), Stage().child("a")])


async def test_a_child_can_be_stopped_while_it_waits_for_its_restart(autojump_clock: Clock) -> None:
    stage = Stage()
    gone: list[tuple[str, Exception | None]] = []
    supervisor = Supervisor("tree", on_gone=lambda name, error: gone.append((name, error)))
    async with running(supervisor):
        await supervisor.add_child(stage.child("a"))
        stage.crash("a")
        await trio.testing.wait_all_tasks_blocked()
        await supervisor.stop_child("a")
        await trio.sleep(5)
        assert stage.take() == ["+a", "a ready", "-a"]
    assert gone == [("a", None)]


async def test_without_escalation_a_child_is_given_up_alone(autojump_clock: Clock) -> None:
    stage = Stage()
    gone: list[tuple[str, Exception | None]] = []
    supervisor = Supervisor("tree", escalate=False, intensity=2, on_gone=lambda name, error: gone.append((name, error)))
    async with running(supervisor):
        await supervisor.add_child(stage.child("good", "transient"))
        await supervisor.add_child(stage.child("bad", "transient"))
        for _ in range(3):
            stage.crash("bad")
            await trio.sleep(1)
        assert phases(supervisor) == {"good": "running"}
        assert [name for name, _ in gone] == ["bad"]
        assert isinstance(gone[0][1], RestartsExceeded)
        assert supervisor.statistics().given_up == 1


async def test_dynamic_children_stop_all_at_once_before_the_others(autojump_clock: Clock) -> None:
    stage = Stage()
    supervisor = Supervisor("tree", [stage.child("first")])
    async with running(supervisor):
        for number in range(20):
            await supervisor.add_child(stage.child(str(number), stop_s=2))
        stage.take()
    assert trio.current_time() == 2
    assert stage.take()[-1] == "-first"


@pytest.mark.parametrize("seed", range(30))
async def test_rest_for_one_ends_with_all_children_running_after_any_crashes(autojump_clock: Clock, seed: int) -> None:
    random = Random(seed)
    stage = Stage()
    names = ["a", "b", "c", "d"]
    children = [stage.child(name, ready_s=random.random(), stop_s=random.random()) for name in names]
    supervisor = Supervisor("tree", children, strategy="rest_for_one", intensity=1000)
    async with running(supervisor):
        for _ in range(20):
            await trio.sleep(random.random())
            running_now = [name for name, phase in phases(supervisor).items() if phase == "running"]
            for name in random.sample(running_now, k=min(len(running_now), random.randint(0, 2))):
                stage.crash(name)
        await trio.sleep(60)
        assert phases(supervisor) == dict.fromkeys(names, "running")
    ups = [scene for scene in stage.scenes if scene.endswith("ready")]
    last_start = {name: len(ups) - 1 - ups[::-1].index(f"{name} ready") for name in names}
    assert sorted(names, key=last_start.__getitem__) == names
    assert stage.scenes[-4:] == ["-d", "-c", "-b", "-a"]
