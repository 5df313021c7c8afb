"""How fast is a replay? Events decoded and folded per second, against LMDB and msgspec by hand.

Counted in processor time: a replay of what the page cache holds waits for nothing, and the machine is shared.

Run: python -m bench replay
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lmdb
import msgspec
import trio

from bench.figures import Figure, best, show
from bench.sample_log import write
from fleet.adapters.clock import SystemClock
from fleet.core.session.decide import SESSION
from fleet.events.catalog import NAMES, make_registry
from fleet.events.codec import decode
from fleet.events.lmdb_log import LmdbLog

SESSIONS = 400
FOLDED_PER_S = 180_000
"""5.5 µs an event, of which 0.5 inflate what is compressed and 0.6 prove that each payload has its digest."""


class _Bare:
    """The least that a replay needs: a cursor, a byte that tells the type, msgspec. No envelope, no fold."""

    def __init__(self, directory: Path, log: LmdbLog, streams: list[str]) -> None:
        self._environment = lmdb.open(str(directory), map_size=1 << 30)
        kinds = {name: number for number, name in enumerate(NAMES)}
        self._decoders = [msgspec.json.Decoder(event).decode for event in NAMES.values()]
        events = [event for stream in streams for event in log.read_stream(stream)]
        with self._environment.begin(write=True) as transaction:
            for position, event in enumerate(events):
                transaction.put(position.to_bytes(8, "big"), bytes((kinds[event.type],)) + event.payload, append=True)

    def replay(self) -> int:
        decoders = self._decoders
        count = 0
        with self._environment.begin() as transaction:
            for record in transaction.cursor().iternext(keys=False, values=True):
                decoders[record[0]](record[1:])
                count += 1
        return count

    def close(self) -> None:
        self._environment.close()


def _folded(log: LmdbLog, streams: list[str]) -> int:
    evolve = SESSION.evolve
    count = 0
    for stream in streams:
        state = SESSION.initial(stream)
        for _, _, event in log.replay(stream):
            state = evolve(state, event)
            count += 1
    return count


def _decoded(log: LmdbLog, streams: list[str]) -> int:
    return sum(1 for stream in streams for _ in log.replay(stream))


def _with_envelopes(log: LmdbLog, streams: list[str]) -> int:
    return sum(len(log.read_stream(stream)) for stream in streams)


def _rate(read: Callable[[], int]) -> float:
    started_s = time.thread_time()
    count = read()
    return count / (time.thread_time() - started_s)


def _streams(log: LmdbLog) -> list[str]:
    records = (log.read_record(position) for position in range(1, log.head() + 1))
    names = dict.fromkeys(decode(record).header.stream for record in records if record is not None)
    return [name for name in names if name.startswith("session-")]


def main() -> list[Figure]:
    """Measure, print and return events per second."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        trio.run(write, directory, SESSIONS)
        with LmdbLog.open(directory, make_registry(), SystemClock()) as log:
            streams = _streams(log)
            bare = _Bare(directory / "bare", log, streams)
            ours = (partial(_rate, partial(read, log, streams)) for read in (_folded, _decoded, _with_envelopes))
            folded, decoded, enveloped, least = best(max, *ours, partial(_rate, bare.replay), rounds=6)
            bare.close()
    return show(
        "replay: a realistic mix of session events, against LMDB + msgspec by hand without a fold",
        [
            Figure("decoded and folded by the session's decider", folded, "/s", least, at_least=FOLDED_PER_S),
            Figure("decoded", decoded, "/s", least),
            Figure("decoded with envelopes", enveloped, "/s", least),
        ],
    )


if __name__ == "__main__":
    main()
