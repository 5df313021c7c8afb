"""What commands and events of a session are made of."""

from hashlib import blake2b
from typing import Literal

import msgspec

ProvisionStep = Literal["workspace", "instance", "conversation"]
TurnOutcome = Literal["finished", "aborted", "interrupted"]


class Model(msgspec.Struct, frozen=True):
    """A model as OpenCode names it."""

    provider_id: str
    model_id: str


class FreshIds(msgspec.Struct, frozen=True):
    """Ids for the turn that a command may start: made right before, because OpenCode orders messages by them."""

    message_id: str
    part_seed: str

    def part_ids(self, count: int) -> tuple[str, ...]:
        """Return `count` part ids (at most 100): the seed with its last two characters counted up."""
        return tuple(f"{self.part_seed[:-2]}{n:02d}" for n in range(count))


def digest(body: msgspec.Raw | bytes) -> str:
    """Return a short digest by which a message or part is recognised as unchanged."""
    return blake2b(body, digest_size=8).hexdigest()


def raw(body: bytes) -> msgspec.Raw:
    """Return OpenCode's JSON as it is embedded in an event, unparsed."""
    return msgspec.Raw(body)
