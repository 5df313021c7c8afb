"""Response bodies about access tokens; see items.py."""

from fleet.wire.enums import Role, TokenStatus
from fleet.wire.items import WireItem


class AccessTokenItem(WireItem, kw_only=True):
    """An access token without its secret. `name` is the log's name for its user: `token:NAME`.

    A revoked token stays in the list, because the log names it; no other token can get its name.
    """

    name: str
    role: Role
    status: TokenStatus
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class LoginLinkItem(WireItem, kw_only=True):
    """A link that logs one browser in, once. It is shown only this time.

    `path` follows the address at which the browser reaches the server. The link is valid until `expiresAt`.
    """

    path: str
    expires_at: str
