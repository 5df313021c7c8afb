"""Says why a sidecar is not connected to a cluster, and whether trying again is of no use.

Ray reports what is wrong by texts; the ones that a person can do something about are recognized here.
"""

import re
from typing import Final

from fleet.adapters.ray.authentication import AuthenticationError
from fleet.adapters.ray.frames import NotConnected

_VERSIONS: Final = re.compile(r"Ray: (\S+)\s+Python: (\S+)")

NOT_INSTALLED: Final = "Ray is not installed: pip install 'fleet[ray]'"


def not_connected(error: Exception, address: str) -> NotConnected:
    """Return the reason of `error`, which connecting to the head at `address` has raised."""
    match error:
        case AuthenticationError():
            return NotConnected(str(error), is_final=True)
        case ModuleNotFoundError():
            return NotConnected(NOT_INSTALLED, is_final=True)
        case OSError():
            return NotConnected(f"{address} does not answer: {error.strerror or error}", is_final=False)
        case _ if "Version mismatch" in str(error):
            return NotConnected(_other_versions(str(error), address), is_final=True)
        case _:
            return NotConnected(f"{type(error).__name__}: {error}", is_final=False)


def _other_versions(text: str, address: str) -> str:
    """Return Ray's text about two versions, of the cluster and of this process, in one sentence."""
    found = _VERSIONS.findall(text)
    if len(found) != 2:
        return text
    (ray, python), (own_ray, own_python) = found
    return (
        f"The cluster at {address} has Ray {ray} and Python {python}, and Fleet runs with Ray {own_ray} and Python "
        f"{own_python}. Both must be the same on all machines, the patch version of Python too"
    )
