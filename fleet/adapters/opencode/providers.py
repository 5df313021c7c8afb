"""Finds out whether OpenCode has a model provider of its own: credentials, keys in the environment, or configuration.

It runs `opencode models`, because only OpenCode knows all the ways to set one up.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import structlog
import trio

from fleet.limits import OPENCODE_MODELS_TIMEOUT_S

_log = structlog.get_logger(__name__)

BUILT_IN = "opencode"
"""The provider that every installation lists, even without an account."""


async def own_providers(executable: Path, environment: Mapping[str, str]) -> frozenset[str] | None:
    """Return the providers that the user has set up, None if OpenCode does not report them. Takes about 1.5 s."""
    with trio.move_on_after(OPENCODE_MODELS_TIMEOUT_S):
        done = await trio.run_process(
            [executable, "models"], capture_stdout=True, stderr=subprocess.DEVNULL, check=False, env=dict(environment)
        )
        if done.returncode == 0:
            lines = done.stdout.decode(errors="replace").splitlines()
            return frozenset(line.partition("/")[0] for line in lines if "/" in line) - {BUILT_IN}
        _log.warning("opencode_models_failed", exit_code=done.returncode)
    return None
