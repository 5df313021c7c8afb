"""The client's methods for access tokens, which operators manage."""

from urllib.parse import quote

from fleet.client.connection import Connection, Page
from fleet.wire.bodies import PageQuery
from fleet.wire.tokens import AccessTokenItem, LoginLinkItem


class Access:
    """The methods of `FleetClient` for tokens. They need an operator."""

    _connection: Connection

    async def tokens(self, *, limit: int = 50, offset: int = 0) -> Page[AccessTokenItem]:
        """Return the access tokens, oldest first, those that were revoked or have expired included."""
        return await self._connection.page(AccessTokenItem, "/tokens", PageQuery(limit, offset))

    async def revoke_token(self, name: str) -> None:
        """Revoke an access token at once; this cannot be undone."""
        await self._connection.command("DELETE", _token(name))

    async def login_link(self, name: str) -> LoginLinkItem:
        """Create a link that logs a browser in under a token, once within ten minutes, and return its path."""
        return await self._connection.write(LoginLinkItem, "POST", f"{_token(name)}/link")


def _token(name: str) -> str:
    return f"/tokens/{quote(name, safe='')}"
