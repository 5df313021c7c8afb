"""What a workspace is told (commands) and what happened to it (events). Times are Unix milliseconds."""

import msgspec

from fleet.ports import PreparedWorkspace, WorkspaceOrder

# ---------------------------------------------------------------------------------------------------------- commands


class PrepareWorkspace(msgspec.Struct, frozen=True):
    """Make the workspace and let the session use it. Where it is being made or ready, only the claim is added."""

    order: WorkspaceOrder
    session_id: str
    at_ms: int


class ClaimWorkspace(msgspec.Struct, frozen=True):
    """Let a session use the workspace; one that failed is tried again."""

    session_id: str
    at_ms: int


class ReportPrepared(msgspec.Struct, frozen=True):
    """It is there."""

    prepared: PreparedWorkspace
    at_ms: int


class ReportPrepareFailed(msgspec.Struct, frozen=True):
    """It could not be made, and nothing of it is left; `code` is a problem code."""

    code: str
    detail: str
    at_ms: int


Command = PrepareWorkspace | ClaimWorkspace | ReportPrepared | ReportPrepareFailed

# ------------------------------------------------------------------------------------------------------------ events


class WorkspaceRequested(msgspec.Struct, frozen=True):
    """The workspace is to be made like this; after a failure it is tried again."""

    order: WorkspaceOrder
    at_ms: int


class WorkspaceClaimed(msgspec.Struct, frozen=True):
    """The session uses it."""

    session_id: str
    at_ms: int


class WorkspaceReady(msgspec.Struct, frozen=True):
    """It is there: this directory, branch and commit."""

    prepared: PreparedWorkspace
    at_ms: int


class WorkspaceFailed(msgspec.Struct, frozen=True):
    """It could not be made, and nothing of it is left."""

    code: str
    detail: str
    at_ms: int


Event = WorkspaceRequested | WorkspaceClaimed | WorkspaceReady | WorkspaceFailed
