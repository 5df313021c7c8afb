"""Set-ups of a simulated run: what a file says, and how its script goes, in virtual time.

`FakeScriptsWorld` outlives a crash; `FakeScripts` is the port on it, made again by each start. A test says what the
file of a checkout asks for (`recipe`, or `recipes` by directory), and how a script ends by its text (`ends`).
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import trio

from fleet.ports import OnOutput, Recipe, Script, ScriptEnd


@dataclass
class FakeScriptsWorld:
    """`ran` holds each script that was started. `lasts_s` is how long one takes."""

    recipe: Recipe | None = None
    recipes: dict[str, Recipe | None] = field(default_factory=dict[str, Recipe | None])
    ends: dict[str, int] = field(default_factory=dict[str, int])
    output: str = "done\n"
    lasts_s: float = 0.01
    ran: list[Script] = field(default_factory=list[Script])


class FakeScripts:
    """The `Scripts` port."""

    def __init__(self, world: FakeScriptsWorld) -> None:
        self._world = world
        self._running: set[str] = set()

    @property
    def running(self) -> Collection[str]:
        return self._running

    @property
    def output(self) -> str:
        """What each script writes."""
        return self._world.output

    async def read(self, directory: str) -> Recipe | None:
        await trio.lowlevel.checkpoint()
        return self._world.recipes.get(directory, self._world.recipe)

    async def run(self, script: Script, on_output: OnOutput) -> ScriptEnd:
        self._world.ran.append(script)
        self._running.add(script.marker)
        try:
            await on_output(self._world.output)
            with trio.move_on_after(script.timeout_s):
                await trio.sleep(self._world.lasts_s)
                return ScriptEnd(self._world.ends.get(script.text, 0))
            return ScriptEnd(None)
        finally:
            self._running.discard(script.marker)


class JoinedScripts:
    """The `Scripts` port of another machine: a second call with a marker waits for the script that runs already."""

    def __init__(self, scripts: FakeScripts) -> None:
        self._scripts = scripts
        self._ends: dict[str, trio.Event] = {}
        self._codes: dict[str, ScriptEnd] = {}

    @property
    def running(self) -> Collection[str]:
        return self._scripts.running

    async def read(self, directory: str) -> Recipe | None:
        return await self._scripts.read(directory)

    async def run(self, script: Script, on_output: OnOutput) -> ScriptEnd:
        while (ended := self._ends.get(script.marker)) is not None:
            await ended.wait()
            if (end := self._codes.get(script.marker)) is not None:
                await on_output(self._scripts.output)
                return end
        self._codes.pop(script.marker, None)
        ended = self._ends[script.marker] = trio.Event()
        try:
            end = self._codes[script.marker] = await self._scripts.run(script, on_output)
            return end
        finally:
            del self._ends[script.marker]
            ended.set()
