"""What was answered to requests with an idempotency key, as an event: so that a repetition gets the same words."""

import msgspec


class RequestAnswered(msgspec.Struct, frozen=True):
    """This is what the first request with this key was answered; of its headers those that belong to the answer.

    The key and the digest of the request are the event's command id and command digest.
    """

    status: int
    headers: dict[str, str]
    body: str
    at_ms: int
