"""The choice of the model: OpenCode's own providers, or the rehearsal model where there are none."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import trio

from fleet.adapters.opencode.providers import own_providers
from fleet.config import Config


class ModelSource(NamedTuple):
    """The model that OpenCode uses: the rehearsal model or its own, and why."""

    rehearsal: bool
    why: str


class ModelChoice:
    """Decides once whether OpenCode gets the rehearsal model; `known` waits for the decision."""

    def __init__(self, config: Config, environment: Mapping[str, str], executable: Path | None) -> None:
        self._rehearsal = config.rehearsal
        self._environment = environment
        self._executable = executable
        self._chosen: ModelSource | None = None
        self._decided = trio.Event()

    async def known(self) -> ModelSource:
        """Wait for the choice, and return it."""
        while self._chosen is None:
            await self._decided.wait()
        return self._chosen

    async def choose(self) -> ModelSource:
        """Choose the model. Asks OpenCode for its providers if the choice depends on them."""
        if self._chosen is None:
            self._chosen = await self._choose()
        self._decided.set()
        return self._chosen

    async def _choose(self) -> ModelSource:
        if self._rehearsal == "never":
            return ModelSource(False, "OpenCode's own providers")
        if self._rehearsal == "always":
            return ModelSource(True, "the rehearsal model, because of --rehearsal always")
        if self._executable is None:
            return ModelSource(True, "the rehearsal model (scripted, free), once OpenCode is installed")
        providers = await own_providers(self._executable, self._environment)
        if providers:
            return ModelSource(False, f"OpenCode's own providers ({', '.join(sorted(providers))})")
        return ModelSource(True, "the rehearsal model (scripted, free), because OpenCode has no provider of its own")
