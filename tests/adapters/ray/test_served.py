"""What an agent serves of its own machine, with real processes."""

import os
from pathlib import Path

import trio

from fleet.adapters.ray.served import OwnScripts
from fleet.adapters.scripts import LocalScripts
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
