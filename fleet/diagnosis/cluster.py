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
from fleet.adapters.ray.frames import HOST_LABEL, namespace_of
from fleet.adapters.ray.survey import Survey, Surveyed, survey
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
    if config.hosts != "ray" or config.ray_address is None:
        advice = "Give --hosts ray and --ray-address HOST:6379, or set them in the configuration."
        return (Check("cluster", "failed", "Fleet is configured for this machine alone", advice),)
    token = check_token(environment)
    if token.state == "failed":
        return (token,)
    found = await survey(config.ray_address, environment)
    return (token, *check_survey(found, config), *await _check_server(config))


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
    names = Counter(each.labels.get(HOST_LABEL) for each in found.machines)
    for machine in found.machines:
        name = machine.labels.get(HOST_LABEL)
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
    """Say which other servers have agents: they and this one see nothing of each other but the room that is taken."""
    identity = read_identity(config.data_dir)
    own = namespace_of(None if identity is None else identity.id)
    for namespace, hosts in sorted(found.agents.items()):
        if namespace != own:
            whose = f"the Fleet whose data directory has the id {namespace.removeprefix('fleet-')}"
            detail = f"{whose} has agents on {', '.join(hosts)}: its sessions take cores and memory there"
            yield Check("other server", "ok", detail)


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
