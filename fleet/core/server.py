"""The server aggregate: what happened to this Fleet itself, and not in one of its sessions.

One aggregate with the id `fleet`: starts, stops and crashes, access tokens, logins, refused requests, and who read
or copied the whole log. Tokens are named and never shown. An envelope says who did it.
"""

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from fleet.core.decider import Decider
from fleet.core.messages import Command, Event

SERVER_ID: Final = "fleet"

TokenRole = Literal["operator", "viewer"]
RefusedRequest = Literal["login", "read", "write"]
"""`login`: a link or its code. A stream is a read."""
RefusedSecret = Literal["unknown", "expired", "revoked"]
"""Why a token, link or cookie was not accepted. A link that was used before is unknown."""
LoginBy = Literal["link", "token"]
"""`link`: a browser, which got a cookie. `token`: the first request of a program after a pause."""


class ServerStarted(Event, frozen=True, kw_only=True):
    """A server started on this data directory. `configuration` is a digest: two starts with the same have equal ones.

    Later events were written by this `version` of Fleet, up to the next start. `contradicted_head` is the position of a
    signed head that the log has contradicted at this start or before: it was changed without Fleet.
    """

    run_id: str
    version: str
    configuration: str
    contradicted_head: int | None = None


class ServerStopped(Event, frozen=True, kw_only=True):
    """The server stopped in order. Only the last events of its sessions follow."""

    run_id: str


class ServerCrashed(Event, frozen=True, kw_only=True):
    """The run ended without a stop: it crashed, was killed, or the machine went down. The next start found that."""

    run_id: str
    version: str
    started_at_ms: int


class TokenMade(Event, frozen=True, kw_only=True):
    """An access token was made at `made_at_ms`, perhaps while no server ran.

    `again`: the log knows the name, and the token has other terms now: another secret, role or end, or it is not
    revoked any more. The token file was changed by hand, or the token made again after the file was removed.
    `fingerprint` is made of the digests of its secrets, and shows only whether they are the same; None in events of
    older servers.
    """

    name: str
    role: TokenRole
    made_at_ms: int
    expires_at_ms: int | None = None
    fingerprint: str | None = None
    again: bool = False


class TokenRevoked(Event, frozen=True, kw_only=True):
    """The access token was revoked at `revoked_at_ms`, perhaps while no server ran."""

    name: str
    revoked_at_ms: int


class TokenExpired(Event, frozen=True, kw_only=True):
    """The access token expired at `expired_at_ms`."""

    name: str
    expired_at_ms: int


class RequestsRefused(Event, frozen=True, kw_only=True):
    """`count` requests were refused for lack of access since `since_ms`. `code` is the problem code.

    `actor` is the token or caller whose requests they were, None if it is unknown. `reason` is None where no token,
    link or cookie was refused, and in events of older servers.
    """

    request: RefusedRequest
    code: str
    count: int
    since_ms: int
    actor: str | None = None
    reason: RefusedSecret | None = None


class LoginLinkMade(Event, frozen=True, kw_only=True):
    """A caller of the API made links that log in under the token, `count` of them since `since_ms`."""

    token: str
    count: int
    since_ms: int


class LoggedIn(Event, frozen=True, kw_only=True):
    """`count` logins under the token since `since_ms`. `expires_at_ms` is the end of the newest browser's login."""

    token: str
    by: LoginBy
    count: int
    since_ms: int
    expires_at_ms: int | None = None


class LoggedOut(Event, frozen=True, kw_only=True):
    """Users logged `count` browsers out, which were logged in under the token, since `since_ms`."""

    token: str
    count: int
    since_ms: int


class LogVerified(Event, frozen=True, kw_only=True):
    """A caller had the log verified up to `through`; `first_break` is the position of the first damage.

    A caller who repeats that is recorded once a minute: `count` proofs since `since_ms`, the newest up to `through`.
    """

    through: int
    first_break: int | None = None
    count: int = 1
    since_ms: int | None = None


class LogExported(Event, frozen=True, kw_only=True):
    """A caller began to export the events after `after`, up to `through`.

    A caller who repeats that is recorded once a minute: `count` exports since `since_ms`; the range is the newest
    one's.
    """

    after: int
    through: int
    count: int = 1
    since_ms: int | None = None


class BackupMade(Event, frozen=True, kw_only=True):
    """A caller backed up the data directory: the log up to `through`, in `directory`."""

    directory: str
    through: int


RepeatedFact = LoginLinkMade | LoggedIn | LoggedOut | LogVerified | LogExported
"""Facts that a caller may cause as often as it likes: recorded at once, and what is repeated once a minute."""
ServerFact = RequestsRefused | RepeatedFact | BackupMade
ServerEvent = ServerStarted | ServerStopped | ServerCrashed | TokenMade | TokenRevoked | TokenExpired | ServerFact


