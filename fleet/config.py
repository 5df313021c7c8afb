"""The configuration: its keys, their sources, and the checks of their values.

`KEYS` is the one table of what there is: the command's options, its help, the table of docs/configuration.md and the
checks are made from it. A value comes from the first of: command line, `FLEET_*` variable, TOML file, default.
Everything that is wrong is reported at once, each with its origin. fleet/limits.py has the limits that cannot be
configured.
"""

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import platformdirs

from fleet import config_values as values
from fleet import limits
from fleet.errors import StartupError
from fleet.logs import LogFormat, LogLevel

RehearsalChoice = Literal["auto", "always", "never"]
InstancePolicy = Literal["shared", "directory"]
HostsChoice = Literal["local", "ray"]
HostReach = Literal["direct", "agent"]
HostRepositories = Literal["bundle", "origin"]

INSTANCE_VARIABLE = "FLEET_INSTANCE_ID"
MARKER_VARIABLES = frozenset({INSTANCE_VARIABLE, "FLEET_DATA_ID"})
"""Set by Fleet in the environment of the processes that it starts: a `fleet` in an agent's shell sees them."""

TEST_VARIABLES = frozenset({"FLEET_SIM_SEED", "FLEET_SIM_COUNT", "FLEET_DRILL_SEED", "FLEET_DRILL_KILLS"})
"""Read by the test suite alone."""

CONFIG_VARIABLE = "FLEET_CONFIG"

TOKEN_VARIABLE = "FLEET_TOKEN"  # noqa: S105 - its name
"""The access token that commands show to the server named by --url. No option: an argument list is no secret."""

CLIENT_VARIABLES = frozenset({"FLEET_URL", TOKEN_VARIABLE, "FLEET_TOKEN_FILE", "FLEET_PAGER"})
"""Read by the commands that use a server."""

AGENT_VARIABLES = frozenset({"FLEET_HOST_ROOT"})
"""Read by the agents of other hosts; a machine may have a server, too."""


class Config(msgspec.Struct, frozen=True):
    """The checked configuration of a server. Paths are absolute; where `opencode` is None, Fleet looks for it."""

    host: str
    port: int
    data_dir: Path
    opencode: Path | None
    rehearsal: RehearsalChoice
    workspace_roots: tuple[Path, ...]
    instance_policy: InstancePolicy
    max_instances: int
    min_free_memory_mib: int
    idle_timeout_minutes: float
    leave_running: bool
    keep_transcripts_days: int | None
    anchor_file: Path | None
    webhook_networks: tuple[IPv4Network | IPv6Network, ...]
    log_format: LogFormat
    log_level: LogLevel
    traces: str | None
    hosts: HostsChoice
    ray_address: str | None
    host_grace_s: int
    host_reach: HostReach
    host_repositories: HostRepositories
    host_cpus: float
    host_memory_mb: int


