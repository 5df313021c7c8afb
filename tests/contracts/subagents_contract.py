"""What every implementation of the port `OpenCode` says of sub-agents: the fake and the real thing alike."""

from trio.abc import Clock

from fleet.ports import SessionChanged
from tests.contracts.opencode_contract import OpenCodeSide, finished, following


class SubagentsContract:
    """The suite. Inherit it and supply the fixture `side`."""

    async def test_a_sub_agent_has_a_session_of_its_own(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode, following(opencode) as follower:
            session_id, prompt = await side.session(opencode), side.prompt(side.script.task())
            await opencode.prompt(session_id, side.directory, prompt)
            await finished(opencode, session_id, side.directory, prompt)
            (child,) = await opencode.children(session_id)
            assert (child.parent_id, child.directory) == (session_id, side.directory)
            await follower.wait_for(SessionChanged, lambda e: (e.session_id, e.parent_id) == (child.id, session_id))
            asked, *answers = await opencode.read_messages(child.id)
            assert (asked.info.role, bool(answers)) == ("user", True)

    async def test_a_session_says_since_when_it_has_had_no_prompt(
        self, side: OpenCodeSide, clock: Clock | None
    ) -> None:
        async with side.connect() as opencode:
            session_id = await side.session(opencode)
            for prompt in (side.prompt(side.script.text("One")), side.prompt(side.script.text("Two"))):
                before = await opencode.read_messages(session_id)
                await opencode.prompt(session_id, side.directory, prompt)
                await finished(opencode, session_id, side.directory, prompt)
            session = await opencode.read_session(session_id)
            assert session is not None
            assert session.updated_ms > max(message.info.completed_ms or 0 for message in before)
