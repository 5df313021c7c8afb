"""`fleet trust` shows, allows and revokes the commands that a repository runs in a new workspace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import Json, UsageError, agreed, connected, named

if TYPE_CHECKING:
    from fleet.cli.sanitize import SafeConsole
    from fleet.client import FleetClient
    from fleet.wire.items import SetupItem
    from fleet.wire.setups import RecipeItem, TrustItem


@connected
async def trust(
    fleet: "FleetClient",
    *,
    directory: Annotated[Path | None, typer.Argument(help="A checkout with the .fleet.toml to allow.")] = None,
    session: Annotated[
        str | None, typer.Option(metavar="SESSION", help="Allow the commands that this session waits for.")
    ] = None,
    skip: Annotated[bool, typer.Option("--skip", help="With --session: continue without the set-up.")] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Revoke everything that is allowed for the directory's repository.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> int | None:
    """Show and allow the commands in a repository's .fleet.toml. Without a directory, list what is allowed.

    The commands run when Fleet makes a worktree or clone of the repository, and only while the file is unchanged.
    """
    import trio

    from fleet.cli.sanitize import json_of

    if (directory is not None) + (session is not None) > 1 or (skip and session is None) or (revoke and not directory):
        raise UsageError("name a directory or a --session, not both; --revoke needs a directory, --skip a --session")
    if session is not None:
        return await _for_session(fleet, session, skip=skip, yes=yes, json=json)
    if directory is None:
        listed = await fleet.trusted(limit=200)
        print(json_of(list(listed))) if json else _list(list(listed))
        return None
    place = str(await trio.Path(directory).absolute())
    recipe = await fleet.recipe(place)
    if revoke:
        left = await fleet.revoke_trust(recipe.repository)
        print(json_of(left)) if json else print("revoked")
        return None
    if not recipe.allowed and not _agreed(recipe, yes=yes):
        return 1
    allowed = await fleet.trust(place, recipe.digest)
    print(json_of(allowed)) if json else print("allowed")
    return None


async def _for_session(fleet: "FleetClient", session: str, *, skip: bool, yes: bool, json: bool) -> int | None:
    from fleet.cli.sanitize import json_of

    found = await named(fleet, session)
    setup = await found.setup()
    if not skip and not _agreed(setup, yes=yes):
        return 1
    decided = await (found.skip_setup() if skip else found.allow_setup(setup.digest))
    print(json_of(decided)) if json else print("skipped" if skip else "allowed")
    return None


def _agreed(asked: "RecipeItem | SetupItem", *, yes: bool) -> bool:
    """Show the commands, and return whether the person allows them."""
    from fleet.cli.sanitize import SafeConsole

    _show(asked, SafeConsole(stderr=True))
    return yes or agreed("Allow these commands in every workspace of the repository?", "allow these commands")


def _show(asked: "RecipeItem | SetupItem | TrustItem", console: "SafeConsole") -> None:
    from fleet.cli.sanitize import asked_of, line_of

    console.print(f"  digest    {line_of(asked.digest)}", soft_wrap=True)
    submodules = "git submodule update --init --recursive" if asked.submodules else ""
    for name, commands in (("submodules", submodules), ("setup", asked.setup), ("teardown", asked.teardown)):
        for line in commands.split("\n") if commands else ():  # the shell knows no other line ends
            console.print(f"  {name:<9} {asked_of(line)}", soft_wrap=True)


def _list(listed: "list[TrustItem]") -> None:
    from fleet.cli.sanitize import SafeConsole, line_of

    console = SafeConsole()
    for each in listed:
        console.print(line_of(f"{each.repository}  allowed {each.at}" + (f" by {each.by}" if each.by else "")))
        _show(each, console)
    if not listed:
        console.print("No commands of a repository are allowed.")
