"""The event that stores the response to a request with an idempotency key, for repetitions of that request."""

from fleet.core.messages import Event


class ResponseStored(Event, frozen=True, kw_only=True):
    """The response to the first request with this key, with those headers that are part of the response.

    The key and the digest of the request are the event's command id and command digest.
    """

    status: int
    headers: dict[str, str]
    body: str
