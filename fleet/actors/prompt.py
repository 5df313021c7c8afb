"""A prompt as a caller sent it, before any check."""

import msgspec

from fleet.core.session.values import Model
from fleet.ports import Attachment


class NewPrompt(msgspec.Struct, frozen=True):
    """A prompt as a caller sends it."""

    text: str
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None
    command: str | None = None
    steer: bool = False
