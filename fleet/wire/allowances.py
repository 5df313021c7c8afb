"""Response bodies of allowances: the permissions that a reply of `always` has granted."""

import msgspec


class AllowanceItem(msgspec.Struct, rename="camel", kw_only=True):
    """A permission that is valid for every session of a directory until its OpenCode process ends.

    The session `sessionId` had asked for it, in the request `requestId`; `patterns` are OpenCode's own.
    """

    session_id: str
    request_id: str
    permission: str
    patterns: list[str]
    at: str
