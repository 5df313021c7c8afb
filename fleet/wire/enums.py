"""The types of members with a closed set of values. A test compares them with the core's own."""

from typing import Literal

Status = Literal["created", "active", "waiting_input", "idle", "completed", "stopped", "disconnected", "error"]
"""The status of a session."""
Strategy = Literal["existing", "worktree", "clone"]
TurnOutcome = Literal["finished", "aborted", "interrupted", "error"]
"""How a turn ended; `error`: it failed."""
CallbackOutcome = Literal["finished", "aborted", "interrupted", "error", "stopped", "disconnected"]
"""The outcome of a child, as its parent gets it."""
CallbackStatus = Literal["pending", "undelivered", "delivered", "dropped"]
AbortOutcome = Literal["aborted", "ended", "nothing_to_abort", "aborting"]
InboxKind = Literal["permission", "question", "failure", "budget", "callback", "setup", "delay", "webhook"]
"""The kinds of items that wait for a person."""
RequestKind = Literal["permission", "question"]
NotificationKind = Literal[
    "finished", "aborted", "interrupted", "error", "request", "disconnected", "budget", "callback", "delayed"
]
SnippetKind = Literal["title", "prompt", "answer", "tool"]
HostStatus = Literal["up", "silent", "lost", "draining"]
"""The status of a host; `draining`: it is up, and no further sessions are placed there."""
OnHostLoss = Literal["ask", "resume"]
"""What follows for a session when its host is lost: it waits for a person, or is resumed on another host."""
InstanceStatus = Literal["starting", "ready", "unreachable", "stopping", "stopped", "lost"]
StopReason = Literal["unused", "shutdown", "failed", "hung"]
"""Why a process was stopped: no session used it, Fleet was shut down, it never became ready, or it did not answer."""
WorkspaceStatus = Literal["preparing", "ready", "removing", "removed", "restoring", "failed", "missing"]
"""The status of a workspace; `missing`: it was ready, and its directory does not exist any more."""
NotCarriedKind = Literal["directory", "hooks", "filters", "lfs", "submodules", "objects", "config", "files"]
"""Parts of its source that a workspace does not have."""
Role = Literal["operator", "viewer"]
"""The role of an access token: an operator may do everything, a viewer may only read."""
TokenStatus = Literal["active", "expired", "revoked"]
SetupStatus = Literal["required", "held", "running", "done", "failed", "skipped"]
"""The status of a workspace's set-up; `held`: it waits for a person to allow its commands."""
WebhookStatus = Literal["active", "disabled"]
DeliveryOutcome = Literal["pending", "delivered", "dropped"]
TurnActivity = Literal["busy", "retry", "idle"]
"""OpenCode's own status of a turn."""
WhyKind = Literal["outcome", "change", "tool", "permission", "process", "turn", "prompt", "event"]
"""What a step of an explanation tells: `prompt` is what a person asked for, `event` is anything else in the log."""
