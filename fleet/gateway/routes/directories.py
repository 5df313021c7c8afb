"""The routes for directories: the directory browser, and the workspace roots."""

from pathlib import Path

from quart import Blueprint, Response

from fleet.actors.fleet import Fleet
from fleet.actors.usecases.workspace_roots import outside
from fleet.core.paths import is_inside
from fleet.gateway.items.choices import folder_item
from fleet.gateway.openapi.document import about, asks, gives, refuses, takes
from fleet.gateway.openapi.refusals import COMMAND, DIRECTORY
from fleet.gateway.server.requests import answer, caller, read_body, read_query
from fleet.wire.bodies import PageQuery, PathBody, Query
from fleet.wire.choices import FolderItem, RootItem
from fleet.wire.place_queries import DirectoryQuery, RootQuery


def directory_routes(fleet: Fleet) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("directories", __name__, url_prefix="/api")
    _add_browser(routes, fleet)
    _add_roots(routes, fleet)
    return routes


def _add_browser(routes: Blueprint, fleet: Fleet) -> None:
    @routes.get("/directories")
    @about("directories")
    @asks(DirectoryQuery)
    @gives(FolderItem, headers=("X-Total-Count", "Fleet-Position"))
    @refuses(*DIRECTORY)
    async def browse_directory() -> Response:
        """List the directories in a directory, to choose where a session works.

        Only what lies below the allowed roots is shown. `isGitRepo` says where a worktree or a clone can be made. With
        `query` they are looked for at any depth, for a second at most; hidden ones and `node_modules` are left out.
        """
        query = read_query(DirectoryQuery)
        roots = fleet.roots.allowed
        path, files = query.path or _start(roots), fleet.context.files
        found = files.browse(path, roots) if query.query is None else files.search(path, query.query, roots)
        folder = await found
        return answer(folder_item(folder, query), position=fleet.log.head(), total=len(folder.entries))

    @routes.post("/directories")
    @about("directories")
    @takes(PathBody, {"path": "/home/dev/my-project"})
    @gives(FolderItem)
    @refuses(*DIRECTORY, "directory_exists", "directory_unwritable")
    async def make_directory() -> Response:
        """Make a directory in one that is there.

        The one above it has to be there, below an allowed root.
        """
        read_query(Query)
        body = await read_body(PathBody)
        await caller()  # its headers are checked, as those of any other request that changes something
        folder = await fleet.context.files.make_directory(body.path, fleet.roots.allowed)
        return answer(folder_item(folder, PageQuery()), position=fleet.log.head())


def _start(roots: tuple[str, ...]) -> str:
    home = str(Path.home())
    if is_inside(home, roots) and Path(home).is_dir():
        return home
    if not roots:
        raise outside(home, "path")
    return roots[0]


def _add_roots(routes: Blueprint, fleet: Fleet) -> None:
    @routes.get("/workspace-roots")
    @about("directories")
    @asks(PageQuery)
    @gives(list[RootItem], headers=("Fleet-Position",))
    async def list_roots() -> Response:
        """List the directories below which sessions may work: of the configuration, and chosen by clients.

        While none is chosen, those of the configuration are allowed; else those that are chosen, inside of these.
        """
        return _roots(fleet, fleet.log.head(), read_query(PageQuery))

    @routes.post("/workspace-roots")
    @about("directories")
    @takes(PathBody, {"path": "/home/dev/my-project"})
    @gives(list[RootItem])
    @refuses(*COMMAND, *DIRECTORY, "git_failed", "roots_full")
    async def choose_root() -> Response:
        """Choose a root: new sessions work below what is chosen only. It must be inside of what is configured.

        Sessions that are there go on. A client narrows what is allowed, and never widens it.
        """
        read_query(Query)
        body = await read_body(PathBody)
        return _roots(fleet, await fleet.sessions.choose_root(body.path, await caller()), PageQuery())

    @routes.delete("/workspace-roots")
    @about("directories")
    @asks(RootQuery)
    @gives(list[RootItem])
    @refuses(*COMMAND, "root_not_found")
    async def withdraw_root() -> Response:
        """Withdraw a root that was chosen; without any, what is configured is allowed again.

        Sessions that are there go on. A root of the configuration cannot be withdrawn.
        """
        path = read_query(RootQuery).path
        return _roots(fleet, await fleet.sessions.withdraw_root(path, await caller()), PageQuery())


def _roots(fleet: Fleet, position: int, query: PageQuery) -> Response:
    roots, allowed = fleet.roots, fleet.roots.allowed
    items = [RootItem(path=path, source="configuration", allowed=path in allowed) for path in roots.configured]
    items += [RootItem(path=path, source="client", allowed=is_inside(path, allowed)) for path in roots.chosen]
    return answer(items[query.offset : query.offset + query.limit], position=position, total=len(items))
