"""A read-only server: it shows a data directory, also a copy, and changes no file and no process."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from fleet.adapters.clock import SystemClock
from fleet.client import FleetClient
from fleet.composition.server import running
from fleet.composition.stores import open_read_only
from fleet.config import load_config
from fleet.errors import StartupError, Unavailable
from fleet.events.catalog import make_registry
from fleet.events.data_lock import DataLock, shared_lock
from fleet.events.envelope import Cause
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.events.lmdb_log import LmdbLog
from fleet.events.read_only import reading_directory
from fleet.gateway.server.tokens import TokenFile, issue, link, revoke
from fleet.limits import LINK_LIFETIME_S
from fleet.wire.enums import Role
from fleet.wire.frames import Event
from tests.core import sessions
from tests.maintenance.test_restoration import fleet_at


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory as a server that was killed leaves it."""
    data = fleet_at(tmp_path.resolve())

    async def fill() -> None:
        with LmdbBlobs(data) as blobs:
            await blobs.put("session-s1", [b"a content of a diff"])
        with LmdbLog.open(data, make_registry(), SystemClock()) as log:
            async with trio.open_nursery() as nursery:
                await nursery.start(log.run)
                await log.append("session-s1", 0, sessions.ACTIVE, Cause())
                log.stop()

    trio.run(fill)
    return data


