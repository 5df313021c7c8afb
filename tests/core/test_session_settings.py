"""A new setting of a session costs an edit where it is defined, and none on its way to the state (CONTRIBUTING.md)."""

from msgspec.structs import replace

from fleet.core.session.commands import EditSession
from fleet.core.session.decide import SESSION
from fleet.core.session.values import SessionSettings
from tests.core import sessions as s
from tests.core.given import given


class MoreSettings(SessionSettings, frozen=True, kw_only=True):
    colour: str = "none"


def test_new_setting_goes_through_command_and_event_into_the_state() -> None:
    settings = MoreSettings(title="Title", strategy="worktree", colour="blue")
    story = given(SESSION, "s1").when(replace(s.create(), settings=settings))
    assert story.state.settings == settings


def test_new_setting_outlives_a_change_of_another() -> None:
    settings = MoreSettings(title="Title", strategy="worktree", colour="blue")
    story = (
        given(SESSION, "s1").when(replace(s.create(), settings=settings)).when(EditSession(title="Other", at_ms=s.AT))
    )
    assert story.state.settings == replace(settings, title="Other")
