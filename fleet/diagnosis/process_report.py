"""The process report: every OpenCode process that a Fleet ever started, its end, and the processes without an owner.

If a server runs, it is asked over HTTP; otherwise the log and this machine's processes are read. Nothing is changed.
Like fleet/diagnosis/doctor.py, this module uses adapters directly; fleet/cli/commands/ps.py shows the report.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import httpx
import msgspec

from fleet.actors.upkeep.orphans import find_orphans
from fleet.adapters.clock import SystemClock
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.config import Config
from fleet.errors import StartupError
from fleet.events.catalog import make_registry
from fleet.events.data_lock import lock_holder
from fleet.events.directory_identity import read_identity
from fleet.events.lmdb_log import LmdbLog
from fleet.events.lmdb_store import LOG_FILE
from fleet.gateway.items.instances import instance_item, orphan_item
from fleet.limits import PAGE_MAX, PROCESS_REPORT_TIMEOUT_S
from fleet.network import base_url, listens
from fleet.private_files import read_local_token
from fleet.projections.lives import Life, lives
from fleet.wire.instances import InstanceItem, OrphanItem

Item = TypeVar("Item")


class ProcessReport(msgspec.Struct, frozen=True):
    """Instances, newest first, and orphans. `server` is the address that was asked, None if the log was read."""

    instances: Sequence[InstanceItem]
    orphans: Sequence[OrphanItem]
    server: str | None = None


def is_serving(config: Config) -> bool:
    """Return whether a server uses the data directory. Raises `StartupError` if it listens on another port."""
    holder = lock_holder(config.data_dir)
    if holder is not None and listens(holder, config.port) is False:
        raise StartupError(
            f"The Fleet that uses {config.data_dir} (process {holder}) does not listen on port {config.port}: "
            "give its --port or --url."
        )
    return holder is not None


async def report_processes(config: Config, url: str | None = None, token: str | None = None) -> ProcessReport:
    """Ask the server at `url`, with `token`, or the one that uses the data directory, or else read its log.

    Raises `StartupError` if there is no log, or the server that uses it cannot be asked.
    """
    if url is not None:
        return await _ask(url.rstrip("/"), token)
    if not is_serving(config):
        return await _read(config)
    return await _ask(base_url(config.host, config.port), read_local_token(config.data_dir))


async def _ask(url: str, token: str | None) -> ProcessReport:
    shown = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(
            base_url=f"{url}/api", headers=shown, timeout=PROCESS_REPORT_TIMEOUT_S, trust_env=False
        ) as http:
            orphans = await _get(http, "/instances/orphans", list[OrphanItem])
            instances: list[InstanceItem] = []
            while page := await _get(http, _page(len(instances)), list[InstanceItem]):
                instances += page
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StartupError(f"The server at {url} cannot be asked: {error or type(error).__name__}.") from error
    return ProcessReport(instances, orphans, url)


def _page(offset: int) -> str:
    return f"/instances?all=true&limit={PAGE_MAX}&offset={offset}"


async def _get(http: httpx.AsyncClient, path: str, kind: type[Item]) -> Item:
    answer = await http.get(path)
    try:
        if answer.is_error:
            problem: dict[str, Any] = msgspec.json.decode(answer.content, type=dict[str, Any])
            raise StartupError(f"The server at {http.base_url} refuses the request: {problem.get('detail')}.")
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.MsgspecError as error:
        raise StartupError(f"The server at {http.base_url} is not this version of Fleet.") from error


async def _read(config: Config) -> ProcessReport:
    if not (config.data_dir / LOG_FILE).exists():
        raise StartupError(f"No Fleet has ever run on {config.data_dir}. Name the directory with --data-dir.")
    with LmdbLog.open(config.data_dir, make_registry(), SystemClock()) as log:
        found = lives(log)
    identity = read_identity(config.data_dir)
    host = LocalOpenCodeHost(config.data_dir, data_id=None if identity is None else identity.id)
    states = {life.state.id: life.state for life in found}
    orphans = [orphan_item(process) for process in await find_orphans(host, states.get)]
    return ProcessReport([_item(host, life) for life in reversed(found)], orphans)


def _item(host: LocalOpenCodeHost, life: Life) -> InstanceItem:
    identity = life.state.identity
    return instance_item(life, None if identity is None else host.memory_bytes(identity))
