"""`fleet open` opens the page in a browser, and logs the browser in."""

import os
import sys
import time
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import MaybeName, complain, connected, named

if TYPE_CHECKING:
    from fleet.client import FleetClient


@connected
async def open_page(
    fleet: "FleetClient",
    *,
    session: MaybeName = None,
    print_: Annotated[
        bool, typer.Option("--print", help="Only print the address, for a browser on another machine.")
    ] = False,
) -> None:
    """Open the page, or the page of one session, in the browser.

    If your own server asks for a token, the address logs the browser in. It works once, for one minute.
    """
    import trio

    path = "/" if session is None else f"/s/{(await named(fleet, session)).id}"
    address = await trio.to_thread.run_sync(_address, fleet.url, path)
    if print_:
        print(address)
    elif _has_browser() and await trio.to_thread.run_sync(webbrowser.open, address):
        print(f"Opened {fleet.url}{path}", file=sys.stderr)
    else:
        complain("no browser can be opened here. The address is:")
        print(address)


def _address(url: str, path: str) -> str:
    """Return where the page is: a link that logs in, where the server is this user's own and asks for a token."""
    from fleet.cli.connect import configured_address
    from fleet.config import load_config
    from fleet.diagnosis.process_report import is_serving
    from fleet.errors import Problem
    from fleet.gateway.server.login_links import own_link
    from fleet.gateway.server.tokens import TokenFile
    from fleet.limits import OPEN_LINK_LIFETIME_S

    config = load_config({}, os.environ)
    if url != configured_address(config) or not is_serving(config):
        return f"{url}{path}"
    try:
        found = own_link(TokenFile(config.data_dir), url, int(time.time() * 1000), OPEN_LINK_LIFETIME_S, path)
    except (Problem, OSError):  # the page shows how to log in
        found = None
    return found or f"{url}{path}"


def _has_browser() -> bool:
    """Say whether a window could open: on Linux without a display Python would start a browser in the terminal."""
    if os.environ.get("BROWSER") or not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
