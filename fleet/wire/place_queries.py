"""Query parameters about places and choices: directories, roots, branches, and what OpenCode offers."""

from typing import Annotated

import msgspec

from fleet.limits import FIND_QUERY_CHARS_MAX, PAGE_DEFAULT
from fleet.wire.bodies import Limit, PageQuery, Path, Query

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=FIND_QUERY_CHARS_MAX)]


class DirectoryQuery(PageQuery, frozen=True):
    """`GET /api/directories`."""

    path: Annotated[
        Path | None,
        msgspec.Meta(description="An absolute path; by default the user's home where that is allowed, else a root."),
    ] = None
    query: Annotated[
        Name | None,
        msgspec.Meta(description="Look for directories at any depth below it whose names have this in them."),
    ] = None


class BranchQuery(PageQuery, kw_only=True, frozen=True):
    """`GET /api/repositories/branches`."""

    path: Annotated[Path, msgspec.Meta(description="An absolute path inside of the repository.")]
    query: Annotated[
        str, msgspec.Meta(max_length=FIND_QUERY_CHARS_MAX, description="Those whose names have this in them.")
    ] = ""


class OffersQuery(Query, frozen=True):
    """`GET /api/offers`."""

    directory: Annotated[
        Path | None, msgspec.Meta(description="The absolute path where a session is to work; without it, any.")
    ] = None


class RootQuery(Query, frozen=True):
    """`DELETE /api/workspace-roots`."""

    path: Annotated[Path, msgspec.Meta(description="The root to withdraw, as it is in the list.")]


class OfferQuery(PageQuery, frozen=True):
    """What an instance offers."""

    session: Annotated[
        str | None, msgspec.Meta(description="A session of the instance: what is offered in its directory.")
    ] = None


class FindQuery(Query, frozen=True):
    """`GET /api/instances/{id}/find/files`."""

    query: Annotated[str, msgspec.Meta(max_length=FIND_QUERY_CHARS_MAX, description="What the paths resemble.")]
    session: Annotated[str | None, msgspec.Meta(description="A session of the instance: look in its directory.")] = None
    limit: Limit = PAGE_DEFAULT
