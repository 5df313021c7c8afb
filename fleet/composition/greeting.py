"""The text that the terminal shows when the server is ready: where the page is, and what to try."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from fleet import __version__
from fleet.config import Config, load_config
from fleet.errors import Problem, StartupError
from fleet.escape import plain
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.login_links import own_link
from fleet.limits import LINK_LIFETIME_S

_MISSING = "is missing: install it with `npm install -g opencode-ai`"


def greeting(
    config: Config,
    url: str,
    executable: Path | None,
    *,
    needs_token: bool,
    page: str,
    read_only: bool = False,
    remarks: Iterable[str] = (),
) -> str:
    """Return the greeting; `page` is the result of `page_line`, `remarks` are about the environment."""
    shown = ' -H "Authorization: Bearer $FLEET_TOKEN"' if needs_token else ""
    notes = "".join(f"  Note     {plain(remark)}\n" for remark in remarks)
    mode = "\n  Mode     read-only: nothing can be changed, and no OpenCode runs" if read_only else ""
    attempts = f"  curl {url}/api/sessions{shown}" if read_only else _creation(url, shown)
    return f"""
Fleet {__version__} is ready at {url}
  Page     {page}
  OpenCode {executable or _MISSING}
  Data     {config.data_dir}{mode}
{notes}
Try it:
{attempts}
  curl -N {url}/api/events{shown}

"""


def _creation(url: str, shown: str) -> str:
    """Return a command that creates a session here."""
    here = current_directory() or Path.home()
    apart = {"isolationStrategy": "worktree"} if (here / ".git").exists() else {}
    body = msgspec.json.encode(
        {"directory": plain(str(here)), "title": "Try Fleet", **apart, "initialPrompt": "Look around and take a note"}
    )
    return f"""  curl -X POST {url}/api/sessions{shown} -H 'Content-Type: application/json' \\
    -d {shlex.quote(body.decode())}"""


def is_found_without_url(config: Config) -> bool:
    """Return whether the `fleet` command finds this server by file and environment, without the server's options."""
    try:
        own = load_config({}, os.environ)
    except StartupError:  # an option has replaced a wrong value
        return False
    return config.port != 0 and (config.host, config.port) == (own.host, own.port)


def page_line(guard: Guard, url: str, now_ms: int, *, is_built: bool, is_found: bool) -> str:
    """Return how to open the page: on a terminal with a login link, if the server asks for a token.

    `is_found` says whether `fleet` finds this server without `--url`. Waits for others who change the tokens at this
    moment.
    """
    if not is_built:
        return "is not built: run `make web`, then start Fleet again"
    fleet = this_command()
    opening = f"{fleet} open" if is_found else f"{fleet} open --url {url}"
    if not guard.needs_token or guard.tokens is None:
        return f"{url}/ in a browser, or `{opening}`"
    if sys.stderr.isatty():  # a link in a file would be read by others, or much later
        try:
            link = own_link(guard.tokens, url, now_ms, LINK_LIFETIME_S)
        except (Problem, OSError):
            link = None
        if link is not None:
            another = f"; `{fleet} open` makes another" if is_found else ""
            return f"{link}\n           (logs a browser in, once, within ten minutes{another})"
    return f"{url}/ after `{fleet} token link NAME`, which logs a browser in"


def current_directory() -> Path | None:
    """Return the current directory, None if it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def this_command() -> str:
    """Return the command for this `fleet`: its name if the PATH leads to it, else its path."""
    here = current_directory()
    if here is None:
        return "fleet"
    own = here / sys.argv[0]
    if own.name != "fleet" or not own.exists():
        return "fleet"
    found = shutil.which("fleet")
    if found is not None and os.path.realpath(found) == os.path.realpath(own):
        return "fleet"
    return shlex.quote(str(own.relative_to(here)) if own.is_relative_to(here) else str(own))
