"""Every error that Fleet reports to a person or a program, with its stable code.

A `Problem` is raised anywhere below the gateway; gateway/server/problems.py turns it into RFC 9457. `PROBLEMS` is the
one list of codes: documentation, OpenAPI and tests read it. Bugs are not problems: they raise what Python raises.
"""

import errno
from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Kind(NamedTuple):
    """What a problem code means over HTTP; `hint` and `retry_after_s` are for those that bring none of their own."""

    status: int
    title: str
    hint: str | None = None
    retry_after_s: int | None = None


_SOON_S: Final = 5
_LATER_S: Final = 120
"""For failures that a person has to repair: longer than clients retry by themselves (CLIENT_RETRY_S)."""
_AGAIN: Final = "Try again in a moment."
_DOCTOR: Final = "`fleet doctor` says what is wrong with OpenCode here."


PROBLEMS: Final[Mapping[str, Kind]] = {
    # The request itself
    "bad_json": Kind(400, "The body is not JSON"),
    "invalid": Kind(422, "The request has a wrong value"),
    "unsupported_media_type": Kind(415, "The body must be application/json"),
    "too_large": Kind(413, "The request is too large"),
    "headers_too_large": Kind(431, "The request's headers are too large"),
    "upgrade_required": Kind(426, "The route accepts WebSockets only"),
    "request_timeout": Kind(408, "The request took too long to arrive"),
    "not_found": Kind(404, "There is no such route"),
    "method_not_allowed": Kind(405, "The route does not accept this method"),
    "forbidden_origin": Kind(403, "Requests from this origin are refused"),
    "token_required": Kind(401, "An access token is needed"),
    "token_invalid": Kind(401, "The access token is not valid"),
    "link_invalid": Kind(403, "The login link is not valid"),
    "read_only": Kind(403, "The token is read-only"),
    "read_only_server": Kind(503, "The server is read-only", "Start it without --read-only for changes.", _LATER_S),
    "agent_refused": Kind(403, "Sessions may not do this"),
    "too_many_attempts": Kind(429, "Too many failed logins"),
    "too_many_requests": Kind(429, "Too many requests at a time"),
    "too_many_streams": Kind(429, "Too many open streams"),
    "tokens_unreadable": Kind(
        503, "The access tokens cannot be read", "Repair the token file, or delete it and create new tokens.", _LATER_S
    ),
    "idempotency_conflict": Kind(422, "The idempotency key was used with another body"),
    # Things that do not exist
    "session_not_found": Kind(404, "There is no such session"),
    "erased": Kind(410, "The session or workspace was erased"),
    "instance_not_found": Kind(404, "There is no such instance, or the session never had it"),
    "instance_over": Kind(409, "The instance has ended"),
    "workspace_not_found": Kind(404, "There is no such workspace"),
    "prompt_not_found": Kind(404, "There is no such waiting prompt"),
    "event_not_found": Kind(404, "There is no such event"),
    "blob_not_found": Kind(404, "The session's diffs have no such content"),
    "file_not_found": Kind(404, "There is no such file"),
    "request_not_found": Kind(404, "There is no such open request"),
    "notification_not_found": Kind(404, "There is no such notification"),
    "subscription_not_found": Kind(404, "There is no such subscription"),
    "token_not_found": Kind(404, "There is no such access token"),
    "webhook_not_found": Kind(404, "There is no such webhook"),
    "conversation_not_found": Kind(404, "The session has no such conversation"),
    "part_not_found": Kind(404, "The session has no such part"),
    "content_not_found": Kind(404, "The part has no file"),
    "request_answered": Kind(409, "The request has been answered"),
    # Workspaces
    "directory_missing": Kind(422, "The directory does not exist"),
    "not_a_directory": Kind(422, "The path is not a directory"),
    "directory_outside_roots": Kind(422, "The directory is outside of the allowed roots"),
    "directory_unreadable": Kind(422, "The directory cannot be read"),
    "directory_exists": Kind(409, "The directory exists already"),
    "directory_unwritable": Kind(422, "The directory cannot be created"),
    "root_not_found": Kind(404, "There is no such workspace root"),
    "roots_full": Kind(409, "There are too many workspace roots"),
    "not_a_repository": Kind(422, "The directory is not a git repository"),
    "repository_empty": Kind(422, "The repository has no commit"),
    "branch_invalid": Kind(422, "git refuses the branch name"),
    "branch_exists": Kind(422, "The branch exists already"),
    "branch_checked_out": Kind(422, "The branch is checked out elsewhere"),
    "base_ref_unknown": Kind(422, "The base is not a commit"),
    "git_failed": Kind(502, "git failed", "Repair what git names, then try again.", _LATER_S),
    "source_unrelated": Kind(422, "The workspace was made from another repository"),
    "workspace_gone": Kind(410, "The session's workspace is gone"),
    "path_outside_workspace": Kind(422, "The path leads out of the workspace"),
    "file_unreadable": Kind(422, "The file cannot be read"),
    "workspace_existing": Kind(409, "Fleet did not make the directory and does not remove it"),
    "workspace_dirty": Kind(409, "The workspace has work that exists nowhere else"),
    "workspace_busy": Kind(409, "The workspace is in use"),
    "setup_failed": Kind(409, "The set-up of the workspace failed"),
    "setup_aborted": Kind(409, "The set-up of the workspace was aborted"),
    "setup_invalid": Kind(422, "The repository's .fleet.toml cannot be used"),
    "setup_changed": Kind(409, "The repository's .fleet.toml has changed"),
    "setup_missing": Kind(404, "There is no .fleet.toml that asks for a set-up"),
    "setup_not_waiting": Kind(409, "No set-up waits for a decision"),
    "trust_not_found": Kind(404, "There is no such allowed set-up"),
    "trust_full": Kind(409, "Too many set-ups are allowed"),
    "tree_gone": Kind(410, "The snapshot of the files is gone"),
    "tree_too_large": Kind(422, "The directory is too large for a snapshot"),
    # Session life
    "session_not_ready": Kind(409, "The session is not ready yet"),
    "session_active": Kind(409, "The session is active"),
    "session_stopped": Kind(409, "The session is stopped"),
    "session_completed": Kind(409, "The session is completed"),
    "session_disconnected": Kind(409, "The session is disconnected"),
    "changes_gone": Kind(410, "The diff is not kept any more"),
    "session_gone": Kind(410, "OpenCode has lost the session"),
    "prompt_empty": Kind(422, "The prompt has no text"),
    "callback_too_deep": Kind(422, "The chain of callbacks is too long"),
    "prompt_sent": Kind(409, "The prompt may have been sent already"),
    "turn_not_steerable": Kind(409, "No running turn accepts a prompt"),
    "command_unknown": Kind(422, "There is no such command"),
    "queue_full": Kind(429, "Too many prompts wait"),
    # Webhooks
    "webhook_url_refused": Kind(422, "Webhooks to this address are not allowed"),
    "webhooks_full": Kind(409, "There are too many webhooks"),
    "delivery_gone": Kind(410, "The delivery is not shown any more"),
    # OpenCode
    "opencode_missing": Kind(503, "OpenCode is not installed", _DOCTOR, _LATER_S),
    "opencode_not_executable": Kind(503, "OpenCode cannot be executed", _DOCTOR, _LATER_S),
    "opencode_exited": Kind(
        503,
        "OpenCode has exited",
        "Try again; if it ends again, `fleet doctor` says what is wrong with OpenCode here.",
        _LATER_S,
    ),
    "opencode_not_ready": Kind(
        503,
        "OpenCode did not become ready in time",
        "Check whether the machine is overloaded, then try again; `fleet doctor` tests OpenCode.",
        _LATER_S,
    ),
    "opencode_unreachable": Kind(
        503,
        "OpenCode does not answer",
        "Fleet retries by itself. If this lasts, resume the session: it gets a new process.",
        _SOON_S,
    ),
    "opencode_refused": Kind(
        502,
        "OpenCode refused the request",
        "`fleet doctor` says whether this version of OpenCode is known to work.",
        _LATER_S,
    ),
    "opencode_downgrade": Kind(503, "OpenCode's data is of a newer version", _DOCTOR, _LATER_S),
    # Hosts
    "host_not_found": Kind(404, "There is no such host"),
    "host_local": Kind(409, "The server's own machine cannot be drained"),
    "host_unknown": Kind(422, "There is no such host"),
    "host_unsuitable": Kind(422, "No host can do this"),
    "host_unreachable": Kind(
        503,
        "The host does not answer",
        "Fleet retries by itself; `fleet hosts` says since when it is silent.",
        _SOON_S,
    ),
    "engine_down": Kind(503, "The engine of the hosts does not answer", "`fleet doctor --cluster` says why.", _LATER_S),
    # The server
    "overloaded": Kind(503, "Fleet is overloaded", _AGAIN, _SOON_S),
    "timed_out": Kind(
        503, "Fleet got no response in time", "It may still be carried out: read the state, then try again.", _SOON_S
    ),
    "interrupted": Kind(
        503,
        "Fleet was interrupted before it could answer",
        "Read the state to see whether it was carried out, then try again.",
        _SOON_S,
    ),
    "stopping": Kind(503, "Fleet is shutting down", "Try again after Fleet has restarted.", _SOON_S),
    "disk_full": Kind(503, "The disk is full", "Free some space on that disk, then try again.", 10),
    "system_failed": Kind(
        503, "The operating system refused what Fleet needs", "Repair what it names, then try again.", _LATER_S
    ),
    "log_unavailable": Kind(503, "The event log accepts no events now", "Read Fleet's own log, then try again.", 10),
    "event_damaged": Kind(
        503,
        "A stored event is damaged",
        "`fleet log verify` names the first damaged event. Restore the data directory from a backup.",
        _LATER_S,
    ),
    "content_damaged": Kind(503, "A stored content is damaged", "Restore the data directory from a backup.", _LATER_S),
    "event_too_large": Kind(413, "The event is too large for the log"),
    "internal": Kind(500, "Fleet has a bug", "Fleet's own log has the details; please report it."),
}


