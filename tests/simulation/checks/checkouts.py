"""Workspaces: what is on the disk is what the log says, whole, and made once."""

from collections.abc import Iterator

from msgspec.structs import replace

from fleet.core.workspace.events import WorkspaceMoved
from fleet.ports import WorkspaceSpec
from tests.simulation.evidence import Evidence


def checkouts_are_in_the_log(evidence: Evidence) -> Iterator[str]:
    """Every checkout belongs to a workspace that was ordered before; none is half made at rest (law 4).

    One that was lost and made again may hold work, and stays where that has failed half-way.
    """
    for workspace_id, checkout in evidence.directories.checkouts.items():
        state = evidence.views.workspaces.get(workspace_id)
        remade = evidence.directories.remade[workspace_id]
        if state is None or _place(state.spec) != _place(checkout.spec):
            yield f"the checkout {checkout.spec.directory} was not ordered"
        elif state.phase != "ready" and checkout.spec.directory in evidence.directories.directories and not remade:
            yield f"the checkout {checkout.spec.directory} is there, and its workspace is {state.phase}"
        if not checkout.whole and not remade:
            yield f"the checkout {checkout.spec.directory} is half made"


def _place(spec: WorkspaceSpec | None) -> WorkspaceSpec | None:
    """Return the spec without its source and root.

    One that is bound again is mended after that is in the log, and each machine has a root of its own.
    """
    if spec is None:
        return None
    return replace(spec, source_directory="", directory=spec.directory.rpartition("/workspaces/")[2])


def ready_workspaces_are_there(evidence: Evidence) -> Iterator[str]:
    """What the log calls ready is there, and was made once (law 4).

    A removal may have failed after the directory was gone: the log says that it failed.
    """
    for state in evidence.views.workspaces:
        if state.phase != "ready" or state.spec is None or state.spec.strategy == "existing":
            continue
        if any(node.name == state.spec.host and node.has_lost_disk for node in evidence.nodes):
            continue  # unused, it is restored when a person asks for it
        if state.id not in evidence.directories.checkouts and state.failure_code is None:
            yield f"workspace {state.id} is ready, and its directory is gone"
        made, remade = evidence.directories.made[state.id], evidence.directories.remade[state.id]
        moves = sum(isinstance(each.event, WorkspaceMoved) for each in evidence.stream(f"workspace-{state.id}"))
        if not (0 if moves else 1) <= made <= 1 + remade + moves:  # one that moved is restored from what was kept
            yield f"workspace {state.id} was made {made} times, and lost {remade} times"


def faults_are_told(evidence: Evidence) -> Iterator[str]:
    """What is wrong with the checkout of a workspace that sessions use is what the log says (law 8)."""
    disk = evidence.directories
    used = {session.workspace_id for session in evidence.views.sessions if session.ended_at_ms is None}
    for state in evidence.views.workspaces:
        if state.id in used and state.phase == "ready" and state.spec is not None:
            directory = state.spec.directory if state.prepared is None else state.prepared.directory
            cut_off = "cut_off" if directory in disk.cut_off else None
            fault = cut_off if directory in disk.directories else "missing"
            if state.fault != fault:
                yield f"workspace {state.id} is {fault}, and the log says {state.fault}"


def ports_are_not_shared(evidence: Evidence) -> Iterator[str]:
    """Every worktree and clone that is ready has ports, and no two workspaces have the same."""
    held: dict[int, str] = {}
    for state in evidence.views.workspaces:
        if state.ports is None:
            continue
        if state.phase == "removed":
            yield f"workspace {state.id} is removed and holds ports"
        other = held.setdefault(state.ports.first, state.id)
        if other != state.id:
            yield f"workspaces {other} and {state.id} both have the ports from {state.ports.first} on"


def branches_are_wanted(evidence: Evidence) -> Iterator[str]:
    """A branch that Fleet made belongs to a checkout that is there: a failed attempt leaves none behind."""
    wanted = {checkout.spec.branch for checkout in evidence.directories.checkouts.values()}
    for repository in evidence.directories.repositories.values():
        for branch in repository.branches.keys() - repository.remotes.keys():  # a mirror has those of its source
            if branch.startswith("fleet/") and branch not in wanted:
                yield f"the branch {branch} of {repository.top} belongs to nothing"
