"""A prompt as a caller gave it, before anything was looked up or checked."""

import msgspec

from fleet.core.session.values import Model
from fleet.ports import Attachment


class NewPrompt(msgspec.Struct, frozen=True):
    """A prompt as a caller gives it."""

    text: str
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None
    command: str | None = None
    steer: bool = False
