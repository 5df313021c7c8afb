"""How many events reach their readers, and how late? 500 SSE readers and 500 WebSockets on 100 events a second.

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


class Load(NamedTuple):
    """What a door did: by kind of reader deliveries per second and lags in ms, its processor time and memory."""

    sse: tuple[float, float, float]
    ws: tuple[float, float, float]
    cpu: float
    reader_kb: float

    @property
    def per_s(self) -> float:
        return self.sse[0] + self.ws[0]


def _load(mode: str) -> Load:
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "bench.stream_source", mode, str(Path(temporary) / "data")]
        piped = subprocess.PIPE
        source = subprocess.Popen(command, stdin=piped, stdout=piped, stderr=subprocess.DEVNULL, text=True)
        try:
            return _measured(source)
        finally:
            source.kill()
            source.communicate()


def _line(process: "subprocess.Popen[str]") -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError(f"{process.args!r} ended: run it by hand to see why")
    return line


def _measured(source: "subprocess.Popen[str]") -> Load:
    port, session = _line(source).split()
    server = psutil.Process(source.pid)
    before = server.memory_info().rss
    command = [sys.executable, "-m", "bench.stream_readers", port, session, str(READERS), str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as readers:
        _line(readers)
        if source.stdin is not None:
            source.stdin.write("\n")
            source.stdin.flush()
        time.sleep(SETTLE_S)
        used_s = _cpu_s(server)
        result = json.loads(_line(readers))
        used_s = _cpu_s(server) - used_s
        reader_kb = (server.memory_info().rss - before) / (2 * READERS) / 1000
    return Load(tuple(result["sse"]), tuple(result["ws"]), 100 * used_s / SECONDS, reader_kb)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> list[Figure]:
    """Measure, print and return."""
    naive, ours = _load("naive"), _load("fleet")
    return show(
        f"streams: {2 * READERS} readers of {EVENTS_PER_S:.0f} events/s, against encoding and writing for each",
        [
            Figure("deliveries", ours.per_s, "/s", naive.per_s, ratio_at_least=5.0),
            Figure("lag over SSE, p50", ours.sse[1], "ms", naive.sse[1]),
            Figure("lag over SSE, p99", ours.sse[2], "ms", naive.sse[2], at_most=P99_MS),
            Figure("lag over WebSocket, p50", ours.ws[1], "ms", naive.ws[1]),
            Figure("lag over WebSocket, p99", ours.ws[2], "ms", naive.ws[2], at_most=P99_MS),
            Figure("processor of the server", ours.cpu, "%", naive.cpu),
            Figure("memory per reader", ours.reader_kb, "KB", naive.reader_kb),
        ],
    )


if __name__ == "__main__":
    main()
