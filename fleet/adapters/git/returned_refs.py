"""Takes what a host has changed into the source repository, and never loses a commit of either side.

- Preserved work moves `refs/fleet/kept/<workspace id>` forward. Work that does not continue what is there comes from a
  host that was lost while the workspace went on elsewhere: it is `refs/fleet/returned/<workspace id>-<host>`.
- `refs/fleet/hosts/<host>/workspaces/<workspace id>` marks the host that has a workspace.
- Each branch and tag of the host is stored under `refs/fleet/hosts/<host>/`, with its stash.
- A branch is created, or moved forward, in the repository too. One that a checkout here uses, or that has commits
  which the host does not have, is not moved; that is logged. A branch that is still where Fleet put it follows the host
  even if commits were amended there.
- A tag is created if there is none of that name.
"""

import re
from collections.abc import Mapping
from typing import Final

import structlog

from fleet.adapters.git import worktrees
from fleet.adapters.git.command import attempt, run
from fleet.adapters.git.mirrors import is_ancestor
from fleet.adapters.git.preservation_commit import kept_ref
from fleet.adapters.git.repository import read_ref, read_refs
from fleet.adapters.git.unique_commits import own_tips
from fleet.errors import Problem
from fleet.ports import WorkspaceSpec

_log = structlog.get_logger(__name__)

_HEADS: Final = "refs/heads/"
_TAGS: Final = "refs/tags/"
_STASH: Final = "refs/stash/"
_WORKSPACES: Final = "workspaces"
_HOSTS: Final = "refs/fleet/hosts"
_OBJECT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def of_host(host: str, ref: str) -> str:
    """Return the ref under which a ref of a host is stored."""
    return f"{_HOSTS}/{_as_ref(host)}/{ref.removeprefix('refs/')}"


def returned_ref(workspace_id: str, host: str) -> str:
    """Return the ref of work that a host still had when the workspace was elsewhere already."""
    return f"refs/fleet/returned/{workspace_id}-{_as_ref(host)}"


async def place(repository: str, host: str, workspace_id: str, commit: str | None) -> None:
    """Record that this host has the workspace now, and no other. Raises `Problem` git_failed."""
    own = of_host(host, f"{_WORKSPACES}/{workspace_id}")
    for name, at in (await _places(repository, workspace_id)).items():
        if name != own:
            await run("update-ref", "-d", name, at, directory=repository, repository=repository)
    if commit is not None:
        await _set(repository, own, commit)


async def where_kept(repository: str, host: str, workspace_id: str, commit: str) -> str | None:
    """Return the ref that has the preserved work of this host, None if none has it."""
    for name in (kept_ref(workspace_id), returned_ref(workspace_id, host)):
        at = await read_ref(repository, name)
        if at is not None and await is_ancestor(repository, commit, at):
            return name
    return None


async def taken(repository: str, host: str, workspace_id: str) -> tuple[str, ...]:
    """Return objects that the repository has from the host."""
    refs = await read_refs(repository, of_host(host, "refs/").rstrip("/"), kept_ref(workspace_id), _tags(workspace_id))
    return tuple(sorted(set(refs.values())))


async def kept_refs(repository: str, workspace_id: str) -> dict[str, str]:
    """Return the refs of a workspace's preserved work, and of the first commit of its branch."""
    return await read_refs(repository, kept_ref(workspace_id), _tags(workspace_id), worktrees.note_ref(workspace_id))


async def given_by_a_host(repository: str, branch: str, commit: str) -> bool:
    """Return whether a host had this branch at this commit when it was last heard."""
    found = await read_refs(repository, _HOSTS)
    return any(name.endswith(f"/heads/{branch}") and at == commit for name, at in found.items())


async def take(repository: str, host: str, workspace_id: str, refs: Mapping[str, str]) -> None:
    """Take the refs of a host, whose objects are here. Raises `Problem` git_failed."""
    for name, at in refs.items():
        if _OBJECT.fullmatch(at) is None or not name.isprintable() or " " in name:
            raise Problem("git_failed", f"the host {host!r} names {name!r}, which is no ref")
    own = (kept_ref(workspace_id), _tags(workspace_id), worktrees.note_ref(workspace_id))
    there = await read_refs(repository, of_host(host, "refs/").rstrip("/"), *own, *refs)
    for name, at in refs.items():
        stored = of_host(host, name)
        here, before = there.get(name), there.get(stored)
        if name == own[0]:
            await _take_kept(repository, host, workspace_id, at, here)
        elif name.startswith(f"{own[1]}/") or (name == own[2] and here is None):
            await _set(repository, name, at, here)
        elif name.startswith((_HEADS, _TAGS, _STASH)):
            await _keep_of_host(repository, host, stored, at, there)
            if name.startswith(_HEADS):
                why = await _take_branch(repository, name, at, here=here, before=before)
                if why is not None:
                    _log.warning("branch_not_moved", host=host, ref=name, why=why, stored=stored, commit=at)
            elif name.startswith(_TAGS) and here is None and before != at:
                await _move(repository, name, at, None)


