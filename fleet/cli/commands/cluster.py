"""`fleet cluster release` frees what a server holds on a cluster of --hosts ray and will not use any more."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import ExitCode, agreed
from fleet.cli.options import configured
from fleet.config import Config
from fleet.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.adapters.ray.presence import Presence
    from fleet.adapters.ray.survey import Server, Survey

cluster = typer.Typer(no_args_is_help=True, help="Free what a server that has gone still holds on a cluster.")


@cluster.callback()
def _cluster() -> None:
    """Keep `release` a subcommand while it is the only one."""


@cluster.command("release", epilog="Example: fleet cluster release 0198c0de --hosts ray --ray-address 10.0.0.1:6379")
@configured
def release(
    config: Config,
    server: Annotated[
        str,
        typer.Argument(
            metavar="SERVER",
            help="The id of the server's data directory, or its beginning. `fleet doctor --cluster` names it.",
            show_default=False,
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", "-f", help="Release also what a server holds that may be at work: its turns end."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Free the cores and memory that a server has reserved on a cluster, and end its agents and processes there.

    It is for a server that does not come back, because its data directory or its machine is gone. Directories stay on
    the machines, as work may exist only there, and are named. A server that is connected, that a machine has heard
    within `host_grace_s`, or whose OpenCode runs is left alone without --force. A server that comes back all the same
    reserves what it needs again.
    """
    import trio

    found = trio.run(_survey, config, None)
    holder = _named(found, server)
    sign = found.sign_of_life(holder, config.host_grace_s)
    if sign is not None and not force:
        raise StartupError(
            f"The server {holder.id} may be at work: {sign}. Stop it, or wait until nothing of it is left; "
            "--force releases all the same, and its turns end."
        )
    if not json:
        _print(_plan(found, holder, sign))
    question = "End its agents and processes, and free what it has reserved?"
    if not yes and not agreed(question, "release what the server holds"):
        raise typer.Exit(ExitCode.FAILED)
    raise typer.Exit(_print_result(found, holder, trio.run(_survey, config, holder.id), json=json))


async def _survey(config: Config, released: str | None) -> "Survey":
    """Make a survey, after the release of what a server holds. Raises `StartupError`."""
    from fleet.adapters.ray.survey import survey
    from fleet.diagnosis.cluster import obstacle

    if (failed := obstacle(config, os.environ)) is not None:
        raise StartupError(f"{failed.detail}. {failed.advice}".rstrip())
    found = await survey(config.ray_address or "", os.environ, release=released)
    if found.failure:
        raise StartupError(found.failure)
    return found


def _named(found: "Survey", name: str) -> "Server":
    """Return the server with this id, or the only one whose id begins so. Raises `StartupError`."""
    begun = [each for each in found.servers if each.id.startswith(name)]
    for each in begun:
        if each.id == name or len(begun) == 1:
            return each
    if begun:
        raise StartupError(f"{len(begun)} servers begin with {name!r}: {', '.join(each.id for each in begun[:5])}")
    known = ", ".join(each.id for each in found.servers) or "none"
    raise StartupError(f"No server {name!r} has anything on this cluster. Those that have: {known}")


def _plan(found: "Survey", holder: "Server", sign: str | None) -> "Iterator[str]":
    from fleet.diagnosis.cluster import held_by, last_heard

    yield f"The server {holder.id} has {held_by(holder)}; {sign or last_heard(found, holder.id)}."
    for each in found.presences_of(holder.id):
        yield f"  {each.host}: {_processes(each.processes)}, {_files(each)}"
    for host in _absent(found, holder):
        yield f"  {host} is not in the cluster now: its directories cannot be seen, and its processes end by themselves"


def _absent(found: "Survey", holder: "Server") -> list[str]:
    return sorted({*holder.agents, *holder.reserved_on} - {"", *(each.host for each in found.machines)})


def _print_result(before: "Survey", holder: "Server", after: "Survey", *, json: bool) -> int:
    """Print what is released and what is left; return the exit code."""
    from fleet.adapters.ray.survey import Server
    from fleet.cli.sanitize import json_of
    from fleet.diagnosis.cluster import held_by

    kept = next((each for each in after.servers if each.id == holder.id), Server(holder.id))
    left = after.presences_of(holder.id)
    running = sum(each.processes for each in left)
    ended = sum(each.processes for each in before.presences_of(holder.id)) - running
    is_released = not (kept.agents or kept.reservations or running)
    if json:
        print(json_of({"server": holder.id, "held": holder, "ended": ended, "holds": kept, "left": left}))
        return ExitCode.OK if is_released else ExitCode.FAILED
    _print([f"Released: {held_by(holder)}; {_processes(ended)} ended"])
    _print(f"Left on {each.host}: {_files(each)}" for each in left)
    if any(each.workspaces for each in left):
        _print(["Work may exist only there. Remove a directory when nothing in it is needed."])
    _print(f"{each.host or each.address} was not looked at: {each.problem}" for each in after.machines if each.problem)
    if not is_released:
        why = "It is at work, and starts them again: stop it first" if kept.connected_from else "Try again"
        _print([f"Not released: {held_by(kept)}; {_processes(running)}. {why}"])
    return ExitCode.OK if is_released else ExitCode.FAILED


def _processes(count: int) -> str:
    return f"{count} process{'' if count == 1 else 'es'}"


def _files(presence: "Presence") -> str:
    count = f"{presence.workspaces} workspace{'' if presence.workspaces == 1 else 's'}"
    return f"{count} in {presence.directory}"


def _print(lines: "Iterator[str] | list[str]") -> None:
    from fleet.cli.sanitize import plain

    for line in lines:
        print(plain(line))
