"""The part of the doctor that is about a cluster: its engine, and every machine in it.

It makes a survey of the cluster (adapters/ray/survey.py), which needs no server. If a server runs, it is asked how it
sees its hosts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import httpx
import msgspec

from fleet import __version__
from fleet.adapters.opencode.binary import KNOWN_VERSIONS, release
from fleet.adapters.ray.authentication import AuthenticationError, own_token, require_token, token_file
from fleet.adapters.ray.frames import HOST_LABEL, namespace_of, server_of
from fleet.adapters.ray.survey import Server, Survey, Surveyed, survey
from fleet.config import Config
from fleet.diagnosis.checks import DISK_FREE_BYTES_COMFORTABLE, Check
from fleet.diagnosis.process_report import is_serving
from fleet.errors import StartupError
from fleet.events.directory_identity import read_identity
from fleet.limits import CLOCK_SKEW_MS_MAX, DISK_FREE_BYTES_MIN, MIB, PAGE_MAX, PROCESS_REPORT_TIMEOUT_S
from fleet.network import base_url
from fleet.ports import LOCAL, HostInfo
from fleet.private_files import read_local_token
from fleet.wire.hosts import HostItem


async def examine_cluster(config: Config, environment: Mapping[str, str]) -> tuple[Check, ...]:
    """Return all checks of the cluster, the first that fail on the way to it alone."""
    if (failed := obstacle(config, environment)) is not None:
        return (failed,)
    found = await survey(config.ray_address or "", environment)
    return (check_token(environment), *check_survey(found, config), *await _check_server(config))


def obstacle(config: Config, environment: Mapping[str, str]) -> Check | None:
    """Return the failed check without which nothing can be asked of a cluster, None if there is none."""
    if config.hosts != "ray" or config.ray_address is None:
        advice = "Give --hosts ray and --ray-address HOST:6379, or set them in the configuration."
        return Check("cluster", "failed", "Fleet is configured for this machine alone", advice)
    token = check_token(environment)
    return token if token.state == "failed" else None


def check_token(environment: Mapping[str, str]) -> Check:
    """Check Ray's token on this machine."""
    try:
        require_token(environment)
        own_token(environment)
    except AuthenticationError as error:
        return Check("Ray's token", "failed", str(error))
    if environment.get("RAY_AUTH_TOKEN"):
        return Check("Ray's token", "ok", "in RAY_AUTH_TOKEN")
    file = token_file(environment)
    if file.stat().st_mode & 0o077:
        advice = f"Other users of this machine can read it, and run code on all machines. Run `chmod 600 {file}`."
        return Check("Ray's token", "warning", f"{file} is readable for others", advice)
    return Check("Ray's token", "ok", str(file))


def check_survey(found: Survey, config: Config) -> Iterator[Check]:
    """Check what the survey has found."""
    if found.failure:
        yield Check("cluster", "failed", found.failure)
        return
    detail = f"{config.ray_address}, {len(found.machines)} machines, Ray {found.engine_version}, with a token"
    yield Check("cluster", "ok", detail)
    names = Counter(each.host for each in found.machines)
    for machine in found.machines:
        name = machine.host
        if name is None:
            yield from _without_label(machine)
            continue
        faults = tuple(_faults(machine, found, config, is_unique=names[name] == 1))
        yield from faults or (Check(f"host {name}", "ok", _summary(machine)),)
    yield from _other_servers(found, config)
    if set(names) <= {None}:
        advice = f"Start Ray on the machines with --labels={HOST_LABEL}=NAME."
        yield Check("hosts", "failed", f"no machine has the label {HOST_LABEL}: there is no host", advice)


def _other_servers(found: Survey, config: Config) -> Iterator[Check]:
    """Say which other servers hold something: they and this one see nothing of each other but the room that is taken.

    One that is not heard any more may have been deleted: its agents and reservations do not end by themselves.
    """
    identity = read_identity(config.data_dir)
    own = server_of(namespace_of(None if identity is None else identity.id))
    for server in found.servers:
        if server.id == own or not (server.agents or server.reservations):
            continue
        whose = f"the Fleet whose data directory has the id {server.id} has {held_by(server)}"
        sign = found.sign_of_life(server, config.host_grace_s)
        if sign is not None:
            yield Check("other server", "ok", f"{whose}; {sign}")
        else:
            detail = f"{whose}; {last_heard(found, server.id)}"
            advice = f"If it does not come back, free what it holds: fleet cluster release {server.id}"
            yield Check("other server", "warning", detail, advice)


def held_by(server: Server) -> str:
    """Return in words what a server holds: `an agent on n1 and n2, and 1 reservation (2 cores, 100 MiB) on n1`."""
    words: list[str] = []
    if server.agents:
        words.append(f"an agent on {_listed(server.agents)}")
    if server.reservations:
        count = f"{server.reservations} reservation{'' if server.reservations == 1 else 's'}"
        where = _listed(tuple(host or "a machine that is to be started" for host in server.reserved_on))
        words.append(f"{count} ({server.cpus:.3g} cores, {server.memory_mb} MiB) on {where}")
    return ", and ".join(words) or "neither agents nor reservations"


def last_heard(found: Survey, server: str) -> str:
    """Return in words when a server was last heard."""
    heard_ago_s = found.heard_ago_s(server)
    if heard_ago_s is None:
        return "no machine that is in the cluster now has heard it"
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if heard_ago_s >= 2 * size:
            return f"it was last heard {heard_ago_s // size:.0f} {unit} ago"
    return f"it was last heard {heard_ago_s:.0f} s ago"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _without_label(machine: Surveyed) -> Iterator[Check]:
    if not machine.is_head:
        advice = f"Start Ray there with --labels={HOST_LABEL}=NAME, if sessions should work on it."
        yield Check(f"at {machine.address}", "warning", f"it has no label {HOST_LABEL}, so it is no host", advice)


