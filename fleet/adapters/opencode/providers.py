"""Finds out whether OpenCode has a model provider of its own: credentials, keys in the environment, or configuration.

Asked of OpenCode itself (`opencode models`), because it alone knows all the ways in which one is set up.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import structlog
import trio

from fleet.limits import OPENCODE_MODELS_TIMEOUT_S

_log = structlog.get_logger(__name__)

BUILT_IN = "opencode"
"""The provider that every installation lists, with or without an account for it."""


async def own_providers(executable: Path, environment: Mapping[str, str]) -> frozenset[str] | None:
    """Return the providers that the user has set up, None where OpenCode does not say. Takes about 1.5 s."""
    with trio.move_on_after(OPENCODE_MODELS_TIMEOUT_S):
        done = await trio.run_process(
            [executable, "models"],
            capture_stdout=True,
            stderr=subprocess.DEVNULL,
            check=False,
            env=dict(environment),
        )
        if done.returncode == 0:
            lines = done.stdout.decode(errors="replace").splitlines()
            return frozenset(line.partition("/")[0] for line in lines if "/" in line) - {BUILT_IN}
        _log.warning("opencode_models_failed", exit_code=done.returncode)
    return None
