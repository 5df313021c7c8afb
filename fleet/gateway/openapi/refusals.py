"""Groups of problem codes that a route may respond with, by what the route does.

openapi.json lists them per route (document.py), and the tests of the gateway hold every response to that list.
"""

from typing import Final

EVERYWHERE: Final = (
    "forbidden_origin",
    "headers_too_large",
    "token_required",
    "token_invalid",
    "tokens_unreadable",
    "too_many_attempts",
    "too_many_requests",
    "invalid",
    "overloaded",
    "disk_full",
    "event_damaged",
    "content_damaged",
    "system_failed",
    "internal",
)
"""The guard and the reading of the query; what the operating system refuses; and what must never happen."""

NOWHERE: Final = ("method_not_allowed",)
"""The code for a method that no route of the path has."""

WITH_PATH: Final = ("not_found",)
"""A part of the address that the route does not take."""

WITH_BODY: Final = ("read_only", "unsupported_media_type", "too_large", "request_timeout", "bad_json")
"""The guard, and the reading of a body."""

WRITING: Final = ("read_only_server", "idempotency_conflict")
"""A route whose changes are in the log."""

ABSENT: Final = ("session_not_found", "erased")

SESSION: Final = (*ABSENT, "instance_not_found")

COMMAND: Final = (
    "idempotency_conflict",
    "overloaded",
    "timed_out",
    "interrupted",
    "stopping",
    "disk_full",
    "log_unavailable",
    "event_too_large",
)
"""Every route that sends a command to an actor."""

STREAM: Final = ("too_many_streams", "overloaded", "stopping")

OPENCODE: Final = ("opencode_unreachable", "opencode_refused", "timed_out")

DIRECTORY: Final = ("directory_missing", "not_a_directory", "directory_outside_roots", "directory_unreadable")

PROVISION: Final = (
    *DIRECTORY,
    *OPENCODE,
    "not_a_repository",
    "repository_empty",
    "branch_invalid",
    "branch_exists",
    "branch_checked_out",
    "base_ref_unknown",
    "git_failed",
    "workspace_gone",
    "workspace_dirty",
    "workspace_busy",
    "tree_gone",
    "tree_too_large",
    "session_gone",
    "session_not_ready",
    "opencode_missing",
    "opencode_not_executable",
    "opencode_exited",
    "opencode_not_ready",
    "opencode_downgrade",
    "host_unknown",
    "host_unsuitable",
    "host_unreachable",
    "engine_down",
)
"""What may keep a session from taking a prompt: its host, its workspace, its OpenCode process, its conversation."""

MAKING: Final = (*DIRECTORY, "not_a_repository", "repository_empty", "branch_checked_out", "base_ref_unknown")
REBINDING: Final = ("workspace_existing", "workspace_busy", "not_a_repository", "source_unrelated", "git_failed")
REMOVAL: Final = ("workspace_dirty", "workspace_busy", "workspace_gone", "git_failed", "branch_exists", "invalid")

PROMPT: Final = (
    "prompt_empty",
    "command_unknown",
    "queue_full",
    "session_stopped",
    "session_completed",
    "session_disconnected",
    "session_not_ready",
    "session_gone",
)
