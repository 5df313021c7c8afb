"""How many events reach their readers, and how late? 500 SSE readers on 100 events a second, then 500 WebSockets more.

Against the naive way in the same run: each reader encodes each event and writes it by itself.

Run: python -m bench streams
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.figures import Figure, show
from bench.stream_readers import SETTLE_S

READERS = 500
SECONDS = 10.0
EVENTS_PER_S = 100.0
P99_MS = 250.0
SSE_P99_MS = 100.0
SSE_CPU = 60.0
"""In percent of a core."""


Lags = tuple[float, float, float]


class Load(NamedTuple):
    """What a server did: by kind of reader deliveries per second and lags in ms, its processor time and memory."""

    sse: Lags
    ws: Lags | None
    cpu: float
    reader_kb: float

    @property
    def per_s(self) -> float:
        return self.sse[0] + (self.ws[0] if self.ws else 0)


def _load(mode: str, *kinds: str) -> Load:
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "bench.stream_source", mode, str(Path(temporary) / "data")]
        piped = subprocess.PIPE
        source = subprocess.Popen(command, stdin=piped, stdout=piped, stderr=subprocess.DEVNULL, text=True)
        try:
            return _measured(source, kinds)
        finally:
            source.kill()
            source.communicate()


def _line(process: "subprocess.Popen[str]") -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError(f"{process.args!r} ended: run it by hand to see why")
    return line


def _measured(source: "subprocess.Popen[str]", kinds: tuple[str, ...]) -> Load:
    port, session = _line(source).split()
    server = psutil.Process(source.pid)
    before = server.memory_info().rss
    command = [sys.executable, "-m", "bench.stream_readers", port, session, str(READERS), str(SECONDS), *kinds]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as readers:
        _line(readers)
        if source.stdin is not None:
            source.stdin.write("\n")
            source.stdin.flush()
        time.sleep(SETTLE_S)
        used_s = _cpu_s(server)
        result = json.loads(_line(readers))
        used_s = _cpu_s(server) - used_s
        reader_kb = (server.memory_info().rss - before) / (len(kinds) * READERS) / 1000
    return Load(
        tuple(result["sse"]), tuple(result["ws"]) if "ws" in result else None, 100 * used_s / SECONDS, reader_kb
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> list[Figure]:
    """Measure, print and return."""
    naive, ours = _load("naive", "sse"), _load("fleet", "sse")
    both_naive, both = _load("naive", "sse", "ws"), _load("fleet", "sse", "ws")
    figures = [
        Figure("deliveries", ours.per_s, "/s", naive.per_s),
        Figure("processor of the server", ours.cpu, "%", naive.cpu, at_most=SSE_CPU),
        Figure("lag, p50", ours.sse[1], "ms", naive.sse[1]),
        Figure("lag, p99", ours.sse[2], "ms", naive.sse[2], at_most=SSE_P99_MS),
    ]
    title = f"streams: {READERS} SSE readers of {EVENTS_PER_S:.0f} events/s, against encoding and writing for each"
    return show(title, figures) + show(
        f"streams: the same with {READERS} WebSockets more",
        [
            Figure("deliveries", both.per_s, "/s", both_naive.per_s, ratio_at_least=5.0),
            Figure("processor of the server", both.cpu, "%", both_naive.cpu),
            Figure("memory per reader", both.reader_kb, "KB", both_naive.reader_kb),
            *_lags("SSE", both.sse, both_naive.sse),
            *_lags("WebSocket", both.ws, both_naive.ws),
        ],
    )


def _lags(kind: str, ours: Lags | None, naive: Lags | None) -> list[Figure]:
    if ours is None or naive is None:
        return []
    return [
        Figure(f"lag over {kind}, p50", ours[1], "ms", naive[1]),
        Figure(f"lag over {kind}, p99", ours[2], "ms", naive[2], at_most=P99_MS),
    ]


if __name__ == "__main__":
    main()
