"""The client's methods for hosts, instances and their offers, directories, branches, workspace roots and workspaces."""

from urllib.parse import quote

from fleet.client.connection import Connection, Page
from fleet.limits import PAGE_MAX
from fleet.wire.bodies import At, AtQuery, InstancesQuery, PageQuery, PastQuery, PathBody, WorkspaceBody
from fleet.wire.choices import AgentItem, CommandItem, FolderItem, ModelItem, OfferItem, RootItem
from fleet.wire.hosts import EngineItem, HostItem
from fleet.wire.instances import InstanceItem, OrphanItem
from fleet.wire.items import BranchItem
from fleet.wire.place_queries import BranchQuery, DirectoryQuery, FindQuery, OfferQuery, OffersQuery, RootQuery
from fleet.wire.setups import RecipeItem, RecipeQuery, TrustBody, TrustItem, TrustQuery
from fleet.wire.workspaces import WorkspaceDetail, WorkspaceItem


class Places:
    """The methods of `FleetClient` for them."""

    _connection: Connection

    async def instances(self, *, every: bool = False, limit: int = 50, offset: int = 0) -> Page[InstanceItem]:
        """Return the running OpenCode processes, or all, including ended ones."""
        return await self._connection.page(InstanceItem, "/instances", InstancesQuery(limit, offset, all=every))

    async def instance(self, instance_id: str) -> InstanceItem:
        """Return an instance."""
        return await self._connection.read(InstanceItem, f"/instances/{quote(instance_id, safe='')}")

    async def orphans(self, *, limit: int = 50, offset: int = 0) -> Page[OrphanItem]:
        """Return the live processes without an owner. There should be none."""
        return await self._connection.page(OrphanItem, "/instances/orphans", PageQuery(limit, offset))

    async def agents(self, instance_id: str, *, session: str | None = None) -> Page[AgentItem]:
        """Return the agents that a prompt can name, in the directory of the instance or of one of its sessions."""
        path = f"/instances/{quote(instance_id, safe='')}/agents"
        return await self._connection.page(AgentItem, path, OfferQuery(session=session, limit=PAGE_MAX))

    async def commands(self, instance_id: str, *, session: str | None = None) -> Page[CommandItem]:
        """Return the commands that a session can run."""
        path = f"/instances/{quote(instance_id, safe='')}/commands"
        return await self._connection.page(CommandItem, path, OfferQuery(session=session, limit=PAGE_MAX))

    async def models(self, instance_id: str, *, session: str | None = None) -> Page[ModelItem]:
        """Return the models that a prompt can name."""
        path = f"/instances/{quote(instance_id, safe='')}/models"
        return await self._connection.page(ModelItem, path, OfferQuery(session=session, limit=PAGE_MAX))

    async def find_files(
        self, instance_id: str, query: str, *, session: str | None = None, limit: int = 50
    ) -> Page[str]:
        """Return paths of files that resemble the query, the best first."""
        path = f"/instances/{quote(instance_id, safe='')}/find/files"
        return await self._connection.page(str, path, FindQuery(query, session, limit))

    async def hosts(self) -> Page[HostItem]:
        """Return the machines on which sessions work, that of the server first."""
        return await self._connection.page(HostItem, "/hosts", PageQuery(PAGE_MAX))

    async def hosts_engine(self) -> EngineItem:
        """Return whether the engine of the other hosts answers."""
        return await self._connection.read(EngineItem, "/hosts/engine")

    async def drain_host(self, name: str) -> HostItem:
        """Place no further sessions on this host; those that are there move to others when their turn is over."""
        return await self._connection.write(HostItem, "POST", f"/hosts/{quote(name, safe='')}/drain")

    async def undrain_host(self, name: str) -> HostItem:
        """Place sessions on this host again."""
        return await self._connection.write(HostItem, "DELETE", f"/hosts/{quote(name, safe='')}/drain")

    async def directories(
        self, path: str | None = None, *, query: str | None = None, limit: int = 50, offset: int = 0
    ) -> FolderItem:
        """Return the directories in a directory of the server's machine, by default where one begins to look.

        With a query they are looked for at any depth below it, by a part of their name.
        """
        return await self._connection.read(FolderItem, "/directories", DirectoryQuery(limit, offset, path, query))

    async def branches(self, path: str, *, query: str = "", limit: int = 50, offset: int = 0) -> Page[BranchItem]:
        """Return the branches of the repository at this path whose names have `query` in them, the newest first."""
        asked = BranchQuery(path=path, query=query, limit=limit, offset=offset)
        return await self._connection.page(BranchItem, "/repositories/branches", asked)

    async def offers(self, directory: str | None = None) -> OfferItem:
        """Return the agents, commands and models that a new session in a directory can choose from, as last known."""
        return await self._connection.read(OfferItem, "/offers", OffersQuery(directory))

    async def make_directory(self, path: str) -> FolderItem:
        """Create a directory in an existing one."""
        return await self._connection.write(FolderItem, "POST", "/directories", body=PathBody(path))

    async def workspace_roots(self) -> list[RootItem]:
        """Return the directories below which sessions may work."""
        return await self._connection.page(RootItem, "/workspace-roots", PageQuery(PAGE_MAX))

    async def choose_root(self, path: str) -> list[RootItem]:
        """Allow new sessions only below this directory and others that were chosen."""
        return await self._connection.write(list[RootItem], "POST", "/workspace-roots", body=PathBody(path))

    async def withdraw_root(self, path: str) -> list[RootItem]:
        """Withdraw a chosen root; without chosen roots, the configured ones are valid again."""
        return await self._connection.write(list[RootItem], "DELETE", "/workspace-roots", query=RootQuery(path))

    async def trusted(self, *, limit: int = 50, offset: int = 0) -> Page[TrustItem]:
        """Return the commands of repositories that a person has allowed."""
        return await self._connection.page(TrustItem, "/trust", PageQuery(limit, offset))

    async def recipe(self, directory: str) -> RecipeItem:
        """Return the content of a checkout's `.fleet.toml`. Raises `NotFound` if it asks for nothing."""
        return await self._connection.read(RecipeItem, "/trust/recipe", RecipeQuery(directory))

    async def trust(self, directory: str, digest: str) -> RecipeItem:
        """Allow the commands in the `.fleet.toml` of a checkout, by the digest of the content that was read."""
        return await self._connection.write(RecipeItem, "POST", "/trust", body=TrustBody(directory, digest))

    async def revoke_trust(self, repository: str, digest: str | None = None) -> list[TrustItem]:
        """Revoke everything that is allowed in a repository, or one content."""
        query = TrustQuery(repository, digest)
        return await self._connection.write(list[TrustItem], "DELETE", "/trust", query=query)

    async def workspaces(self, *, at: At = None, limit: int = 50, offset: int = 0) -> Page[WorkspaceItem]:
        """Return the workspaces, as they are or as they were at an earlier moment."""
        return await self._connection.page(WorkspaceItem, "/workspaces", PastQuery(limit, offset, at))

    async def workspace(self, workspace_id: str, *, at: At = None) -> WorkspaceDetail:
        """Return a workspace with its current state, or as it was at an earlier moment."""
        return await self._connection.read(WorkspaceDetail, _workspace(workspace_id), AtQuery(at))

    async def edit_workspace(self, workspace_id: str, title: str | None) -> WorkspaceItem:
        """Set the title of a workspace; None removes it."""
        return await self._connection.write(WorkspaceItem, "PATCH", _workspace(workspace_id), body=WorkspaceBody(title))

    async def rebind_workspace(self, workspace_id: str, source_directory: str) -> WorkspaceItem:
        """Set the new place of a workspace's repository, after its project was moved or renamed."""
        body = WorkspaceBody(source_directory=source_directory)
        return await self._connection.write(WorkspaceItem, "PATCH", _workspace(workspace_id), body=body)

    async def remove_workspace(self, workspace_id: str) -> WorkspaceItem:
        """Remove a worktree or clone that no session needs any more; work that exists only in it is preserved."""
        return await self._connection.write(WorkspaceItem, "DELETE", _workspace(workspace_id))

    async def restore(self, workspace_id: str) -> WorkspaceItem:
        """Restore a removed workspace: its directory, its branch and its preserved work."""
        return await self._connection.write(WorkspaceItem, "POST", f"{_workspace(workspace_id)}/restore")


def _workspace(workspace_id: str) -> str:
    return f"/workspaces/{quote(workspace_id, safe='')}"
