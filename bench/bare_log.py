"""The baseline of everything durable: group commit by hand on trio and LMDB, with what no honest log can leave out.

Has: a bounded channel, one writer, per append one asker that waits for its own answer, a record of the size that Fleet
writes with a SHA-256 of its payload, one LMDB transaction and one fsync a batch, in a thread.

Has not: actors, deciders, expected versions, an index by stream, the chain of digests, salts, command ids, listeners,
a look at the disk's free space, growth of the map, deadlines, errors.
"""

import hashlib
import time
from pathlib import Path

import lmdb
import msgspec
import trio

_QUEUE_MAX = 16_384
_BATCH_MAX = 2_048


class _Header(msgspec.Struct, array_like=True):
    """What stands before the payload, of the same fields as Fleet's header without the chain and the command."""

    type: str
    position: int
    stream: str
    recorded_at_ms: int
    actor: str
    causation_id: str
    correlation_id: str
    payload_digest: bytes


class _Waiting:
    __slots__ = ("answer", "event", "position", "stream")

    def __init__(self, stream: str, event: msgspec.Struct) -> None:
        self.stream = stream
        self.event = event
        self.position = 0
        self.answer = trio.Event()


class BareLog:
    """Run `run` in a task, and `append` from any other."""

    def __init__(self, directory: Path) -> None:
        self._environment = lmdb.open(str(directory), map_size=1 << 30)
        self._encode = msgspec.json.Encoder().encode
        self._encode_header = msgspec.msgpack.Encoder().encode
        self._position = 0
        self._orders, self._incoming = trio.open_memory_channel[_Waiting](_QUEUE_MAX)

    def close(self) -> None:
        self._environment.close()

    async def append(self, stream: str, event: msgspec.Struct) -> int:
        """Return the position of the event once it is durable."""
        waiting = _Waiting(stream, event)
        await self._orders.send(waiting)
        await waiting.answer.wait()
        return waiting.position

    async def run(self) -> None:
        async for first in self._incoming:
            batch = [first]
            while len(batch) < _BATCH_MAX:
                try:
                    batch.append(self._incoming.receive_nowait())
                except trio.WouldBlock:
                    break
            await trio.to_thread.run_sync(self._commit, [self._record(waiting) for waiting in batch])
            for waiting in batch:
                waiting.answer.set()

    def _record(self, waiting: _Waiting) -> tuple[bytes, bytes]:
        self._position = waiting.position = self._position + 1
        payload = self._encode(waiting.event)
        header = _Header(
            "bench.added",
            waiting.position,
            waiting.stream,
            time.time_ns() // 1_000_000,
            "token:bench",
            "0190a2b4-0000-7000-8000-000000000000",
            "0190a2b4-0000-7000-8000-000000000001",
            hashlib.sha256(payload).digest(),
        )
        # 64 bytes for what Fleet holds more: the digest of the record before, the salt, version and schema.
        return waiting.position.to_bytes(8, "big"), b"".join((self._encode_header(header), bytes(64), payload))

    def _commit(self, records: list[tuple[bytes, bytes]]) -> None:
        with self._environment.begin(write=True) as transaction:
            transaction.cursor().putmulti(records, append=True)
