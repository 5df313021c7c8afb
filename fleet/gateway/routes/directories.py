"""The routes for directories: the directory browser, and the workspace roots."""

from pathlib import Path

from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.actors.usecases.workspace_roots import outside
from fleet.core.paths import is_inside
from fleet.gateway.items.choices import folder_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import DIRECTORY
from fleet.gateway.openapi.responses import json
from fleet.gateway.server.requests import json_response
from fleet.wire.bodies import PageQuery, PathBody
from fleet.wire.choices import FolderItem, RootItem
from fleet.wire.place_queries import DirectoryQuery, RootQuery

endpoint = Endpoints("/api", "directories")


@endpoint("GET /directories", gives=json(FolderItem, headers=("X-Total-Count", "Fleet-Position")), refuses=DIRECTORY)
async def browse_directory(fleet: Fleet, query: DirectoryQuery) -> Response:
    """List the directories in a directory, to choose where a session works.

    Only what lies below the allowed roots is shown. `isGitRepo` says where a worktree or a clone can be made. With
    `query` they are looked for at any depth, for a second at most; hidden ones and `node_modules` are left out.
    """
    roots = fleet.roots.allowed
    path, files = query.path or _start(roots), fleet.context.local.files
    found = files.browse(path, roots) if query.query is None else files.search(path, query.query, roots)
    folder = await found
    return json_response(folder_item(folder, query), position=fleet.log.head(), total=len(folder.entries))


@endpoint(
    "POST /directories",
    gives=FolderItem,
    examples=({"path": "/home/dev/my-project"},),
    refuses=(*DIRECTORY, "directory_exists", "directory_unwritable"),
)
async def make_directory(fleet: Fleet, body: PathBody) -> Response:
    """Make a directory in one that is there.

    The one above it has to be there, below an allowed root.
    """
    folder = await fleet.context.local.files.make_directory(body.path, fleet.roots.allowed)
    return json_response(folder_item(folder, PageQuery()), position=fleet.log.head())


def _start(roots: tuple[str, ...]) -> str:
    home = str(Path.home())
    if is_inside(home, roots) and Path(home).is_dir():
        return home
    if not roots:
        raise outside(home, "path")
    return roots[0]


@endpoint("GET /workspace-roots", gives=list[RootItem])
async def list_roots(fleet: Fleet, query: PageQuery) -> Response:
    """List the directories below which sessions may work: of the configuration, and chosen by clients.

    While none is chosen, those of the configuration are allowed; else those that are chosen, inside of these.
    """
    return _roots(fleet, fleet.log.head(), query)


@endpoint(
    "POST /workspace-roots",
    gives=list[RootItem],
    examples=({"path": "/home/dev/my-project"},),
    refuses=(*DIRECTORY, "git_failed", "roots_full"),
)
async def choose_root(fleet: Fleet, body: PathBody, caller: Caller) -> Response:
    """Choose a root: new sessions work below what is chosen only. It must be inside of what is configured.

    Existing sessions continue. A client narrows what is allowed, and never widens it.
    """
    return _roots(fleet, await fleet.roots.choose(body.path, caller), PageQuery())


@endpoint("DELETE /workspace-roots", gives=list[RootItem], refuses=("root_not_found",))
async def withdraw_root(fleet: Fleet, query: RootQuery, caller: Caller) -> Response:
    """Withdraw a root that was chosen; without any, what is configured is allowed again.

    Existing sessions continue. A root of the configuration cannot be withdrawn.
    """
    return _roots(fleet, await fleet.roots.withdraw(query.path, caller), PageQuery())


def _roots(fleet: Fleet, position: int, query: PageQuery) -> Response:
    roots, allowed = fleet.roots, fleet.roots.allowed
    items = [RootItem(path=path, source="configuration", allowed=path in allowed) for path in roots.configured]
    items += [RootItem(path=path, source="client", allowed=is_inside(path, allowed)) for path in roots.chosen]
    return json_response(items[query.offset : query.offset + query.limit], position=position, total=len(items))
