"""Response bodies of allowances: what a reply of `always` has allowed, and to which sessions."""

import msgspec


class AllowanceItem(msgspec.Struct, rename="camel"):
    """Something that holds for every session of a directory until its OpenCode process ends.

    `sessionId` was asked, in the request `requestId`; `patterns` are OpenCode's own.
    """

    session_id: str
    request_id: str
    permission: str
    patterns: list[str]
    at: str
