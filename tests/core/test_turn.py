"""How a turn has ended, told from what OpenCode's store holds."""

import pytest

from fleet.core.turn import judge
from fleet.ports import MessageInfo


def step(finish: str | None, completed_ms: int | None = 1000) -> MessageInfo:
    return MessageInfo("msg_1", "ses_1", "assistant", 900, b"{}", completed_ms=completed_ms, finish=finish)


@pytest.mark.parametrize("finish", ["tool-calls", "unknown"])
@pytest.mark.parametrize(("aborting", "outcome"), [(False, "interrupted"), (True, "aborted")])
def test_a_turn_whose_process_died_between_two_steps_has_not_finished(
    finish: str, aborting: bool, outcome: str
) -> None:
    verdict = judge([step(finish)], idle_s=0, aborting=aborting, error=None, process_since_ms=1001)
    assert verdict is not None
    assert verdict.outcome == outcome


@pytest.mark.parametrize(("finish", "process_since_ms"), [("stop", 1001), ("length", 1001), ("tool-calls", 999)])
def test_a_turn_that_its_process_outlived_or_that_came_to_an_end_has_finished(
    finish: str, process_since_ms: int
) -> None:
    verdict = judge([step(finish)], idle_s=0, aborting=False, error=None, process_since_ms=process_since_ms)
    assert verdict is not None
    assert verdict.outcome == "finished"
