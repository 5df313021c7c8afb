"""The whole system under many seeds: `make sim SEED=n` replays one, `make sim COUNT=n` runs so many."""

import os
import subprocess
import sys

import pytest

from tests.simulation.run import simulate

COUNT = int(os.environ.get("FLEET_SIM_COUNT") or 200)
SEED = os.environ.get("FLEET_SIM_SEED") or None
CHUNK = 25
SEEDS = range(1, COUNT + 1) if SEED is None else range(int(SEED), int(SEED) + 1)


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_every_seed_keeps_the_laws(first: int) -> None:
    for seed in SEEDS[SEEDS.index(first) :][:CHUNK]:
        simulate(seed)


def test_a_seed_is_one_history() -> None:
    """The same bytes, in this process and in one that hashes strings in another way."""
    seed = SEEDS[0]
    script = f"from tests.simulation.run import simulate; print(simulate({seed}))"
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    other = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert simulate(seed) == simulate(seed) == other.stdout.strip()
