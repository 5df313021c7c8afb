"""What every OpenCode does when a conversation is to be summed up."""

from typing import Any

import msgspec
from trio.abc import Clock

from fleet.ports import Message
from tests.contracts.opencode_contract import OpenCodeSide, finished, until


class CompactionContract:
    """The suite. Inherit it and supply the fixture `side`."""

    async def test_a_conversation_is_summed_up_as_a_turn_of_its_own(
        self, side: OpenCodeSide, clock: Clock | None
    ) -> None:
        async with side.connect() as opencode:
            session_id, prompt = await side.session(opencode), side.prompt(side.script.text("violet"))
            await opencode.prompt(session_id, side.directory, prompt)
            (answer,) = await finished(opencode, session_id, side.directory, prompt)
            model: dict[str, Any] = msgspec.json.decode(answer.info.raw)
            await opencode.compact(session_id, side.directory, model["providerID"], model["modelID"])

            async def summed_up() -> list[Message]:
                messages = await opencode.read_messages(session_id)
                return [*messages[2:]] if messages[-1].info.completed_ms is not None and len(messages) > 3 else []

            asked, summary = await until(summed_up)
            assert [part.type for part in asked.parts] == ["compaction"]
            assert (asked.info.role, summary.info.parent_id, summary.info.finish) == ("user", asked.info.id, "stop")
            assert session_id not in await opencode.statuses(side.directory)
