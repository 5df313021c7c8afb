"""Golden histories: the events of one stream each, as they were logged, and what each made of the state.

A line of `v1/NAME.jsonl` is an event with its type and schema, and `state` has the fields of the aggregate's state that
are others after it. The events are never written again: what was once logged stays readable, if need be by an upcaster
(fleet/events/registry.py). The states may be, where `evolve` or the shape of a state is meant to change.

`FLEET_WRITE_GOLDEN=name python -m pytest tests/…::test_…` adds histories for the event types that have none yet: each
is a stream of that test, and the file is `name.jsonl`, `name-2.jsonl` and so on.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from fleet.core import hosts, server, trust, workspace_roots
from fleet.core.decider import Decider
from fleet.core.instance.decide import INSTANCE
from fleet.core.session.decide import SESSION
from fleet.core.webhook.decide import WEBHOOK
from fleet.core.workspace.decide import WORKSPACE
from fleet.events.catalog import make_registry
from fleet.events.envelope import Recorded
from tests.fakes.memory_log import MemoryDisk, MemoryLog

DIRECTORY: Final = Path(__file__).parent / "v1"
REGISTRY: Final = make_registry()
DECIDERS: Final[dict[str, Decider[Any, Any, Any, Any]]] = {
    decider.kind: decider
    for decider in (
        SESSION,
        INSTANCE,
        WORKSPACE,
        WEBHOOK,
        workspace_roots.ROOTS,
        trust.TRUST,
        server.SERVER,
        hosts.HOSTS,
    )
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One event. Without a decider for its stream it has no state."""

    stream: str
    type: str
    schema: int
    at_ms: int
    data: msgspec.Raw
    state: dict[str, Any] | None = None


_read = msgspec.json.Decoder(Line).decode


def read(file: Path) -> list[Line]:
    """Return the lines of a history."""
    return [_read(line) for line in file.read_bytes().splitlines()]


def folded(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines with the states that today's deciders make of their events."""
    kind, _, own_id = lines[0].stream.partition("-")
    decider = DECIDERS.get(kind)
    state = None if decider is None else decider.initial(own_id)
    before: dict[str, Any] = {}
    for line in lines:
        event = REGISTRY.decode(line.type, line.schema, bytes(line.data))
        if decider is None:
            yield line
            continue
        state = decider.evolve(state, event)
        after = msgspec.json.decode(msgspec.json.encode(state, order="deterministic"))
        changed = {name: value for name, value in after.items() if name not in before or before[name] != value}
        before = after
        yield msgspec.structs.replace(line, state=changed)


def write(file: Path, lines: Sequence[Line]) -> None:
    """Write a history, with the states of today."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in folded(lines)))


def covered() -> set[str]:
    """Return the types of event that histories have."""
    return {line.type for file in DIRECTORY.glob("*.jsonl") for line in read(file)}


class Collector:
    """Keeps what all logs in memory take in, from the time it is made."""

    def __init__(self) -> None:
        self.streams: dict[tuple[int, str], list[Line]] = {}
        self._disks: list[MemoryDisk] = []
        begin = MemoryLog.__init__

        def collected(log: MemoryLog, disk: MemoryDisk, *args: Any, **kwargs: Any) -> None:
            begin(log, disk, *args, **kwargs)
            if disk not in self._disks:
                self._disks.append(disk)
            log.listen(partial(self._take, self._disks.index(disk)))

        MemoryLog.__init__ = collected  # type: ignore[method-assign, assignment]  # no test has to know

    def _take(self, disk: int, events: Sequence[Recorded]) -> None:
        for each in events:
            line = Line(
                stream=each.stream,
                type=each.type,
                schema=each.schema,
                at_ms=each.recorded_at_ms,
                data=msgspec.Raw(each.payload),
            )
            self.streams.setdefault((disk, each.stream), []).append(line)

    def write_what_is_new(self, name: str) -> None:
        """Write the shortest streams that have, together, every type that no history has."""
        missing = {line.type for lines in self.streams.values() for line in lines} - covered()
        number = 0
        for lines in sorted(self.streams.values(), key=len):
            if missing & (types := {line.type for line in lines}):
                missing -= types
                number += 1
                write(DIRECTORY / (f"{name}.jsonl" if number == 1 else f"{name}-{number}.jsonl"), lines)
