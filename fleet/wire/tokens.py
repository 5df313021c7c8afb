"""Response bodies about access tokens; see items.py."""

from fleet.wire.enums import Role, TokenStatus
from fleet.wire.items import WireItem


class AccessTokenItem(WireItem, kw_only=True):
    """An access token, without what proves it. `name` is what the log calls its user: `token:NAME`.

    A token that was revoked stays listed, since the log names it; no other token can get its name.
    """

    name: str
    role: Role
    status: TokenStatus
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class LoginLinkItem(WireItem, kw_only=True):
    """A link that logs one browser in, once: the one time that it is shown.

    `path` follows the address at which the browser reaches the server. After `expiresAt` it opens nothing.
    """

    path: str
    expires_at: str