class Key(NamedTuple):
    """One thing that can be set: a row of the table.

    `parse(value, directory)` takes a text (command line, variable) or a TOML value, and the directory that relative
    paths start from, None for the current one; it raises `ValueError` with the end of the sentence "… is not".
    `fallback` gives the default value, `default` describes it.
    """

    name: str
    kind: str
    default: str
    meaning: str
    parse: Callable[[Any, Path | None], Any]
    fallback: Callable[[], Any]

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return f"FLEET_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """Name of the command line option."""
        return f"--{self.name.replace('_', '-')}"


def _default_data_dir() -> Path:
    return Path(platformdirs.user_data_dir("fleet", appauthor=False))


def _filesystem_root() -> tuple[Path, ...]:
    # A caller of this server can run commands as its user: a narrower default would protect nothing and get in
    # the way (docs/adr/0010-workspace-roots.md).
    return (Path(os.sep),)


KEYS = (
    Key(
        "host",
        "address",
        "127.0.0.1",
        "Address to listen on. Any address except loopback needs an access token.",
        values.host,
        lambda: "127.0.0.1",
    ),
    Key(
        "port",
        "number",
        "3000",
        "Port to listen on; 0 chooses a free one.",
        values.number(0, 65535, " (0: any free port)"),
        lambda: 3000,
    ),
    Key(
        "data_dir",
        "directory",
        "the platform's data directory",
        "The directory for the event log, worktrees and clones. Only one server can use it at a time.",
        values.path,
        _default_data_dir,
    ),
    Key(
        "opencode",
        "file",
        "`opencode` on the PATH, else the one of `make setup`",
        "The OpenCode executable.",
        values.path,
        lambda: None,
    ),
    Key(
        "rehearsal",
        "auto, always, never",
        "auto",
        "Offer the rehearsal model to OpenCode: if OpenCode has no provider of its own, always, or never.",
        values.choice(get_args(RehearsalChoice)),
        lambda: "auto",
    ),
    Key(
        "workspace_roots",
        "directories",
        "the whole file system",
        f"Directories below which sessions may work, separated by '{os.pathsep}' or in a TOML array.",
        values.paths,
        _filesystem_root,
    ),
    Key(
        "instance_policy",
        "shared, directory",
        "shared",
        "Which sessions share an OpenCode process: those of one repository, or of one directory.",
        values.choice(get_args(InstancePolicy)),
        lambda: "shared",
    ),
    Key(
        "max_instances",
        "number",
        str(limits.INSTANCES_MAX),
        "Maximum number of OpenCode processes; a session that needs one more waits.",
        values.number(1, 10_000),
        lambda: limits.INSTANCES_MAX,
    ),
    Key(
        "min_free_memory_mib",
        "MiB",
        str(limits.MEMORY_FREE_BYTES_MIN // limits.MIB),
        "Memory that must be free before another OpenCode process is started.",
        values.number(0, 10_000_000),
        lambda: limits.MEMORY_FREE_BYTES_MIN // limits.MIB,
    ),
    Key(
        "idle_timeout_minutes",
        "minutes",
        f"{limits.IDLE_TIMEOUT_S / 60:g}",
        "An OpenCode process whose sessions have all been idle for this time is stopped; they become completed.",
        values.minutes,
        lambda: limits.IDLE_TIMEOUT_S / 60,
    ),
    Key(
        "leave_running",
        "true, false",
        "false",
        "Leave OpenCode processes running when the server stops; the next start adopts them.",
        values.flag,
        lambda: False,
    ),
    Key(
        "keep_transcripts_days",
        "days",
        "no limit",
        "Sessions that ended longer ago are erased; the log keeps that they existed. `fleet log retention` lists the "
        "next.",
        values.number(1, 36_500),
        lambda: None,
    ),
    Key(
        "anchor_file",
        "file",
        "none",
        "File on another machine's disk, to which the server appends signed heads of its log: `fleet log verify "
        "--anchor` then finds a log that was changed.",
        values.path,
        lambda: None,
    ),
    Key(
        "webhook_networks",
        "networks",
        "public addresses only",
        "Networks that are not public and that webhooks may use, also by http, such as 10.1.0.0/16, 127.0.0.1; "
        "separated by ',' or in a TOML array.",
        values.networks,
        lambda: (),
    ),
    Key(
        "log_format",
        "auto, json, console",
        "auto",
        "Format of the server's log on standard error: lines of JSON, lines for people, or lines for people on a "
        "terminal only.",
        values.choice(get_args(LogFormat)),
        lambda: "auto",
    ),
    Key(
        "log_level",
        "debug, info, warning, error",
        "info",
        "Minimum level of the server's log; debug shows every request.",
        values.choice(get_args(LogLevel)),
        lambda: "info",
    ),
    Key(
        "traces",
        "URL",
        "none",
        "OpenTelemetry collector that gets traces, by OTLP over HTTP, such as http://localhost:4318.",
        values.collector,
        lambda: None,
    ),
    Key(
        "hosts",
        "local, ray",
        "local",
        "Where sessions work: on this machine, or also on the machines of a Ray cluster.",
        values.choice(get_args(HostsChoice)),
        lambda: "local",
    ),
    Key(
        "ray_address",
        "host:port",
        "none",
        "The head of the Ray cluster, such as 10.0.0.1:6379; `hosts` = ray needs it.",
        values.endpoint,
        lambda: None,
    ),
    Key(
        "host_grace_s",
        "seconds",
        f"{limits.HOST_GRACE_S:g}",
        "A host that has not answered for this time is lost; it has ended its OpenCode processes 20 s before.",
        values.number(30, 86_400),
        lambda: int(limits.HOST_GRACE_S),
    ),
    Key(
        "host_reach",
        "direct, agent",
        "direct",
        "How OpenCode on another host is reached: at the host's address, or through Fleet's agent there.",
        values.choice(get_args(HostReach)),
        lambda: "direct",
    ),
    Key(
        "host_repositories",
        "bundle, origin",
        "bundle",
        "How a repository reaches another host: as a bundle from this machine, or fetched there from its origin.",
        values.choice(get_args(HostRepositories)),
        lambda: "bundle",
    ),
    Key(
        "host_cpus",
        "number",
        f"{limits.HOST_CPUS:g}",
        "Cores that are reserved on another host for a session that names none.",
        values.cores(limits.HOST_CPUS_MAX),
        lambda: limits.HOST_CPUS,
    ),
    Key(
        "host_memory_mb",
        "MiB",
        str(limits.HOST_MEMORY_MB),
        "Memory that is reserved on another host for a session that names none.",
        values.number(0, limits.HOST_MEMORY_MB_MAX),
        lambda: limits.HOST_MEMORY_MB,
    ),
)
_BY_NAME = {key.name: key for key in KEYS}


class _Setting(NamedTuple):
    """A value as it was given, with where."""

    value: Any
    origin: str
    directory: Path | None


def default_config_file() -> Path:
    """Return where the configuration is read from when no file is named."""
    return Path(platformdirs.user_config_dir("fleet", appauthor=False)) / "config.toml"


def load_config(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Config:
    """Put the configuration together and check it.

    `flags` maps key names, and `config` for the file, to what the command line says; None and an empty variable count
    as not given. Raises `StartupError` that lists everything that is wrong.
    """
    problems: list[str] = []
    given: dict[str, _Setting] = {}  # the sources below are read from weak to strong
    given.update(_from_file(_config_file(flags, environ), problems))
    given.update(_from_environment(environ, problems))
    given.update(_from_flags(flags))
    found = {key.name: _value(key, given.get(key.name), problems) for key in KEYS}
    if problems:
        raise StartupError("The configuration is wrong:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return Config(**found)


def _config_file(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: a named one must be there, the default one need not."""
    named = flags.get("config") or environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    default = default_config_file()
    return default if default.exists() else None