async def _keep_of_host(repository: str, host: str, stored: str, at: str, there: Mapping[str, str]) -> None:
    """Store an object of the host. A branch that it has replaced by one above or below it gets another name."""
    for name, old in there.items():
        if name.startswith(f"{stored}/") or stored.startswith(f"{name}/"):
            await _set(repository, of_host(host, f"refs/replaced/{old}"), old)
            await run("update-ref", "-d", name, old, directory=repository, repository=repository)
    await _set(repository, stored, at, there.get(stored))


async def release(repository: str, host: str, spec: WorkspaceSpec, kept: str | None) -> None:
    """Remove the branch that Fleet made for a workspace, which no longer exists on the host, and its notes.

    It stays if another host has the workspace now, if a checkout uses it, or if it has commits that neither `kept` nor
    another branch has. Raises `Problem`.
    """
    note = worktrees.note_ref(spec.workspace_id)
    begun = await read_ref(repository, note)
    places = await _places(repository, spec.workspace_id)
    marked = of_host(host, f"{_WORKSPACES}/{spec.workspace_id}")
    if marked in places:
        await run("update-ref", "-d", marked, places[marked], directory=repository, repository=repository)
    if spec.branch is None or begun is None or places.keys() - {marked}:
        return
    branch = f"{_HEADS}{spec.branch}"
    for name in (branch, of_host(host, branch)):
        at = await read_ref(repository, name)
        if at is None or (name == branch and await _is_checked_out(repository, spec.branch)):
            continue
        own = await own_tips(repository, [at], spec.branch)
        if at == begun or not own or (kept is not None and await is_ancestor(repository, at, kept)):
            await run("update-ref", "-d", name, at, directory=repository, repository=repository)
    await run("update-ref", "-d", note, begun, directory=repository, repository=repository)


async def _take_kept(repository: str, host: str, workspace_id: str, at: str, before: str | None) -> None:
    if before is None or await is_ancestor(repository, before, at):
        await _set(repository, kept_ref(workspace_id), at, before)
    elif not await is_ancestor(repository, at, before):
        await _set(repository, returned_ref(workspace_id, host), at)


async def _take_branch(repository: str, name: str, at: str, *, here: str | None, before: str | None) -> str | None:
    """Move a branch from its commit `here` to that of the host, which was `before` there. Return why it stays."""
    if here == at or (here is None and before == at):  # taken before, and perhaps deleted here since
        return None
    if here is not None and await is_ancestor(repository, at, here):
        return None
    if await _is_checked_out(repository, name.removeprefix(_HEADS)):
        return "it is checked out here"
    if here is not None and here != before and not await is_ancestor(repository, here, at):
        return "it has other commits here"
    return None if await _move(repository, name, at, here) else "git refuses it"


async def _is_checked_out(repository: str, branch: str) -> bool:
    return any(each.branch == branch for each in await worktrees.registrations(repository))


async def _set(repository: str, name: str, at: str, before: str | None = None) -> None:
    if before != at:
        expected = () if before is None else (before,)
        await run("update-ref", "--no-deref", name, at, *expected, directory=repository, repository=repository)


async def _move(repository: str, name: str, at: str, before: str | None) -> bool:
    """Set a branch or tag if it is still at `before`. git refuses `a` beside `a/b`."""
    reason = ("--create-reflog", "-m", "brought by Fleet from another host")
    arguments = ("--no-deref", *reason, name, at, before or "0" * len(at))
    return (await attempt("update-ref", *arguments, directory=repository, repository=repository)).code == 0


async def _places(repository: str, workspace_id: str) -> dict[str, str]:
    marked = await read_refs(repository, f"{_HOSTS}/*/{_WORKSPACES}/{workspace_id}")
    return {name: at for name, at in marked.items() if name.endswith(f"/{_WORKSPACES}/{workspace_id}")}


def _as_ref(host: str) -> str:
    """Return a host's name as a part of a ref, another for each name: `n.1` is `n%2E1`."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: "".join(f"%{each:02X}" for each in found[0].encode()), host)


def _tags(workspace_id: str) -> str:
    return f"refs/fleet/kept-tags/{workspace_id}"
