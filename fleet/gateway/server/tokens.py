"""The access tokens, kept in `tokens.json` of the data directory.

A token has a name, which the log uses, and a role. It is proven by secrets: the one that `fleet token new` shows once,
links that log in once, and the cookies that they are exchanged for. The file holds digests alone; a secret has 256
random bits, so that a plain SHA-256 reveals nothing about it. Kept here: the file has mode 0600 and is replaced in one
step, by one writer at a time; a name is never given twice, for the log would not tell the two apart. guard.py asks.
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self, TypeVar

import msgspec
import structlog
import trio
from msgspec.structs import replace

from fleet.core.server import KnownToken
from fleet.errors import Rejected, Unavailable
from fleet.events.disk import NO_SPACE
from fleet.limits import COOKIES_PER_TOKEN_MAX, LINKS_PER_TOKEN_MAX, TOKEN_NAME_CHARS_MAX, TOKENS_MAX
from fleet.private_files import LOCAL_TOKEN, write_private
from fleet.wire.enums import Role, TokenStatus

_log = structlog.get_logger(__name__)

Result = TypeVar("Result")
Kind = Literal["bearer", "link", "cookie"]

_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{TOKEN_NAME_CHARS_MAX - 1}}}")
_PREFIX: Final = "fleet"  # scanners for secrets in texts recognize it
_NOBODY: Final = "0" * 64


class Token(msgspec.Struct, frozen=True, rename="camel"):
    """An access token. Times are Unix milliseconds. A revoked one stays listed, because the log has its name."""

    name: str
    role: Role
    created_at_ms: int
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None

    def status(self, now_ms: int) -> TokenStatus:
        """Return whether it is active, expired or revoked."""
        if self.revoked_at_ms is not None:
            return "revoked"
        return "expired" if self.expires_at_ms is not None and self.expires_at_ms <= now_ms else "active"


class Secret(msgspec.Struct, frozen=True, rename="camel"):
    """What proves a token, as a digest. `id` is no secret: it finds the row."""

    id: str
    token: str
    kind: Kind
    digest: str
    expires_at_ms: int | None = None


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All tokens and secrets: what the file holds."""

    version: Literal[1] = 1
    tokens: tuple[Token, ...] = ()
    secrets: tuple[Secret, ...] = ()

    def find(self, name: str) -> Token | None:
        """Return the token of this name."""
        return next((token for token in self.tokens if token.name == name), None)

    def usable(self, now_ms: int) -> bool:
        """Return whether a token is active."""
        return any(token.status(now_ms) == "active" for token in self.tokens)


class Proof(NamedTuple):
    """A secret that was recognised, with its token. Both may be expired, and the token revoked."""

    secret: Secret
    token: Token

    def status(self, now_ms: int) -> TokenStatus:
        """Return whether it opens anything."""
        ends_at_ms = self.secret.expires_at_ms
        status = self.token.status(now_ms)
        return "expired" if status == "active" and ends_at_ms is not None and ends_at_ms <= now_ms else status


class Cookie(NamedTuple):
    """What a browser is given for a link: the cookie's text, whose it is, and how long it lasts."""

    text: str
    token: str
    lifetime_s: int


def recognise(register: Register, text: str, kind: Kind) -> Proof | None:
    """Return what `text` proves, or has proven once; the comparison takes the same time for every text."""
    row = next((row for row in register.secrets if row.id == _id_of(text) and row.kind == kind), None)
    same = hmac.compare_digest(_digest(text), _NOBODY if row is None else row.digest)
    if row is None or not same:
        return None
    token = register.find(row.token)
    return None if token is None else Proof(row, token)


def issue(
    register: Register, name: str | None, role: Role, now_ms: int, expires_at_ms: int | None
) -> tuple[Register, str]:
    """Add a token; return the register and the secret. Raises `Rejected` invalid, with the field."""
    if len(register.tokens) >= TOKENS_MAX:
        raise Rejected(
            "invalid", f"there are {TOKENS_MAX} tokens already", hint="Remove tokens.json and create new tokens."
        )
    name = _free_name(register, role) if name is None else name
    if not _NAME.fullmatch(name):
        raise Rejected(
            "invalid",
            f"{name!r} is not a token name; it must have 1 to {TOKEN_NAME_CHARS_MAX} letters, digits, '.', '_' and '-'",
            field="name",
        )
    if register.find(name) is not None:
        raise Rejected("invalid", f"there is, or was, a token {name!r}: choose another name", field="name")
    row, text = _make(name, "bearer", None)
    token = Token(name, role, now_ms, expires_at_ms)
    return replace(register, tokens=(*register.tokens, token), secrets=(*register.secrets, row)), text


