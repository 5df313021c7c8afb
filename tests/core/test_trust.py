"""What was allowed to run: one content in one repository, until it is revoked."""

import pytest

from fleet.core import trust as m
from fleet.core.decider import fold
from fleet.errors import Rejected
from fleet.limits import TRUSTED_MAX
from fleet.ports import Recipe

SHOP, OTHER = "/src/shop/.git", "/src/other/.git"


def allow(digest: str = "d1", repository: str = SHOP, problem: str = "") -> m.AllowRecipe:
    return m.AllowRecipe(repository=repository, recipe=Recipe(digest, "npm ci", problem=problem), at_ms=1, actor="me")


def after(*commands: m.TrustCommand) -> m.State:
    state = m.initial(m.TRUST_ID)
    for command in commands:
        state = fold(m.TRUST, state, m.decide(command, state))
    return state


def test_commands_are_allowed_by_content_and_repository() -> None:
    state = after(allow())
    assert state.allows(SHOP, "d1")
    assert not state.allows(SHOP, "d2")
    assert not state.allows(OTHER, "d1")
    assert not state.allows(None, "d1")


def test_commands_of_a_repository_are_allowed_once() -> None:
    assert m.decide(allow(), after(allow())) == ()


@pytest.mark.parametrize(("digest", "left"), [("d1", {"d2"}), (None, set[str]())])
def test_trust_is_revoked_by_content_or_by_repository(digest: str | None, left: set[str]) -> None:
    state = after(allow(), allow("d2"), allow(repository=OTHER), m.RevokeTrust(repository=SHOP, digest=digest, at_ms=2))
    assert {each.recipe.digest for each in state.allowed if each.repository == SHOP} == left
    assert state.allows(OTHER, "d1")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (m.RevokeTrust(repository=SHOP, digest="d9", at_ms=2), "trust_not_found"),
        (m.RevokeTrust(repository=OTHER, digest=None, at_ms=2), "trust_not_found"),
        (allow("d3", problem="line 1: no TOML"), "setup_invalid"),
    ],
)
def test_unknown_commands_and_invalid_files_are_refused(command: m.TrustCommand, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        m.decide(command, after(allow()))
    assert caught.value.code == code


def test_number_of_allowed_commands_has_a_limit() -> None:
    state = after(*(allow(str(n)) for n in range(TRUSTED_MAX)))
    with pytest.raises(Rejected) as caught:
        m.decide(allow("more"), state)
    assert caught.value.code == "trust_full"
