"""Links that log a browser in: the token that each belongs to, and its address."""

from urllib.parse import quote

from fleet.gateway.server.guard import LOGIN_PATH
from fleet.gateway.server.tokens import Register, TokenFile, link


def login_url(base: str, code: str, onwards: str | None = None) -> str:
    """Return the address that changes a link's code into a cookie and leads to the path `onwards`."""
    led = "" if onwards in (None, "/") else f"&next={quote(onwards or '')}"
    return f"{base.rstrip('/')}{LOGIN_PATH}?code={code}{led}"


def own_link(file: TokenFile, base: str, now_ms: int, lifetime_s: float, onwards: str | None = None) -> str | None:
    """Make a link for this machine's own user, for the best token; None where no token is valid.

    Raises `Unavailable`, `OSError`.
    """

    def change(register: Register) -> tuple[Register, str | None]:
        name = _best(register, now_ms)
        return (register, None) if name is None else link(register, name, now_ms, lifetime_s)

    code = file.change(change)
    return None if code is None else login_url(base, code, onwards)


def _best(register: Register, now_ms: int) -> str | None:
    """Return the newest token that is good, of an operator where there is one."""
    good = [token for token in register.tokens if token.status(now_ms) == "active"]
    best = max(good, key=lambda token: (token.role == "operator", token.created_at_ms), default=None)
    return None if best is None else best.name
