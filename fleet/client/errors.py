"""The errors of the client: one class with the problem's code, and a few subclasses by what a caller can do."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import trio

from fleet.http_pool import HttpResponse
from fleet.limits import PROBLEM_TEXT_CHARS_MAX


class FleetError(Exception):
    """Fleet refused a request or could not carry it out; nothing has changed where it was refused.

    `code` is stable (fleet/errors.py lists them), `status` is HTTP's (0 without a response), `detail` a sentence
    about this occurrence, `field` the wrong input, `hint` what to do. `retry_after_s` is set where the same request may
    work later. `members` is the whole problem document (RFC 9457).
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 0,
        retry_after_s: float | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s
        self.members: Mapping[str, Any] = members or {}

    @property
    def field(self) -> str | None:
        """The name of the input that is wrong."""
        return self.members.get("field")

    @property
    def hint(self) -> str | None:
        """What to do."""
        return self.members.get("hint")

    @property
    def transient(self) -> bool:
        """Whether the same request, sent again with its key, may work."""
        return self.retry_after_s is not None or self.code in _INTERRUPTIONS

    def __str__(self) -> str:
        return f"{self.detail} [{self.code}]"


class Invalid(FleetError):  # noqa: N818 - they are caught by what went wrong, as OSError's kinds are
    """The request has a wrong value, is too large, or is not understood (400, 413, 415, 422, 431)."""


class Denied(FleetError):  # noqa: N818
    """The caller is not allowed to do this (401, 403)."""


class NotFound(FleetError):  # noqa: N818
    """There is no such session, instance, workspace, … (404)."""


class Conflict(FleetError):  # noqa: N818
    """The current state does not allow it (409), or something that it needs does not exist any more (410)."""


class Unavailable(FleetError):  # noqa: N818
    """Fleet, or something that it needs, is down, overloaded or broken (429, 5xx)."""


class Unreachable(Unavailable):
    """There was no response: no server is reachable, or the connection was lost and not restored in time."""


_INTERRUPTIONS: Final = frozenset(("stopping", "interrupted", "unreachable"))
_CLASSES: Final[Mapping[int, type[FleetError]]] = {
    **dict.fromkeys((400, 413, 415, 422, 431), Invalid),
    **dict.fromkeys((401, 403), Denied),
    404: NotFound,
    **dict.fromkeys((409, 410), Conflict),
    429: Unavailable,
}


def unreachable(url: str, error: Exception) -> Unreachable:
    """Return the error for a connection that failed."""
    if isinstance(error, OSError):
        why = str(error) or type(error).__name__
    else:
        why = "it took too long" if isinstance(error, trio.TooSlowError) else "the connection was lost"
    return Unreachable("unreachable", f"there is no response from {url}: {why}")


def unreadable(url: str, status: int, error: Exception) -> FleetError:
    """Return the error for a response that is not Fleet's."""
    return FleetError("unreadable", f"the server at {url} is not this version of Fleet: {error}", status=status)


def error_of(response: HttpResponse) -> FleetError:
    """Return the error that a response with a body describes."""
    status, retry_after_s = response.status, _retry_after(response)
    try:
        return problem_of(status, response.body, retry_after_s)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        said = response.body.decode(errors="replace")[:PROBLEM_TEXT_CHARS_MAX] or "no body"
        error = _class(status)
        return error("unreadable", f"the server sent HTTP {status}: {said}", status=status, retry_after_s=retry_after_s)


def problem_of(status: int, document: bytes, retry_after_s: float | None) -> FleetError:
    """Return the error of a problem document. Raises `MsgspecError` or `KeyError` for other content."""
    members = msgspec.json.decode(document, type=dict[str, Any])
    code, detail = str(members["code"]), str(members["detail"])
    return _class(status)(code, detail, status=status, retry_after_s=retry_after_s, members=members)


def _class(status: int) -> type[FleetError]:
    return _CLASSES.get(status, Unavailable if status >= 500 else FleetError)


def _retry_after(response: HttpResponse) -> float | None:
    value = response.field("retry-after") or ""
    return float(value) if value.isascii() and value.isdecimal() else None
