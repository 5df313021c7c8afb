"""What an agent serves of its own machine, with real processes."""

import os
from pathlib import Path

import trio
from trio.testing import MockClock

from fleet.adapters.ray.served import OwnScripts, OwnTunnels
from fleet.adapters.scripts import LocalScripts
from fleet.limits import HOST_WAIT_S
from fleet.ports import Script, ScriptEnd


async def test_a_teardown_is_not_taken_for_the_set_up_that_still_runs(tmp_path: Path) -> None:
    def script(text: str) -> Script:
        return Script("setup-w1", text, str(tmp_path), {}, 600.0)

    async with trio.open_nursery() as nursery:
        scripts = OwnScripts(LocalScripts(tmp_path, {"PATH": os.environ["PATH"]}), nursery)
        await scripts.start(script("echo begun; sleep 600"))
        begun = await scripts.output("setup-w1", 0)
        await scripts.start(script("echo begun; sleep 600"))  # the answer was lost: it is the same one
        assert (await scripts.output("setup-w1", 0)).text == begun.text == "begun\n"
        await scripts.start(script("echo torn down"))
        torn_down = await scripts.output("setup-w1", 0)
        while torn_down.end is None:
            torn_down = await scripts.output("setup-w1", len(torn_down.text))
        assert torn_down.end == ScriptEnd(0)
        nursery.cancel_scope.cancel()


async def test_result_of_an_earlier_attempt_is_not_that_of_the_next_one(tmp_path: Path) -> None:
    def script(attempt: int) -> Script:
        return Script("setup-w1", "echo ran >> log; wc -l < log", str(tmp_path), {}, 600.0, attempt)

    async def result() -> str:
        output = await scripts.output("setup-w1", 0)
        while output.end is None:
            output = await scripts.output("setup-w1", len(output.text))
        return (await scripts.output("setup-w1", 0)).text.strip()

    async with trio.open_nursery() as nursery:
        scripts = OwnScripts(LocalScripts(tmp_path, {"PATH": os.environ["PATH"]}), nursery)
        for attempt, ran in ((1, "1"), (1, "1"), (2, "2")):  # the server's call to forget it did not arrive
            await scripts.start(script(attempt))
            assert await result() == ran
        nursery.cancel_scope.cancel()


async def test_connection_that_its_server_never_used_is_closed(mock_clock: MockClock) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port, tunnels = listener.socket.getsockname()[1], OwnTunnels()
    async with listener:
        await tunnels.dial("of a server that has ended", "127.0.0.1", port)
        async with await listener.accept() as accepted:
            mock_clock.jump(2 * HOST_WAIT_S + 1)
            await tunnels.dial("of the next server", "127.0.0.1", port)
            mock_clock.rate = 1
            with trio.fail_after(5):
                assert await accepted.receive_some() == b""
        await tunnels.close()
