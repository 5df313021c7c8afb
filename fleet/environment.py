"""The environment that Fleet passes on to other programs, without the variables that belong to the starting shell.

A server may be started from a git hook, an alias, `git rebase --exec` or a makefile. Their variables name one
repository and would send what every agent does there. Rules kept here: such variables reach no process that Fleet
starts; variables that say who someone is or how they connect (`GIT_AUTHOR_*`, `GIT_SSH*`) do; and where a proxy is set,
loopback addresses are exempt from it, because Fleet's model and tools listen there.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

_GIT_NAMES: Final = frozenset(
    {
        # The output of `git rev-parse --local-env-vars`, of all versions:
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REF_FORMAT",
        "GIT_REFERENCE_BACKEND",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
        # Further variables that choose a repository, or how git treats it:
        "GIT_CEILING_DIRECTORIES",
        "GIT_GLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        "GIT_LITERAL_PATHSPECS",
        "GIT_NAMESPACE",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_QUARANTINE_PATH",
        "GIT_REFLOG_ACTION",
    }
)
_GIT_SETTING: Final = re.compile(r"GIT_CONFIG_(KEY|VALUE)_\d+")  # those that GIT_CONFIG_COUNT counts
_ENGINE_NAMES: Final = frozenset({"RAY_AUTH_TOKEN"})  # it lets its holder run code on every host
_MAKE_NAMES: Final = frozenset({"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"})
_DIRECTORY_NAMES: Final = frozenset({"PWD", "OLDPWD"})  # of the shell, where the process gets another directory

_PROXY_NAMES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NO_PROXY_NAMES: Final = ("NO_PROXY", "no_proxy")
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1", "[::1]")  # programs differ in how they write the last


def dropped(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the variables that are not passed on and that a person may miss, sorted."""
    others = _MAKE_NAMES | _ENGINE_NAMES
    return tuple(sorted(name for name in environment if _belongs_to_a_repository(name) or name in others))


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` for the processes that Fleet starts. A second call changes nothing."""
    left = {*dropped(environment), *_DIRECTORY_NAMES}
    kept = {name: value for name, value in environment.items() if name not in left}
    return kept | (_exemptions(kept) if proxies(kept) else {})


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return each variable that sets a proxy, with the proxy's address without user name and password."""
    names = (name for upper in _PROXY_NAMES for name in (upper, upper.lower()))
    return {name: _address(environment[name]) for name in names if environment.get(name)}


def remarks(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return remarks for a person: which variables are not passed on, and which proxies OpenCode uses."""
    said: list[str] = []
    if names := dropped(environment):
        said.append(f"{', '.join(names)}: set by the shell that started Fleet, and not passed on to sessions")
    if found := proxies(environment):
        named = ", ".join(f"{address} ({name})" for name, address in found.items())
        said.append(f"OpenCode and the agents' tools use the proxy {named}; loopback addresses are exempt")
    return tuple(said)


def _belongs_to_a_repository(name: str) -> bool:
    return name in _GIT_NAMES or _GIT_SETTING.fullmatch(name) is not None


def _exemptions(environment: Mapping[str, str]) -> dict[str, str]:
    """Return both spellings of the variable, with the hosts that either lists now, and loopback."""
    given = ",".join(environment.get(name, "") for name in _NO_PROXY_NAMES)
    listed = [each.strip() for each in given.split(",") if each.strip()]
    together = ",".join(dict.fromkeys((*listed, *_LOOPBACK_NAMES)))
    return dict.fromkeys(_NO_PROXY_NAMES, together)


def _address(proxy: str) -> str:
    try:
        return (
            urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc.rpartition("@")[2] or "an address without a host"
        )
    except ValueError:
        return "an address that cannot be read"