def revoke(register: Register, names: Iterable[str], now_ms: int) -> tuple[Register, None]:
    """Revoke tokens with all that proves them. Raises `Rejected` token_not_found."""
    named = {_known(register, name).name for name in names}
    tokens = tuple(
        replace(each, revoked_at_ms=now_ms) if each.name in named and each.revoked_at_ms is None else each
        for each in register.tokens
    )
    # The digest of its own secret stays, so that a client that still uses it learns why it is refused.
    rows = tuple(row for row in register.secrets if row.token not in named or row.kind == "bearer")
    return replace(register, tokens=tokens, secrets=rows), None


def link(register: Register, name: str, now_ms: int, lifetime_s: float) -> tuple[Register, str]:
    """Add a link that logs in one browser, once; return the register and the code. The oldest links are dropped.

    Raises `Rejected` token_not_found, or invalid for a token that is expired or revoked.
    """
    token = _known(register, name)
    if token.status(now_ms) != "active":
        raise Rejected("invalid", f"the token {name!r} is {token.status(now_ms)}", field="name")
    row, text = _make(name, "link", now_ms + int(lifetime_s * 1000))
    alive = [each for each in register.secrets if each.expires_at_ms is None or each.expires_at_ms > now_ms]
    links = [each for each in alive if (each.token, each.kind) == (name, "link")]
    kept = (each for each in alive if each not in links[: 1 - LINKS_PER_TOKEN_MAX])
    return replace(register, secrets=(*kept, row)), text


def redeem(
    register: Register, code: str, now_ms: int, lifetime_s: float, replaced: str = ""
) -> tuple[Register, Cookie | None]:
    """Change a link's code into a cookie; return the register and the cookie, None for a code that is not good.

    `replaced` is the cookie that the browser has already: it would only push others out.
    """
    proof = recognise(register, code, "link")
    if proof is None or proof.status(now_ms) != "active":
        return register, None
    ends_at_ms = now_ms + int(lifetime_s * 1000)
    if proof.token.expires_at_ms is not None:
        ends_at_ms = min(ends_at_ms, proof.token.expires_at_ms)
    row, text = _make(proof.token.name, "cookie", ends_at_ms)
    cookies = [each for each in register.secrets if each.kind == "cookie" and each.token == row.token]
    old = recognise(register, replaced, "cookie")
    cookies = [each for each in cookies if old is None or each.id != old.secret.id]
    gone = {proof.secret.id, *(each.id for each in cookies[: max(0, len(cookies) + 1 - COOKIES_PER_TOKEN_MAX)])}
    gone |= set() if old is None else {old.secret.id}
    kept = (each for each in register.secrets if each.id not in gone)
    return replace(register, secrets=(*kept, row)), Cookie(text, row.token, (ends_at_ms - now_ms) // 1000)


def forget_cookie(register: Register, secret_id: str | None) -> tuple[Register, str | None]:
    """Delete one cookie, and return its token's name; a secret of another kind stays, and nothing is returned."""
    gone = next((row for row in register.secrets if row.id == secret_id and row.kind == "cookie"), None)
    kept = tuple(row for row in register.secrets if row is not gone)
    return replace(register, secrets=kept), None if gone is None else gone.token


class _InMemory(NamedTuple):
    """The secrets that a read-only server has made and deleted since its start."""

    made: tuple[Secret, ...] = ()
    deleted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, register: Register, on_disk: Register) -> Self:
        """Return what makes this register of that on disk."""
        known, kept = ({row.id for row in each.secrets} for each in (on_disk, register))
        return cls(tuple(row for row in register.secrets if row.id not in known), frozenset(known - kept))

    def over(self, on_disk: Register) -> Register:
        """Return the register on disk with these changes."""
        if not self.made and not self.deleted:
            return on_disk
        kept = (row for row in on_disk.secrets if row.id not in self.deleted)
        return replace(on_disk, secrets=(*kept, *self.made))


