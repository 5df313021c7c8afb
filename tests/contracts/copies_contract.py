"""What every OpenCode does with messages that it is given: copies that a fork begins with, and a session's own."""

import json

from msgspec.structs import replace
from trio.abc import Clock

from fleet.ports import Message, MessageChanged, OpenCode, RecordedMessage
from tests.contracts.opencode_contract import OpenCodeSide, finished, following, text_of
from tests.fakes.opencode_host import NOWHERE


class CopiesContract:
    """The suite. Inherit it and supply the fixture `side`."""

    async def test_copies_of_messages_are_made_once_and_under_ids_of_their_own(
        self, side: OpenCodeSide, clock: Clock | None
    ) -> None:
        async with side.connect() as opencode:
            session_id = await prompted(side, opencode, side.script.steps(2))
            told = await opencode.read_messages(session_id)
            fork = await opencode.name_session(await side.session(opencode, side.other_directory), "A fork")
            await side.host.copy_messages(told[:2], fork)
            await side.host.copy_messages(told, fork)
            copied = await opencode.read_messages(fork.id)
            assert [(message.info.role, text_of(message)) for message in copied] == [
                (message.info.role, text_of(message)) for message in told
            ]
            assert {message.info.parent_id for message in copied} == {None, copied[0].info.id}
            assert {part.session_id for message in copied for part in message.parts} == {fork.id}
            assert await opencode.read_messages(session_id) == told
            known = await opencode.read_session(fork.id)
            assert known is not None
            assert (known.directory, known.title) == (side.other_directory, "A fork")
            further = side.prompt(side.script.text("violet"))
            await opencode.prompt(fork.id, side.other_directory, further)
            assert len(await finished(opencode, fork.id, side.other_directory, further)) == 1

    async def test_part_of_a_prompt_is_replaced_by_the_very_same_json(
        self, side: OpenCodeSide, clock: Clock | None
    ) -> None:
        async with side.connect() as opencode:
            session_id = await prompted(side, opencode, side.script.text("once"))
            [asked, *_] = told = await opencode.read_messages(session_id)
            [part] = asked.parts
            body = json.dumps(json.loads(part.raw) | {"text": "other words"}, sort_keys=True).encode()
            await opencode.replace_part(session_id, asked.info.id, part.id, body)
            await opencode.replace_part(session_id, asked.info.id, side.new_id("prt"), body)
            [now, *others] = await opencode.read_messages(session_id)
            assert [json.loads(each.raw) for each in now.parts] == [json.loads(body)]
            assert tuple(others) == told[1:]

    async def test_messages_of_a_session_are_restored_where_it_is_not_known(
        self, side: OpenCodeSide, clock: Clock | None
    ) -> None:
        async with side.connect() as opencode:
            session_id = await prompted(side, opencode, side.script.steps(2))
            told = await opencode.read_messages(session_id)
            await opencode.delete_session(session_id)
            assert await opencode.create_session(session_id, side.other_directory) == session_id
            session = await opencode.name_session(session_id, "As it was")
            await side.host.restore_messages(recorded(told[:2]), session)
            await side.host.restore_messages(recorded(told), session)
            restored = await opencode.read_messages(session_id)
            assert [each.info.id for each in restored] == [each.info.id for each in told]
            assert recorded(restored) == recorded(told)
            further = side.prompt(side.script.text("violet"))
            await opencode.prompt(session_id, side.other_directory, further)
            assert len(await finished(opencode, session_id, side.other_directory, further)) == 1

    async def test_session_whose_directory_is_gone_works_in_another_one(
        self, side: OpenCodeSide, clock: Clock | None
    ) -> None:
        async with side.connect() as opencode:
            session_id = await opencode.create_session(side.new_id("ses"), f"{NOWHERE}/project")
            session = await opencode.name_session(session_id, "As it was")
            await side.host.move_session(session, side.other_directory)
            await side.host.move_session(replace(session, directory=side.other_directory), side.directory)
            known = await opencode.read_session(session_id)
            assert known is not None
            assert (known.directory, known.title) == (side.other_directory, "As it was")
            further = side.prompt(side.script.text("violet"))
            await opencode.prompt(session_id, side.other_directory, further)
            assert len(await finished(opencode, session_id, side.other_directory, further)) == 1

    async def test_messages_are_added_to_a_new_session_without_events(
        self, side: OpenCodeSide, clock: Clock | None
    ) -> None:
        async with side.connect() as opencode:
            session_id = await prompted(side, opencode, side.script.steps(2))
            told = await opencode.read_messages(session_id)
            await opencode.delete_session(session_id)
            await opencode.create_session(session_id, side.other_directory)
            session = await opencode.name_session(session_id, "As it was")
            async with following(opencode) as follower:
                for _ in range(2):
                    assert await opencode.add_messages(recorded(told), session)
                    assert recorded(await opencode.read_messages(session_id)) == recorded(told)
                assert not follower.seen(MessageChanged)
            further = side.prompt(side.script.text("violet"))
            await opencode.prompt(session_id, side.other_directory, further)
            assert len(await finished(opencode, session_id, side.other_directory, further)) == 1


async def prompted(side: OpenCodeSide, opencode: OpenCode, text: str) -> str:
    """Return the id of a new session with one finished prompt."""
    session_id = await side.session(opencode)
    prompt = side.prompt(text)
    await opencode.prompt(session_id, side.directory, prompt)
    await finished(opencode, session_id, side.directory, prompt)
    return session_id


def recorded(messages: tuple[Message, ...]) -> tuple[RecordedMessage, ...]:
    return tuple(RecordedMessage(each.info.raw, tuple(part.raw for part in each.parts)) for each in messages)
