"""The environment of a spawned process: the user's own, so that a user of OpenCode has nothing to configure.

It excludes Fleet's own settings and the variables of the shell that started Fleet (fleet/environment.py). The user's
configuration overrides the one that Fleet adds (the rehearsal model). `process` adds the markers and the password.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from fleet.environment import passed_on
from fleet.errors import StartupError

CONFIG_VARIABLE: Final = "OPENCODE_CONFIG_CONTENT"
_SECRET_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SECRET_CHARS_MIN: Final = 8  # a shorter value is a flag or a number; hiding it would garble the log


def inherited(environment: Mapping[str, str], extra_config: Mapping[str, Any]) -> dict[str, str]:
    """Return the inherited part of `environment` without Fleet's settings, with `extra_config` merged in.

    The existing values in OPENCODE_CONFIG_CONTENT override `extra_config`. Raises `StartupError` if the user's value of
    that variable is not a JSON object.
    """
    kept = {name: value for name, value in passed_on(environment).items() if not name.startswith("FLEET_")}
    kept.pop("OPENCODE_PID", None)  # an agent that starts Fleet is not the parent of Fleet's processes
    if extra_config:
        merged = merged_config(extra_config, _users_config(kept.get(CONFIG_VARIABLE, "")))
        kept[CONFIG_VARIABLE] = msgspec.json.encode(merged).decode()
    return kept


def secrets_in(environment: Mapping[str, str]) -> list[str]:
    """Return the values that have the names of secrets."""
    secrets = (value for name, value in environment.items() if _SECRET_NAME.search(name))
    return [value for value in secrets if len(value) >= _SECRET_CHARS_MIN]


def _users_config(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise StartupError(
            f"{CONFIG_VARIABLE} is not a JSON object ({error}), so the rehearsal model cannot be added to it. "
            "Correct it, or start Fleet with --rehearsal never."
        ) from error


def merged_config(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `ours` overridden by `theirs`, object by object."""
    merged = dict(ours)
    for key, value in theirs.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[key] = merged_config(cast("Mapping[str, Any]", under), cast("Mapping[str, Any]", value))
        else:
            merged[key] = value
    return merged
