"""The output of the commands of a session's newest set-up, folded once per session (folds.py)."""

from fleet.core.session.events import SetupOutput, SetupStarted
from fleet.events.envelope import Recorded
from fleet.events.log import Log
from fleet.limits import SETUPS_KEPT
from fleet.projections.folds import Folds


class WrittenOutput:
    """The output of one session's newest set-up; its size is limited when it is recorded."""

    def __init__(self) -> None:
        self.position = 0
        self.text = ""

    def apply(self, recorded: Recorded) -> None:
        """See `Fold`."""
        event = recorded.event
        if isinstance(event, SetupStarted):
            self.text = ""
        elif isinstance(event, SetupOutput):
            self.text += event.text


def setup_outputs(log: Log) -> Folds[WrittenOutput]:
    """Return the outputs of set-ups by stream."""
    return Folds(log, WrittenOutput, SETUPS_KEPT)
