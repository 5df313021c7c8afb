"""Prepares OpenCode's home for the rehearsal model, so that OpenCode has nothing to download and little to read.

In each of its configuration directories, OpenCode installs its library for plugins from the npm registry, in the
background and whether there are plugins or not. In a new home that takes three seconds of a core, and every process
begins it again until one has completed it. It also reads a list of the models of all providers, for each directory
that it works in: that takes a second of a core, and 200 MB of memory in each process.
"""

import json
from pathlib import Path

_AS_INSTALLED = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}


def furnish(directory: Path) -> None:
    """Make the directory such that OpenCode finds the library installed. Plugins that import it do not run there."""
    (directory / "node_modules").mkdir(parents=True, exist_ok=True)
    (directory / "package-lock.json").write_text(json.dumps(_AS_INSTALLED))


def without_models(file: Path) -> dict[str, str]:
    """Return the environment in which OpenCode knows only the models of its configuration; `file` is written for it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    return {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_MODELS_PATH": str(file)}
