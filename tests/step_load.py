"""Counts what is read between two checkpoints: what one task does without a pause for others, at every speed."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import trio

from fleet.actors.fleet import Fleet
from fleet.events.envelope import Recorded


class StepLoad(trio.abc.Instrument):
    """Events and bytes of blobs that were read: `*_max` in one step of a task, the others in all."""

    def __init__(self) -> None:
        self.events = self.events_max = 0
        self.blob_bytes = self.blob_bytes_max = 0
        self._begun = (0, 0)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """A task continues."""
        self._begun = (self.events, self.blob_bytes)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """A task pauses."""
        events, blob_bytes = self._begun
        self.events_max = max(self.events_max, self.events - events)
        self.blob_bytes_max = max(self.blob_bytes_max, self.blob_bytes - blob_bytes)


@contextmanager
def step_load(fleet: Fleet) -> Generator[StepLoad]:
    """Count what is read of the log and the blobs of a Fleet while the block runs."""
    load = StepLoad()
    read_stream, replay, get = fleet.log.read_stream, fleet.log.replay, fleet.blobs.get

    def count_events(*args: Any, **kwargs: Any) -> Sequence[Recorded]:
        found = read_stream(*args, **kwargs)
        load.events += len(found)
        return found

    def count_replayed(*args: Any, **kwargs: Any) -> Generator[Any]:
        for event in replay(*args, **kwargs):
            load.events += 1
            yield event

    def count_bytes(digest: str) -> bytes | None:
        found = get(digest)
        load.blob_bytes += len(found or b"")
        return found

    trio.lowlevel.add_instrument(load)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet.log, "read_stream", count_events)
        patch.setattr(fleet.log, "replay", count_replayed)
        patch.setattr(fleet.blobs, "get", count_bytes)
        yield load
    trio.lowlevel.remove_instrument(load)