def _faults(machine: Surveyed, found: Survey, config: Config, *, is_unique: bool) -> Iterator[Check]:
    name = machine.labels[HOST_LABEL]
    subject = f"host {name}"
    if name == LOCAL:
        yield Check(subject, "failed", f"the name {LOCAL} is that of the server's machine", "Choose another label.")
    if not is_unique:
        advice = f"Give each machine a {HOST_LABEL} of its own. This one has the address {machine.address}."
        yield Check(subject, "failed", "several machines have this label", advice)
    if (info := machine.info) is None:
        advice = "Install the same Fleet there, in the Python that runs `ray start`."
        yield Check(subject, "failed", machine.problem, advice if "not installed" in machine.problem else "")
        return
    yield from _version_faults(subject, info, found)
    if abs(machine.skew_ms) > CLOCK_SKEW_MS_MAX:
        where = "ahead of" if machine.skew_ms > 0 else "behind"
        detail = f"its clock is {abs(machine.skew_ms) / 1000:.1f} s {where} the server's"
        yield Check(subject, "warning", detail, "Synchronize the clocks (chrony, systemd-timesyncd).")
    if not machine.is_reachable and config.host_reach == "direct":
        detail = f"this machine does not reach ports that programs choose at {machine.address}"
        advice = "Open 32768 to 60999 there for this machine, or start Fleet with --host-reach agent."
        yield Check(subject, "failed", detail, advice)
    yield from _room_faults(subject, info, config)


def _version_faults(subject: str, info: HostInfo, found: Survey) -> Iterator[Check]:
    if info.opencode_version is None:
        advice = "Install it (npm install -g opencode-ai), on the PATH of `ray start`."
        yield Check(subject, "failed", "OpenCode is missing", advice)
    elif release(info.opencode_version) < release(KNOWN_VERSIONS[0]):
        advice = f"Fleet is tested with {', '.join(KNOWN_VERSIONS)}: upgrade it."
        yield Check(subject, "warning", f"OpenCode {info.opencode_version} is older", advice)
    if not info.git_version:
        yield Check(subject, "failed", "git is missing", "Install git.")
    if info.version != __version__:
        advice = "Install the same version there, then restart the server, which replaces the agent."
        yield Check(subject, "warning", f"Fleet {info.version}, and {__version__} here", advice)
    if info.python_version != found.python_version:
        detail = f"Python {info.python_version}, and {found.python_version} here"
        yield Check(subject, "failed", detail, "Use the same patch version on all machines.")
    if info.engine_version != found.engine_version:
        detail = f"Ray {info.engine_version}, and {found.engine_version} here"
        yield Check(subject, "failed", detail, "Install the same version on all machines.")


def _room_faults(subject: str, info: HostInfo, config: Config) -> Iterator[Check]:
    disk = f"{info.disk_free_bytes // MIB:,} MiB free on its disk"
    if info.disk_free_bytes < DISK_FREE_BYTES_MIN:
        yield Check(subject, "failed", disk, "Free some space: git and OpenCode cannot work.")
    elif info.disk_free_bytes < DISK_FREE_BYTES_COMFORTABLE:
        yield Check(subject, "warning", disk, "Free some space: repositories and worktrees need it.")
    if info.memory_free_bytes < config.min_free_memory_mib * MIB:
        detail = f"{info.memory_free_bytes // MIB:,} MiB of memory free"
        yield Check(subject, "warning", detail, "OpenCode takes 350 to 600 MiB a process: free some memory.")


def _summary(machine: Surveyed) -> str:
    info = machine.info
    if info is None:
        return ""
    return (
        f"{machine.address}: Fleet {info.version}, OpenCode {info.opencode_version}, git {info.git_version}, Python "
        f"{info.python_version}; clock {machine.skew_ms:+d} ms; {info.memory_free_bytes // MIB:,} MiB memory and "
        f"{info.disk_free_bytes // MIB:,} MiB disk free"
    )


# ---------------------------------------------------------------------------------------------- as the server sees it


async def _check_server(config: Config) -> tuple[Check, ...]:
    try:
        if not is_serving(config):
            return ()
        return tuple(check_served(await _served(config)))
    except StartupError as error:
        return (Check("server", "warning", str(error)),)


async def _served(config: Config) -> Sequence[HostItem]:
    url, token = base_url(config.host, config.port), read_local_token(config.data_dir)
    shown = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(headers=shown, timeout=PROCESS_REPORT_TIMEOUT_S, trust_env=False) as http:
            answer = await http.get(f"{url}/api/hosts?limit={PAGE_MAX}")
            return msgspec.json.decode(answer.raise_for_status().content, type=list[HostItem])
    except (httpx.HTTPError, msgspec.MsgspecError) as error:
        raise StartupError(f"The server at {url} cannot be asked for its hosts: {error}.") from error


def check_served(hosts: Sequence[HostItem]) -> Iterator[Check]:
    """Check how the server sees its hosts."""
    others = [host for host in hosts if host.name != LOCAL]
    for host in others:
        if host.status in ("silent", "lost"):
            detail = f"{host.status} for the server since {host.status_since}: {host.evidence}"
            advice = f"Look at Ray's logs on {host.address or 'it'}: /tmp/ray/session_latest/logs."
            yield Check(f"host {host.name}", "failed", detail, advice)
    answering = sum(host.status not in ("silent", "lost") for host in others)
    yield Check("server", "ok", f"it hears {answering} of {len(others)} hosts")
