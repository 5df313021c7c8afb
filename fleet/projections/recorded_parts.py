"""Reads what the transcript needs of a recorded tool call: the sub-agent that it has started, and its attachments."""

import msgspec


class SubAgent(msgspec.Struct, frozen=True):
    """A sub-agent that a call of the tool `task` has started: the conversation with the call, its title and agent."""

    parent_id: str
    title: str | None
    agent: str | None


class _TaskInput(msgspec.Struct, frozen=True):
    description: str | None = None
    subagent_type: str | None = None


class _TaskMetadata(msgspec.Struct, frozen=True):
    sessionId: str | None = None  # noqa: N815 - OpenCode's spelling, here and below


class _Attached(msgspec.Struct, frozen=True):
    id: str = ""


class _ToolState(msgspec.Struct, frozen=True):
    input: _TaskInput = _TaskInput()
    metadata: _TaskMetadata = _TaskMetadata()


class _Task(msgspec.Struct, frozen=True):
    tool: str = ""
    sessionID: str = ""  # noqa: N815
    state: _ToolState = _ToolState()


class _AttachmentsState(msgspec.Struct, frozen=True):
    attachments: list[_Attached] = []


class _WithAttachments(msgspec.Struct, frozen=True):
    state: _AttachmentsState = _AttachmentsState()


_task = msgspec.json.Decoder(_Task)
_with_attachments = msgspec.json.Decoder(_WithAttachments)


def subagent_of(part: bytes | msgspec.Raw) -> tuple[str, SubAgent] | None:
    """Return a sub-agent's session id and the sub-agent if the part is a call of `task` that has started one."""
    try:
        read = _task.decode(part)
    except msgspec.MsgspecError:
        return None
    started = read.state.metadata.sessionId
    if read.tool != "task" or started is None:
        return None
    return started, SubAgent(read.sessionID, read.state.input.description, read.state.input.subagent_type)


def attachments_of(part: bytes | msgspec.Raw) -> list[str]:
    """Return the ids of the attachments in the result of a call."""
    try:
        return [each.id for each in _with_attachments.decode(part).state.attachments if each.id]
    except msgspec.MsgspecError:
        return []
