"""The whole system under many seeds: `make sim SEED=n` replays one, `make sim COUNT=n` runs so many."""

import os
import subprocess
import sys
from typing import Final

import pytest

from tests.simulation.run import Failure, simulate

COUNT = int(os.environ.get("FLEET_SIM_COUNT") or 500)
SEED: Final = os.environ.get("FLEET_SIM_SEED") or None
CHUNK = 25
CHUNKS = [range(first, min(first + CHUNK, COUNT + 1)) for first in range(1, COUNT + 1, CHUNK)]


def _run_all(seeds: range) -> list[str]:
    """Return what the seeds found; an error that is no finding is raised."""
    found: list[str] = []
    for seed in seeds:
        try:
            simulate(seed)
        except Failure as failure:
            found.append("\n".join((str(failure), *failure.__notes__)))
    return found


if SEED is not None:

    @pytest.mark.parametrize("seed", [int(SEED)])
    def test_this_seed_keeps_the_laws(seed: int) -> None:
        simulate(seed)

else:

    @pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
    def test_every_seed_keeps_the_laws(seeds: range) -> None:
        found = _run_all(seeds)
        assert not found, "\n\n".join(found)


def test_a_seed_is_one_history() -> None:
    """The same bytes, in this process and in one that hashes strings in another way."""
    seed = int(SEED or 7)  # one with restarts on kept views
    script = f"from tests.simulation.run import simulate; print(simulate({seed}))"
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    other = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert simulate(seed) == simulate(seed) == other.stdout.strip()
