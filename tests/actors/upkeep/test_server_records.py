"""The log tells what happens to the server itself: starts, crashes, tokens, refused requests, proofs, exports."""

from pathlib import Path
from typing import Any

import trio

from fleet.actors.upkeep.server_records import ServerFacts
from fleet.core.server import BackupMade
from fleet.events import codec
from fleet.events.envelope import Cause
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.tokens import known_tokens
from fleet.limits import REFUSAL_KINDS_MAX, REFUSALS_EVERY_S, TOKEN_LOOK_S
from tests.gateway.door import Door, Machine
from tests.gateway.test_tokens import Keys, bearer


def facts(keys: Keys, run_id: str, version: str = "1.0") -> ServerFacts:
    return ServerFacts(run_id, version, "c0ffee", lambda: known_tokens(keys.file.read()))


def told(door: Door, *names: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return type, actor and given fields of the events of the server's stream."""
    return [
        (each.type, each.cause.actor, {name: value for name in names if (value := getattr(each.event, name, None))})
        for each in door.fleet.log.read_stream("server-fleet")
    ]


async def test_starts_stops_and_crashes_are_recorded(machine: Machine, tmp_path: Path) -> None:
    keys = Keys(tmp_path, machine)
    machine.facts = facts(keys, "one")
    async with machine.fleet(killed=True):
        await trio.sleep(60)
    machine.facts = facts(keys, "two", "1.1")
    async with machine.fleet():
        pass
    machine.facts = facts(keys, "three", "1.1")
    async with machine.fleet() as door:
        first = door.fleet.log.read_all(0, 1)[0]
        assert (first.type, first.event.configuration) == ("server.started", "c0ffee")
        assert told(door, "run_id", "version") == [
            ("server.started", "local", {"run_id": "one", "version": "1.0"}),
            ("server.crashed", "local", {"run_id": "one", "version": "1.0"}),
            ("server.started", "local", {"run_id": "two", "version": "1.1"}),
            ("server.stopped", "local", {"run_id": "two"}),
            ("server.started", "local", {"run_id": "three", "version": "1.1"}),
        ]


async def test_tokens_are_recorded_by_name_whoever_made_them(machine: Machine, tmp_path: Path) -> None:
    """One is made while no server runs, one by another process, and one is revoked over HTTP."""
    keys = Keys(tmp_path, machine)
    ann = keys.new("ann")
    machine.facts = facts(keys, "one")
    async with machine.fleet() as running:
        door = Door(running.fleet, Guard(machine.clock, keys.file))
        ben = keys.new("ben", lifetime_s=30)
        await trio.sleep(TOKEN_LOOK_S + 1)
        await door.knock("DELETE", "/api/tokens/ann", **bearer(keys.new("eve")))
        await trio.sleep(60)
        tokens = [each for each in told(door, "name", "role") if each[0].startswith("token.")]
        assert tokens == [
            ("token.made", "local", {"name": "ann", "role": "operator"}),
            ("token.made", "local", {"name": "ben", "role": "operator"}),
            ("token.made", "local", {"name": "eve", "role": "operator"}),
            ("token.revoked", "token:eve", {"name": "ann"}),
            ("token.expired", "policy:expiry", {"name": "ben"}),
        ]
        for secret in (ann, ben):
            assert secret.encode() not in b"".join(codec.decode(record).payload for record in machine.disk.records)


async def test_refused_requests_are_counted_once_a_minute(machine: Machine, tmp_path: Path) -> None:
    keys = Keys(tmp_path, machine)
    viewer = keys.new("eye", "viewer")
    machine.facts = facts(keys, "one")
    async with machine.fleet() as running:
        door = Door(running.fleet, Guard(machine.clock, keys.file))
        for _ in range(3):
            assert (await door.knock("POST", "/api/sessions", {"directory": "/"}, **bearer(viewer))).status == 403
        assert (await door.knock("GET", "/api/sessions")).status == 401
        assert (await door.knock("GET", "/login?code=wrong")).status == 403
        for n in range(REFUSAL_KINDS_MAX + 5):
            door.fleet.records.refused("write", "read_only", f"token:{n}")
        await trio.sleep(REFUSALS_EVERY_S + 1)
        refused = [each[2] for each in told(door, "request", "code", "count", "actor") if "refused" in each[0]]
        assert refused[:3] == [
            {"request": "write", "code": "read_only", "count": 3, "actor": "token:eye"},
            {"request": "read", "code": "token_required", "count": 1},
            {"request": "login", "code": "link_invalid", "count": 1},
        ]
        assert len(refused) == REFUSAL_KINDS_MAX + 1
        assert refused[-1] == {"request": "write", "code": "read_only", "count": 8}


async def test_a_refusal_during_the_records_does_not_change_their_beginning(machine: Machine, tmp_path: Path) -> None:
    machine.facts = facts(Keys(tmp_path, machine), "one")
    async with machine.fleet() as door:
        records = door.fleet.records
        door.fleet.log.listen(lambda _: records.refused("write", "forbidden_origin", None))
        began_ms = machine.clock.now_ms()
        for request in ("login", "read"):
            records.refused(request, "forbidden_origin", None)
        await trio.sleep(REFUSALS_EVERY_S + 1)
        refused = [each[2] for each in told(door, "request", "since_ms") if "refused" in each[0]]
        assert refused == [{"request": each, "since_ms": began_ms} for each in ("login", "read")]


async def test_proofs_exports_and_backups_name_their_caller(machine: Machine, tmp_path: Path) -> None:
    machine.facts = facts(Keys(tmp_path, machine), "one")
    async with machine.fleet() as door:
        head = door.fleet.log.head()
        assert (await door.knock("GET", "/api/log/verify")).json["intact"]
        assert (await door.knock("GET", f"/api/log/export?after={head}")).status == 200
        backup = BackupMade(directory="/backup", through=head, at_ms=machine.clock.now_ms())
        await door.fleet.records.note(backup, Cause("token:ann"))
        assert told(door, "through", "after", "directory")[1:] == [
            ("server.log-verified", "local", {"through": head}),
            ("server.log-exported", "local", {"through": head + 1, "after": head}),
            ("server.backup-made", "token:ann", {"through": head, "directory": "/backup"}),
        ]


async def test_a_full_disk_holds_neither_start_nor_proof(machine: Machine, tmp_path: Path) -> None:
    machine.facts = facts(Keys(tmp_path, machine), "one")
    machine.disk.low = machine.disk.full = True
    async with machine.fleet() as door:
        assert (await door.knock("GET", "/api/log/verify")).json["intact"]
        assert told(door) == []
        machine.disk.low = machine.disk.full = False
        await trio.sleep(TOKEN_LOOK_S + 1)
        assert [each[0] for each in told(door)] == ["server.started"]