class Problem(Exception):  # noqa: N818 - RFC 9457's word, and it is raised
    """A refusal or failure that its receiver can act on.

    `code` is a key of `PROBLEMS`; `detail` is a sentence about this occurrence; `field` names the offending input
    (`isolationStrategy`); `hint` says what to do; `retry_after_s` is set where trying again later makes sense; `extra`
    goes into the problem document as further members.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        hint: str | None = None,
        retry_after_s: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if code not in PROBLEMS:
            raise ValueError(f"unknown problem code {code!r}")
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.hint = PROBLEMS[code].hint if hint is None else hint
        self.retry_after_s = PROBLEMS[code].retry_after_s if retry_after_s is None else retry_after_s
        self.extra: Mapping[str, Any] = extra or {}

    def __str__(self) -> str:
        return f"{self.detail} [{self.code}]"


class Rejected(Problem):
    """`decide` refused a command: no event was appended and nothing has changed."""


class Unavailable(Problem):
    """Something that Fleet needs is missing, down or overloaded; the same request may work later."""


class StartupError(Exception):
    """Fleet cannot start; the message tells the person at the terminal why and what to do."""


FULL_DISK: Final = frozenset((errno.ENOSPC, errno.EDQUOT))
"""The system's errors for a full disk."""

_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN))


def problem_of(error: OSError) -> Unavailable:
    """Return the problem for an error of the operating system: disk_full, overloaded or system_failed."""
    said = error.strerror or type(error).__name__
    what = said if error.filename is None else f"{said}: {error.filename!r}"
    if error.errno in FULL_DISK:
        return Unavailable("disk_full", f"the disk is full ({what})")
    if error.errno in _EXHAUSTED:
        hint = "End other programs, or raise the limit of files, processes or memory, then try again."
        detail = f"the machine has no more files, processes or memory ({what})"
        return Unavailable("overloaded", detail, hint=hint, retry_after_s=10)
    return Unavailable("system_failed", f"the operating system refused a call ({what})")
