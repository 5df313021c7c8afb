"""Chosen workspace roots: they narrow, they never widen."""

import hypothesis
import pytest
from hypothesis import strategies as st

from fleet.core import workspace_roots as m
from fleet.core.decider import fold
from fleet.core.paths import is_inside
from fleet.errors import Rejected
from fleet.limits import WORKSPACE_ROOTS_MAX

CONFIGURED = ("/home", "/srv/code")
paths = st.lists(st.sampled_from("abc"), max_size=4).map(lambda names: "/" + "/".join(names))
some_paths = st.lists(paths, max_size=4).map(tuple)


def after(*commands: m.WorkspaceRootCommand) -> m.State:
    state = m.initial(m.ROOTS_ID)
    for command in commands:
        state = fold(m.ROOTS, state, m.decide(command, state))
    return state


@pytest.mark.parametrize(
    ("chosen", "allowed"),
    [
        ((), CONFIGURED),
        (("/home/me",), ("/home/me",)),
        (("/home/me", "/srv/code/x"), ("/home/me", "/srv/code/x")),
        (("/home",), ("/home",)),
        (("/etc",), ()),
        (("/",), CONFIGURED),  # the configuration has been narrowed since
        (("/etc", "/home/me"), ("/home/me",)),
    ],
)
def test_directory_must_be_inside_configured_and_chosen_roots(
    chosen: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    assert m.allowed(CONFIGURED, chosen) == allowed


@hypothesis.given(some_paths, some_paths, paths)
def test_chosen_root_never_allows_more_than_the_configuration(
    configured: tuple[str, ...], chosen: tuple[str, ...], path: str
) -> None:
    expected = is_inside(path, configured) and (not chosen or is_inside(path, chosen))
    assert is_inside(path, m.allowed(configured, chosen)) == expected


def test_workspace_roots_are_added_once_and_removed() -> None:
    state = after(
        m.AddWorkspaceRoot(path="/a", at_ms=1),
        m.AddWorkspaceRoot(path="/b", at_ms=2),
        m.AddWorkspaceRoot(path="/a", at_ms=3),
        m.RemoveWorkspaceRoot(path="/a", at_ms=4),
    )
    assert state.paths == ("/b",)
    with pytest.raises(Rejected) as refused:
        m.decide(m.RemoveWorkspaceRoot(path="/a", at_ms=5), state)
    assert refused.value.code == "root_not_found"


def test_number_of_workspace_roots_has_a_limit() -> None:
    state = after(*(m.AddWorkspaceRoot(path=f"/{number}", at_ms=number) for number in range(WORKSPACE_ROOTS_MAX)))
    assert m.decide(m.AddWorkspaceRoot(path="/0", at_ms=1), state) == ()
    with pytest.raises(Rejected) as refused:
        m.decide(m.AddWorkspaceRoot(path="/more", at_ms=1), state)
    assert refused.value.code == "roots_full"
