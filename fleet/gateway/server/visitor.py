"""The visitor: the sender of a request or the client of a WebSocket."""

import msgspec

from fleet.errors import Rejected
from fleet.wire.enums import Role


class Visitor(msgspec.Struct, frozen=True):
    """An admitted client. `actor` is its name in the log: `local`, or `token:<name>`; `secret_id` finds its secret.

    `token` is the name of the token that a program sends with its requests; a browser sends the cookie of its login.
    """

    actor: str = "local"
    role: Role = "operator"
    secret_id: str | None = None
    token: str | None = None

    def require_operator(self) -> None:
        """Raise `Rejected` read_only for a viewer."""
        if self.role != "operator":
            raise Rejected("read_only", f"{self.actor} is a viewer", hint="Use the token of an operator for changes.")