def content(directory: Path) -> dict[str, tuple[bytes, int]]:
    files = [file for file in directory.rglob("*") if file.is_file()]
    return {str(file.relative_to(directory)): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


@asynccontextmanager
async def reading(data: Path) -> AsyncGenerator[httpx.AsyncClient]:
    config = load_config({"data_dir": str(data), "port": "0", "opencode": shutil.which("true")}, {})
    environment = {"PATH": os.environ["PATH"], "HOME": str(data.parent)}
    async with (
        running(config, environment, read_only=True) as fleet,
        httpx.AsyncClient(base_url=f"{fleet.url}/api", trust_env=False, timeout=30) as http,
    ):
        yield http


async def test_everything_can_be_read_and_nothing_changes(data: Path) -> None:
    before = content(data)
    async with reading(data) as http:
        info = (await http.get("/info")).json()
        assert (info["readOnly"], info["ready"], info["position"]) == (True, True, 25)
        (session,) = (await http.get("/sessions")).json()
        assert (session["id"], session["status"]) == ("s1", "active")
        for path in ("", "/messages", "/diffs", "/requests", "/todos", "/queue", "/children"):
            response = await http.get(f"/sessions/s1{path}")
            assert response.status_code == 200, response.text
        for path in ("/log", "/log/verify", "/log/export", "/instances?all=true", "/inbox", "/readyz", "/workspaces"):
            response = await http.get(path)
            assert response.status_code == 200, response.text
        assert (await http.get("/readyz")).json()["status"] == "degraded"
        found = (await http.get("/sessions/history", params={"search": "do it"})).json()
        assert [each["id"] for each in found] == ["s1"]
        async with FleetClient(str(http.base_url).removesuffix("/api/")) as client, client.events(after=0) as events:
            async for frame in events:
                if isinstance(frame, Event) and frame.position == 25:
                    break
    assert content(data) == before


async def test_every_change_is_refused_with_its_own_code(data: Path) -> None:
    before = content(data)
    changes = (
        ("POST", "/sessions", {"directory": str(data)}),
        ("POST", "/sessions/s1/prompt", {"text": "continue"}),
        ("POST", "/sessions/s1/abort", None),
        ("DELETE", "/sessions/s1?permanent=true", None),
        ("POST", "/directories", {"path": str(data / "new")}),
        ("DELETE", "/tokens/operator-1", None),
    )
    async with reading(data) as http:
        for method, path, body in changes:
            response = await http.request(method, path, json=body)
            assert (response.status_code, response.json()["code"]) == (503, "read_only_server"), response.text
            assert "--read-only" in response.json()["hint"]
    assert content(data) == before


async def test_a_viewer_verifies_and_an_operator_tries_rules_without_a_change(data: Path) -> None:
    tokens = TokenFile(data)
    roles: tuple[Role, ...] = ("operator", "viewer")
    secrets = [tokens.change(partial(issue, name=None, role=role, now_ms=1, expires_at_ms=None)) for role in roles]
    operator, viewer = ({"Authorization": f"Bearer {secret}"} for secret in secrets)
    before = content(data)
    async with reading(data) as http:
        for _ in range(2):
            response = await http.get("/log/verify", headers=viewer)
            assert (response.status_code, response.json()["intact"]) == (200, True), response.text
        rules = {"permission": {"bash": "ask"}}
        for keyed in (operator, {**operator, "Idempotency-Key": "k1"}):
            response = await http.post("/policy/try", headers=keyed, json=rules)
            assert (response.status_code, response.json()["position"]) == (200, 25), response.text
        refused = await http.post("/policy/try", headers=viewer, json=rules)
        assert (refused.status_code, refused.json()["code"]) == (403, "read_only")
    assert content(data) == before


async def test_browser_logs_in_and_out_without_a_change(data: Path) -> None:
    tokens = TokenFile(data)
    tokens.change(partial(issue, name="ann", role="viewer", now_ms=1, expires_at_ms=None))
    now_ms = SystemClock().now_ms()
    codes = [tokens.change(partial(link, name="ann", now_ms=now_ms, lifetime_s=LINK_LIFETIME_S)) for _ in range(2)]
    before = content(data)
    async with reading(data) as http:
        for code in codes:
            http.cookies.clear()
            assert (await http.get("/sessions")).status_code == 401
            assert (await http.get(http.base_url.join(f"/login?code={code}"))).status_code == 303
            assert (await http.get("/sessions")).status_code == 200
            assert (await http.get(http.base_url.join(f"/login?code={code}"))).status_code == 403, "a link works once"
        [(name, cookie)] = http.cookies.items()
        assert (await http.post(http.base_url.join("/logout"))).status_code == 204
        assert (await http.get("/sessions", headers={"Cookie": f"{name}={cookie}"})).status_code == 401
    assert content(data) == before


async def test_token_that_is_revoked_meanwhile_opens_nothing(data: Path) -> None:
    tokens = TokenFile(data)
    secret = tokens.change(partial(issue, name="ann", role="viewer", now_ms=1, expires_at_ms=None))
    code = tokens.change(partial(link, name="ann", now_ms=SystemClock().now_ms(), lifetime_s=LINK_LIFETIME_S))
    async with reading(data) as http:
        assert (await http.get(http.base_url.join(f"/login?code={code}"))).status_code == 303
        for headers in ({}, {"Authorization": f"Bearer {secret}"}):
            assert (await http.get("/sessions", headers=headers)).status_code == 200
        tokens.change(partial(revoke, names=["ann"], now_ms=2))
        for headers in ({}, {"Authorization": f"Bearer {secret}"}):
            assert (await http.get("/sessions", headers=headers)).status_code == 401


async def test_a_copy_can_be_read_beside_another_reader_and_not_written_meanwhile(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    async with reading(copy) as http:
        assert (await http.get("/info")).json()["position"] == 25
        with shared_lock(copy):
            pass
        with pytest.raises(StartupError, match="in use"):
            DataLock(copy)


async def test_a_directory_that_a_server_has_is_not_read(data: Path) -> None:
    lock = DataLock(data)
    try:
        with pytest.raises(StartupError, match="in use by a server"), open_read_only(data):
            pass
    finally:
        lock.close()


async def test_the_log_refuses_appends(data: Path) -> None:
    with reading_directory(data, make_registry()) as log:
        with pytest.raises(Unavailable) as refusal:
            await log.append("session-s1", log.stream_version("session-s1"), [sessions.OPENED], Cause())
        assert refusal.value.code == "read_only_server"
