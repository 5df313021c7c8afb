"""Prepares OpenCode's configuration directory for the rehearsal model, so that OpenCode has nothing to download.

In each of its configuration directories, OpenCode installs its library for plugins from the npm registry, in the
background and whether there are plugins or not. In a new home that takes three seconds of a core, and every process
begins it again until one has completed it.
"""

import json
from pathlib import Path

_AS_INSTALLED = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}


def furnish(directory: Path) -> None:
    """Make the directory such that OpenCode finds the library installed. Plugins that import it do not run there."""
    (directory / "node_modules").mkdir(parents=True, exist_ok=True)
    (directory / "package-lock.json").write_text(json.dumps(_AS_INSTALLED))