class TokenFile:
    """The register on disk. A read returns the current file, also after another process has replaced it.

    Without `threads` all work is done in the calling task, for virtual time, which does not wait for threads. With
    `read_only` nothing is written: logins and log-outs are kept in memory, over what the file has.
    """

    def __init__(self, directory: Path, *, threads: bool = True, read_only: bool = False) -> None:
        self._directory = directory
        self._threads = threads
        self._read_only = read_only
        self._changing = threading.Lock()
        self._in_memory = _InMemory()
        self._file = directory / "tokens.json"
        # Threads read too: what was seen and what it held change together, or a revoked token might stay good.
        self._known: tuple[tuple[int, ...] | None, Register] = (None, Register())

    def read(self) -> Register:
        """Return the register; it is read again only if the file was replaced. Raises `Unavailable`."""
        return self._in_memory.over(self._on_disk())

    def _on_disk(self) -> Register:
        try:
            status = self._file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return Register()
        except OSError as error:
            raise self._unreadable(error.strerror or "") from error
        seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        known, register = self._known
        if seen != known:
            try:
                register = msgspec.json.decode(self._file.read_bytes(), type=Register)
            except (OSError, msgspec.MsgspecError) as error:
                raise self._unreadable(str(error)) from error
            self._known = seen, register
        return register

    def change(self, change: Callable[[Register], tuple[Register, Result]]) -> Result:
        """Replace the register by what `change` makes of it, and return what it gives beside.

        Other changes wait, of other processes as well. Raises `Unavailable`, `OSError` and the errors of `change`.
        """
        if self._read_only:
            with self._changing:
                on_disk = self._on_disk()
                after, result = change(self._in_memory.over(on_disk))
                self._in_memory = _InMemory.of(after, on_disk)
            return result
        with self._alone():
            before = self.read()
            after, result = change(before)
            if after != before:
                write_private(self._file, msgspec.json.format(msgspec.json.encode(after)), durable=True)
        return result

    async def change_in_task(self, change: Callable[[Register], tuple[Register, Result]]) -> Result:
        """Do `change` for a task. It works in a thread, because another process may hold the file's lock."""
        if self._threads:
            return await trio.to_thread.run_sync(self.change, change)
        await trio.lowlevel.checkpoint()
        return self.change(change)

    @contextmanager
    def _alone(self) -> Generator[None]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._directory / "tokens.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _unreadable(self, why: str) -> Unavailable:
        return Unavailable(
            "tokens_unreadable",
            f"{self._file} cannot be read: {why}",
            hint="No client has access until Fleet can read it: repair it, or remove it and create new tokens.",
        )


@contextmanager
def local_token(directory: Path) -> Generator[str]:
    """Keep a secret in the data directory while a server runs there: who can read it is this server's own user.

    On a full disk the server runs without it: commands of this machine then need a token, as others do.
    """
    _, text = _make("local", "bearer", None)
    file = directory / LOCAL_TOKEN
    try:
        write_private(file, text.encode())
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        file.unlink(missing_ok=True)  # that of a server before
        _log.warning("local_token_not_written", file=str(file), error=str(error))
    try:
        yield text
    finally:
        file.unlink(missing_ok=True)


def known_tokens(register: Register) -> list[KnownToken]:
    """Return the tokens without anything that proves them, for the log.

    Of several with one name, which only a person can have written, it is the one that counts.
    """
    return [
        KnownToken(
            token.name,
            token.role,
            token.created_at_ms,
            token.expires_at_ms,
            token.revoked_at_ms,
            _fingerprint(register, token.name),
        )
        for token in register.tokens
        if token is register.find(token.name)
    ]


def _fingerprint(register: Register, name: str) -> str:
    """Return what shows whether a token still has the same secrets, and tells nothing of them."""
    rows = sorted((row.id, row.digest) for row in register.secrets if (row.token, row.kind) == (name, "bearer"))
    return _digest(repr(rows))[:16]


def _known(register: Register, name: str) -> Token:
    token = register.find(name)
    if token is None:
        names = ", ".join(each.name for each in register.tokens) or "none at all"
        raise Rejected("token_not_found", f"there is no token {name!r}; there are: {names}")
    return token


def _free_name(register: Register, role: Role) -> str:
    return next(name for n in range(1, TOKENS_MAX + 2) if register.find(name := f"{role}-{n}") is None)


def _make(token: str, kind: Kind, expires_at_ms: int | None) -> tuple[Secret, str]:
    row_id = secrets.token_hex(8)
    text = f"{_PREFIX}_{row_id}_{secrets.token_urlsafe(32)}"
    return Secret(row_id, token, kind, _digest(text), expires_at_ms), text


def _id_of(text: str) -> str:
    return text.split("_", 2)[1] if text.count("_") >= 2 else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
