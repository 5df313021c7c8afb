"""How long tests wait for what must come: no test fails because a machine is slow, and one that would hang ends."""

from typing import Final

PATIENCE_S: Final = 300.0
