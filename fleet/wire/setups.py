"""Response bodies of set-ups, and of the trust that lets a repository's commands run."""

from typing import Annotated, Literal

import msgspec

from fleet.wire.bodies import Body, Path, Query
from fleet.wire.enums import SetupStatus
from fleet.wire.items import SetupItem, WireItem

Digest = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class SetupDetail(SetupItem, kw_only=True):
    """A set-up with the output of its commands: the beginning, and the end of a long one."""

    output: str


class RecipeItem(WireItem, kw_only=True):
    """The content of a checkout's `.fleet.toml`. `digest` is the SHA-256 of the file.

    `repository` is where it is allowed, `problem` says why the file cannot be used.
    """

    repository: str
    digest: str
    setup: str
    teardown: str
    submodules: bool
    allowed: bool
    problem: str | None


class TrustItem(WireItem, kw_only=True):
    """A content of `.fleet.toml` whose commands a person has allowed in a repository. `by` is that person."""

    repository: str
    digest: str
    setup: str
    teardown: str
    submodules: bool
    at: str
    by: str | None


class TrustBody(Body):
    """`POST /api/trust`: a directory in a checkout, and the digest of the file that the person has read."""

    directory: Path
    digest: Digest


class SetupBody(Body):
    """`POST /api/sessions/{id}/setup`: allow the commands of this digest in the repository, or skip them."""

    action: Literal["allow", "skip"]
    digest: Digest | None = None


class RecipeQuery(Query, frozen=True):
    """`GET /api/trust/recipe`."""

    directory: Annotated[Path, msgspec.Meta(description="An absolute path of a directory in a checkout.")]


class TrustQuery(Query, frozen=True):
    """`DELETE /api/trust`."""

    repository: Annotated[Path, msgspec.Meta(description="The repository, as the list names it.")]
    digest: Annotated[
        Digest | None, msgspec.Meta(description="One content; without it, all that are allowed there.")
    ] = None


__all__ = [
    "RecipeItem",
    "RecipeQuery",
    "SetupBody",
    "SetupDetail",
    "SetupItem",
    "SetupStatus",
    "TrustBody",
    "TrustItem",
    "TrustQuery",
]
