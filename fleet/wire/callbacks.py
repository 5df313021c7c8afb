"""Response bodies of callbacks, from child to parent."""

from fleet.wire.enums import CallbackOutcome, CallbackStatus
from fleet.wire.items import WireItem


class CallbackItem(WireItem, kw_only=True):
    """A message from a child to its parent about an outcome."""

    session_id: str
    parent_id: str
    number: int
    outcome: CallbackOutcome
    status: CallbackStatus
    reason: str
    at: str
    text: str
