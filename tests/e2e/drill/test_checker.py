"""The drill's checker sees what it has to: each test takes good traces, spoils one thing, and expects a report."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from fleet.core.session.events import (
    CallbackDelivered,
    CallbackOrdered,
    SessionCompleted,
    SessionCreated,
    SessionDisconnected,
    WorkspaceAttached,
)
from fleet.core.session.turn_events import PartRecorded, PromptAccepted, PromptDelivered, TurnEnded, TurnStarted
from fleet.core.session.values import SessionSettings
from tests.e2e.drill import checker
from tests.e2e.drill.ledger import Asked, Ledger

BODY = {"type": "text", "text": "Done mark0000x."}


class Traces:
    """A child that was prompted once and has told its parent."""

    def __init__(self, place: Path) -> None:
        self.ledger = Ledger(sessions={"child": "child", "parent": "parent"})
        self.asked: Asked = self.ledger.ask("write", "child")
        self.asked.acknowledged = True
        text = self.asked.text
        self.child: list[Any] = [
            _created("child", parent_id="parent"),
            WorkspaceAttached(workspace_id="w", directory=str(place), branch=None, at_ms=1),
            PromptAccepted(prompt_id="p", text=text, at_ms=2),
            TurnStarted(number=1, prompt_id="p", message_id="msg_p", part_ids=("prt_p",), at_ms=2),
            PromptDelivered(message_id="msg_p", at_ms=2),
            PartRecorded(
                part_id="prt_a", message_id="msg_a", type="text", at_ms=3, body=msgspec.Raw(msgspec.json.encode(BODY))
            ),
            TurnEnded(number=1, outcome="finished", evidence="", at_ms=4),
            CallbackOrdered(number=1, outcome="finished", text="told", at_ms=4),
            CallbackDelivered(number=1, at_ms=5),
            SessionCompleted(instance_id="i", evidence="", at_ms=6),
        ]
        self.parent: list[Any] = [
            _created("parent"),
            PromptAccepted(prompt_id="callback:child:1", text="told", at_ms=5),
            TurnStarted(number=1, prompt_id="callback:child:1", message_id="msg_c", part_ids=("prt_c",), at_ms=5),
            PromptDelivered(message_id="msg_c", at_ms=5),
            TurnEnded(number=1, outcome="finished", evidence="", at_ms=6),
            SessionCompleted(instance_id="i", evidence="", at_ms=6),
        ]
        self.messages = {
            "msg_p": {"role": "user", "sessionID": "ses_child"},
            "msg_c": {"role": "user", "sessionID": "ses_parent"},
        }
        self.parts = {"msg_p": [{"type": "text", "text": text}], "msg_c": [{"type": "text", "text": "told"}]}
        (place / self.asked.runs).write_text("run\n")
        self.place = place

    def wrong(self) -> list[str]:
        return checker.look_at_sessions(
            self.ledger,
            {"child": self.child, "parent": self.parent},
            checker.Store(self.messages, self.parts, {}),
        )


def _created(name: str, parent_id: str | None = None) -> SessionCreated:
    return SessionCreated(
        session_id=name,
        settings=SessionSettings(title=name, strategy="worktree", parent_id=parent_id),
        workspace_id="w",
        source_directory="/d",
        source_repository=None,
        directory="/d",
        opencode_id=f"ses_{name}",
        at_ms=1,
        depth=int(bool(parent_id)),
    )


@pytest.fixture
def traces(tmp_path: Path) -> Traces:
    return Traces(tmp_path)


def test_order_is_order(traces: Traces) -> None:
    assert traces.wrong() == []


def test_a_prompt_that_opencode_lost_or_has_twice(traces: Traces) -> None:
    (text,) = traces.parts["msg_p"]
    traces.parts["msg_p"] = [text, text]
    assert any("2 times" in each for each in traces.wrong())
    traces.parts["msg_p"] = []
    assert any("0 times" in each for each in traces.wrong())


def test_an_unacknowledged_or_unsent_prompt_is_found(traces: Traces) -> None:
    traces.ledger.ask("write", "child")
    assert "mark0001x stands 0 times in the log; acknowledged: False" in traces.wrong()
    traces.messages["msg_x"] = {"role": "user", "sessionID": "ses_child"}
    traces.parts["msg_x"] = [{"type": "text", "text": "again"}]
    assert any("never sent" in each for each in traces.wrong())


@pytest.mark.parametrize("runs", ["", "run\nrun\n"])
def test_a_finished_turn_that_ran_twice_or_not_at_all(traces: Traces, runs: str) -> None:
    (traces.place / traces.asked.runs).write_text(runs)
    assert any("called finished and ran" in each for each in traces.wrong())


def test_a_transcript_without_the_last_words(traces: Traces) -> None:
    del traces.child[5]
    assert any("last words stand 0 times" in each for each in traces.wrong())


def test_callbacks_that_are_missing_doubled_or_untrue(traces: Traces) -> None:
    traces.parent.insert(2, traces.parent[1])
    assert any("its parent has it 2 times" in each for each in traces.wrong())
    traces.child[7] = CallbackOrdered(number=1, outcome="error", text="told", at_ms=4)
    assert any("says error; it was finished" in each for each in traces.wrong())
    del traces.child[7:9]
    assert any("never heard" in each for each in traces.wrong())


def test_a_session_whose_last_word_is_not_its_status(traces: Traces) -> None:
    traces.child[-1] = SessionDisconnected(instance_id="i", evidence="", at_ms=6)
    assert any("child was idle at the end" in each for each in traces.wrong())
