"""The faults of a workspace that was ready: a sentence for each, and a hint."""

from fleet.core.workspace.state import State


def described(state: State) -> str | None:
    """Return what is wrong with the checkout; None if nothing is."""
    if state.fault is None or state.spec is None:
        return None
    directory = state.spec.directory
    if state.fault == "missing":
        tried = f"; it could not be made again: {state.failure_detail}" if state.failure_detail else ""
        return f"the workspace is missing: {directory!r} does not exist any more, or is no checkout{tried}"
    return f"git does not work in {directory!r}: its repository is not where it was"


def way_out(state: State) -> str | None:
    """Return a hint for the fault; None if there is none."""
    if state.fault is None or state.spec is None:
        return None
    if state.spec.strategy == "existing":
        return "Create the directory again, then try again."
    if state.fault == "missing":
        again = "creates it again, at the commit of its branch"
        return f"`fleet workspaces restore {state.id[:13]}` {again} (POST /api/workspaces/{state.id}/restore)."
    return f"Name where the repository is now: PATCH /api/workspaces/{state.id} with sourceDirectory."
