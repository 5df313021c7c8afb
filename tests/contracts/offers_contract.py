"""What every implementation of the port `OpenCode` offers in a directory: the fake and the real thing alike."""

from collections.abc import Callable

from trio.abc import Clock

from fleet.ports import McpServers
from tests.contracts.opencode_contract import OpenCodeSide, until

WriteFile = Callable[[str, str], None]
"""Puts an empty file of this name into the directory."""


class OffersContract:
    """The suite. Inherit it and supply the fixtures `side` and `write_file`."""

    async def test_offers_the_agents_that_can_be_named(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode:
            agents = {agent.name: agent for agent in await opencode.agents(side.directory)}
        assert agents["build"].mode == "primary"
        assert agents["general"].mode == "subagent"
        assert all(agents[name].native for name in ("build", "general"))
        assert "title" not in agents

    async def test_offers_commands(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode:
            (init,) = [command for command in await opencode.commands(side.directory) if command.name == "init"]
        assert init.description

    async def test_offers_models_that_can_be_used(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode:
            models = await opencode.models(side.directory)
        assert models
        assert all(model.provider_id and model.model_id and model.name and model.provider_name for model in models)
        assert any(model.is_default for model in models)

    async def test_finds_files_by_what_their_names_resemble(
        self, side: OpenCodeSide, write_file: WriteFile, clock: Clock | None
    ) -> None:
        for name in ("alpha-one.txt", "alpha-two.txt", "beta.txt"):
            write_file(side.other_directory, name)
        async with side.connect() as opencode:

            async def both() -> set[str]:
                found = set(await opencode.find_files(side.other_directory, "alpha", 10))
                return found if found >= {"alpha-one.txt", "alpha-two.txt"} else set()

            assert "beta.txt" not in await until(both)  # OpenCode lists a directory behind the first answers
            assert len(await opencode.find_files(side.other_directory, "alpha", 1)) == 1
            assert await opencode.find_files(side.other_directory, "nothing-like-that-at-all", 10) == ()

    async def test_reports_no_mcp_servers_if_none_are_configured(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode:
            assert await opencode.mcp_servers(side.directory) == McpServers((), are_starting=False)
