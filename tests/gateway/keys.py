"""The tokens of a Fleet in tests, and Fleets that need them."""

from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest

from fleet.gateway.server.guard import Guard
from fleet.gateway.server.tokens import TokenFile, issue, link, revoke
from fleet.limits import LINK_LIFETIME_S
from fleet.wire.enums import Role
from tests.gateway.machine import Answer, Api, Machine


class Keys:
    """The tokens of an API, changed as `fleet token` does."""

    def __init__(self, directory: Path, machine: Machine) -> None:
        self.file = TokenFile(directory, threads=False)
        self.now_ms = machine.clock.now_ms

    def new(self, name: str, role: Role = "operator", lifetime_s: float | None = None) -> str:
        ends_at_ms = None if lifetime_s is None else self.now_ms() + int(lifetime_s * 1000)
        return self.file.change(partial(issue, name=name, role=role, now_ms=self.now_ms(), expires_at_ms=ends_at_ms))

    def revoke(self, name: str) -> None:
        self.file.change(partial(revoke, names=[name], now_ms=self.now_ms()))

    def link(self, name: str) -> str:
        return self.file.change(partial(link, name=name, now_ms=self.now_ms(), lifetime_s=LINK_LIFETIME_S))


@pytest.fixture
def keys(tmp_path: Path, machine: Machine) -> Keys:
    return Keys(tmp_path / "data", machine)


@pytest.fixture
async def locked(machine: Machine, keys: Keys) -> AsyncGenerator[Api]:
    """An API on loopback whose tokens are `keys`."""
    async with machine.fleet() as api:
        yield Api(api.fleet, Guard(machine.clock, keys.file))


@pytest.fixture
async def public(machine: Machine, keys: Keys) -> AsyncGenerator[Api]:
    """An API that others can reach."""
    async with machine.fleet() as api:
        yield Api(api.fleet, Guard(machine.clock, keys.file, loopback=False))


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def browse(api: Api, code: str, **headers: str) -> tuple[Answer, str]:
    """Follow a link as a browser does; return the answer and the cookie to send from then on."""
    answer = await api.send("GET", f"/login?code={code}", Sec_Fetch_Site="none", **headers)
    return answer, answer.headers.get("set-cookie", "").partition(";")[0]
