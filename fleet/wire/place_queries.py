"""Query parameters about directories, roots, branches, and OpenCode's agents, commands and models."""

from typing import Annotated

import msgspec

from fleet.limits import FIND_QUERY_CHARS_MAX, PAGE_DEFAULT
from fleet.wire.bodies import Limit, PageQuery, Path, Query

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=FIND_QUERY_CHARS_MAX)]


class DirectoryQuery(PageQuery, frozen=True):
    """`GET /api/directories`."""

    path: Annotated[
        Path | None,
        msgspec.Meta(description="An absolute path; by default the user's home if it is allowed, else a root."),
    ] = None
    query: Annotated[
        Name | None, msgspec.Meta(description="Search for directories at any depth below it whose names contain this.")
    ] = None


class BranchQuery(PageQuery, kw_only=True, frozen=True):
    """`GET /api/repositories/branches`."""

    path: Annotated[Path, msgspec.Meta(description="An absolute path in the repository.")]
    query: Annotated[
        str, msgspec.Meta(max_length=FIND_QUERY_CHARS_MAX, description="Branches whose names contain this.")
    ] = ""


class OffersQuery(Query, frozen=True):
    """`GET /api/offers`."""

    directory: Annotated[
        Path | None, msgspec.Meta(description="The absolute path of a session's directory; without it, any.")
    ] = None


class RootQuery(Query, frozen=True):
    """`DELETE /api/workspace-roots`."""

    path: Annotated[Path, msgspec.Meta(description="The root to withdraw, as the list shows it.")]


class OfferQuery(PageQuery, frozen=True):
    """Agents, commands and models of an instance."""

    session: Annotated[
        str | None, msgspec.Meta(description="A session of the instance: the offers in its directory.")
    ] = None


class FindQuery(Query, frozen=True):
    """`GET /api/instances/{id}/find/files`."""

    query: Annotated[str, msgspec.Meta(max_length=FIND_QUERY_CHARS_MAX, description="Text that the paths resemble.")]
    session: Annotated[str | None, msgspec.Meta(description="A session whose directory is searched.")] = None
    limit: Limit = PAGE_DEFAULT