class StartServer(Command, frozen=True, kw_only=True):
    """Record the start of this run; a run before it that did not stop has crashed."""

    run_id: str
    version: str
    configuration: str
    contradicted_head: int | None = None


class StopServer(Command, frozen=True, kw_only=True):
    """Record the orderly stop of this run."""

    run_id: str


class KnownToken(msgspec.Struct, frozen=True):
    """An access token as the token file has it. Times are Unix milliseconds."""

    name: str
    role: TokenRole
    made_at_ms: int
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    fingerprint: str | None = None


class NoteTokens(Command, frozen=True, kw_only=True):
    """Record which of these tokens were made, changed or revoked since the last look; `expiry`: which expired."""

    tokens: tuple[KnownToken, ...]
    expiry: bool = False


class NoteFact(Command, frozen=True, kw_only=True):
    """Record this fact."""

    fact: ServerFact


ServerCommand = StartServer | StopServer | NoteTokens | NoteFact


class State(msgspec.Struct, frozen=True):
    """The run that has not ended, and by name the tokens that were ever made, and which are revoked and expired."""

    id: str
    run: ServerStarted | None = None
    made: dict[str, TokenMade] = {}
    revoked: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()


def initial(server_id: str) -> State:
    """Return the state before the first start."""
    return State(server_id)


def decide(command: ServerCommand, state: State) -> tuple[ServerEvent, ...]:
    """Return the events that `command` causes."""
    match command:
        case StartServer():
            return _start(command, state)
        case StopServer(run_id=run_id, at_ms=at_ms):
            running = state.run is not None and state.run.run_id == run_id
            return (ServerStopped(run_id=run_id, at_ms=at_ms),) if running else ()
        case NoteTokens():
            return _expired(command, state) if command.expiry else _changed(command, state)
        case NoteFact(fact=fact):
            return (fact,)


def _start(command: StartServer, state: State) -> tuple[ServerEvent, ...]:
    before = state.run
    if before is not None and before.run_id == command.run_id:
        return ()
    started = ServerStarted(
        run_id=command.run_id,
        version=command.version,
        configuration=command.configuration,
        contradicted_head=command.contradicted_head,
        at_ms=command.at_ms,
    )
    if before is None:
        return (started,)
    crashed = ServerCrashed(
        run_id=before.run_id, version=before.version, started_at_ms=before.at_ms, at_ms=command.at_ms
    )
    return (crashed, started)


def _changed(command: NoteTokens, state: State) -> tuple[ServerEvent, ...]:
    events: list[ServerEvent] = []
    for token in command.tokens:
        is_known, is_changed = token.name in state.made, _is_changed(token, state)
        if is_changed or not is_known:
            events.append(
                TokenMade(
                    name=token.name,
                    role=token.role,
                    made_at_ms=token.made_at_ms,
                    expires_at_ms=token.expires_at_ms,
                    fingerprint=token.fingerprint,
                    again=is_known,
                    at_ms=command.at_ms,
                )
            )
        if token.revoked_at_ms is not None and (is_changed or token.name not in state.revoked):
            events.append(TokenRevoked(name=token.name, revoked_at_ms=token.revoked_at_ms, at_ms=command.at_ms))
    return tuple(events)


def _is_changed(token: KnownToken, state: State) -> bool:
    """Return whether a token of this name was recorded with other terms."""
    known = state.made.get(token.name)
    if known is None:
        return False
    is_revived = token.revoked_at_ms is None and token.name in state.revoked
    other_secret = known.fingerprint not in (None, token.fingerprint)
    other_terms = (known.role, known.expires_at_ms) != (token.role, token.expires_at_ms)
    return is_revived or other_secret or other_terms


def _expired(command: NoteTokens, state: State) -> tuple[ServerEvent, ...]:
    return tuple(
        TokenExpired(name=token.name, expired_at_ms=token.expires_at_ms, at_ms=command.at_ms)
        for token in command.tokens
        if token.expires_at_ms is not None
        and token.expires_at_ms <= command.at_ms
        and token.revoked_at_ms is None
        and token.name not in state.expired
    )


def evolve(state: State, event: ServerEvent) -> State:
    """Return the state after `event`."""
    match event:
        case ServerStarted():
            return replace(state, run=event)
        case ServerStopped() | ServerCrashed():
            return replace(state, run=None)
        case TokenMade(name=name):
            revoked, expired = (tuple(each for each in some if each != name) for some in (state.revoked, state.expired))
            return replace(state, made={**state.made, name: event}, revoked=revoked, expired=expired)
        case TokenRevoked(name=name):
            return replace(state, revoked=(*state.revoked, name))
        case TokenExpired(name=name):
            return replace(state, expired=(*state.expired, name))
        case _:  # a fact that no decision depends on
            return state


def _none(*_: object) -> tuple[()]:
    """Order no effect."""
    return ()


SERVER: Final[Decider[ServerCommand, State, ServerEvent, object]] = Decider(
    "server", initial, decide, evolve, _none, _none
)
