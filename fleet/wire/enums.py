"""The types of members whose values are a closed set. A test holds them equal to the core's own."""

from typing import Literal

Status = Literal["created", "active", "waiting_input", "idle", "completed", "stopped", "disconnected", "error"]
"""Of a session."""
Strategy = Literal["existing", "worktree", "clone"]
TurnOutcome = Literal["finished", "aborted", "interrupted", "error"]
"""How a turn ended; `error` is that of a turn that failed."""
CallbackOutcome = Literal["finished", "aborted", "interrupted", "error", "stopped", "disconnected"]
"""What became of a child, as its parent hears it."""
CallbackStatus = Literal["pending", "undelivered", "delivered", "dropped"]
AbortOutcome = Literal["aborted", "ended", "nothing_to_abort", "aborting"]
InboxKind = Literal["permission", "question", "failure", "budget", "callback", "setup", "webhook"]
"""What waits for a person."""
RequestKind = Literal["permission", "question"]
NotificationKind = Literal[
    "finished", "aborted", "interrupted", "error", "request", "disconnected", "budget", "callback", "delayed"
]
SnippetKind = Literal["title", "prompt", "answer", "tool"]
InstanceStatus = Literal["starting", "ready", "unreachable", "stopping", "stopped", "lost"]
StopReason = Literal["unused", "shutdown", "failed", "hung"]
"""Why a process was stopped: no session used it, Fleet was shut down, it never became ready, or it did not answer."""
WorkspaceStatus = Literal["preparing", "ready", "removing", "removed", "restoring", "failed", "missing"]
"""`missing`: it was ready, and its directory is not there any more."""
NotCarriedKind = Literal["directory", "hooks", "filters", "lfs", "submodules", "objects", "config", "files"]
"""What of its source a workspace does not have."""
Role = Literal["operator", "viewer"]
"""Of an access token: an operator may do everything, a viewer may read."""
TokenStatus = Literal["active", "expired", "revoked"]
SetupStatus = Literal["required", "held", "running", "done", "failed", "skipped"]
"""Of a workspace's set-up; `held`: it waits for a person who allows its commands."""
WebhookStatus = Literal["active", "disabled"]
DeliveryOutcome = Literal["pending", "delivered", "dropped"]
TurnActivity = Literal["busy", "retry", "idle"]
"""OpenCode's own status of a turn."""
