"""What the probe of a survey finds on its machine."""

from pathlib import Path

import msgspec
import pytest
import trio

from fleet.adapters.ray.survey import Probe
from fleet.ports import HostInfo


async def test_probe_finds_the_opencode_that_the_agent_would_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opencode = tmp_path / "own-opencode"
    opencode.write_text("#!/bin/sh\necho 1.18.33\n")
    opencode.chmod(0o700)
    monkeypatch.setenv("FLEET_OPENCODE", str(opencode))
    found = await trio.to_thread.run_sync(Probe("127.0.0.1").look, "2.60.0")
    assert msgspec.msgpack.decode(found, type=HostInfo).opencode_version == "1.18.33"
