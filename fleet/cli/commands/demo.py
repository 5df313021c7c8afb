"""`fleet demo` shows two sessions side by side in a scratch directory, and removes it afterwards.

It runs a complete Fleet (fleet/composition/server.py) in this process and drives it over HTTP, as any client does.
Rules kept here: nothing outside the scratch directory is read or written, OpenCode's own data included; and no process
and no file is left, even after an error. demo_tasks.py has the prompts of the sessions, demo_view.py the output.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fleet.environment import passed_on, remarks
from fleet.errors import StartupError
from fleet.rehearsal.home import furnish, without_models

if TYPE_CHECKING:
    import trio

    from fleet.cli.demo_view import Stage
    from fleet.composition.server import Running
    from fleet.config import Config


def demo(
    opencode: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", envvar="FLEET_OPENCODE", help="The OpenCode executable; by default that on the PATH."
        ),
    ] = None,
) -> None:
    """Show two sessions at work side by side, each in its own git worktree, and what they changed.

    It takes about ten seconds, needs no model and no network, and leaves nothing behind.
    """
    import trio

    from fleet.composition.server import startup_error
    from fleet.logs import configure_logs

    configure_logs("error")
    if shutil.which("git") is None:
        raise StartupError("There is no git on the PATH. Install it from https://git-scm.com/downloads.")
    scratch = Path(tempfile.mkdtemp(prefix="fleet-demo-")).resolve()
    try:
        raise typer.Exit(trio.run(_perform, scratch, opencode))
    except BaseExceptionGroup as group:
        raise startup_error(group) or group from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


async def _perform(scratch: Path, opencode: str | None) -> int:
    """Run the demo in `scratch` and return the exit code."""
    import trio

    from fleet.cli.demo_view import Stage
    from fleet.composition.server import find_opencode, stop_leftovers

    config, environment = _configuration(scratch, opencode), _environment(scratch)
    if find_opencode(config, environment) is None:
        raise StartupError(
            "There is no OpenCode on the PATH. Install it (`npm install -g opencode-ai`) or name it with --opencode."
        )
    stage = Stage(Console(highlight=False))
    everything = trio.CancelScope()
    try:
        with everything:
            async with trio.open_nursery() as nursery:
                show = trio.CancelScope()
                nursery.start_soon(_await_signals, stage, show, everything)
                await _run(config, environment, stage, show)
                nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await stop_leftovers(config)
    return 0 if stage.succeeded else 1


async def _run(config: "Config", environment: Mapping[str, str], stage: "Stage", show: "trio.CancelScope") -> None:
    from fleet.composition.server import running

    failure: Exception | None = None
    async with running(config, environment) as fleet:
        try:
            with show:
                await _show(fleet, config.data_dir.parent, stage)
        except Exception as error:  # Fleet stops in order first
            failure = error
        stage.say("Stopping OpenCode and removing everything …")
    if failure is not None:
        raise failure


async def _show(fleet: "Running", scratch: Path, stage: "Stage") -> None:
    import httpx
    import trio

    from fleet.cli.demo_tasks import PROJECT, TASKS
    from fleet.limits import DEMO_TIMEOUT_S

    project = scratch / "project"
    await trio.to_thread.run_sync(_make_project, project, PROJECT)
    stage.say(f"Fleet runs at {fleet.url}, on a scratch repository with {len(PROJECT)} files.")
    if fleet.has_page:
        stage.say(f"Open {fleet.url} in a browser to watch it there, for as long as it runs.")
    stage.say("Two sessions start in git worktrees of it. Their model is the rehearsal model: it follows a script.\n")
    async with httpx.AsyncClient(base_url=f"{fleet.url}/api", timeout=DEMO_TIMEOUT_S, trust_env=False) as http:
        with trio.move_on_after(DEMO_TIMEOUT_S) as patience:
            async with trio.open_nursery() as nursery:
                await nursery.start(stage.follow, http)
                with stage.live(nursery):
                    async with trio.open_nursery() as creations:
                        for task in TASKS:
                            creations.start_soon(stage.open, http, project, task)
                    await stage.finished()
                nursery.cancel_scope.cancel()
        if patience.cancelled_caught:
            stage.say(f"\nThe sessions did not end within {DEMO_TIMEOUT_S:g} s.")
        await stage.show_failures(http, remarks(os.environ))
    if not patience.cancelled_caught:
        stage.show_changes()


async def _await_signals(stage: "Stage", show: "trio.CancelScope", everything: "trio.CancelScope") -> None:
    """End the show at the first signal, and wait for nothing at the second."""
    import trio

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async for _ in signals:
            if show.cancel_called:
                everything.cancel()
            stage.interrupted()
            show.cancel()


def _configuration(scratch: Path, opencode: str | None) -> "Config":
    from fleet.config import load_config

    (scratch / "fleet.toml").touch()
    flags = {
        "config": str(scratch / "fleet.toml"),  # not the user's
        "port": "0",
        "data_dir": str(scratch / "data"),
        "opencode": opencode,
        "rehearsal": "always",
        "workspace_roots": str(scratch),
    }
    return load_config(flags, {})


def _environment(scratch: Path) -> dict[str, str]:
    """Return what OpenCode inherits: a home of its own, and nothing of the user's OpenCode."""
    kept = {name: value for name, value in passed_on(os.environ).items() if not name.startswith(("OPENCODE", "XDG_"))}
    home = scratch / "home"
    xdg = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
    temporary = scratch / "tmp"
    furnish(home / "config/opencode")
    temporary.mkdir()
    return {
        **kept,
        **xdg,
        "HOME": str(home),
        "TMPDIR": str(temporary),  # OpenCode leaves libraries there
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        **without_models(home / "models.json"),
    }


def _make_project(directory: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    _git(directory, "init", "--quiet")
    _git(directory, "add", ".")
    author = ("-c", "user.name=Fleet", "-c", "user.email=fleet@localhost", "-c", "commit.gpgsign=false")
    _git(directory, *author, "commit", "--quiet", "--no-verify", "-m", "A scratch project")


def _git(directory: Path, *arguments: str) -> None:
    try:
        subprocess.run(
            ["git", *arguments],
            cwd=directory,
            env=passed_on(os.environ),
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except subprocess.CalledProcessError as error:
        raise StartupError(f"git {arguments[-1]} failed in a scratch repository: {error.stderr.strip()}.") from error
