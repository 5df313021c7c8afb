"""`fleet abort`, `resume`, `stop` and `rm` abort a turn, and resume, stop and erase a session."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import Json, Name, agreed, connected, named

if TYPE_CHECKING:
    from fleet.client import FleetClient
    from fleet.wire.items import Ended

Force = Annotated[
    bool,
    typer.Option(
        "--force",
        "-f",
        help="End processes that sessions left in the workspace. If it cannot be removed, leave it and continue.",
    ),
]


@connected
async def abort(fleet: "FleetClient", *, session: Name, json: Json = False) -> None:
    """Abort the running turn, and wait until it has ended. The session and the prompts in its queue stay."""
    aborted = await (await named(fleet, session)).abort()
    _say(aborted, aborted.outcome.replace("_", " "), json=json)


@connected
async def resume(
    fleet: "FleetClient",
    *,
    session: Name,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start a new conversation in the same workspace.")] = False,
    json: Json = False,
) -> None:
    """Resume a session that has ended. It can take prompts when the command returns.

    --fresh starts a new conversation in the same workspace, for the case that OpenCode has lost the old one.
    """
    resumed = await (await named(fleet, session)).resume(fresh=fresh)
    _say(resumed, f"{resumed.session.status} in {resumed.session.directory}", json=json)


@connected
async def stop(
    fleet: "FleetClient",
    *,
    session: Name,
    cleanup: Annotated[bool, typer.Option("--cleanup", help="Remove its worktree or clone.")] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Stop a session; it can be resumed.

    --cleanup removes its worktree or clone, too. First, Fleet commits everything that exists only there, under
    refs/fleet/ of the repository.
    """
    ended = await (await named(fleet, session)).end(cleanup_workspace=cleanup, force=force)
    _say(ended, _told(ended), json=json)


@connected
async def rm(
    fleet: "FleetClient",
    *,
    session: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Force = False,
    json: Json = False,
) -> int | None:
    """Stop a session and erase what Fleet holds of it: messages, diffs, and its worktree or clone.

    First, Fleet commits everything that exists only in the worktree or clone, under refs/fleet/ of the repository.
    """
    from fleet.cli.sanitize import line_of

    found = await named(fleet, session)
    item = await found.read()
    question = f"Erase {line_of(item.title)!r} ({item.id}) for good?"
    if not yes and not agreed(question, "erase the session for good"):
        return 1
    ended = await found.end(permanent=True, force=force)
    _say(ended, _told(ended), json=json)
    return None


def _told(ended: "Ended") -> str:
    said: list[str] = ["erased" if ended.session is None else ended.session.status]
    workspace = ended.workspace
    if workspace is not None and workspace.removed:
        kept = workspace.kept
        said.append("its workspace is removed" + (f", its work is kept as {kept.ref}" if kept and kept.ref else ""))
    elif workspace is not None:
        said.append(f"its workspace stays: {workspace.reason}" if workspace.reason else "its workspace stays")
    return "\n".join(("; ".join(said), *(f"Left: {trace}" for trace in ended.left)))


def _say(answer: object, words: str, *, json: bool) -> None:
    from fleet.cli.sanitize import SafeConsole, json_of

    if json:
        print(json_of(answer))
    else:
        SafeConsole().print(words, soft_wrap=True)
