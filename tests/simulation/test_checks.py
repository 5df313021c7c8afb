"""Each checker can fail: a sound history is spoilt in one way, and the checker for it says so."""

import copy
from contextlib import suppress
from typing import Final

import pytest

from tests.simulation.checks import CHECKS
from tests.simulation.evidence import Evidence
from tests.simulation.run import Failure, simulate
from tests.simulation.spoilers import SPOILT, Spoil

SEED = 1
SEEDS = range(1, 25)
"""Histories to be spoilt; not each has something of everything."""


@pytest.fixture(scope="module")
def complaints() -> dict[str, list[str]]:
    """What each checker says of the first history that could be spoilt for it."""
    found: dict[str, list[str]] = {f"{name} {spoil.__name__}": [] for name, spoil in SPOILT}

    def inspect(sound: Evidence) -> None:
        checks = {check.__name__: check for check in CHECKS}
        for name, spoil in SPOILT:
            if found[f"{name} {spoil.__name__}"]:
                continue
            evidence = copy.copy(sound)
            evidence.__dict__ = {key: value for key, value in sound.__dict__.items() if key in COPIED}
            evidence._states = {}
            with suppress(StopIteration, IndexError, ValueError):  # there is nothing of the kind in this history
                spoil(evidence)
                found[f"{name} {spoil.__name__}"] = list(checks[name](evidence))

    for seed in SEEDS:
        if not all(found.values()):
            simulate(seed, inspect)
    return found


COPIED: Final = frozenset(Evidence.__dataclass_fields__)


@pytest.mark.parametrize(("check", "spoil"), SPOILT)
def test_it_is_found(check: str, spoil: Spoil, complaints: dict[str, list[str]]) -> None:
    assert complaints[f"{check} {spoil.__name__}"] != []


def test_a_failure_shows_its_story_and_how_to_replay_it() -> None:
    def inspect(evidence: Evidence) -> None:
        raise Failure(SEED, ["a finding"], evidence)

    with pytest.raises(Failure, match=r"a finding(.|\n)*session\.turn-started") as caught:
        simulate(SEED, inspect)
    assert caught.value.__notes__ == [f"replay: make sim SEED={SEED}"]


def test_each_checker_is_seen_to_fail() -> None:
    assert {check.__name__ for check in CHECKS} == {name for name, _ in SPOILT}