def _from_file(file: Path | None, problems: list[str]) -> dict[str, _Setting]:
    if file is None:
        return {}
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        problems.append(f"{file}: cannot be read: {error.strerror}")
        return {}
    except ValueError as error:  # not UTF-8, or not TOML
        problems.append(f"{file}: is not TOML: {error}")
        return {}
    problems.extend(f"{file}:{name}: {_unknown('key', name, _BY_NAME)}" for name in content if name not in _BY_NAME)
    return {name: _Setting(value, f"{file}:{name}", file.parent) for name, value in content.items() if name in _BY_NAME}


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, _Setting]:
    keys = {key.variable: key for key in KEYS}
    foreign = MARKER_VARIABLES | TEST_VARIABLES | CLIENT_VARIABLES | AGENT_VARIABLES | {CONFIG_VARIABLE}
    unknown = sorted(name for name in environ if name.startswith("FLEET_") and name not in keys and name not in foreign)
    problems.extend(f"{name}: {_unknown('variable', name, keys)}" for name in unknown)
    return {
        key.name: _Setting(environ[variable], variable, None) for variable, key in keys.items() if environ.get(variable)
    }


def _from_flags(flags: Mapping[str, str | None]) -> dict[str, _Setting]:
    named = {_BY_NAME[name]: value for name, value in flags.items() if name in _BY_NAME}
    return {key.name: _Setting(value, key.flag, None) for key, value in named.items() if value is not None}


def _value(key: Key, setting: _Setting | None, problems: list[str]) -> Any:
    if setting is None:
        return key.fallback()
    try:
        return key.parse(setting.value, setting.directory)
    except ValueError as error:
        problems.append(f"{setting.origin}: {setting.value!r} is not {error}")
        return None


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    advice = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"there is no such {what}; {advice}"
